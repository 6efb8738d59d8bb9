// Octavo's engine in a worker of a fresh Chromium: bench/entries/context.ts or visual.ts.
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';
import { openBrowser } from '../../tools/browser.mjs';
import { serve } from '../../tools/static-server.mjs';
import { largestRenderer } from '../engines/renderer.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Bundles the worker `entry` and the pool's threads. */
export async function bundleEngine(entry) {
  mkdirSync(here('../out'), { recursive: true });
  const options = {
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    loader: { '.wgsl': 'text' },
    logLevel: 'error',
  };
  await bundle({ ...options, entryPoints: [here(`../entries/${entry}.ts`)], outfile: here(`../out/${entry}.js`) });
  await bundle({
    ...options,
    entryPoints: [here('../../src/entries/pool-worker.ts')],
    outfile: here('../out/pool.js'),
  });
  for (const name of ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'])
    copyFileSync(here(`../../build/wasm/octavo.${name}.wasm`), here(`../out/octavo.${name}.wasm`));
}

/** Resolves when the engine stands: { ask(message), pid(), close() }. `path`: a model's file, or also that of its vision part, for messages of kind 'load'. */
export async function openEngine({ entry = 'context', path, build, threads }) {
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
    if (path !== undefined) await page.setInputFiles('#file', path);
    const ask = (message) =>
      page.evaluate(
        ({ entry, message }) =>
          new Promise((resolve, reject) => {
            const worker = (globalThis.engine ??= new Worker(`/out/${entry}.js`, { type: 'module' }));
            worker.onmessage = ({ data }) => ('failed' in data ? reject(new Error(data.failed)) : resolve(data.result));
            worker.onerror = (event) => reject(new Error(event.message));
            worker.postMessage(
              message.kind === 'load' || message.kind === 'answer'
                ? {
                    ...message,
                    file: document.querySelector('#file').files[0],
                    projector: document.querySelector('#file').files[1],
                  }
                : message,
            );
          }),
        { entry, message },
      );
    await ask({ kind: 'open', build: threads > 1 ? `${build}-threads` : build, threads });
    return { ask, pid: () => largestRenderer().pid, close };
  } catch (error) {
    await close();
    throw error;
  }
}
