/** A sequence that is larger than the device: its own pages are offloaded, and reloaded layer by layer. */
import { describe, expect, test } from '@jest/globals';
import { NO_PAGE, PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { DeviceError } from '../../src/errors.ts';
import { type Ranges, type Tensor } from '../../src/backend/backend.ts';
import { type Plan } from '../../src/kv/plan.ts';
import { Tiers } from '../../src/kv/tiers.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { checksums, PAGE, BLOCK, TestDisk, setting } from './tiers-setting.ts';

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
