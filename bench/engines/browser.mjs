// One measured run in a fresh Chromium: the page's figures, and the renderer's peak resident memory from the kernel.
import { openBrowser } from '../../tools/browser.mjs';
import { largestRenderer } from './renderer.mjs';

export async function runInBrowser(server, script, file, options) {
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.on('pageerror', (error) => console.error('page:', error.message));
    if (process.env.BENCH_DEBUG) page.on('console', (m) => console.error('page:', m.text()));
    await page.goto(`${server.origin}/pages/blank.html`);
    const { resident: blank } = largestRenderer();
    await page.addScriptTag({ url: `/pages/${script}`, type: 'module' });
    await page.waitForFunction(() => globalThis.ready === true, undefined, { timeout: 60_000 });
    await page.setInputFiles('#file', file);
    page.setDefaultTimeout(0);
    const result = await page.evaluate((o) => globalThis.run(o), options);
    return { ...result, peak: largestRenderer().peak, blank };
  } finally {
    await browser.close();
  }
}
