// One measured run in a fresh Chromium: the page's figures, and the renderer's peak resident memory from the kernel.
import { readFileSync, readdirSync } from 'node:fs';
import { openBrowser } from '../../test/support/browser.mjs';

/** Peak resident bytes of the renderer that grew most: VmHWM of every process of type renderer under this node process. */
function rendererPeak() {
  let peak = 0;
  for (const pid of readdirSync('/proc').filter((d) => /^\d+$/.test(d))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // a process that ended meanwhile
    }
  }
  return peak;
}

export async function runInBrowser(server, script, file, options) {
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.on('pageerror', (error) => console.error('page:', error.message));
    if (process.env.BENCH_DEBUG) page.on('console', (m) => console.error('page:', m.text()));
    await page.goto(`${server.origin}/pages/blank.html`);
    await page.addScriptTag({ url: `/pages/${script}`, type: 'module' });
    await page.waitForFunction(() => globalThis.ready === true, undefined, { timeout: 60_000 });
    await page.setInputFiles('#file', file);
    page.setDefaultTimeout(0);
    const result = await page.evaluate((o) => globalThis.run(o), options);
    return { ...result, peak: rendererPeak() };
  } finally {
    await browser.close();
  }
}
