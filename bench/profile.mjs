// Where the CPU engine's time goes, operation by operation, in Chromium: npm run bench -- profile --files Q4_0 --threads 1 --builds relaxed
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { openBrowser } from '../test/support/browser.mjs';
import { serve } from '../test/support/static-server.mjs';
import { modelFile } from './files.mjs';
import { table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

export async function run(options) {
  mkdirSync(here('./out'), { recursive: true });
  await bundle({ entryPoints: [here('./entries/profile.ts')], outfile: here('./out/profile.js'), bundle: true, format: 'esm', platform: 'browser', loader: { '.wgsl': 'text' }, logLevel: 'error' });
  copyFileSync(here('../dist/pool.js'), here('./out/pool.js'));
  for (const name of ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads']) copyFileSync(here(`../build/wasm/octavo.${name}.wasm`), here(`./out/octavo.${name}.wasm`));
  const server = await serve({ mounts: { '/pages/': here('./pages'), '/out/': here('./out') } });
  const results = [];
  try {
    for (const mix of list(options.files, 'Q4_0')) {
      for (const threads of list(options.threads, '1').map(Number)) {
        for (const name of list(options.builds, 'relaxed')) {
          const browser = await openBrowser();
          try {
            const page = await browser.context.newPage();
            page.setDefaultTimeout(0);
            await page.goto(`${server.origin}/pages/blank.html`);
            await page.setInputFiles('#file', modelFile(here('./files'), options.shape ?? 'qwen2.5-0.5b', mix));
            const ask = { build: threads > 1 ? `${name}-threads` : name, threads, promptTokens: Number(options.prompt ?? 256), newTokens: Number(options.tokens ?? 32) };
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
            for (const phase of ['prefill', 'decode']) {
              const { milliseconds, operations } = result[phase];
              const tokens = phase === 'prefill' ? ask.promptTokens : ask.newTokens;
              console.log(`\n${mix}, ${ask.build}, ${threads} thread${threads > 1 ? 's' : ''}, ${phase} of ${tokens} tokens: ${milliseconds.toFixed(0)} ms, ${((1000 * tokens) / milliseconds).toFixed(1)} tokens/s`);
              const rows = operations.sort((a, b) => b[1].milliseconds - a[1].milliseconds).map(([op, { calls, milliseconds: ms }]) => [op, calls, ms.toFixed(1), `${((100 * ms) / milliseconds).toFixed(1)} %`]);
              console.log(table([['operation', 'calls', 'ms', 'share'], ...rows]));
            }
            results.push({ file: mix, ...ask, ...result });
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
