// dist/: the page's face, the engine's worker and its parts, the pool's worker, Node's twins, the command line; .wasm beside them. The order of the
// builds matters: the face is told the names of the worker's parts, and its archive holds the finished worker.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import nodeResolve from '@rollup/plugin-node-resolve';
import { transformSync } from 'esbuild';
import esbuild from 'rollup-plugin-esbuild';
import { notices } from './tools/notices.mjs';

rmSync('dist', { recursive: true, force: true });

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

/** The WASM builds lie beside the scripts. */
const wasm = () => ({
  name: 'wasm',
  writeBundle() {
    mkdirSync('dist', { recursive: true });
    for (const file of readdirSync('build/wasm'))
      if (file.endsWith('.wasm')) copyFileSync(join('build/wasm', file), join('dist', file));
  },
});

/** Files by their names, as src/load/packed.ts unpacks them. */
function packed(files) {
  const index = {};
  let offset = 0;
  for (const [name, content] of files) {
    index[name] = [offset, content.length];
    offset += content.length;
  }
  const head = Buffer.from(JSON.stringify(index));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return gzipSync(Buffer.concat([length, head, ...files.map(([, content]) => content)]), { level: 9 }).toString(
    'base64',
  );
}

/**
 * Modules that are made from what was built before (src/platform/generated.d.ts). `scripts`: which scripts of dist/ the archive holds
 * beside the WASM builds; undefined for an entry that is never without its files. */
const generated = (scripts) => ({
  name: 'generated',
  resolveId: (id) => (id.startsWith('octavo:') && !(id in SHARED) ? `\0${id}` : null),
  load(id) {
    const built = () => readdirSync('dist').filter((file) => /\.(js|wasm)$/.test(file));
    if (id === '\0octavo:parts') {
      const parts = built().filter((file) => /^worker-.*\.js$/.test(file));
      // Vite would put all parts below 4 KB, of which a page needs a few, into the page's own script; other tools take no notice of the query.
      const rows = parts.map((file) => `'${file.slice(0, -3)}': new URL('./${file}?no-inline', import.meta.url).href`);
      return `export const partUrls = () => ({ ${rows.join(', ')} });`;
    }
    if (id === '\0octavo:archive') {
      const files = scripts ? built().filter((file) => file.endsWith('.wasm') || scripts.test(file)) : [];
      return `export const archive = '${packed(files.map((file) => [file, readFileSync(join('dist', file))]))}';`;
    }
    return null;
  },
});

/** A chunk's name: of the module that is imported when it is needed, or of the last one that several of those share. */
const part = ({ facadeModuleId, moduleIds }) =>
  (facadeModuleId ?? moduleIds.at(-1) ?? '').match(/([^/\\]+?)(?:[/\\]index)?\.ts$/)?.[1] ?? 'common';

