// Where a renderer's memory is, phase by phase: npm run bench -- memory --files Q4_0,Q8_0,Q4_K_M --threads 1 --builds relaxed
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../tools/browser.mjs';
import { serve } from '../tools/static-server.mjs';
import { largestRenderer, mappings } from './engines/renderer.mjs';
import { benchFiles, fileSize } from './files.mjs';
import { table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

/** Asks the page's and its workers' JavaScript heaps, in bytes: { page, workers, buffers }. */
async function heapsOf(page) {
  const session = await page.context().newCDPSession(page);
  const workers = new Set();
  const waiting = new Map();
  let last = 0;
  session.on('Target.attachedToTarget', ({ sessionId }) => workers.add(sessionId));
  session.on('Target.detachedFromTarget', ({ sessionId }) => workers.delete(sessionId));
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const ask = (sessionId) => {
    const id = ++last;
    // A pool thread sits in its loop and answers nothing.
    const silence = new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    const answer = new Promise((resolve) => {
      waiting.set(id, resolve);
    });
    void session.send('Target.sendMessageToTarget', {
      sessionId,
      message: JSON.stringify({ id, method: 'Runtime.getHeapUsage' }),
    });
    return Promise.race([answer, silence]);
  };
  return async () => {
    const own = await session.send('Runtime.getHeapUsage');
    const others = (await Promise.all([...workers].map(ask))).filter((heap) => heap !== undefined);
    const sum = (field) => others.reduce((all, heap) => all + heap[field], 0);
    return {
      page: own.totalSize,
      workers: sum('totalSize'),
      used: sum('usedSize'),
      buffers: own.backingStorageSize + sum('backingStorageSize'),
    };
  };
}

async function measure(server, path, threads, build, ask) {
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(0);
    const phases = [];
    const heaps = await heapsOf(page);
    await page.exposeFunction('mark', async (name, engine) => {
      const { pid, ...figures } = largestRenderer();
      phases.push({ name, ...figures, ...mappings(pid), heaps: await heaps(), engine });
    });
    await page.goto(`${server.origin}/pages/blank.html`);
    await page.evaluate(() => globalThis.mark('blank page'));
    await page.addScriptTag({ url: '/pages/octavo.mjs', type: 'module' });
    await page.waitForFunction(() => globalThis.ready === true);
    await page.setInputFiles('#file', path);
    await page.evaluate((o) => globalThis.phases(o), { threads, build, ...ask });
    return phases;
  } finally {
    await browser.close();
  }
}

export async function run(options) {
  const [promptTokens, newTokens] = [Number(options.prompt ?? 256), Number(options.tokens ?? 32)];
  const server = await serve({ mounts: { '/pages/': here('./pages'), '/dist/': here('../dist') } });
  const results = [];
  const mega = (bytes) => (bytes / 1e6).toFixed(0);
  try {
    const shape = options.shape ?? 'qwen2.5-0.5b';
    for (const { name: mix, path, prompt } of benchFiles(options, here('./files'), shape, 'Q4_0,Q8_0,Q4_K_M')) {
      const bytes = fileSize(path);
      for (const threads of list(options.threads, '1').map(Number)) {
        for (const name of list(options.builds, 'relaxed')) {
          const build = threads > 1 ? `${name}-threads` : name;
          const phases = await measure(server, path, threads, build, {
            prompts: [prompt(promptTokens), `b${prompt(promptTokens - 1)}`],
            newTokens,
            window: 2 * promptTokens + newTokens + 64,
          });
          const [blank] = phases;
          console.log(`\n${mix} (${mega(bytes)} MB), ${build}, ${threads} thread${threads > 1 ? 's' : ''}; MB`);
          console.log(
            table([
              [
                'phase',
                'peak',
                'peak/file',
                '(peak - blank)/file',
                'resident',
                'share (PSS)',
                "Chromium's files",
                'WASM resident',
                'of',
                'weights',
                'KV',
                'JS heap of workers',
                'used',
                'of page',
                'buffers',
                'rest',
              ],
              ...phases.map((p) => {
                // On a page without a model the largest mapping is something else.
                const wasm = p.engine === undefined ? { resident: 0, bytes: 0 } : p.wasm;
                return [
                  p.name,
                  mega(p.peak),
                  (p.peak / bytes).toFixed(2),
                  ((p.peak - blank.resident) / bytes).toFixed(2),
                  mega(p.resident),
                  mega(p.share),
                  mega(p.file),
                  mega(wasm.resident),
                  mega(wasm.bytes),
                  mega(p.engine?.weights ?? 0),
                  mega(p.engine?.kv ?? 0),
                  mega(p.heaps.workers),
                  mega(p.heaps.used),
                  mega(p.heaps.page),
                  mega(p.heaps.buffers),
                  mega(p.anonymous - wasm.resident - p.heaps.workers - p.heaps.page - p.heaps.buffers),
                ];
              }),
            ]),
          );
          results.push({ file: mix, bytes, threads, build, phases });
        }
      }
    }
  } finally {
    await server.close();
  }
  return { promptTokens, newTokens, results };
}
