// What stays of models that were destroyed: one page of Chromium loads, asks and destroys a model again and again (Linux).
//   npm run bench -- loads --model FILE [--runs 20] [--threads 2]
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../tools/browser.mjs';
import { serve } from '../tools/static-server.mjs';
import { largestRenderer } from './engines/renderer.mjs';
import { table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const mega = (bytes) => (bytes / 1e6).toFixed(0);

export async function run(options) {
  if (options.model === undefined) throw new Error('which model? give --model FILE');
  const turns = Number(options.runs);
  const threads = Number(options.threads ?? 2);
  const server = await serve({ mounts: { '/pages/': here('./pages'), '/dist/': here('../dist') } });
  const browser = await openBrowser();
  const samples = [];
  try {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/pages/blank.html`);
    await page.addScriptTag({ url: '/pages/octavo.mjs', type: 'module' });
    await page.waitForFunction(() => globalThis.ready === true, undefined, { timeout: 60_000 });
    await page.setInputFiles('#file', options.model);
    page.setDefaultTimeout(0);
    for (let turn = 0; turn < turns; turn++) {
      await page.evaluate((o) => globalThis.run(o), {
        threads,
        build: threads > 1 ? 'relaxed-threads' : 'relaxed',
        prompt: 'Once upon a time',
        newTokens: 4,
        window: 256,
      });
      // What is collected by idle time alone has had some.
      await page.waitForTimeout(500);
      samples.push({ resident: largestRenderer().resident, workers: page.workers().length });
    }
  } finally {
    await browser.close();
    await server.close();
  }
  const shown = samples.map(({ resident, workers }, i) => [String(i + 1), mega(resident), String(workers)]);
  console.log(table([['loads', 'resident MB after destroy', 'workers left'], ...shown]));
  return { threads, runs: turns, samples };
}
