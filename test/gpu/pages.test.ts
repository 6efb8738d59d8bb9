/**
 * KV pages on WebGPU: bytes of the quantiser, attention and probe over mixed formats, splitting over keys, ranges larger than the arena.
 * Long, since all share one device: making another for each part would cost more than the part.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  pageNumber,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
  type Ranges,
} from '../../src/backend/backend.ts';
import { createWebGpuBackend, type WebGpuBackend } from '../../src/backend/webgpu.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { attend, softmax } from '../reference/maths.ts';
import { decodePage, encodePage, pageSize } from '../reference/pages.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { random, type Random } from '../support/random.ts';
import { expectNmse, expectSame, TOLERANCE } from '../support/tolerance.ts';

const present = await hasGpu();
const ifGpu = present ? test : test.skip;
let backend: WebGpuBackend;
beforeAll(async () => {
  if (present) backend = await createWebGpuBackend({ gpu: testGpu(), defaultLimits: true });
});
afterAll(() => backend?.destroy());

const CLOSED = ['q8', 'q4', 'q2'] as const;
/** Formats of unequal keys and values: converted from f32 and back only, which saves pipelines. */
const UNEQUAL: readonly KvFormat[] = ['k8v4', 'k4v2'];
const numbers = (format: KvFormat, ...indices: number[]): Int32Array =>
  Int32Array.from(indices, (index) => pageNumber(format, index));
const join = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

/** Values of a page that make the quantiser's decisions hard: ties, signed zeros, tiny and huge ranges, f16 subnormals, NaN. */
function hardValues(r: Random, headDim: number): Float64Array {
  const values = Float64Array.from(r.normals(2 * PAGE_TOKENS * headDim));
  const row = (part: number, token: number, channel: number): number =>
    (part * PAGE_TOKENS + token) * headDim + channel;
  for (let token = 0; token < PAGE_TOKENS; token++) {
    const set = (channel: number, key: number, value = key): void => {
      values[row(0, token, channel)] = key;
      values[row(1, channel, token % headDim)] = value;
    };
    set(0, token / 2); // steps whose halves are ties
    set(1, 0.75);
    set(2, token % 2 === 0 ? -0 : 0);
    set(3, 1e-6 * token);
    set(4, 1e5 * (token - 16));
    set(5, token === 7 ? NaN : 1);
    set(6, 255 + token * 1e-4);
    set(7, token === 3 ? 1e-40 : 0);
    set(8, 6e-8 * token);
    set(9, token === 0 ? 3e38 : -3e38);
    set(10, token === 0 ? -15 : token - 16.5);
    set(11, token === 5 ? Infinity : token);
  }
  return values.map((value) => Math.fround(value));
}

describe('the quantiser', () => {
  test.each(present ? [12, 64, 72, 256] : [])(
    "makes the layout's bytes for heads of %i, from f32, f16 and closed pages, and reopens them",
    async (headDim) => {
      const r = random(headDim);
      const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim, format: 'f32' });
      for (const format of KV_FORMATS) pool.reserve(6, format);
      const pages = [
        hardValues(r, headDim),
        Float64Array.from(r.normals(64 * headDim), Math.fround),
        Float64Array.from(r.normals(64 * headDim, 1e-5), Math.fround),
      ];
      for (const from of KV_FORMATS) {
        const bytes = pages.map((values) => encodePage(from, headDim, values));
        const sources = numbers(from, 4, 0, 2);
        pool.write(sources, join(bytes));
        for (const to of KV_FORMATS) {
          if ([from, to].some((one) => UNEQUAL.includes(one)) && from !== 'f32' && to !== 'f32') continue;
          const targets = numbers(to, 1, 5, 3);
          pool.convert(sources, targets);
          const found = await pool.read(targets);
          const wanted = join(bytes.map((page) => encodePage(to, headDim, decodePage(from, headDim, page))));
          if (to === 'f32' || to === 'f16') expectOpen(found, wanted, to, `${from} to ${to}`);
          else expectSame(found, wanted, `${from} to ${to}, ${pool.pageBytes(to)} bytes a page`);
        }
      }
      pool.free();
    },
    120_000,
  );

  ifGpu('takes pages of several formats at once, after those that earlier calls made', async () => {
    const r = random(3);
    const headDim = 32;
    const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim, format: 'f16' });
    for (const format of KV_FORMATS) pool.reserve(4, format);
    const [a, b] = [0, 1].map(() => Float64Array.from(r.normals(64 * headDim), Math.fround)) as [
      Float64Array,
      Float64Array,
    ];
    pool.write(numbers('f16', 1, 3), join([encodePage('f16', headDim, a), encodePage('f16', headDim, b)]));
    const q8 = [a, b].map((page) =>
      encodePage('q8', headDim, decodePage('f16', headDim, encodePage('f16', headDim, page))),
    );
    const again = (to: KvFormat, from: KvFormat, bytes: Uint8Array): Uint8Array =>
      encodePage(to, headDim, decodePage(from, headDim, bytes));
    // The staircase: f16 -> q8 -> q4 -> q2, then other pages in one call.
    pool.convert(numbers('f16', 1), numbers('q8', 0));
    pool.convert(numbers('q8', 0), numbers('q4', 2));
    pool.convert(numbers('q4', 2), numbers('q2', 1));
    pool.convert(numbers('f16', 3), numbers('q8', 0));
    pool.convert(
      Int32Array.of(...numbers('q8', 0), ...numbers('f16', 3)),
      Int32Array.of(...numbers('q8', 3), ...numbers('f32', 0)),
    );
    expectSame(await pool.read(numbers('q8', 0, 3)), join([q8[1]!, q8[1]!]), 'q8');
    const q4 = again('q4', 'q8', q8[0]!);
    expectSame(await pool.read(numbers('q4', 2)), q4, 'q4');
    expectSame(await pool.read(numbers('q2', 1)), again('q2', 'q4', q4), 'q2');
    pool.free();
  });
});

