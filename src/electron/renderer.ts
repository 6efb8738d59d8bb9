/**
 * `octavo/electron/renderer`: `Octavo` in the pages of a desktop program. Where the preload script has run, engines are utility processes (or workers of the
 * page, as the main process chose), and downloads and sessions are shared by all windows; in a browser it is the `Octavo` of `octavo`.
 */
import { createFace } from '../face/octavo.ts';
import { createBrowserFace } from '../platform/browser.ts';
import { startEngineWorker } from '../platform/engine-worker.ts';
import type { DesktopEvent } from './messages.ts';
import { pageBridge } from './page-bridge.ts';
import { createPagePlatform } from './page-platform.ts';

const browser = /* @__PURE__ */ createBrowserFace(
  startEngineWorker,
  typeof WebAssembly === 'object',
  async () => (await import('../platform/browser-documents.ts')).browserDocuments,
);

/** As in browsers; in a desktop program its engines are those of the main process. */
export const Octavo = /* @__PURE__ */ createFace(/* @__PURE__ */ createPagePlatform(pageBridge, browser));

/** Whether the page runs in a desktop program whose preload script is Octavo's. */
export const isDesktop = (): boolean => pageBridge() !== undefined;

/**
 * Calls `listener` with what the main process tells: documents to open, commands of menus, and that the computer sleeps or wakes; events that came while nobody
 * listened come first. Returns a function that ends it. In a browser nothing is told.
 */
export function onDesktop(listener: (event: DesktopEvent) => void): () => void {
  return pageBridge()?.listen(listener) ?? (() => undefined);
}

export type { DesktopEvent, OpenedFile, PowerState } from './messages.ts';
export * from '../public.ts';
