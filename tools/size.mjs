// What a page downloads before the weights: the face, the engine's worker, the pool's worker and one WASM build, gzip. Fails above the limit.
// Beside it what only some pages fetch (rollup.config.mjs: worker-*.js, index-*.js): the WebGPU backend where there is a GPU, pictures with a model that sees them, the painter with
// the first painting, planners, saved sessions and contrasting with the first session that asks for them, Hugging Face folders and names where one is loaded.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT = 150 * 1024;
/** Of each entry that an app adds to the core. */
const FACE_LIMIT = 12 * 1024;
const FACES = ['ai-sdk.js', 'ai-sdk-v3.js', 'openai.js', 'prompt-api.js', 'react.js', 'ocr-tesseract.js'];
const dist = new URL('../dist/', import.meta.url);
const read = (file) => readFileSync(new URL(file, dist));
/** A script and those that it imports at once. */
const withImports = (file) => [
  file,
  ...[
    ...read(file)
      .toString()
      .matchAll(/(?:from|import)\s*"\.\/([\w-]+\.js)"/g),
  ].map(([, name]) => name),
];
const SCRIPTS = [...withImports('index.js'), 'worker.js', 'pool.js'];
/** The page's archive of the whole engine is for bundles that left its files out. */
const ON_DEMAND = readdirSync(dist).filter(
  (file) => /^(worker|index)-.*\.js$/.test(file) && !SCRIPTS.includes(file) && file !== 'index-embedded.js',
);
const BUILDS = ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'];

const gzip = (file) => gzipSync(read(file), { level: 9 }).length;
let core = 0;
for (const file of SCRIPTS) {
  const bytes = gzip(file);
  core += bytes;
  console.log(`${file.padEnd(28)} ${(bytes / 1024).toFixed(1).padStart(7)} KB gzip`);
}
let largest = 0;
for (const build of BUILDS) {
  const bytes = gzip(`octavo.${build}.wasm`);
  largest = Math.max(largest, bytes);
  console.log(`octavo.${build}.wasm`.padEnd(28), (bytes / 1024).toFixed(1).padStart(7), 'KB gzip');
}
let extra = 0;
for (const file of ON_DEMAND) {
  const bytes = gzip(file);
  extra += bytes;
  console.log(`${file.padEnd(28)} ${(bytes / 1024).toFixed(1).padStart(7)} KB gzip, on demand`);
}
let over = false;
for (const file of FACES) {
  const bytes = withImports(file).reduce((sum, name) => sum + gzip(name), 0);
  over ||= bytes > FACE_LIMIT;
  console.log(
    `${file.padEnd(28)} ${(bytes / 1024).toFixed(1).padStart(7)} KB gzip, an entry of its own, limit ${FACE_LIMIT / 1024} KB`,
  );
}
const total = core + largest;
console.log(`core JS and the largest WASM build: ${(total / 1024).toFixed(1)} KB gzip, limit ${LIMIT / 1024} KB`);
console.log(`all that a page can fetch: ${((total + extra) / 1024).toFixed(1)} KB gzip`);
if (total > LIMIT || over) {
  console.error('over the limit');
  process.exit(1);
}
