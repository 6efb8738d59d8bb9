// The document application once more, for the desktop: the same sources with `octavo/electron/renderer` as their `octavo`, without a service worker, and with the
// content security policy that the main process sends.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import shared from '../document-qa/vite.config.mjs';

/** @type {import('vite').UserConfig} */
const application = Object(shared);
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const LEFT_OUT = /^(vite-plugin-pwa|content-security-policy)/;

export default defineConfig({
  ...application,
  root: path('../document-qa'),
  build: { ...application.build, outDir: path('dist') },
  resolve: {
    alias: [
      { find: /^octavo$/, replacement: 'octavo/electron/renderer' },
      { find: 'virtual:pwa-register', replacement: path('pages/no-service-worker.ts') },
    ],
  },
  plugins: [
    ...[application.plugins].flat(Infinity).filter(({ name }) => !LEFT_OUT.test(name)),
    {
      name: 'desktop',
      // Before the application's own script, which asks for the documents that it was started with.
      transformIndexHtml: {
        order: 'pre',
        handler: () => [
          { tag: 'script', attrs: { type: 'module', src: '../electron/pages/desktop.ts' }, injectTo: 'head-prepend' },
        ],
      },
    },
  ],
});
