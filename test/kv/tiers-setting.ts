/** Tiers for tests: over the pool of the reference backend, whose bytes can be read, and a disk in memory. */
import { type KvBits } from '../../src/kv/precision.ts';
import { Checksums } from '../../src/kv/checksum.ts';
import { NO_PAGE, PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { type PageDisk } from '../../src/kv/offloaded-pages.ts';
import { Tiers } from '../../src/kv/tiers.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { random } from '../support/random.ts';
import { openWasm } from '../support/wasm.ts';

export const checksums = new Checksums(await openWasm('simd'));
export const SPEC = { layers: 2, kvHeads: 2, headDim: 4, format: 'f32' } as const;
export const PAGES_PER_BLOCK = 4;
export const PAGE = 2 * 32 * 4 * 4;
export const BLOCK = PAGES_PER_BLOCK * PAGE;

export class TestDisk implements PageDisk {
  readonly held = new Map<number, Uint8Array>();
  room = Infinity;
  next = 0;
  async write(bytes: Uint8Array): Promise<number> {
    await Promise.resolve();
    if ([...this.held.values()].reduce((sum, b) => sum + b.length, bytes.length) > this.room) throw new Error('full');
    this.held.set(this.next, bytes.slice());
    return this.next++;
  }
  async read(number: number): Promise<Uint8Array | undefined> {
    await Promise.resolve();
    return this.held.get(number)?.slice();
  }
  async drop(number: number): Promise<void> {
    this.held.delete(number);
  }
}

export function setting(device: number, host: number, disk: PageDisk | undefined = new TestDisk()) {
  const pages = new PageAllocator(createReferenceBackend().kvPool(SPEC));
  const tiers = new Tiers(pages, checksums, { device, host }, disk);
  const numbers = random(7);
  /** A sequence of `tokens` whose pages hold noise. */
  const sequence = (tokens: number, bits: KvBits = 16): Sequence => {
    const made = new Sequence(pages, 512);
    made.ensure(tokens);
    const table = Int32Array.from(made.table.filter((page) => page !== NO_PAGE));
    const noise = numbers.normals((table.length * PAGE) / 4);
    pages.pool.write(table, new Uint8Array(noise.buffer));
    made.settle(bits);
    return made;
  };
  const use = <T>(of: Sequence, body: () => Promise<T>, tokens = of.length): Promise<T> =>
    tiers.using(of, tokens, (length) => void of.truncate(length), body, true);
  const content = async (of: Sequence): Promise<Uint8Array> =>
    pages.pool.read(
      Int32Array.from(Array.from({ length: Math.ceil(of.length / 32) }, (_, block) => [...of.pagesOf(block)]).flat()),
    );
  return { pages, tiers, sequence, use, content };
}
