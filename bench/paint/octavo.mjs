// Octavo's engine in a worker of a fresh Chromium (bench/entries/paint.ts), with the model loaded from a file.
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { openBrowser } from '../../tools/browser.mjs';
import { serve } from '../../tools/static-server.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Bundles the worker, the pool's threads and, for Node, the graph's own facts (graph.ts), which it resolves to. */
export async function bundlePaint() {
  mkdirSync(here('../out'), { recursive: true });
  const options = { bundle: true, format: 'esm', target: 'es2022', loader: { '.wgsl': 'text' }, logLevel: 'error' };
  await bundle({
    ...options,
    entryPoints: [here('../entries/paint.ts')],
    outfile: here('../out/paint.js'),
    platform: 'browser',
  });
  await bundle({
    ...options,
    entryPoints: [here('../../src/entries/pool-worker.ts')],
    outfile: here('../out/pool.js'),
    platform: 'browser',
  });
  await bundle({
    ...options,
    entryPoints: [here('./graph.ts')],
    outfile: here('../out/paint-graph.mjs'),
    platform: 'node',
  });
  for (const name of ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'])
    copyFileSync(here(`../../build/wasm/octavo.${name}.wasm`), here(`../out/octavo.${name}.wasm`));
  return import(new URL('../out/paint-graph.mjs', import.meta.url));
}

/** Resolves when the model is loaded: { loaded, ask(message), close() }. `build`: relaxed or simd, of one thread or more. */
export async function openOctavo({ path, build, threads }) {
  const server = await serve({ mounts: { '/pages/': here('../pages'), '/out/': here('../out') } });
  const browser = await openBrowser();
  const close = async () => {
    await browser.close();
    await server.close();
  };
  try {
    const page = await browser.context.newPage();
    page.on('pageerror', (error) => console.error('page:', error.message));
    page.setDefaultTimeout(0);
    await page.goto(`${server.origin}/pages/blank.html`);
    await page.setInputFiles('#file', path);
    const ask = (message) =>
      page.evaluate(
        (message) =>
          new Promise((resolve, reject) => {
            const worker = (globalThis.painter ??= new Worker('/out/paint.js', { type: 'module' }));
            worker.onmessage = ({ data }) => ('failed' in data ? reject(new Error(data.failed)) : resolve(data.result));
            worker.onerror = (event) => reject(new Error(event.message));
            worker.postMessage(
              message.kind === 'load' ? { ...message, file: document.querySelector('#file').files[0] } : message,
            );
          }),
        message,
      );
    const loaded = await ask({ kind: 'load', build: threads > 1 ? `${build}-threads` : build, threads });
    return { loaded, ask, close };
  } catch (error) {
    await close();
    throw error;
  }
}
