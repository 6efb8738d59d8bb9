// Micro benchmark of attention in this process, one thread, for a Node that has relaxed SIMD; two builds are timed in turn:
//   node bench/kernels/attention.mjs [--old=FILE.wasm] [--build=relaxed] [--formats=f32,q8,q4] [--heads=14/2] [--dim=64] [--queries=1,9,18] [--keys=1024] [--size=2] [--runs=300] [--json=FILE]
// Queries stand behind all keys but their own. `--size` is the largest value of a query: keys are between -1 and 1, so it says how sharp attention is.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const option = (name, otherwise) => process.argv.find((a) => a.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise;
const numbers = (text) => text.split(/[,/]/).map(Number);
const [heads, kvHeads] = numbers(option('heads', '14/2'));
const [dim, keys, size, runs] = ['dim', 'keys', 'size', 'runs'].map((name, i) =>
  Number(option(name, [64, 1024, 2, 300][i])),
);
/** As KV_FORMATS in src/backend/backend.ts. */
const FORMATS = ['f32', 'f16', 'q8', 'q4', 'q2', 'k8v4', 'k4v2'];
const PAGE = 32;
/** Bytes for the kernels' scratch, and where a pool's record has its address (assembly/kernels/pool.ts). */
const SCRATCH = 4 << 20;
const SCRATCH_FIELD = 216;

function seeded() {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Pages of a format with random keys and values, queries, and the record of one call. */
async function prepare(file, format, queries) {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const { exports } = (await WebAssembly.instantiate(readFileSync(file), { env: { memory } })).instance;
  exports.relaxedDot();
  const alloc = (bytes) => exports.alloc(bytes) >>> 0;
  const set = (at, values) => new Uint32Array(memory.buffer).set(values, at >>> 2);
  const blocks = keys / PAGE;
  const count = blocks * kvHeads;
  const code = FORMATS.indexOf(format);
  const [page, plain] = [exports.pageBytes(code, dim), exports.pageBytes(0, dim)];
  const pool = alloc(256);
  set(pool + SCRATCH_FIELD, [alloc(SCRATCH)]);
  const [from, to] = [alloc(count * plain), alloc(count * page)];
  const random = seeded();
  const values = new Float32Array(memory.buffer, from, (count * plain) / 4);
  for (let i = 0; i < values.length; i++) values[i] = random();
  const [source, table] = [alloc(count * 4), alloc(count * 4)];
  for (let i = 0; i < count; i++) {
    set(source + 4 * i, [from + i * plain]);
    set(table + 4 * i, [(to + i * page) | code]);
  }
  const convert = alloc(64);
  set(convert, [pool, source, table, count, dim]);
  exports.convertPages(convert);
  const length = queries * heads * dim;
  const [q, out] = [alloc(4 * length), alloc(4 * length)];
  const rows = new Float32Array(memory.buffer, q, length);
  for (let i = 0; i < length; i++) rows[i] = size * random();
  const [offsets, list, call] = [alloc(64), alloc(64), alloc(128)];
  set(offsets, [0, 1]);
  set(list, [0, keys]);
  // The fields of `Attention` in assembly/kernels/attention.ts.
  const fields = [pool, out, q, table, blocks, queries, keys - queries, heads, kvHeads, dim, 0, 0];
  set(call, [...fields, queries, 1, 1, offsets, list, keys, 0, dim]);
  new Float32Array(memory.buffer)[(call >>> 2) + 11] = 1 / Math.sqrt(dim);
  const partials = exports.attentionPartialBytes(call);
  if (partials > 0) set(call + 4 * 18, [alloc(partials)]);
  if (exports.attentionScratchBytes(call) > SCRATCH) throw new Error('the scratch is too small for this shape');
  return {
    times: [],
    run: () => exports.attention(call),
    result: () => new Float32Array(memory.buffer, out, length).slice(),
  };
}

/** The fastest fiftieth: other work on the machine only adds to a time. */
const fast = (times) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 50)];

const build = option('build', 'relaxed');
const files = [option('old'), join(root, 'build', 'wasm', `octavo.${build}.wasm`)].filter(Boolean);
const rows = [];
for (const format of option('formats', 'f32,q8,q4').split(',')) {
  for (const queries of numbers(option('queries', '1,9,18'))) {
    const sides = [];
    for (const file of files) sides.push(await prepare(file, format, queries));
    for (const { run } of sides) for (let i = 0; i < 20; i++) run();
    // Time for the optimising compiler.
    await new Promise((done) => setTimeout(done, 200));
    for (let i = 0; i < runs; i++) {
      for (const { run, times } of sides) {
        const start = performance.now();
        run();
        times.push(performance.now() - start);
      }
    }
    const products = 2 * heads * dim * queries * (keys - queries / 2);
    const rates = sides.map(({ times }) => products / fast(times) / 1e6);
    const [before, after] = sides.map(({ result }) => result());
    const difference =
      after?.reduce((sum, x, i) => sum + (x - before[i]) ** 2, 0) / before.reduce((s, x) => s + x * x, 0);
    const row = { format, queries, rates: rates.map((rate) => Number(rate.toFixed(1))) };
    if (after)
      Object.assign(row, { ratio: Number((rates[1] / rates[0]).toFixed(2)), nmse: Number(difference.toPrecision(2)) });
    rows.push(row);
    console.log(JSON.stringify(row));
  }
}
const json = option('json');
if (json)
  writeFileSync(
    json,
    `${JSON.stringify({ benchmark: 'attention', unit: 'G multiply-adds/s', machine: `${cpus()[0]?.model}, Node ${process.versions.node}`, build, heads: `${heads}/${kvHeads}`, dim, keys, size, rows }, undefined, 1)}\n`,
  );
