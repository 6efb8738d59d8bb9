// A real Chromium, headless, from npm; with a persistent profile where a story needs one.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium as playwright } from 'playwright-core';
import { chromium } from './sparticuz.mjs';

const ARGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
];

/** Times that pages' main threads run slower: a test that reads a page before the page is done, and passes by luck, fails so. */
const SLOWDOWN = Number(process.env.OCTAVO_SLOW_PAGES ?? 1);

/** @param {import('playwright-core').BrowserContext} context */
function slowDown(context) {
  context.on('page', async (page) => {
    // A page may be closed before it is slowed down.
    await context
      .newCDPSession(page)
      .then((session) => session.send('Emulation.setCPUThrottlingRate', { rate: SLOWDOWN }))
      .catch(() => undefined);
  });
}

/**
 * A browser context on a profile folder that `close()` removes; `reopen()` ends the browser (as a crash would) and starts it on the same profile.
 * @param {{ args?: readonly string[] }} [options]
 */
export async function openBrowser({ args = [] } = {}) {
  const { executable, env } = await chromium();
  const profile = mkdtempSync(join(tmpdir(), 'octavo-profile-'));
  const launch = async () => {
    const context = await playwright.launchPersistentContext(profile, {
      executablePath: executable,
      headless: true,
      args: [...ARGS, ...args],
      env: { ...process.env, ...env },
    });
    if (SLOWDOWN > 1) slowDown(context);
    return context;
  };
  let context = await launch();
  return {
    get context() {
      return context;
    },
    reopen: async () => {
      await context.close();
      context = await launch();
      return context;
    },
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Whether a browser can be started; throws instead of answering no when OCTAVO_REQUIRE_BROWSER=1. */
export async function hasBrowser() {
  try {
    const browser = await openBrowser();
    await browser.close();
    return true;
  } catch (error) {
    if (process.env.OCTAVO_REQUIRE_BROWSER === '1') throw error;
    return false;
  }
}
