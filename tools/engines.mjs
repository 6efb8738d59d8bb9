// Firefox and WebKitGTK (the nearest to Safari that runs on Linux), headless, from Debian's packages, behind the same few calls as Chromium:
// open an address, run a function in the page, close.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { hasBrowser, openBrowser } from './browser.mjs';

/**
 * @typedef {{ goto(url: string): Promise<void>; evaluate(script: string): Promise<any>; close(): Promise<void> }} Engine
 * `evaluate` runs an expression in the page and resolves with its value, awaited, as JSON carries it.
 */

const FIREFOX = ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find((path) => existsSync(path));
const MINIBROWSER = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/libexec']
  .flatMap((folder) =>
    ['webkit2gtk-4.1', 'webkit2gtk-4.0', 'webkitgtk-6.0'].map((version) => join(folder, version, 'MiniBrowser')),
  )
  .find((path) => existsSync(path));
const DRIVER = '/usr/bin/WebKitWebDriver';
const XVFB = '/usr/bin/Xvfb';

/** Which engines can be started here. */
export async function presentEngines() {
  return {
    chromium: await hasBrowser(),
    firefox: FIREFOX !== undefined,
    webkit: MINIBROWSER !== undefined && existsSync(DRIVER) && existsSync(XVFB),
  };
}

/**
 * @param {'chromium' | 'firefox' | 'webkit'} name
 * @returns {Promise<Engine>}
 */
export async function openEngine(name) {
  switch (name) {
    case 'chromium':
      return openChromium();
    case 'firefox':
      return openFirefox();
    case 'webkit':
      return openWebKit();
    default:
      throw new Error(`${String(name)} is none of chromium, firefox, webkit`);
  }
}

async function openChromium() {
  const { context, close } = await openBrowser();
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  return { goto: async (url) => void (await page.goto(url)), evaluate: (script) => page.evaluate(script), close };
}

async function openFirefox() {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
    protocolTimeout: 600_000,
  });
  const page = await browser.newPage();
  return {
    goto: async (url) => void (await page.goto(url)),
    evaluate: (script) => page.evaluate(script),
    close: () => browser.close(),
  };
}

/** A free port, so that several runs do not meet. */
const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

async function openWebKit() {
  const scratch = mkdtempSync(join(tmpdir(), 'octavo-webkit-'));
  const display = `:${90 + (process.pid % 900)}`;
  const screen = spawn(XVFB, [display, '-screen', '0', '1280x800x24', '-nolisten', 'tcp'], { stdio: 'ignore' });
  const port = await freePort();
  const env = { ...process.env, DISPLAY: display, XDG_RUNTIME_DIR: scratch, WEBKIT_DISABLE_COMPOSITING_MODE: '1' };
  const driver = spawn(DRIVER, [`--port=${port}`], { stdio: 'ignore', env });
  const call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`WebDriver ${path}: ${value?.error}: ${value?.message}`);
    return value;
  };
  const end = () => {
    driver.kill();
    screen.kill();
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    let session;
    for (let tries = 0; session === undefined; tries += 1) {
      try {
        session = await call('POST', '/session', {
          capabilities: {
            alwaysMatch: { 'webkitgtk:browserOptions': { binary: MINIBROWSER, args: ['--automation'] } },
          },
        });
      } catch (error) {
        if (tries === 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    const path = `/session/${session.sessionId}`;
    await call('POST', `${path}/timeouts`, { script: 600_000, pageLoad: 120_000 });
    return {
      goto: async (url) => void (await call('POST', `${path}/url`, { url })),
      evaluate: (script) =>
        call('POST', `${path}/execute/async`, {
          // As it stands, since policies of pages forbid eval.
          script: `const done = arguments[0]; Promise.resolve(\n${script}\n).then(done, (error) => done({ error: String(error) }));`,
          args: [],
        }),
      close: async () => {
        await call('DELETE', path).catch(() => undefined);
        end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}
