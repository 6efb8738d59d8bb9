/** Every operation that reads KV pages on the CPU engine, against plain f64 loops over the same bytes. */
import { describe, expect, test } from '@jest/globals';
import {
  KV_FORMATS,
  pageNumber,
  type Backend,
  type KvFormat,
  type KvView,
  type Ranges,
} from '../../../src/backend/backend.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { random } from '../../support/random.ts';
import { expectClose, expectNmse, expectSame, TOLERANCE } from '../../support/tolerance.ts';
import { createWasmBackend, type WasmBackend } from '../../../src/backend/wasm.ts';
import { CoarseKeys } from '../../../src/select/decode/coarse-keys.ts';
import { spawnPoolWorker } from '../../../src/platform/pool-node.ts';
import { openWasm, openWasmBackend, TEST_BUILDS } from '../../support/wasm.ts';
import { PAGE, BITS, half, quantised, contents, f32Bytes, fresh } from './quantised-pages.ts';

const { ceil, exp, floor, fround, log, max, min } = Math;

const HEADS = 6;
const KV_HEADS = 2;
const SHARED = HEADS / KV_HEADS;

interface Filled {
  readonly view: KvView;
  /** What the page of a block means: keys [32, d], then values [32, d], by KV head. */
  readonly meant: readonly (readonly Float64Array[])[];
  readonly d: number;
}

/** A view of `blocks` blocks whose pages are of `formats` in turn, in shuffled places. */
function filled(backend: Backend, d: number, blocks: number, formats: readonly KvFormat[]): Filled {
  const r = random(1000 * d + blocks);
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: d, format: 'f32' });
  const table = new Int32Array(KV_HEADS * blocks);
  const places = r.shuffle([...table.keys()]);
  const source = fresh(pool, 'f32', 1);
  const meant: Float64Array[][] = [[], []];
  for (const at of places) {
    const format = formats[at % formats.length]!;
    const [page = 0] = fresh(pool, format, 1);
    const x = contents(r, d);
    table[at] = page;
    pool.write(source, f32Bytes(x));
    pool.convert(source, Int32Array.of(page));
    meant[floor(at / blocks)]![at % blocks] =
      format === 'f32'
        ? Float64Array.from(x)
        : format === 'f16'
          ? Float64Array.from(x, half)
          : quantised(x, d, BITS[format]).meant;
  }
  return { view: { pool, blocks, table, version: 0, formats: KV_FORMATS }, meant, d };
}

function row({ meant, d }: Filled, head: number, key: number, value = false): Float64Array {
  const at = ((value ? PAGE : 0) + (key % PAGE)) * d;
  return meant[head]![floor(key / PAGE)]!.subarray(at, at + d);
}

/** The keys that query i sees in a KV head with their softmax weights. */
function weights(
  it: Filled,
  q: ArrayLike<number>,
  head: number,
  i: number,
  position: number,
  ranges: Ranges,
  scale: number,
): { key: number; weight: number }[] {
  const lists = ranges.shared ? 1 : KV_HEADS;
  const list = floor(i / ranges.queryBlock) * lists + (ranges.shared ? 0 : head);
  const seen: { key: number; score: number }[] = [];
  for (let run = ranges.offsets[list]!; run < ranges.offsets[list + 1]!; run++) {
    for (let key = ranges.runs[2 * run]!; key < ranges.runs[2 * run + 1]!; key++) {
      if (ranges.causal && key > position + i) continue;
      const dot = row(it, head, key).reduce((sum, k, c) => sum + k * q[c]!, 0);
      seen.push({ key, score: dot * scale + (ranges.bias?.[run] ?? 0) });
    }
  }
  const highest = seen.reduce((most, { score }) => max(most, score), -Infinity);
  const total = seen.reduce((sum, { score }) => sum + exp(score - highest), 0);
  return seen.map(({ key, score }) => ({ key, weight: exp(score - highest) / total }));
}

/** Attention and, per key, the probe. */
function plainly(
  it: Filled,
  q: Float32Array,
  position: number,
  ranges: Ranges,
  scale: number,
): { out: Float64Array; masses: Float64Array[] } {
  const { d } = it;
  const count = q.length / (HEADS * d);
  const out = new Float64Array(q.length);
  const masses = Array.from({ length: HEADS }, () => new Float64Array(it.view.blocks * PAGE));
  for (let i = 0; i < count; i++) {
    for (let h = 0; h < HEADS; h++) {
      const at = (i * HEADS + h) * d;
      const head = floor(h / SHARED);
      for (const { key, weight } of weights(it, q.subarray(at, at + d), head, i, position, ranges, scale)) {
        masses[h]![key]! += weight / count;
        const value = row(it, head, key, true);
        for (let c = 0; c < d; c++) out[at + c]! += weight * value[c]!;
      }
    }
  }
  return { out, masses };
}

