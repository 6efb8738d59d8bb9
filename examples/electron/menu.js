// The application menu. What the page does itself is sent to it as a command (pages/desktop.ts).
import { basename } from 'node:path';

/**
 * @param {{
 *   mac: boolean,
 *   recent: readonly string[],
 *   choose: () => void,
 *   open: (path: string) => void,
 *   forget: () => void,
 *   command: (name: string) => void,
 * }} actions
 * @returns {Electron.MenuItemConstructorOptions[]}
 */
export function menuTemplate({ mac, recent, choose, open, forget, command }) {
  /** @type {Electron.MenuItemConstructorOptions[]} */
  const documents = recent.map((path) => ({ label: basename(path), toolTip: path, click: () => open(path) }));
  return [
    ...(mac ? [/** @type {Electron.MenuItemConstructorOptions} */ ({ role: 'appMenu' })] : []),
    {
      label: '&File',
      submenu: [
        { label: '&Open…', accelerator: 'CommandOrControl+O', click: choose },
        {
          label: 'Open &Recent',
          enabled: documents.length > 0,
          submenu: [...documents, { type: 'separator' }, { label: '&Clear', click: forget }],
        },
        { type: 'separator' },
        { label: '&Models…', accelerator: 'CommandOrControl+M', click: () => command('show-models') },
        { label: '&Settings…', accelerator: 'CommandOrControl+,', click: () => command('show-settings') },
        { type: 'separator' },
        mac ? { role: 'close' } : { role: 'quit' },
      ],
    },
    { role: 'editMenu' },
    {
      label: '&View',
      submenu: [
        { role: 'resetZoom' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        { type: 'separator' },
        { role: 'togglefullscreen' },
      ],
    },
    { role: 'windowMenu' },
    { role: 'help', submenu: [{ label: '&Keyboard Shortcuts', click: () => command('show-shortcuts') }] },
  ];
}