/** Open pages: equal values, or NaN both; which NaN is the device's choice. */
function expectOpen(found: Uint8Array, wanted: Uint8Array, format: 'f32' | 'f16', what: string): void {
  const values = (bytes: Uint8Array): Float64Array =>
    decodePage(format, bytes.length / (format === 'f32' ? 256 : 128), bytes);
  expectSame(values(found), values(wanted), what);
}

describe('the pool', () => {
  ifGpu('keeps contents while a format grows, reads and writes any pages in order, and counts its bytes', async () => {
    const r = random(11);
    const headDim = 64;
    const before = backend.memory().kv;
    const pool = backend.kvPool({ layers: 1, kvHeads: 2, headDim, format: 'f16' });
    let bytes = 0;
    for (const [i, format] of KV_FORMATS.entries()) {
      pool.reserve(i + 2, format);
      bytes += (i + 2) * pageSize(format, headDim);
      expect(pool.pages(format)).toBe(i + 2);
      expect(pool.pageBytes(format)).toBe(pageSize(format, headDim));
    }
    expect(pool.pages()).toBe(pool.pages('f16'));
    expect(backend.memory().kv - before).toBe(bytes);
    const some = Int32Array.of(
      ...numbers('q4', 2),
      ...numbers('f32', 0, 1),
      ...numbers('q2', 5),
      ...numbers('q8', 3),
      ...numbers('f16', 2),
      ...numbers('q4', 1),
    );
    const contents = Uint8Array.from(
      { length: [...some].reduce((sum, page) => sum + pageSize(pageFormat(page), headDim), 0) },
      () => Math.floor(r.uniform() * 256),
    );
    pool.write(some, contents);
    // Later work overtakes neither.
    const { waits } = backend.counters();
    const reading = pool.read(some);
    pool.write(numbers('q4', 2), new Uint8Array(pageSize('q4', headDim)));
    expectSame(await reading, contents, 'read');
    expect(backend.counters().waits).toBe(waits);
    pool.write(some, contents);
    pool.reserve(40, 'q4');
    pool.copy(pageNumber('q4', 2), pageNumber('q4', 39));
    expectSame(await pool.read(some), contents, 'after growth');
    expectSame(await pool.read(numbers('q4', 39)), contents.subarray(0, pageSize('q4', headDim)), 'a copy');
    const wrong = expect.objectContaining({ name: 'InputError', code: 'argument' });
    expect(() => pool.copy(pageNumber('q4', 2), pageNumber('q8', 0))).toThrow(wrong);
    expect(() => pool.copy(pageNumber('q4', 40), pageNumber('q4', 0))).toThrow(wrong);
    expect(() => pool.convert(numbers('q4', 1), numbers('q8', 0, 1))).toThrow(wrong);
    expect(() => pool.convert(numbers('q4', 1), numbers('q8', 99))).toThrow(wrong);
    expect(() => pool.write(some, contents.subarray(4))).toThrow(wrong);
    await expect(pool.read(Int32Array.of(-1))).rejects.toThrow(wrong);
    expect((await pool.read(new Int32Array(0))).length).toBe(0);
    expect(() => pool.reserve(1 << 24, 'q4')).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    pool.free();
    expect(backend.memory().kv).toBe(before);
  });
});

