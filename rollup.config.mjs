// dist/: the page's face, the engine's worker, the pool's worker, Node's twins, the command line; one file each, .wasm beside them.
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import nodeResolve from '@rollup/plugin-node-resolve';
import esbuild from 'rollup-plugin-esbuild';

/** A .wgsl file imports as its text, without comments and indentation. */
const wgsl = () => ({
  name: 'wgsl',
  transform(code, id) {
    if (!id.endsWith('.wgsl')) return null;
    const text = code
      .split('\n')
      .map((line) => line.replace(/\/\/.*$/, '').trim())
      .filter((line) => line !== '')
      .join('\n');
    return { code: `export default ${JSON.stringify(text)};`, map: null };
  },
});

/** The WASM builds lie beside the scripts, where `new URL('./octavo.simd.wasm', import.meta.url)` finds them. */
const wasm = () => ({
  name: 'wasm',
  writeBundle() {
    mkdirSync('dist', { recursive: true });
    for (const file of readdirSync('build/wasm'))
      if (file.endsWith('.wasm')) copyFileSync(join('build/wasm', file), join('dist', file));
  },
});

/** A chunk's name: of the module that is imported when it is needed, or of the last one that several of those share. */
const part = ({ facadeModuleId, moduleIds }) =>
  (facadeModuleId ?? moduleIds.at(-1) ?? '').match(/([^/\\]+?)(?:[/\\]index)?\.ts$/)?.[1] ?? 'common';

const plugins = (platform) => [
  nodeResolve({
    browser: platform === 'browser',
    exportConditions: platform === 'browser' ? ['browser'] : ['node'],
    extensions: ['.ts', '.mjs', '.js'],
  }),
  wgsl(),
  esbuild({ target: 'es2022', minify: true, platform }),
];

/** One output file an entry, and beside it what not every page needs: the WebGPU backend, pictures, plans, saved sessions, Hugging Face's own formats. A worker must be a file of the same origin, and an app's bundler copies whole files. */
const entry = (name, input, platform, extra = []) => ({
  input,
  output: {
    dir: 'dist',
    entryFileNames: `${name}.js`,
    chunkFileNames: (chunk) => `${name}-${part(chunk)}.js`,
    format: 'es',
    sourcemap: true,
  },
  // `octavo/ai-sdk` imports the package by its name, so that browsers and Node each get their own face.
  external: platform === 'node' ? [/^node:/, 'webgpu', '@napi-rs/canvas', './node.js'] : ['octavo'],
  plugins: [...plugins(platform), ...extra],
});

export default [
  entry('index', 'src/index.ts', 'browser', [wasm()]),
  entry('worker', 'src/entries/browser-worker.ts', 'browser'),
  entry('pool', 'src/entries/pool-worker.ts', 'browser'),
  entry('node', 'src/node.ts', 'node'),
  entry('node-worker', 'src/entries/node-worker.ts', 'node'),
  entry('cli', 'src/cli/main.ts', 'node'),
  entry('ai-sdk', 'src/ai-sdk.ts', 'browser'),
];