/** Keeps bundlers from following imports of what is only known at run time. The comments are put in last: minifying takes them out. */
const opaqueImports = (code) =>
  code.replace(
    /\bimport\((?=[\w$])/g,
    'import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ ',
  );
const opaque = () => ({ name: 'opaque', renderChunk: (code) => ({ code: opaqueImports(code), map: null }) });

const plugins = (platform) => [
  nodeResolve({
    browser: platform === 'browser',
    exportConditions: platform === 'browser' ? ['browser'] : ['node'],
    extensions: ['.ts', '.mjs', '.js'],
  }),
  wgsl(),
  esbuild({ target: 'es2022', minify: true, platform }),
  opaque(),
  notices(),
];

/** pdf.js and its character maps are built once, into files of their own that browsers and Node share. */
const SHARED = {
  'pdfjs-dist/legacy/build/pdf.mjs': './pdf.js',
  'pdfjs-dist/legacy/build/pdf.worker.mjs': './pdf-worker.js',
  'octavo:character-maps': './character-maps.js',
};

/** Adobe's character maps by their names. */
const characterMaps = () => {
  const folder = 'node_modules/pdfjs-dist/cmaps';
  const files = readdirSync(folder).filter((file) => file.endsWith('.bcmap'));
  return files.map((file) => [file.slice(0, -'.bcmap'.length), readFileSync(join(folder, file))]);
};

const entry = (name, input, platform, { extra = [], output = {} } = {}) => ({
  input,
  output: {
    dir: 'dist',
    entryFileNames: `${name}.js`,
    chunkFileNames: (chunk) => `${name}-${part(chunk)}.js`,
    format: 'es',
    sourcemap: true,
    paths: SHARED,
    ...output,
  },
  // As package.json says: nothing happens on import, so what only a part uses does not come along with the core.
  treeshake: { moduleSideEffects: false },
  // `octavo/ai-sdk` imports the package by its name, so that browsers and Node each get their own face.
  external: [
    ...Object.keys(SHARED),
    ...(platform === 'node'
      ? [/^node:/, 'webgpu', './node.js']
      : ['octavo', 'react', 'ai', 'electron', 'tesseract.js']),
  ],
  plugins: [...plugins(platform), ...extra],
});

/** The engine's worker is one script without imports; its parts are modules that its loader fetches by the URLs that the page sends. */
const loader = transformSync(readFileSync('tools/part-loader.js', 'utf8'), { minify: true, target: 'es2022' }).code;
const partLoader = () => ({
  name: 'part-loader',
  renderChunk: (code, chunk) => (chunk.isEntry ? { code: opaqueImports(loader) + code, map: null } : null),
});
const worker = entry('worker', 'src/entries/browser-worker.ts', 'browser', {
  extra: [wasm(), partLoader()],
  // The parts know the script's exports by short names, as rollup gives them by itself only to ES modules.
  output: { format: 'amd', amd: { autoId: true, define: '__octavo' }, minifyInternalExports: true, sourcemap: false },
});

/**
 * One of pdf.js's two scripts as it is, minified. In Node it would look for a canvas as soon as it is imported and complain where there is none: text needs
 * none, and what draws brings its own (src/platform/node-documents.ts).
 */
const pdf = (name, input) => ({
  input,
  output: { file: `dist/${name}.js`, format: 'es', banner: '/*! pdf.js 4.10.38, Mozilla Foundation, Apache-2.0 */' },
  onwarn: () => {},
  plugins: [
    notices(),
    {
      name: 'pdf',
      transform: (code) => ({
        code: code.replace('if (isNodeJS) {\n  let canvas;', 'if (false) {\n  let canvas;'),
        map: null,
      }),
      renderChunk: (code) => ({
        code: transformSync(code, { minify: true, target: 'es2022', format: 'esm', legalComments: 'none' }).code,
        map: null,
      }),
    },
  ],
});

const maps = {
  input: 'character-maps',
  output: { file: 'dist/character-maps.js', format: 'es' },
  plugins: [
    notices([
      `Character maps of pdfjs-dist\n\n${readFileSync('node_modules/pdfjs-dist/cmaps/LICENSE', 'utf8').trim()}`,
    ]),
    {
      name: 'character-maps',
      resolveId: (id) => id,
      load: () => `export const archive = '${packed(characterMaps())}';`,
    },
  ],
};

const single = { inlineDynamicImports: true, chunkFileNames: undefined };

export default [
  worker,
  entry('pool', 'src/entries/pool-worker.ts', 'browser'),
  entry('index', 'src/index.ts', 'browser', { extra: [generated(/^(worker.*|pool)\.js$/)] }),
  entry('in-scope', 'src/in-scope.ts', 'browser', { extra: [generated(undefined)], output: single }),
  entry('nano', 'src/nano.ts', 'browser'),
  entry('nano-text', 'src/nano-text.ts', 'browser'),
  pdf('pdf', 'node_modules/pdfjs-dist/legacy/build/pdf.mjs'),
  pdf('pdf-worker', 'node_modules/pdfjs-dist/legacy/build/pdf.worker.mjs'),
  maps,
  entry('node-worker', 'src/entries/node-worker.ts', 'node', { output: single }),
  entry('node', 'src/node.ts', 'node', { extra: [generated(/^node-worker\.js$/)] }),
  entry('cli', 'src/cli/main.ts', 'node', { extra: [generated(undefined)] }),
  entry('electron', 'src/electron/index.ts', 'node'),
  entry('electron-engine', 'src/electron/engine-process.ts', 'node', { output: single }),
  // Pages of a desktop program always have their files, so the archive stays out.
  entry('electron-renderer', 'src/electron/renderer.ts', 'browser', { extra: [generated(undefined)] }),
  // A sandboxed preload script is one CommonJS file.
  entry('electron-preload', 'src/electron/preload.ts', 'browser', {
    output: { ...single, entryFileNames: 'electron-preload.cjs', format: 'cjs' },
  }),
  entry('ai-sdk', 'src/ai-sdk/index.ts', 'browser'),
  entry('ai-sdk-v3', 'src/ai-sdk/v3.ts', 'browser'),
  entry('openai', 'src/openai/index.ts', 'browser'),
  entry('prompt-api', 'src/prompt-api.ts', 'browser'),
  entry('react', 'src/react.ts', 'browser'),
  entry('ocr-tesseract', 'src/ocr-tesseract.ts', 'browser'),
];