/** A view whose blocks have pages of the given formats in turn, with random contents, and those contents: by (head, position) keys and values. */
interface Filled {
  readonly view: KvView & { readonly table: Int32Array; version: number };
  readonly keys: Float64Array[][];
  readonly values: Float64Array[][];
}

const LAYER = 1;

function fill(r: Random, spec: Omit<KvSpec, 'layers'>, blocks: number, formats: readonly KvFormat[]): Filled {
  const { kvHeads, headDim } = spec;
  const pool: KvPool = backend.kvPool({ ...spec, layers: 2 });
  const table = new Int32Array(2 * kvHeads * blocks).fill(-1);
  const next = new Map<KvFormat, number>();
  const pages: number[] = [];
  const bytes: Uint8Array[] = [];
  const keys: Float64Array[][] = [];
  const values: Float64Array[][] = [];
  for (let head = 0; head < kvHeads; head++) {
    keys.push([]);
    values.push([]);
    for (let block = 0; block < blocks; block++) {
      const format = formats[(block + head) % formats.length]!;
      const index = next.get(format) ?? 0;
      next.set(format, index + 1);
      const page = pageNumber(format, index);
      const content = encodePage(format, headDim, Float64Array.from(r.normals(2 * PAGE_TOKENS * headDim), Math.fround));
      const decoded = decodePage(format, headDim, content);
      for (let row = 0; row < PAGE_TOKENS; row++) {
        keys[head]!.push(decoded.subarray(row * headDim, (row + 1) * headDim));
        values[head]!.push(decoded.subarray((PAGE_TOKENS + row) * headDim, (PAGE_TOKENS + row + 1) * headDim));
      }
      table[(LAYER * kvHeads + head) * blocks + block] = page;
      pages.push(page);
      bytes.push(content);
    }
  }
  for (const [format, count] of next) pool.reserve(count, format);
  pool.write(Int32Array.from(pages), join(bytes));
  return { view: { pool, blocks, table, version: 1, formats: [spec.format, ...formats] }, keys, values };
}

/** (key, bias) that query i of a KV head sees. */
function seen(
  ranges: Ranges,
  kvHeads: number,
  head: number,
  i: number,
  position: number,
): { key: number; bias: number }[] {
  const list = Math.floor(i / ranges.queryBlock) * (ranges.shared ? 1 : kvHeads) + (ranges.shared ? 0 : head);
  const found: { key: number; bias: number }[] = [];
  for (let run = ranges.offsets[list]!; run < ranges.offsets[list + 1]!; run++) {
    for (let key = ranges.runs[2 * run]!; key < ranges.runs[2 * run + 1]!; key++) {
      if (!ranges.causal || key <= position + i) found.push({ key, bias: ranges.bias?.[run] ?? 0 });
    }
  }
  return found;
}

interface Case {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly open?: 'f32' | 'f16';
  readonly formats: readonly KvFormat[];
  readonly blocks: number;
  readonly queries: number;
  readonly position: number;
  readonly ranges: Ranges;
  readonly spans?: Uint32Array;
}