/** Long runs, single keys, a run over a page's border and one of nothing, each with a bias, in lists of their own for each head. */
function scattered(count: number, queryBlock: number, keys: number): Ranges {
  const offsets = [0];
  const runs: number[] = [];
  for (let list = 0; list < ceil(count / queryBlock) * KV_HEADS; list++) {
    let at = list % 3;
    for (const [gap, length] of [
      [0, 40],
      [3, 1],
      [1, 1],
      [2, 2],
      [9, 70],
      [1, 15],
      [1, 17],
      [5, 3],
      [2, 0],
      [20, 33],
    ] as const) {
      const start = min(at + gap, keys);
      at = min(start + length, keys);
      runs.push(start, at);
    }
    offsets.push(runs.length / 2);
  }
  const bias = Float32Array.from({ length: runs.length / 2 }, (_, i) => (i % 7 === 3 ? -1e30 : (i % 5) - 1.5));
  return {
    queryBlock,
    shared: false,
    causal: true,
    offsets: Uint32Array.from(offsets),
    runs: Uint32Array.from(runs),
    bias,
  };
}

const whole = (count: number, keys: number, causal: boolean): Ranges => ({
  queryBlock: count,
  shared: true,
  causal,
  offsets: Uint32Array.of(0, 1),
  runs: Uint32Array.of(0, keys),
  bias: Float32Array.of(2.5),
});

/** Attention and the probe over pages of `formats`, whose factors are rounded to bytes or not, against plain loops; destroys the backend. */
async function attendsAndProbes(
  backend: WasmBackend,
  d: number,
  formats: readonly KvFormat[],
  bytes: boolean,
): Promise<void> {
  const it = filled(backend, d, 7, formats);
  const keys = 7 * PAGE - 3;
  const spans = Uint32Array.of(0, 5, 3, 90, 40, 40, 200, 100_000, 31, 33);
  const r = random(d + 1);
  const spec = { heads: HEADS, scale: 1 / Math.sqrt(d) / 3 };
  // Queries and probabilities are rounded before they meet codes, to 8 or to 16 bits; with 16, keys and values of different bits reach 1.1e-7.
  const fine = formats.some((format) => format.startsWith('k')) ? 2e-7 : TOLERANCE.reduction;
  const allowed = bytes && formats.some((format) => format in BITS) ? TOLERANCE.quantised : fine;
  // One query and three are split over keys; 5 and more rows go in panels; 41 queries make tiles of several panels and a short last one.
  const cases: (readonly [number, Ranges])[] = [
    [1, whole(1, keys, true)],
    [3, whole(3, keys, true)],
    [41, whole(41, keys, true)],
    [12, whole(12, keys, false)],
    [1, scattered(1, 1, keys)],
    [41, scattered(41, 16, keys)],
  ];
  for (const [count, ranges] of cases) {
    const what = `${count} queries of ${d}, ${ranges.shared ? 'all keys' : 'runs'}, ${formats.join()} pages`;
    const position = keys - count;
    const q = r.normals(count * HEADS * d);
    const wanted = plainly(it, q, position, ranges, spec.scale);
    const x = backend.upload(q, [count, HEADS * d]);
    expectNmse(
      await backend.download(backend.attention(x, it.view, 0, position, ranges, spec)),
      wanted.out,
      allowed,
      `attention, ${what}`,
    );
    const probed = backend.probe(x, it.view, 0, position, ranges, spec);
    const width = wanted.masses.reduce((most, mass) => max(most, mass.findLastIndex((m) => m > 0) + 1), 0);
    expect(probed.shape).toEqual([HEADS, width]);
    const perKey = await backend.download(probed);
    expectNmse(
      perKey,
      wanted.masses.flatMap((mass) => [...mass.subarray(0, width)]),
      fine,
      `probe, ${what}`,
    );
    const perSpan = await backend.download(backend.probe(x, it.view, 0, position, ranges, { ...spec, spans }));
    const sums = wanted.masses.flatMap((mass) =>
      Array.from({ length: spans.length / 2 }, (_, s) =>
        mass.subarray(spans[2 * s], spans[2 * s + 1]).reduce((a, b) => a + b, 0),
      ),
    );
    expectNmse(perSpan, sums, fine, `probe by span, ${what}`);
  }
  backend.destroy();
}

