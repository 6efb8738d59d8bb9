/** Pages that move from the device to host memory and the disk, and come back: on the reference's pool, whose bytes are looked at. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { KvBits } from '../../src/kv/precision.ts';
import { Checksums } from '../../src/kv/checksum.ts';
import { NO_PAGE, PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { DeviceError } from '../../src/errors.ts';
import type { Ranges, Tensor } from '../../src/backend/backend.ts';
import type { Plan } from '../../src/kv/plan.ts';
import type { PageDisk } from '../../src/kv/offloaded-pages.ts';
import { Tiers } from '../../src/kv/tiers.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { random } from '../support/random.ts';
import { openWasm } from '../support/wasm.ts';

const checksums = new Checksums(await openWasm('simd'));
const SPEC = { layers: 2, kvHeads: 2, headDim: 4, format: 'f32' } as const;
const PAGES_PER_BLOCK = 4;
const PAGE = 2 * 32 * 4 * 4;
const BLOCK = PAGES_PER_BLOCK * PAGE;

class TestDisk implements PageDisk {
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

function setting(device: number, host: number, disk: PageDisk | undefined = new TestDisk()) {
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

describe('sessions that wait', () => {
  test.each<[KvBits]>([[16], [8], [4], ['staircase']])(
    'give way by least recent use and come back byte for byte, at %p bits',
    async (bits) => {
      const { pages, tiers, sequence, use, content } = setting(7 * BLOCK, 3 * BLOCK);
      const disk = new TestDisk();
      const all = [sequence(170, bits), sequence(170, bits), sequence(170, bits)];
      const before = await Promise.all(all.map(content));
      for (const each of all) await use(each, async () => undefined);
      await tiers.settled();
      expect(tiers.use.device).toBeLessThanOrEqual(Math.max(7 * BLOCK, 3 * BLOCK));
      for (const [i, each] of all.entries()) {
        await use(each, async () => {
          expect(each.length).toBe(170);
          expect(await content(each)).toEqual(before[i]);
        });
      }
      for (const each of all) {
        tiers.forget(each);
        each.free();
      }
      await tiers.settled();
      expect([pages.used, tiers.use.host, tiers.use.disk, disk.held.size]).toEqual([0, 0, 0, 0]);
    },
  );

  test('the one used longest ago goes first, and only as much as is needed', async () => {
    const { tiers, sequence, use } = setting(12 * BLOCK, 100 * BLOCK);
    const [a, b, c] = [sequence(128), sequence(128), sequence(128)];
    for (const each of [b, a, c]) await use(each!, async () => undefined);
    const d = sequence(64);
    await use(d, async () => undefined);
    await tiers.settled();
    const gone = (each: Sequence): number => each.table.slice(0, 4).filter((page) => page === NO_PAGE).length;
    expect([a, b, c].map(gone)).toEqual([0, 2, 0]);
    expect(tiers.use).toEqual({ device: 12 * BLOCK, host: 2 * BLOCK, disk: 0 });
    await use(b, async () => expect(gone(b)).toBe(0));
  });

  test('nobody who computes gives anything, and room is made before a sequence grows', async () => {
    const { tiers, sequence, use, pages } = setting(8 * BLOCK, 100 * BLOCK);
    const [a, b] = [sequence(128), sequence(128)];
    await use(b, async () => undefined);
    await use(a, async () => {
      await use(b, async () => {
        expect(tiers.use.host).toBe(0);
        expect(b.table).not.toContain(NO_PAGE - 1);
      });
      await use(
        a,
        async () => {
          expect(tiers.use.host).toBe(3 * BLOCK);
          a.ensure(224);
          expect(pages.usedBytes).toBe(8 * BLOCK);
        },
        224,
      );
    });
  });

  test('shared blocks stay: giving up a share frees nothing', async () => {
    const { tiers, sequence, use } = setting(2 * BLOCK, 100 * BLOCK);
    const a = sequence(128);
    const copy = a.fork();
    for (const each of [a, copy, sequence(32)]) await use(each, async () => undefined);
    await tiers.settled();
    expect(a.table.filter((page) => page === NO_PAGE)).toHaveLength(PAGES_PER_BLOCK * 12);
    copy.free();
    tiers.forget(copy);
    await use(sequence(32), async () => undefined);
    await tiers.settled();
    expect(tiers.use.host).toBe(4 * BLOCK);
  });

  test('what is too much for host memory goes to the disk; a full disk leaves it where it is', async () => {
    // What left the device at once lies on the disk at once.
    for (const room of [Infinity, 3 * BLOCK]) {
      const disk = new TestDisk();
      disk.room = room;
      const { tiers, sequence, use, content } = setting(4 * BLOCK, BLOCK, disk);
      const [a, b] = [sequence(128), sequence(128)];
      const before = await content(a);
      await use(a, async () => undefined);
      await use(b, async () => undefined);
      await tiers.settled();
      expect(tiers.use).toEqual({
        device: 4 * BLOCK,
        host: room === Infinity ? 0 : 4 * BLOCK,
        disk: room === Infinity ? 4 * BLOCK : 0,
      });
      await use(a, async () => expect(await content(a)).toEqual(before));
      await tiers.settled();
      tiers.forget(a);
      tiers.forget(b);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(disk.held.size).toBe(0);
    }
    const full = new TestDisk();
    full.room = 0;
    const { tiers, sequence, use } = setting(BLOCK, BLOCK, full);
    for (const each of [sequence(128), sequence(128)]) await use(each, async () => undefined);
    await tiers.settled();
    expect(tiers.use.disk).toBe(0);
    expect(tiers.use.host).toBeGreaterThan(BLOCK);
  });

  test('without a disk everything stays in host memory', async () => {
    const { tiers, sequence, use, content, pages } = setting(BLOCK, BLOCK);
    const alone = new Tiers(pages, checksums, { device: BLOCK, host: BLOCK });
    const a = sequence(128);
    const before = await content(a);
    await alone.using(
      a,
      0,
      () => undefined,
      async () => undefined,
    );
    await alone.settled();
    await alone.using(
      sequence(32),
      0,
      () => undefined,
      async () => undefined,
    );
    await alone.settled();
    expect(alone.use.disk).toBe(0);
    await alone.using(
      a,
      0,
      () => undefined,
      async () => expect(await content(a)).toEqual(before),
      true,
    );
    await tiers.settled();
    await use(a, async () => undefined);
  });
});

describe('what does not come back whole', () => {
  /** A batch of four blocks, from the last, of two layers each, from the last. */
  const damages: readonly [string, (disk: TestDisk, bytes: Uint8Array) => void, number][] = [
    ['gone', (disk) => disk.held.clear(), 0],
    ['changed in the last block', (_, bytes) => (bytes[5]! ^= 4), 96],
    ['changed in the second', (_, bytes) => (bytes[3 * BLOCK - 1]! ^= 128), 32],
    ['cut', (disk, bytes) => disk.held.set(0, bytes.slice(1)), 0],
    ['one in the place of another', (_, bytes) => bytes.copyWithin(BLOCK, 2 * BLOCK, 3 * BLOCK), 64],
    ['unreadable', (disk) => (disk.read = () => Promise.reject(new Error('no'))), 0],
  ];
  test.each(damages)('%s: the sequence ends before it, and nothing of it is left', async (_, damage, length) => {
    const disk = new TestDisk();
    const { tiers, sequence, use, content } = setting(BLOCK, PAGE, disk);
    const a = sequence(128);
    const before = await content(a);
    const b = sequence(32);
    await use(a, async () => undefined);
    await use(b, async () => undefined);
    await tiers.settled();
    expect([...disk.held.values()].map((bytes) => bytes.length)).toEqual([4 * BLOCK]);
    damage(disk, disk.held.get(0)!);
    const heard: number[] = [];
    tiers.limit({ device: 100 * BLOCK });
    await tiers.using(
      a,
      0,
      (kept) => heard.push(a.truncate(kept)),
      async () => {
        expect(a.length).toBe(length);
        expect(await content(a)).toEqual(before.slice(0, (length / 32) * BLOCK));
        a.ensure(128);
        expect(a.pagesOf(3)).not.toContain(NO_PAGE);
      },
    );
    expect(heard).toEqual([length]);
    tiers.forget(a);
    expect(tiers.use).toMatchObject({ host: 0, disk: 0 });
  });
});