/** Attention, probe by keys and probe by spans against f64 loops over the decoded pages. */
async function check(it: Case): Promise<void> {
  const { heads, kvHeads, headDim, open = 'f16', formats, blocks, queries, position, ranges } = it;
  const what = `${heads}/${kvHeads} heads of ${headDim}, ${formats.join('+')}, ${queries} queries at ${position}`;
  const r = random(headDim + queries + formats.length);
  const { view, keys, values } = fill(r, { kvHeads, headDim, format: open }, blocks, formats);
  const q = r.normals(queries * heads * headDim);
  const scale = 1.2 / Math.sqrt(headDim);
  const wanted = new Float64Array(queries * heads * headDim);
  let last = 0;
  for (let i = 0; i < queries; i++)
    for (let h = 0; h < kvHeads; h++)
      last = Math.max(last, (seen(ranges, kvHeads, h, i, position).at(-1)?.key ?? -1) + 1);
  const mass = new Float64Array(heads * last);
  for (let i = 0; i < queries; i++) {
    for (let h = 0; h < heads; h++) {
      const head = Math.floor(h / (heads / kvHeads));
      const list = seen(ranges, kvHeads, head, i, position);
      const at = (i * heads + h) * headDim;
      const query = Float64Array.from(q.subarray(at, at + headDim));
      const mine = list.map(({ key }) => keys[head]![key]!);
      const bias = Float64Array.from(list, (one) => one.bias);
      wanted.set(
        attend(
          query,
          mine,
          list.map(({ key }) => values[head]![key]!),
          scale,
          bias,
        ),
        at,
      );
      const weights = softmax(query, mine, scale, bias);
      list.forEach(({ key }, j) => (mass[h * last + key]! += weights[j]! / queries));
    }
  }
  const [x] = backend.scope(() => [backend.upload(q, [queries, heads * headDim])]);
  const spec = { heads, scale };
  const out = backend.attention(x!, view, LAYER, position, ranges, spec);
  expectNmse(await backend.download(out), wanted, TOLERANCE.reduction, `attention, ${what}`);
  const probed = backend.probe(x!, view, LAYER, position, ranges, spec);
  expect(probed.shape).toEqual([heads, last]);
  expectNmse(await backend.download(probed), mass, TOLERANCE.reduction, `probe, ${what}`);
  const spans = it.spans ?? Uint32Array.of(0, last, 3, 4, 5, 5, 40, last + 100, 7, 45, last + 1, last + 2);
  const summed = backend.probe(x!, view, LAYER, position, ranges, { ...spec, spans });
  const sums = Float64Array.from({ length: heads * (spans.length / 2) }, (_, i) => {
    const [h, s] = [Math.floor(i / (spans.length / 2)), i % (spans.length / 2)];
    return mass
      .subarray(h * last, (h + 1) * last)
      .subarray(Math.min(last, spans[2 * s]!), Math.min(last, spans[2 * s + 1]!))
      .reduce((a, b) => a + b, 0);
  });
  expectNmse(await backend.download(summed), sums, TOLERANCE.reduction, `probe of spans, ${what}`);
  for (const tensor of [x!, out, probed, summed]) backend.free(tensor);
  view.pool.free();
}

/** `pattern(block, head)` gives runs, cut at the keys there are. */
function lists(
  queryBlock: number,
  queries: number,
  heads: number,
  keyCount: number,
  pattern: (block: number, head: number) => number[],
  causal = true,
  bias?: (run: number) => number,
): Ranges {
  const offsets = [0];
  const runs: number[] = [];
  for (let block = 0; block < Math.ceil(queries / queryBlock); block++) {
    for (let head = 0; head < heads; head++) {
      const given = pattern(block, head);
      for (let i = 0; i < given.length; i += 2) {
        const end = Math.min(given[i + 1]!, keyCount);
        if (given[i]! < end) runs.push(given[i]!, end);
      }
      offsets.push(runs.length / 2);
    }
  }
  const ranges = {
    queryBlock,
    shared: heads === 1,
    causal,
    offsets: Uint32Array.from(offsets),
    runs: Uint32Array.from(runs),
  };
  return bias === undefined
    ? ranges
    : { ...ranges, bias: Float32Array.from({ length: runs.length / 2 }, (_, i) => bias(i)) };
}