describe.each(TEST_BUILDS)('%s: what reads pages', (build) => {
  const mixed = ['f32', 'f16', 'q8', 'q4', 'q2'] as const;
  test.each([
    ...KV_FORMATS.map((format) => [32, [format]] as const),
    ...[64, 72, 80, 128, 256].map((d) => [d, mixed] as const),
    [64, ['q4', 'q2', 'f16']] as const,
    [72, ['k8v4', 'k4v2']] as const,
    [128, ['k4v2', 'f16', 'k8v4']] as const,
  ])('heads of %i, pages of %j: attention and probe', async (d, formats) => {
    await attendsAndProbes(await openWasmBackend(build), d, formats, build.startsWith('relaxed'));
  });
  // Machines whose dot instruction takes seven bits only: factors of queries always have two digits.
  if (build === 'relaxed')
    test.each([
      [64, mixed],
      [128, ['k4v2', 'f16', 'k8v4']],
    ] as const)('seven bits: heads of %i, pages of %j', async (d, formats) => {
      const wasm = await openWasm(build);
      const backend = await createWasmBackend({ wasm, threads: 1, spawn: spawnPoolWorker });
      wasm.exports.assumeRelaxedDot(3);
      await attendsAndProbes(backend, d, formats, true);
    });

  test.each([
    [32, ['f32']],
    [64, mixed],
    [80, ['q8', 'f32', 'k8v4']],
    [128, ['f16', 'q8']],
  ] as const)('heads of %i, pages of %j: a probe of keys at 7 bits', async (d, formats) => {
    const wasm = await openWasm(build);
    const threads = build.endsWith('-threads') ? 3 : 1;
    const backend = await createWasmBackend({ wasm, threads, spawn: spawnPoolWorker });
    const it = filled(backend, d, 40, formats);
    const { pool } = it.view;
    const kept = new CoarseKeys(wasm);
    const r = random(d);
    /** Writes block `at` of both heads anew: channels far from zero and far larger than the others, as biases make them. */
    const write = (at: number): void => {
      for (let head = 0; head < KV_HEADS; head++) {
        const x = contents(r, d).map((value, i) => value * (i % d === 7 ? 20 : 1) + (i % d === 5 ? 30 : 0));
        it.meant[head]![at]!.set(x);
        it.view.table[head * 40 + at] = fresh(pool, 'f32', 1)[0]!;
        pool.write(it.view.table.subarray(head * 40 + at, head * 40 + at + 1), f32Bytes(x));
      }
    };
    const probed = async (runs: readonly number[], scaled = 4): Promise<void> => {
      const end = runs.at(-1)!;
      const ranges = { ...denseCausal(1, end), offsets: Uint32Array.of(0, runs.length / 2), runs: Uint32Array.from(runs) };
      // The channel that is far from zero adds the same to all scores.
      const q = r.normals(HEADS * d).map((x, i) => (i % d === 7 ? x / 10 : x));
      const spec = { heads: HEADS, scale: 1 / Math.sqrt(d) / scaled };
      const x = backend.upload(q, [1, HEADS * d]);
      const full = await backend.download(backend.probe(x, it.view, 0, 1279, ranges, spec));
      const coarse = kept.of(backend, it.view, 0, end);
      expect(coarse !== undefined).toBe(build.startsWith('relaxed'));
      const found = await backend.download(backend.probe(x, it.view, 0, 1279, ranges, { ...spec, coarse }));
      if (coarse === undefined) return;
      kept.probed(0, end);
      expect(found).not.toEqual(full);
      // Scores by head, from their masses where these are no rounding to zero, about their mean.
      const centred = (masses: Float64Array[], of: Float64Array[]): number[] =>
        masses.flatMap((mass, head) => {
          const scores = [...mass].flatMap((m, key) => (of[head]![key]! > 1e-25 ? [log(m)] : []));
          const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
          return scores.map((score) => score - mean);
        });
      const wanted = plainly(it, q, 1279, ranges, spec.scale).masses.map((mass) => mass.subarray(0, end));
      const rows = wanted.map((_, head) => Float64Array.from(found.subarray(head * end, (head + 1) * end)));
      expectNmse(centred(rows, wanted), centred(wanted, wanted), TOLERANCE.coarse, `scores of ${d}, runs ${runs.join()}`);
    };
    try {
      for (let at = 0; at < 40; at += 3) write(at);
      await probed([0, 100]);
      await probed([5, 64, 70, 71, 90, 229]);
      // More blocks than there was room for.
      await probed([128, 1275]);
      // Products that are far apart.
      await probed([0, 1280], 0.25);
      // Others in their place.
      kept.truncate(70);
      for (let at = 2; at < 7; at++) write(at);
      await probed([0, 221]);
      // A page that was missing when its block was coded is read in full.
      const [page = 0] = it.view.table.subarray(3, 4);
      kept.truncate(0);
      it.view.table[3] = -1;
      await probed([0, 96, 128, 256]);
      it.view.table[3] = page;
      await probed([0, 250]);
      const before = backend.memory().activations;
      kept.free();
      if (build.startsWith('relaxed')) expect(backend.memory().activations).toBeLessThan(before);
    } finally {
      backend.destroy();
    }
  });

  test('rows as they lie, and means of spans', async () => {
    const backend = await openWasmBackend(build);
    for (const d of [20, 64]) {
      const it = filled(backend, d, 6, mixed);
      // No page: zeros.
      it.view.table[KV_HEADS * 6 - 2] = -1;
      const plain = (value: boolean, key: number): number[] =>
        [0, 1].flatMap((head) =>
          head === 1 && floor(key / PAGE) === 4 ? Array<number>(d).fill(0) : [...row(it, head, key, value)],
        );
      for (const part of ['keys', 'values'] as const) {
        const value = part === 'values';
        for (const [start, end] of [
          [0, 192],
          [31, 33],
          [40, 41],
          [5, 160],
        ] as const) {
          const found = backend.cached(it.view, 0, part, start, end);
          expect(found.shape).toEqual([end - start, KV_HEADS * d]);
          expectSame(
            await backend.download(found),
            Array.from({ length: end - start }, (_, i) => plain(value, start + i))
              .flat()
              .map(fround),
            `${part} of ${start} to ${end}`,
          );
        }
        const spans = Uint32Array.of(40, 41, 0, 192, 7, 7, 30, 100, 120, 150, 64, 96);
        const wanted: number[] = [];
        for (let s = 0; s < spans.length; s += 2) {
          const mean = Array<number>(KV_HEADS * d).fill(0);
          for (let key = spans[s]!; key < spans[s + 1]!; key++)
            plain(value, key).forEach((x, c) => (mean[c]! += x / (spans[s + 1]! - spans[s]!)));
          wanted.push(...mean);
        }
        expectClose(
          await backend.download(backend.spanMeans(it.view, 0, part, spans)),
          wanted,
          1e-5,
          `means of ${part}`,
        );
      }
      const x = random(8).normals(300 * d);
      const rows = backend.upload(x, [300, d]);
      const spans = Uint32Array.of(0, 300, 299, 300, 5, 5, 3, 77);
      const wanted = Array.from({ length: 4 * d }, (_, i) => {
        const [start, end] = [spans[2 * floor(i / d)]!, spans[2 * floor(i / d) + 1]!];
        let sum = 0;
        for (let t = start; t < end; t++) sum += x[t * d + (i % d)]! / (end - start);
        return sum;
      });
      expectClose(await backend.download(backend.rowMeans(rows, spans)), wanted, 1e-5, 'means of rows');
    }
    backend.destroy();
  });

  test('what does not fit is refused', async () => {
    const backend = await openWasmBackend(build);
    const { view } = filled(backend, 32, 2, ['f32', 'q4']);
    const { pool } = view;
    const q = backend.upload(new Float32Array(HEADS * 32), [1, HEADS * 32]);
    const spec = { heads: HEADS, scale: 1 };
    const ranges = whole(1, 40, true);
    const missing: KvView = { ...view, table: Int32Array.of(view.table[0]!, view.table[1]!, view.table[2]!, -1) };
    const onlyFirst: Ranges = {
      queryBlock: 1,
      shared: false,
      causal: true,
      offsets: Uint32Array.of(0, 1, 2),
      runs: Uint32Array.of(0, 40, 0, 32),
    };
    // A head's page that none of its own runs reaches need not be there.
    backend.attention(q, missing, 0, 40, onlyFirst, spec);
    const rope = { heads: HEADS };
    const qkv = backend.upload(new Float32Array(10 * 32), [1, 10 * 32]);
    const refused: (() => unknown)[] = [
      () => backend.attention(q, missing, 0, 40, ranges, spec),
      () => backend.probe(q, missing, 0, 40, ranges, spec),
      () => backend.attention(q, view, 0, 40, { ...ranges, bias: Float32Array.of(1, 2) }, spec),
      () => backend.attention(q, view, 0, 40, { ...ranges, bias: Float32Array.of(NaN) }, spec),
      () => backend.attention(q, view, 0, 40, { ...ranges, runs: Uint32Array.of(40, 0) }, spec),
      () => backend.probe(q, view, 0, 70, { ...ranges, runs: Uint32Array.of(0, 65) }, spec),
      () => backend.probe(q, view, 1, 40, ranges, spec),
      () => backend.probe(q, view, 0, -1, ranges, spec),
      () => backend.probe(q, view, 0, 40, ranges, { heads: 4, scale: 1 }),
      () => backend.probe(q, view, 0, 40, ranges, { ...spec, spans: Uint32Array.of(1) }),
      () => backend.probe(q, view, 0, 40, ranges, { ...spec, spans: Uint32Array.of(3, 2) }),
      () => backend.probe(q, view, 0, 0, { ...ranges, runs: Uint32Array.of(5, 9) }, spec),
      () => backend.cached(view, 0, 'keys', 0, 65),
      () => backend.cached(view, 0, 'keys', 5, 5),
      () => backend.cached(view, 1, 'keys', 0, 5),
      () => backend.spanMeans(view, 0, 'keys', Uint32Array.of(0, 65)),
      () => backend.spanMeans(view, 0, 'keys', Uint32Array.of(4, 3)),
      () => backend.rowMeans(q, Uint32Array.of(0, 2)),
      // Closed pages take no tokens: block 1 of head 0 is q4.
      () => backend.ropeAppend(qkv, view, 0, 40, rope),
      () => pool.copy(view.table[0]!, view.table[1]!),
      () => pool.copy(pageNumber('q8', 0), pageNumber('q8', 0)),
      () => pool.copy(-1, view.table[0]!),
      () => pool.convert(Int32Array.of(view.table[0]!), Int32Array.of(view.table[0]!)),
      () => pool.convert(view.table.slice(0, 2), Int32Array.of(view.table[2]!, view.table[2]!)),
      () => pool.convert(Int32Array.of(view.table[0]!), Int32Array.of(pageNumber('q4', 1000))),
      () => pool.convert(view.table.slice(0, 2), view.table.slice(2, 3)),
      () => pool.write(view.table.slice(0, 1), new Uint8Array(3)),
      () => pool.write(Int32Array.of(7 << 27), new Uint8Array(0)),
      () => pool.reserve(-1, 'q2'),
      () => pool.reserve(1, 'q3' as KvFormat),
      () => backend.kvPool({ layers: 1, kvHeads: 1, headDim: 30, format: 'f32' }),
    ];
    for (const [i, act] of refused.entries()) {
      let thrown: unknown;
      try {
        act();
      } catch (error) {
        thrown = error;
      }
      expect([i, thrown]).toEqual([i, expect.objectContaining({ name: 'InputError', code: 'argument' })]);
    }
    await expect(pool.read(Int32Array.of(pageNumber('q8', 3)))).rejects.toMatchObject({
      name: 'InputError',
      code: 'argument',
    });
    backend.destroy();
  });
});

