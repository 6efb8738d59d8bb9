/** The tiers of a model's pages, with budgets that depend on the device. */
import type { Backend } from '../backend/backend.ts';
import type { PageDisk } from '../kv/offloaded-pages.ts';
import { Checksums } from '../kv/checksum.ts';
import type { PageAllocator } from '../kv/sequence.ts';
import { Tiers } from '../kv/tiers.ts';
import { StorageError } from '../errors.ts';
import type { Platform } from '../platform/platform.ts';
import type { Spill } from '../store/sessions.ts';
import type { Wasm } from '../wasm.ts';

/** Part of the 4 GiB that a WASM memory can have. The rest is for activations and for fragmentation. */
const WASM_BYTES = 3 * 2 ** 30;
const LEAST_BYTES = 2 ** 26;
/** A GPU shows that its memory is full by refusing an allocation; then waiting sessions are offloaded. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/**
 * Host memory for pages of waiting sessions: an eighth of the machine's memory if the browser reports it (in GiB, at
 * most 8), otherwise this many bytes.
 */
const HOST_BYTES = 2 ** 30;

/** The third tier, opened by the first write. Without a disk every write fails, and the pages stay in host memory. */
export class LazySpill implements PageDisk {
  readonly #platform: Pick<Platform, 'sessions'>;
  #spill: Promise<Spill> | undefined;

  constructor(platform: Pick<Platform, 'sessions'>) {
    this.#platform = platform;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#spill ??= this.#open();
    return (await this.#spill).write(bytes);
  }

  async read(number: number): Promise<Uint8Array | undefined> {
    return (await this.#spill)?.read(number);
  }

  async drop(number: number): Promise<void> {
    await (await this.#spill)?.drop(number);
  }

  /** Deletes everything. It can be written to again. */
  async free(): Promise<void> {
    const spill = await this.#spill?.catch(() => undefined);
    await spill?.free();
  }

  async #open(): Promise<Spill> {
    const shelf = await this.#platform.sessions?.();
    if (shelf === undefined) throw new StorageError('unavailable', 'there is no storage for offloaded pages');
    const { Spill: Opened } = await import('../store/sessions.ts');
    return new Opened(shelf);
  }
}

export function openTiers(
  backend: Backend,
  pages: PageAllocator,
  wasm: Wasm,
  platform: Pick<Platform, 'sessions'>,
): { readonly tiers: Tiers; readonly spill: LazySpill } {
  const spill = new LazySpill(platform);
  const device = backend.kind === 'wasm' ? Math.max(LEAST_BYTES, WASM_BYTES - backend.memory().weights) : NO_LIMIT;
  const { deviceMemory } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  const host = deviceMemory === undefined ? HOST_BYTES : Math.max(LEAST_BYTES, (deviceMemory * 2 ** 30) / 8);
  return { tiers: new Tiers(pages, new Checksums(wasm), { device, host }, spill), spill };
}