describe('a sequence that is larger than the device', () => {
  const ranges = (...runs: readonly number[]): Ranges => ({
    queryBlock: 1,
    shared: true,
    causal: true,
    offsets: Uint32Array.of(0, runs.length / 2),
    runs: Uint32Array.from(runs),
  });
  const noQuery = undefined as unknown as Tensor;
  const layerOf = async (of: Sequence, layer: number): Promise<Uint8Array> =>
    of.pool.read(
      Int32Array.from(
        [...of.table.slice(layer * 2 * of.blocks, (layer + 1) * 2 * of.blocks)].filter((page) => page !== NO_PAGE),
      ),
    );

  test('has of each layer what is looked at when it is asked for, and gives up what is not', async () => {
    const { tiers, sequence, use } = setting(100 * BLOCK, 100 * BLOCK);
    const a = sequence(320);
    const layers = await Promise.all([0, 1].map((layer) => layerOf(a, layer)));
    await use(a, async () => {
      expect(tiers.guard(a, ranges(0, 320))).toEqual(ranges(0, 320));
      tiers.limit({ device: 6 * BLOCK });
      await tiers.room(a, 320);
      expect(tiers.use.device).toBe(6 * BLOCK);
      // The oldest went, of all layers.
      expect([...a.table.slice(0, 4)]).toEqual([NO_PAGE, NO_PAGE, NO_PAGE, NO_PAGE]);
      const seen = tiers.guard(a, ranges(32, 64, 288, 320)) as Plan;
      for (const layer of [0, 1]) {
        expect(await seen.ranges(layer, noQuery)).toEqual(ranges(32, 64, 288, 320));
        expect(a.table[2 * layer * a.blocks + 1]).not.toBe(NO_PAGE);
        expect(a.table[2 * layer * a.blocks]).toBe(NO_PAGE);
        expect(tiers.use.device).toBeLessThanOrEqual(6 * BLOCK);
      }
      // Everything, as dense attention looks: a whole layer at a time, and it is what it was.
      const dense = tiers.guard(a, ranges(0, 320)) as Plan;
      for (const layer of [0, 1, 0, 1]) {
        await dense.ranges(layer, noQuery);
        expect(Buffer.compare(await layerOf(a, layer), layers[layer]!)).toBe(0);
      }
      // A plan that may look at anything before it answers.
      const plan: Plan = {
        ranges: async (layer) => {
          expect(Buffer.compare(await layerOf(a, layer), layers[layer]!)).toBe(0);
          return ranges(0, 32);
        },
      };
      for (const layer of [0, 1])
        expect(await (tiers.guard(a, plan) as Plan).ranges(layer, noQuery)).toEqual(ranges(0, 32));
    });
  });

  test('something lost on the way is an error that says so, and the next call computes it', async () => {
    const disk = new TestDisk();
    const { tiers, sequence, use } = setting(6 * BLOCK, PAGE, disk);
    const a = sequence(320);
    await use(a, async () => {
      await tiers.room(a, 320);
      disk.held.clear();
      const dense = tiers.guard(a, ranges(0, 320)) as Plan;
      await expect(dense.ranges(0, noQuery)).rejects.toMatchObject({
        name: 'StorageError',
        code: 'checksum',
        message: expect.stringContaining('ask again'),
      });
    });
    const heard: number[] = [];
    await tiers.using(
      a,
      0,
      (kept) => heard.push(a.truncate(kept)),
      async () => expect(a.length).toBe(0),
    );
    expect(heard).toEqual([0]);
  });
});

