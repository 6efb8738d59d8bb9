// Updates: nothing is asked for until a program that is built and signed says where its updates are.
//
// Electron's own `autoUpdater` works on macOS and Windows, and installs only what is signed by the same identity. Set "updates" in package.json to the feed of
// your releases (update.electronjs.org serves those of public repositories on GitHub); with electron-builder's own feeds, take `electron-updater` here instead.
import { readFileSync } from 'node:fs';

const HOUR = 3_600_000;

/**
 * Looks for updates now and every few hours. They are downloaded in the background and installed when the program is started the next time: quitting is never
 * forced, since an answer may be under way.
 * @param {Pick<typeof import('electron/main'), 'app' | 'autoUpdater'>} electron
 * @returns {boolean} whether this program looks for updates
 */
export function followUpdates({ app, autoUpdater }) {
  const { updates } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
  if (!app.isPackaged || typeof updates !== 'string' || !updates.startsWith('https://')) return false;
  if (process.platform !== 'darwin' && process.platform !== 'win32') return false;
  // Without a network nothing is to be said.
  autoUpdater.on('error', () => {});
  autoUpdater.setFeedURL({ url: updates });
  autoUpdater.checkForUpdates();
  setInterval(() => autoUpdater.checkForUpdates(), 4 * HOUR).unref();
  return true;
}
