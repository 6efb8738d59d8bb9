// What the builds of all web examples share: relative addresses, a strict content security policy, and a service worker that keeps the application for use
// without a network.
import { fileURLToPath } from 'node:url';
import { VitePWA } from 'vite-plugin-pwa';

/**
 * Scripts and styles come from the application itself only; WASM may be compiled. Models may be fetched from any https address, since users give addresses of
 * their own. `blob:` pictures are pages and photographs that the application has drawn or was given.
 */
const POLICY = {
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval'",
  'style-src': "'self'",
  'img-src': "'self' blob: data:",
  'font-src': "'self'",
  'connect-src': "'self' https: blob: http://localhost:* http://127.0.0.1:*",
  'worker-src': "'self'",
  'manifest-src': "'self'",
  'media-src': "'self' blob:",
  'base-uri': "'none'",
  'form-action': "'none'",
  'object-src': "'none'",
};

/** Bigger files are not kept by the service worker. Models are not its business: the package keeps them itself. */
const LARGEST_KEPT = 8 << 20;

const policy = () => ({
  name: 'content-security-policy',
  // The development server needs inline scripts.
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: {
        'http-equiv': 'Content-Security-Policy',
        content: Object.entries(POLICY)
          .map(([name, value]) => `${name} ${value}`)
          .join('; '),
      },
      injectTo: 'head-prepend',
    },
  ],
});

/**
 * The Vite configuration of one application. `url`: the `import.meta.url` of its vite.config.mjs; `manifest`: what its web app manifest says beyond the common;
 * `worker`: more options of workbox; `strategy`: options of vite-plugin-pwa that replace these, for an application with a service worker of its own.
 * @param {{ url: string, manifest: object, worker?: object, strategy?: object, plugins?: readonly unknown[] }} application
 */
export function application({ url, manifest, worker = {}, strategy = {}, plugins = [] }) {
  return {
    root: fileURLToPath(new URL('.', url)),
    base: './',
    build: {
      target: 'es2022',
      outDir: 'dist',
      emptyOutDir: true,
      // Assets within scripts as data: addresses would need a weaker policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 2000,
      reportCompressedSize: false,
    },
    worker: { format: 'es' },
    server: {
      headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
    },
    plugins: [
      policy(),
      ...plugins,
      VitePWA({
        registerType: 'prompt',
        injectRegister: false,
        manifest: { display: 'standalone', start_url: './', scope: './', background_color: '#f7f7f5', ...manifest },
        workbox: {
          globPatterns: ['**/*.{js,mjs,css,html,svg,png,webp,woff2,wasm,bcmap,pfb,ttf}'],
          maximumFileSizeToCacheInBytes: LARGEST_KEPT,
          cleanupOutdatedCaches: true,
          clientsClaim: true,
          navigateFallback: 'index.html',
          ...worker,
        },
        ...strategy,
      }),
    ],
  };
}