test('a device that refuses to grow gets room from sessions that wait', async () => {
  const spec = { layers: 2, kvHeads: 2, headDim: 512, format: 'f32' } as const;
  const block = 4 * 2 * 32 * 512 * 4;
  const pool = createReferenceBackend().kvPool(spec);
  const reserve = pool.reserve.bind(pool);
  pool.reserve = (pages, format) => {
    if (pages > 80) throw new DeviceError('out-of-memory', 'no more');
    reserve(pages, format);
  };
  const pages = new PageAllocator(pool);
  const tiers = new Tiers(pages, checksums, { device: 1e12, host: 1e12 }, new TestDisk());
  const [a, b] = [new Sequence(pages, 1024), new Sequence(pages, 1024)];
  await tiers.using(
    a,
    320,
    () => undefined,
    async () => a.ensure(320),
  );
  const before = await pool.read(a.pagesOf(2));
  await tiers.using(
    b,
    640,
    () => undefined,
    async () => {
      b.ensure(640);
      expect(tiers.use.host).toBe(10 * block);
    },
  );
  await tiers.using(
    a,
    320,
    () => undefined,
    async () => expect(Buffer.compare(await pool.read(a.pagesOf(2)), before)).toBe(0),
  );
  // Nobody can give what all need at once.
  await tiers.using(
    a,
    320,
    () => undefined,
    () =>
      expect(
        tiers.using(
          b,
          640,
          () => undefined,
          async () => undefined,
        ),
      ).rejects.toMatchObject({ code: 'out-of-memory' }),
  );
});

