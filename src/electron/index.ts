/**
 * `octavo/electron`: the main process's part of a desktop program. Its pages are served by a scheme of their own, its engines run in utility processes, and
 * what pages may ask for is checked here. `octavo/electron/preload` is the preload script and `octavo/electron/renderer` the `Octavo` of the pages.
 */
export { createDesktop, type Desktop, type DesktopOptions, type DesktopPreferences } from './desktop.ts';
export { pagePolicy } from './serve.ts';
export type { ElectronMain } from './electron.ts';
export type { EnginePlace, OpenedFile } from './messages.ts';
