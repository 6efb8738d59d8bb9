// Micro benchmark of the products of one token (GEMV) beside a bare read of the same memory, in this process, for a Node
// that has relaxed SIMD; two builds are timed in turn:
//   node bench/kernels/gemv.mjs [--old=FILE.wasm] [--build=relaxed] [--formats=Q4_0,Q8_0,Q4_K] [--megabytes=0.5,160] [--threads=1,2] [--cols=1024] [--streams=0,1] [--runs=200] [--json=FILE]
// With several of --streams (tiles side by side; 0: as many as the build takes by itself) each build is timed with each of them.
// A share is the time of the bare read of a piece of the weight over the time of the product with a piece of it, timed
// in turn, so that other work on the machine slows both down. Every timing takes another piece of at most 1 MiB, until
// all `megabytes` were read; threads have memories of their own and start each piece together.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { bareModule } from './bare.mjs';

/** ggml's number, values and bytes of a block in a file, and where in it f16 numbers are. */
const FORMATS = {
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
const PIECE = 1 << 20;
const TILE = 16;

/** Fills a weight of about `bytes` with copies of one tile of random blocks; returns what is timed. */
async function prepare([file, streams], { bare, format, cols, bytes }) {
  const [ggml, values, blockBytes, halves] = FORMATS[format];
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const engine = (await WebAssembly.instantiate(readFileSync(file), { env: { memory } })).instance.exports;
  const loops = (await WebAssembly.instantiate(Buffer.from(bare, 'base64'), { env: { memory } })).instance.exports;
  engine.relaxedDot();
  const alloc = (size) => engine.alloc(size) >>> 0;
  let state = 1;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 16;
  const tile = engine.packedBytes(ggml, TILE, cols);
  const perPiece = Math.max(1, Math.floor(Math.min(bytes, PIECE) / tile));
  const pieces = Math.max(1, Math.floor(bytes / (perPiece * tile)));
  const rows = pieces * perPiece * TILE;
  const weight = alloc(pieces * perPiece * tile + 64);
  const source = alloc(TILE * (cols / values) * blockBytes);
  const x = alloc(4 * cols);
  const activations = alloc(engine.activationBytes(6, cols));
  const scratch = alloc(engine.matmulScratchBytes());
  const out = alloc(4 * perPiece * TILE);
  const blocks = new Uint8Array(memory.buffer, source, TILE * (cols / values) * blockBytes);
  for (let i = 0; i < blocks.length; i++) blocks[i] = next();
  for (let at = 0; at < blocks.length; at += blockBytes) for (const half of halves) blocks[at + half + 1] = 0x28;
  engine.packRows(weight, source, ggml, 0, TILE, TILE, cols);
  const all = new Uint8Array(memory.buffer, weight, pieces * perPiece * tile);
  for (let at = tile; at < all.length; at += tile) all.copyWithin(at, 0, tile);
  const input = new Float32Array(memory.buffer, x, cols);
  for (let i = 0; i < cols; i++) input[i] = next() / 32768 - 1;
  engine.quantiseActivations(activations, x, 1, cols);
  const pieceRows = perPiece * TILE;
  const pieceBytes = perPiece * tile;
  const read = (piece) => loops.read(weight + piece * pieceBytes, pieceBytes & -128);
  const product = (piece) => {
    const first = piece * pieceRows;
    const end = first + pieceRows;
    engine.matmul(out - first * 4, rows, activations, weight, ggml, first, end, rows, cols, 1, scratch, streams);
  };
  return { pieces, pieceBytes, jobs: [read, product] };
}

/** Times the read and the product of every build in turn: milliseconds [build][read, product][run]. */
async function time(job, meet) {
  const sides = [];
  for (const side of job.sides) sides.push(await prepare(side, job));
  for (const { jobs } of sides) for (const run of jobs) for (let i = 0; i < 100; i++) run(0);
  // Time for the optimising compiler.
  await new Promise((done) => setTimeout(done, 200));
  const times = sides.map(({ jobs }) => jobs.map(() => []));
  for (let i = 0, piece = 0; i < job.runs; i++) {
    for (const [side, { pieces, jobs }] of sides.entries()) {
      for (const [which, run] of jobs.entries()) {
        piece = (piece + 1) % pieces;
        meet();
        const start = performance.now();
        run(piece);
        times[side][which].push(performance.now() - start);
      }
    }
  }
  return { pieceBytes: sides[0].pieceBytes, times };
}

/** Returns a function that returns when every thread has called it as often as this one. */
function meeting(shared, threads) {
  let round = 0;
  const count = new Int32Array(shared);
  return () => {
    round++;
    Atomics.add(count, 0, 1);
    while (Atomics.load(count, 0) < round * threads);
  };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function main() {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
  const option = (name, otherwise) => process.argv.find((a) => a.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise;
  const list = (name, otherwise) => option(name, otherwise).split(',');
  const build = option('build', 'relaxed');
  const streams = list('streams', '0').map(Number);
  const sides = [option('old'), join(root, 'build', 'wasm', `octavo.${build}.wasm`)]
    .filter(Boolean)
    .flatMap((file) => streams.map((count) => [file, count]));
  const runs = Number(option('runs', 200));
  const cols = Number(option('cols', 1024));
  const bare = bareModule();
  const rows = [];
  for (const threads of list('threads', '1').map(Number)) {
    for (const megabytes of list('megabytes', '0.5,160').map(Number)) {
      for (const format of list('formats', 'Q4_0,Q8_0,Q4_K')) {
        const shared = new SharedArrayBuffer(4);
        const job = { sides, bare, format, cols, bytes: megabytes * 2 ** 20, runs, shared, threads };
        const others = Array.from({ length: threads - 1 }, () => {
          const worker = new Worker(fileURLToPath(import.meta.url), { workerData: job });
          return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        });
        const results = [await time(job, meeting(shared, threads)), ...(await Promise.all(others))];
        const shares = (side) => results.flatMap(({ times }) => times[side][1].map((t, i) => times[side][0][i] / t));
        const rate = (side, which) =>
          results.reduce((sum, { pieceBytes, times }) => sum + pieceBytes / median(times[side][which]) / 1e6, 0);
        const rates = (which) => sides.map((_, side) => Number(rate(side, which).toFixed(1)));
        const row = { threads, megabytes, format, read: rates(0), product: rates(1) };
        row.shares = sides.map((_, side) => Number(median(shares(side)).toFixed(2)));
        rows.push(row);
        console.log(JSON.stringify(row));
      }
    }
  }
  const json = option('json');
  if (json) {
    const machine = `${cpus()[0]?.model}, Node ${process.versions.node}`;
    const report = {
      benchmark: 'gemv',
      unit: 'GB/s, medians; shares of the bare read',
      machine,
      build,
      cols,
      streams,
      runs,
      rows,
    };
    writeFileSync(json, `${JSON.stringify(report, undefined, 1)}\n`);
  }
}

if (isMainThread) await main();
else parentPort.postMessage(await time(workerData, meeting(workerData.shared, workerData.threads)));