test('one, two and three threads give the same bits', async () => {
  const results: Float32Array[][] = [];
  for (const threads of [1, 2, 3]) {
    const backend = await openWasmBackend('simd-threads', threads);
    const { view } = filled(backend, 64, 45, [...KV_FORMATS]);
    const found: Float32Array[] = [];
    for (const count of [1, 37]) {
      const q = backend.upload(random(count).normals(count * HEADS * 64), [count, HEADS * 64]);
      const ranges = whole(count, 45 * PAGE, true);
      const spec = { heads: HEADS, scale: 0.1 };
      for (const tensor of [
        backend.attention(q, view, 0, 1400, ranges, spec),
        backend.probe(q, view, 0, 1400, ranges, spec),
        backend.probe(q, view, 0, 1400, ranges, { ...spec, spans: Uint32Array.of(0, 700, 600, 1400) }),
        backend.spanMeans(view, 0, 'keys', Uint32Array.of(0, 1400, 7, 9)),
        backend.cached(view, 0, 'values', 10, 500),
      ])
        found.push(await backend.download(tensor));
    }
    const pages = fresh(view.pool, 'q2', view.table.length);
    view.pool.convert(view.table, pages);
    found.push(Float32Array.from(await view.pool.read(pages)));
    results.push(found);
    backend.destroy();
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});
