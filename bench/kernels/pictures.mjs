// Convolution, group norm, and the layers of UniPic's picture models on the CPU engine, and one VAE decoder with random weights, in Chromium or in Node
// (relaxed builds from Node 22 on):
// npm run bench -- pictures [--files Q8_0,F16] [--threads 1,2] [--builds relaxed,simd] [--engines chromium,node] [--runs 5] [--json FILE]
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { openBrowser } from '../../tools/browser.mjs';
import { serve } from '../../tools/static-server.mjs';
import { table } from '../statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

export async function run(options) {
  mkdirSync(here('../out'), { recursive: true });
  for (const [entry, out] of [
    ['./pictures-worker.ts', 'pictures.js'],
    ['../../src/entries/pool-worker.ts', 'pool.js'],
  ]) {
    await bundle({
      entryPoints: [here(entry)],
      outfile: here(`../out/${out}`),
      bundle: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      logLevel: 'error',
    });
  }
  for (const name of ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'])
    copyFileSync(here(`../../build/wasm/octavo.${name}.wasm`), here(`../out/octavo.${name}.wasm`));
  const asc = createRequire(import.meta.url).resolve('assemblyscript/bin/asc.js');
  execFileSync(
    process.execPath,
    [
      asc,
      'bench/kernels/bare.ts',
      '--config',
      'none',
      '-o',
      'bench/out/bare.wasm',
      '--enable',
      'simd,relaxed-simd',
      '--runtime',
      'stub',
      '-O3',
      '--importMemory',
      '--use',
      'abort=',
    ],
    { cwd: here('../..'), stdio: 'inherit' },
  );
  await bundle({
    entryPoints: [here('./pictures-node.ts')],
    outfile: here('../out/pictures-node.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'error',
  });
  const results = [];
  for (const engine of list(options.engines, 'chromium')) {
    for (const threads of list(options.threads, '1,2').map(Number)) {
      for (const name of list(options.builds, 'relaxed')) {
        const ask = {
          build: threads > 1 ? `${name}-threads` : name,
          threads,
          formats: list(options.files, 'Q8_0,F16'),
          runs: Number(options.runs),
        };
        const load = loadavg()[0];
        const result = engine === 'node' ? await inNode(ask) : await inChromium(ask);
        results.push({ engine, ...ask, load, ...result });
        print(engine, ask, load, result);
      }
    }
  }
  return { results };
}

async function inNode(ask) {
  const { measureInNode } = await import(new URL('../out/pictures-node.mjs', import.meta.url));
  return measureInNode(new URL('../out/', import.meta.url), ask);
}

async function inChromium(ask) {
  const server = await serve({ mounts: { '/pages/': here('../pages'), '/out/': here('../out') } });
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`${server.origin}/pages/blank.html`);
    return await page.evaluate(
      (o) =>
        new Promise((resolve, reject) => {
          const worker = new Worker('/out/pictures.js', { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = (event) => reject(new Error(event.message));
          worker.postMessage(o);
        }),
      ask,
    );
  } finally {
    await browser.close();
    await server.close();
  }
}

function print(engine, { build, threads }, load, { timings, decoder, bare }) {
  const limits = bare
    ? `; one thread gives ${bare.dot.toFixed(0)} G int8 and ${bare.multiplyAdd.toFixed(0)} G f32 operations/s with nothing else`
    : '';
  console.log(
    `\n${engine}, ${build}, ${threads} thread${threads > 1 ? 's' : ''}; load ${load.toFixed(1)} before${limits}`,
  );
  const gflops = (flops, ms) => flops / ms / 1e6;
  const rows = timings.map((t) => [
    t.what,
    t.format,
    t.milliseconds.toFixed(2),
    t.flops ? gflops(t.flops, t.milliseconds).toFixed(0) : `${(t.bytes / t.milliseconds / 1e6).toFixed(1)} GB/s`,
    t.flops && bare
      ? `${((100 * gflops(t.flops, t.milliseconds)) / ((t.format.startsWith('Q') ? bare.dot : bare.multiplyAdd) * threads)).toFixed(0)} %`
      : '',
  ]);
  console.log(table([['operation', 'weights', 'ms', 'GFLOP/s', 'of the bare rate'], ...rows]));
  for (const d of decoder) {
    console.log(
      `\nVAE decoder, 256 px, ${d.format}: ${d.milliseconds.toFixed(0)} ms, ${(d.flops / 1e9).toFixed(0)} GFLOP, ${gflops(d.flops, d.milliseconds).toFixed(0)} GFLOP/s`,
    );
    const parts = d.operations
      .toSorted((a, b) => b[1].milliseconds - a[1].milliseconds)
      .map(([op, { calls, milliseconds: ms }]) => [
        op,
        calls,
        ms.toFixed(1),
        `${((100 * ms) / d.milliseconds).toFixed(1)} %`,
      ]);
    console.log(table([['operation', 'calls', 'ms', 'share'], ...parts]));
  }
}
