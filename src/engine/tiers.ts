/** The tiers of a model's pages, with budgets taken from where it runs. */
import type { Backend } from '../backend/backend.ts';
import { Checksums } from '../context/checksum.ts';
import type { PageAllocator } from '../context/pages.ts';
import { Tiers } from '../context/tiers.ts';
import { Spill, type Shelf } from '../store/index.ts';
import type { Wasm } from '../wasm.ts';

/** Of the 4 GiB that a WASM memory can have: the rest is for activations, and for what does not come out even. */
const WASM_BYTES = 3 * 2 ** 30;
const LEAST_BYTES = 2 ** 26;
/** A GPU says that it is full by refusing, and then sessions that wait give way. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/** Host memory for pages of sessions that wait: an eighth of the machine's where the browser tells (in GiB, 8 at most), and so much elsewhere. */
const HOST_BYTES = 2 ** 30;

export function openTiers(backend: Backend, pages: PageAllocator, wasm: Wasm, shelf: Shelf | undefined): { readonly tiers: Tiers; readonly spill: Spill | undefined } {
  const spill = shelf === undefined ? undefined : new Spill(shelf);
  const device = backend.kind === 'wasm' ? Math.max(LEAST_BYTES, WASM_BYTES - backend.memory().weights) : NO_LIMIT;
  const { deviceMemory } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  const host = deviceMemory === undefined ? HOST_BYTES : Math.max(LEAST_BYTES, (deviceMemory * 2 ** 30) / 8);
  return { tiers: new Tiers(pages, new Checksums(wasm), { device, host }, spill), spill };
}