describe('attention and probe over pages of any format', () => {
  test.each(present ? [...KV_FORMATS] : [])(
    '%s alone, heads of 8 to 256',
    async (format) => {
      for (const [heads, kvHeads, headDim] of [
        [4, 2, 64],
        [3, 1, 72],
        [2, 2, 8],
        [2, 1, 128],
        [1, 1, 256],
      ] as const) {
        await check({
          heads,
          kvHeads,
          headDim,
          formats: [format],
          blocks: 3,
          queries: 5,
          position: 88,
          ranges: denseCausal(5, 93),
        });
      }
    },
    120_000,
  );

  test.each((present ? [[...CLOSED], ['f16', 'q8', 'q4', 'q2'], ['q4', 'f16']] : []) as KvFormat[][])(
    '%s and so on, mixed, in prefill and in decode',
    async (...formats) => {
      await check({
        heads: 14,
        kvHeads: 2,
        headDim: 64,
        formats,
        blocks: 4,
        queries: 1,
        position: 120,
        ranges: denseCausal(1, 121),
      });
      await check({
        heads: 4,
        kvHeads: 2,
        headDim: 80,
        formats,
        blocks: 4,
        queries: 21,
        position: 100,
        ranges: denseCausal(21, 121),
      });
      const sparse = lists(8, 21, 2, 121, (block, head) => [0, 2, 9 + block, 40 + head, 41, 42 + block, 60, 200]);
      await check({
        heads: 6,
        kvHeads: 2,
        headDim: 32,
        formats,
        blocks: 4,
        queries: 21,
        position: 100,
        ranges: sparse,
      });
    },
    120_000,
  );

  ifGpu('biases of runs count keys several times', async () => {
    const bias = (run: number): number => Math.log(1 + 3 * run);
    for (const queries of [1, 9]) {
      await check({
        heads: 4,
        kvHeads: 2,
        headDim: 32,
        formats: ['q8', 'f16'],
        blocks: 3,
        queries,
        position: 80,
        ranges: lists(
          4,
          queries,
          2,
          80 + queries,
          (block, head) => [0, 1, 2 + head, 20 + block, 33, 34, 50, 96],
          true,
          bias,
        ),
      });
    }
    await check({
      heads: 2,
      kvHeads: 1,
      headDim: 32,
      formats: ['q4'],
      blocks: 3,
      queries: 6,
      position: 0,
      ranges: lists(
        6,
        6,
        1,
        96,
        () => [3, 50, 60, 90],
        false,
        (run) => -2 * run,
      ),
    });
  });

  ifGpu(
    'many keys are split among workgroups: dense, and in thousands of runs',
    async () => {
      await check({
        heads: 4,
        kvHeads: 2,
        headDim: 32,
        formats: ['q8', 'q4', 'f16'],
        blocks: 42,
        queries: 1,
        position: 1333,
        ranges: denseCausal(1, 1334),
      });
      await check({
        heads: 2,
        kvHeads: 2,
        headDim: 16,
        formats: ['f16'],
        blocks: 42,
        queries: 3,
        position: 1300,
        ranges: denseCausal(3, 1303),
      });
      const singles = (_: number, head: number): number[] =>
        Array.from({ length: 900 }, (__, i) => [3 * i + head, 3 * i + head + 1 + (i % 2)]).flat();
      await check({
        heads: 2,
        kvHeads: 2,
        headDim: 16,
        formats: ['q4'],
        blocks: 85,
        queries: 1,
        position: 2710,
        ranges: lists(1, 1, 2, 2711, singles),
      });
    },
    120_000,
  );

  ifGpu(
    'ranges larger than an arena window have a buffer of their own',
    async () => {
      const every = Array.from({ length: 1100 }, (_, i) => [2 * i, 2 * i + 1]).flat();
      const ranges = lists(1, 128, 1, 2240, () => every);
      expect(4 * (ranges.offsets.length + ranges.runs.length)).toBeGreaterThan(1 << 20);
      await check({
        heads: 1,
        kvHeads: 1,
        headDim: 8,
        open: 'f32',
        formats: ['f32'],
        blocks: 70,
        queries: 128,
        position: 2112,
        ranges,
      });
    },
    120_000,
  );

  ifGpu('a query that sees nothing gives zeros, and counts in the probe', async () => {
    const none = lists(2, 6, 1, 70, (block) => (block === 1 ? [] : [0, 40]));
    await check({
      heads: 2,
      kvHeads: 1,
      headDim: 32,
      formats: ['q8', 'f16'],
      blocks: 3,
      queries: 6,
      position: 60,
      ranges: none,
    });
  });

  ifGpu('what a view cannot be read by is refused before anything runs', async () => {
    const r = random(5);
    const { view } = fill(r, { kvHeads: 1, headDim: 32, format: 'f16' }, 3, ['q8', 'q4']);
    const x = backend.upload(r.normals(32), [1, 32]);
    const spec = { heads: 1, scale: 1 };
    const ask =
      (kv: KvView, ranges: Ranges = denseCausal(1, 90)): (() => unknown) =>
      () =>
        backend.attention(x, kv, LAYER, 89, ranges, spec);
    const wrong = (message: RegExp) =>
      expect.objectContaining({ name: 'InputError', code: 'argument', message: expect.stringMatching(message) });
    const other = (changes: Partial<KvView>): KvView => ({ ...view, ...changes });
    expect(ask(other({ formats: ['f16', 'q8'] }))).toThrow(wrong(/position 32.*q4.*names only f16, q8/));
    const hole = view.table.slice();
    hole[3 + 1] = -1;
    expect(ask(other({ table: hole }))).toThrow(wrong(/position 32.*there is no page/));
    // Ranges that leave the hole out are fine, and so is what lies there.
    const around = lists(1, 1, 1, 90, () => [0, 32, 64, 90]);
    backend.free(backend.attention(x, other({ table: hole }), LAYER, 89, around, spec));
    const beyond = view.table.slice();
    beyond[3] = pageNumber('q8', 77);
    expect(ask(other({ table: beyond }))).toThrow(wrong(/page 77 of q8/));
    for (const format of KV_FORMATS) view.pool.reserve(3, format);
    expect(ask(other({ formats: [...KV_FORMATS] }))).toThrow(wrong(/7 formats, at most 4/));
    expect(ask(view, { ...around, runs: Uint32Array.of(64, 90, 0, 32) })).toThrow(wrong(/not sorted/));
    expect(ask(view, { ...around, runs: Uint32Array.of(0, 33, 32, 90) })).toThrow(wrong(/overlaps/));
    expect(ask(view, { ...around, bias: new Float32Array(1) })).toThrow(wrong(/1 biases for 2 runs/));
    expect(() => backend.probe(x, view, LAYER, 89, around, { ...spec, spans: Uint32Array.of(1) })).toThrow(
      wrong(/probe: spans/),
    );
    expect(() => backend.probe(x, view, LAYER, 89, around, { ...spec, spans: Uint32Array.of(2, 1) })).toThrow(
      wrong(/probe: span/),
    );
    expect(() =>
      backend.ropeAppend(backend.upload(new Float32Array(96), [1, 96]), view, LAYER, 5, { heads: 1 }),
    ).toThrow(wrong(/ropeAppend: position 0.*tokens are written into pages of f16/));
    // A pool that grew, and the same table: what was beyond it is there now.
    view.pool.reserve(78, 'q8');
    backend.free(backend.attention(x, other({ table: beyond }), LAYER, 89, denseCausal(1, 90), spec));
    await backend.idle();
    backend.free(x);
    view.pool.free();
  });

  ifGpu('memory that grows between calls is what the next one reads; a repeated call makes nothing', async () => {
    const r = random(8);
    const { view } = fill(r, { kvHeads: 1, headDim: 32, format: 'f16' }, 4, ['q4', 'f16']);
    const x = backend.upload(r.normals(64), [1, 64]);
    const ask = async (): Promise<Float32Array> => {
      const out = backend.attention(x, view, LAYER, 120, denseCausal(1, 121), { heads: 2, scale: 0.3 });
      const found = await backend.download(out);
      backend.free(out);
      return found;
    };
    const first = await ask();
    const { bindGroups, pipelines } = backend.counters();
    expectSame(await ask(), first, 'again');
    expect(backend.counters()).toMatchObject({ bindGroups, pipelines });
    view.pool.reserve(500, 'q4');
    expectSame(await ask(), first, 'after q4 grew');
    view.pool.reserve(500, 'f16');
    expectSame(await ask(), first, 'after f16 grew');
    backend.free(x);
    view.pool.free();
    // Split over keys, too, and by both ways of the probe.
    const long = fill(r, { kvHeads: 1, headDim: 16, format: 'f16' }, 40, ['q4', 'f16']).view;
    const q = backend.upload(r.normals(32), [1, 32]);
    const step = (): void => {
      const spec = { heads: 2, scale: 0.3 };
      backend.scope(() => {
        backend.attention(q, long, LAYER, 1200, denseCausal(1, 1201), spec);
        backend.probe(q, long, LAYER, 1200, denseCausal(1, 1201), spec);
        backend.probe(q, long, LAYER, 1200, denseCausal(1, 1201), {
          ...spec,
          spans: Uint32Array.of(0, 600, 600, 1201),
        });
      });
      backend.flush();
    };
    step();
    const before = backend.counters();
    step();
    const after = backend.counters();
    expect(after).toMatchObject({
      bindGroups: before.bindGroups,
      pipelines: before.pipelines,
      buffers: before.buffers,
      bytes: before.bytes,
      waits: before.waits,
    });
    expect(after.dispatches - before.dispatches).toBe(2 + 2 + 3);
    backend.free(q);
    long.pool.free();
  });
});

