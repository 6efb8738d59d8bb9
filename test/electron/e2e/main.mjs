// A desktop program for the end-to-end test: one window, the pages and models of the folder in OCTAVO_E2E.
import * as electron from 'electron/main';
import { join } from 'node:path';
import { createDesktop } from '../../../dist/electron.js';

const folder = process.env.OCTAVO_E2E ?? '';
electron.app.setPath('userData', join(folder, 'userData'));
const desktop = createDesktop(electron, { pages: join(folder, 'pages'), folders: { models: join(folder, 'models') } });
await desktop.ready;
const window = new electron.BrowserWindow({ show: false, webPreferences: desktop.webPreferences });
await window.loadURL(desktop.origin);
