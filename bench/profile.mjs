// Where the CPU engine's time goes, operation by operation, in Chromium, and how near it comes to what one thread of this machine reads and
// multiplies bare: npm run bench -- profile --files Q4_0 --threads 1 --builds relaxed
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { openBrowser } from '../tools/browser.mjs';
import { serve } from '../tools/static-server.mjs';
import { benchFiles } from './files.mjs';
import { bareModule } from './kernels/bare.mjs';
import { measure } from './kernels/page.mjs';
import { table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

export async function run(options) {
  mkdirSync(here('./out'), { recursive: true });
  await bundle({
    entryPoints: [here('./entries/profile.ts')],
    outfile: here('./out/profile.js'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    loader: { '.wgsl': 'text' },
    logLevel: 'error',
  });
  copyFileSync(here('../dist/pool.js'), here('./out/pool.js'));
  for (const name of ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'])
    copyFileSync(here(`../build/wasm/octavo.${name}.wasm`), here(`./out/octavo.${name}.wasm`));
  const server = await serve({ mounts: { '/pages/': here('./pages'), '/out/': here('./out') } });
  const bare = bareModule();
  const results = [];
  try {
    const shape = options.shape ?? 'qwen2.5-0.5b';
    for (const { name: mix, path } of benchFiles(options, here('./files'), shape, 'Q4_0')) {
      for (const threads of list(options.threads, '1').map(Number)) {
        for (const name of list(options.builds, 'relaxed')) {
          const browser = await openBrowser();
          try {
            const page = await browser.context.newPage();
            page.setDefaultTimeout(0);
            await page.goto(`${server.origin}/pages/blank.html`);
            await page.setInputFiles('#file', path);
            const ask = {
              build: threads > 1 ? `${name}-threads` : name,
              threads,
              promptTokens: Number(options.prompt ?? 256),
              newTokens: Number(options.tokens ?? 32),
            };
            const result = await page.evaluate(
              (o) =>
                new Promise((resolve, reject) => {
                  const worker = new Worker('/out/profile.js', { type: 'module' });
                  worker.onmessage = ({ data }) => resolve(data);
                  worker.onerror = (event) => reject(new Error(event.message));
                  worker.postMessage({ ...o, file: document.querySelector('#file').files[0] });
                }),
              ask,
            );
            for (const phase of ['first', 'prefill', 'decode']) {
              const { milliseconds, operations } = result[phase];
              const tokens = phase === 'decode' ? ask.newTokens : ask.promptTokens;
              console.log(
                `\n${mix}, ${ask.build}, ${threads} thread${threads > 1 ? 's' : ''}, ${phase === 'first' ? 'first prefill' : phase} of ${tokens} tokens: ${milliseconds.toFixed(0)} ms, ${((1000 * tokens) / milliseconds).toFixed(1)} tokens/s`,
              );
              const rows = operations
                .sort((a, b) => b[1].milliseconds - a[1].milliseconds)
                .map(([op, { calls, milliseconds: ms }]) => [
                  op,
                  calls,
                  ms.toFixed(1),
                  `${((100 * ms) / milliseconds).toFixed(1)} %`,
                ]);
              console.log(table([['operation', 'calls', 'ms', 'share'], ...rows]));
            }
            const roof = await roofline(page, result, ask, bare);
            results.push({ file: mix, ...ask, ...result, ...(roof && { roofline: roof }) });
          } finally {
            await browser.close();
          }
        }
      }
    }
  } finally {
    await server.close();
  }
  return { results };
}

/**
 * The bounds of one thread, from loops that only read or only multiply, run in the same browser right after: a decode step must read every weight once, a
 * prefill must do every multiply-add of the layers. Bytes are those of the packed weights.
 */
async function roofline(page, { prefill, decode, work }, { build, threads, promptTokens, newTokens }, bare) {
  if (threads !== 1 || !build.startsWith('relaxed')) return undefined;
  const engine = readFileSync(here(`../build/wasm/octavo.${build}.wasm`)).toString('base64');
  const format = { name: 'Q8_0', ggml: 8, block: 32, bytes: 34, halves: [0] };
  const { rates } = await page.evaluate(measure, {
    engine,
    bare,
    formats: [format],
    shapes: [[896, 896]],
    tokens: 128,
    pieces: 60,
  });
  const bound = { decode: (rates.read * 1e9) / work.bytes, prefill: (rates.dots * 1e9) / work.layerProducts };
  const reached = {
    decode: (1000 * newTokens) / decode.milliseconds,
    prefill: (1000 * promptTokens) / prefill.milliseconds,
  };
  const line = (phase, what) =>
    `${phase}: ${what}; bound ${bound[phase].toFixed(0)} tokens/s, reached ${reached[phase].toFixed(1)} (${((100 * reached[phase]) / bound[phase]).toFixed(0)} %)`;
  console.log(
    `\nroofline, one thread: bare read ${rates.read.toFixed(1)} GB/s, bare dot ${rates.dots.toFixed(0)} G multiply-adds/s`,
  );
  console.log(
    line(
      'decode',
      `${(work.bytes / 1e6).toFixed(0)} MB and ${(work.products / 1e6).toFixed(0)} M multiply-adds a token`,
    ),
  );
  console.log(line('prefill', `${(work.layerProducts / 1e6).toFixed(0)} M multiply-adds a token`));
  return { rates, work, bound, reached };
}