describe('budgets', () => {
  test.each([[{ device: PAGE - 1 }], [{ host: 10 }], [{ device: Number.NaN }], [{ device: -5 }]])(
    '%p is refused: not a page fits into it',
    (limits) => {
      const { tiers } = setting(BLOCK, BLOCK);
      expect(() => tiers.limit(limits)).toThrow(
        expect.objectContaining({
          name: 'InputError',
          code: 'argument',
          facts: expect.objectContaining({ page: PAGE }),
        }),
      );
      expect(tiers.limits).toEqual({ device: BLOCK, host: BLOCK });
    },
  );

  test('of one page are kept to as far as sessions that wait allow', async () => {
    const { tiers, sequence, use } = setting(100 * BLOCK, 100 * BLOCK);
    tiers.limit({ device: PAGE });
    const a = sequence(128);
    await use(a, async () => undefined);
    await tiers.settled();
    expect(tiers.use).toMatchObject({ device: 0, host: 4 * BLOCK });
    await use(a, async () => expect(tiers.use.device).toBe(4 * BLOCK));
  });
});

test('in any order of use, growth, cuts and forks every sequence keeps what it held', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.nat(3),
          fc.constantFrom('use' as const, 'grow' as const, 'cut' as const, 'fork' as const),
          fc.nat(200),
        ),
        { minLength: 5, maxLength: 25 },
      ),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 6 }),
      async (steps, device, host) => {
        const disk = new TestDisk();
        const { pages, tiers, sequence, use, content } = setting(device * BLOCK, host * BLOCK, disk);
        const all = [sequence(100), sequence(128), sequence(40), sequence(65)];
        const held = await Promise.all(all.map(content));
        for (const [which, what, amount] of steps) {
          const each = all[which]!;
          await use(
            each,
            async () => {
              // The last page's free end is nobody's.
              const full = Math.floor(each.length / 32) * BLOCK;
              expect(Buffer.compare((await content(each)).subarray(0, full), held[which]!.subarray(0, full))).toBe(0);
              if (what === 'grow') each.ensure(Math.min(512, each.length + amount));
              if (what === 'cut') each.truncate(Math.min(each.length, amount));
              if (what === 'fork') {
                const old = all[which]!;
                all[which] = each.fork();
                tiers.forget(old);
                old.free();
              }
              held[which] = await content(all[which]!);
            },
            each.length + (what === 'grow' ? amount : 0),
          );
        }
        for (const each of all) {
          tiers.forget(each);
          each.free();
        }
        await tiers.settled();
        expect([pages.used, tiers.use.host, tiers.use.disk]).toEqual([0, 0, 0]);
      },
    ),
    { numRuns: 20 },
  );
}, 120_000);