describe('cached rows and means', () => {
  ifGpu('of pages in four formats, with holes, and of matrices', async () => {
    const r = random(21);
    const [kvHeads, headDim, blocks] = [2, 24, 6];
    const { view, keys, values } = fill(r, { kvHeads, headDim, format: 'f16' }, blocks, ['q8', 'f16', 'q2', 'q4']);
    // Head 1 has no page for positions 32 to 63.
    view.table[(LAYER * kvHeads + 1) * blocks + 1] = -1;
    view.version++;
    const cols = kvHeads * headDim;
    const rows = (part: 'keys' | 'values'): Float64Array => {
      const out = new Float64Array(blocks * PAGE_TOKENS * cols);
      for (let p = 0; p < blocks * PAGE_TOKENS; p++) {
        for (let h = 0; h < kvHeads; h++)
          if (h === 0 || p >> 5 !== 1) out.set((part === 'keys' ? keys : values)[h]![p]!, (p * kvHeads + h) * headDim);
      }
      return out;
    };
    const means = (all: Float64Array, width: number, spans: Uint32Array): Float64Array => {
      const out = new Float64Array((spans.length / 2) * width);
      for (let s = 0; s < spans.length / 2; s++) {
        for (let row = spans[2 * s]!; row < spans[2 * s + 1]!; row++)
          for (let c = 0; c < width; c++)
            out[s * width + c]! += all[row * width + c]! / (spans[2 * s + 1]! - spans[2 * s]!);
      }
      return out;
    };
    const spans = Uint32Array.of(0, 192, 5, 5, 30, 70, 0, 1, 191, 192, 100, 131);
    for (const part of ['keys', 'values'] as const) {
      const all = rows(part);
      const decoded = backend.cached(view, LAYER, part, 20, 101);
      expect(decoded.shape).toEqual([81, cols]);
      expectNmse(
        await backend.download(decoded),
        all.subarray(20 * cols, 101 * cols),
        TOLERANCE.reduction,
        `cached ${part}`,
      );
      const averaged = backend.spanMeans(view, LAYER, part, spans);
      expectNmse(await backend.download(averaged), means(all, cols, spans), TOLERANCE.reduction, `means of ${part}`);
      backend.free(decoded);
      backend.free(averaged);
    }
    const x = r.normals(70 * 33);
    const matrix = backend.upload(x, [70, 33]);
    const some = Uint32Array.of(0, 70, 3, 3, 69, 70, 10, 43);
    const averaged = backend.rowMeans(matrix, some);
    expect(averaged.shape).toEqual([4, 33]);
    expectNmse(
      await backend.download(averaged),
      means(Float64Array.from(x), 33, some),
      TOLERANCE.reduction,
      'row means',
    );
    const wrong = expect.objectContaining({ name: 'InputError', code: 'argument' });
    expect(() => backend.cached(view, LAYER, 'keys', 5, 5)).toThrow(wrong);
    expect(() => backend.cached(view, LAYER, 'keys', 0, 193)).toThrow(wrong);
    expect(() => backend.cached(view, 2, 'keys', 0, 1)).toThrow(wrong);
    expect(() => backend.spanMeans(view, LAYER, 'keys', Uint32Array.of(0, 193))).toThrow(wrong);
    expect(() => backend.spanMeans(view, LAYER, 'keys', new Uint32Array(0))).toThrow(wrong);
    expect(() => backend.rowMeans(matrix, Uint32Array.of(0, 71))).toThrow(wrong);
    backend.free(matrix);
    backend.free(averaged);
    view.pool.free();
  });

  ifGpu('more spans than one dispatch takes', async () => {
    const matrix = backend.upload(
      Float32Array.from({ length: 400 }, (_, i) => i),
      [100, 4],
    );
    const spans = Uint32Array.from({ length: 2 * 66_000 }, (_, i) => (Math.floor(i / 2) % 99) + (i % 2));
    const found = await backend.download(backend.scope(() => backend.rowMeans(matrix, spans)));
    for (let s = 0; s < 66_000; s += 997) expect(found[4 * s + 1]).toBe(4 * (s % 99) + 1);
    backend.free(matrix);
  });
});
