// Micro benchmark of the products of several tokens (GEMM) beside bare dots in registers, in this process, for a Node that has relaxed SIMD; builds are timed in
// turn, and must give the same bits as the old one:
//   node bench/kernels/gemm.mjs [--old=FILE.wasm] [--builds=relaxed,simd] [--formats=Q4_1,Q5_0] [--tokens=2,4,96] [--cols=1024] [--runs=60] [--json=FILE]
// With `--old` one build is compared with its former self. Other work on the machine only ever slows a piece down: the fast tenth of the pieces counts.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bareModule } from './bare.mjs';

/** ggml's number, values and bytes of a block in a file, and where in it f16 numbers are. */
const FORMATS = {
  F16: [1, 1, 2, [0]],
  Q4_0: [2, 32, 18, [0]],
  Q4_1: [3, 32, 20, [0, 2]],
  Q5_0: [6, 32, 22, [0]],
  Q5_1: [7, 32, 24, [0, 2]],
  Q8_0: [8, 32, 34, [0]],
  Q2_K: [10, 256, 84, [80, 82]],
  Q3_K: [11, 256, 110, [108]],
  Q4_K: [12, 256, 144, [0, 2]],
  Q5_K: [13, 256, 176, [0, 2]],
  Q6_K: [14, 256, 210, [208]],
};
const POOL = 16 << 20;
const TILE = 16;
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const option = (name, otherwise) => process.argv.find((a) => a.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise;
const cols = Number(option('cols', 1024));
const runs = Number(option('runs', 60));
const counts = option('tokens', '2,4,96').split(',').map(Number);
const most = Math.max(...counts);
const builds = option('builds', 'relaxed,simd').split(',');
const old = option('old');
const files = [
  ...(old === undefined ? [] : [['old', old]]),
  ...builds.map((build) => [build, join(root, 'build', 'wasm', `octavo.${build}.wasm`)]),
];

function noise() {
  let state = 1;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 16;
}

/** An engine with room for a weight and activations. */
function open([name, file]) {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const engine = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), { env: { memory } }).exports;
  const semantics = engine.relaxedDot();
  const alloc = (bytes) => engine.alloc(bytes) >>> 0;
  const side = {
    name,
    memory,
    engine,
    semantics,
    weight: alloc(POOL),
    source: alloc(TILE * cols * 4),
    x: alloc(most * cols * 4),
    activations: alloc(engine.activationBytes(most + 5, cols)),
    out: alloc(most * 4096),
    scratch: alloc(engine.matmulScratchBytes()),
  };
  const next = noise();
  const input = new Float32Array(memory.buffer, side.x, most * cols);
  for (let i = 0; i < input.length; i++) input[i] = next() / 32768 - 1;
  return side;
}

/** Fills the weight with copies of a tile of random blocks and returns its rows. */
function fill({ memory, engine, source, weight }, [ggml, values, bytes, halves]) {
  const next = noise();
  const blocks = new Uint8Array(memory.buffer, source, TILE * (cols / values) * bytes);
  for (let i = 0; i < blocks.length; i++) blocks[i] = next();
  for (let at = 0; at < blocks.length; at += bytes) for (const half of halves) blocks[at + half + 1] = 0x28;
  engine.packRows(weight, source, ggml, 0, TILE, TILE, cols);
  const tile = engine.packedBytes(ggml, TILE, cols);
  const all = new Uint8Array(memory.buffer, weight, POOL - (POOL % tile));
  for (let at = tile; at < all.length; at += tile) all.copyWithin(at, 0, tile);
  return (all.length / tile) * TILE;
}

const bareMemory = new WebAssembly.Memory({ initial: 64 });
const bare = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(bareModule(), 'base64')), {
  env: { memory: bareMemory },
}).exports;
const DOTS = 2e4;
/** The bare loops and the products of one of their turns. */
const LOOPS = { dots: 12 * 16, wideDots: 12 * 8, narrowDots: 12 * 16 };
const sides = files.map(open);
const fast = (times) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 10)];
const results = [];
for (const format of option('formats', 'Q4_1,Q5_0,Q8_0,Q4_K,Q6_K').split(',')) {
  const [ggml] = FORMATS[format];
  const rows = Math.min(...sides.map((side) => fill(side, FORMATS[format])));
  for (const tokens of counts) {
    // A piece of about a million multiply-adds or more.
    const piece = Math.min(1024, Math.max(TILE, Math.round(600 / tokens) * TILE));
    const product = ({ engine, out, x, activations, weight, scratch }, i) => {
      const first = (i % Math.floor(rows / piece)) * piece;
      engine.matmul(
        out - first * 4,
        piece,
        engine.usesInt8(ggml) === 1 ? activations : x,
        weight,
        ggml,
        first,
        first + piece,
        rows,
        cols,
        tokens,
        scratch,
      );
    };
    const bits = sides.map((side) => {
      side.engine.quantiseActivations(side.activations, side.x, tokens, cols);
      for (let i = 0; i < 60; i++) product(side, i);
      return Buffer.from(side.memory.buffer.slice(side.out, side.out + tokens * piece * 4));
    });
    if (old !== undefined && !bits[0].equals(bits[1])) throw new Error(`${format}, ${tokens} tokens: other bits`);
    // Time for the optimising compiler.
    await new Promise((done) => setTimeout(done, 200));
    const jobs = [
      ...sides.map((side) => (i) => product(side, i)),
      ...Object.keys(LOOPS).map((name) => () => bare[name](1 << 16, DOTS)),
    ];
    const times = jobs.map(() => []);
    for (let i = 0; i < runs; i++) {
      for (const [which, job] of jobs.entries()) {
        const start = performance.now();
        job(i);
        times[which].push(performance.now() - start);
      }
    }
    const rate = (work, list) => Number((work / fast(list) / 1e6).toFixed(1));
    const rates = Object.fromEntries(sides.map(({ name }, i) => [name, rate(cols * tokens * piece, times[i])]));
    const bounds = Object.entries(LOOPS).map(([name, work], i) => [name, rate(work * DOTS, times[sides.length + i])]);
    results.push({ format, tokens, ...rates, ...Object.fromEntries(bounds) });
    console.log(JSON.stringify(results.at(-1)));
  }
}
const file = option('json');
if (file !== undefined) {
  const about = {
    cpu: cpus()[0].model,
    node: process.version,
    flags: process.execArgv,
    semantics: Object.fromEntries(sides.map(({ name, semantics }) => [name, semantics])),
    unit: 'G multiply-adds/s, one thread',
    cols,
    runs,
  };
  writeFileSync(file, `${JSON.stringify({ ...about, results }, null, 1)}\n`);
}
