/// <reference types="electron" />
/** Checks that what `octavo/electron` expects of Electron is what Electron's own types say. Nothing of it runs. */
import * as electron from 'electron/main';
import { createDesktop, type DesktopPreferences, type ElectronMain } from 'octavo/electron';

export const module: ElectronMain = electron;
const desktop = createDesktop(electron, {
  pages: '/pages',
  session: () => electron.session.fromPartition('persist:documents'),
});
export const preferences: Electron.WebPreferences = desktop.webPreferences satisfies DesktopPreferences;

export async function use(window: Electron.BrowserWindow): Promise<void> {
  await desktop.open(window.webContents, ['/document.pdf']);
  desktop.command(window.webContents, 'new');
}
