/** Pages that move from the device to host memory and to disk, and back. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type KvBits } from '../../src/kv/precision.ts';
import { NO_PAGE, type Sequence } from '../../src/kv/sequence.ts';
import { Tiers } from '../../src/kv/tiers.ts';
import { checksums, PAGES_PER_BLOCK, PAGE, BLOCK, TestDisk, setting } from './tiers-setting.ts';

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
