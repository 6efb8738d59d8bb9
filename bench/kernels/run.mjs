// Micro benchmark of the matrix products in Chromium, one thread: node bench/kernels/run.mjs [format ...] [--pieces=60] [--tokens=128] [--build=relaxed]
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../../tools/browser.mjs';
import { serve } from '../../tools/static-server.mjs';
import { bareModule } from './bare.mjs';
import { measure } from './page.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const option = (name, otherwise) => process.argv.find((a) => a.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise;
const build = option('build', 'relaxed');
const module = option('module', join(root, 'build', 'wasm', `octavo.${build}.wasm`));
const bare = bareModule();

const ALL = [
  ['F32', 0, 1, 4, []],
  ['F16', 1, 1, 2, [0]],
  ['BF16', 30, 1, 2, []],
  ['Q8_0', 8, 32, 34, [0]],
  ['Q4_0', 2, 32, 18, [0]],
  ['Q4_1', 3, 32, 20, [0, 2]],
  ['Q5_0', 6, 32, 22, [0]],
  ['Q5_1', 7, 32, 24, [0, 2]],
  ['Q2_K', 10, 256, 84, [80, 82]],
  ['Q3_K', 11, 256, 110, [108]],
  ['Q4_K', 12, 256, 144, [0, 2]],
  ['Q5_K', 13, 256, 176, [0, 2]],
  ['Q6_K', 14, 256, 210, [208]],
].map(([name, ggml, block, bytes, halves]) => ({ name, ggml, block, bytes, halves }));
const wanted = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const formats = ALL.filter((f) => wanted.length === 0 || wanted.includes(f.name));
const tokens = Number(option('tokens', 128));
/** 896 is no multiple of 256: K formats are timed at 1024. */
const shapesOf = (f) =>
  f.block === 256
    ? [
        [1024, 1024],
        [4864, 1024],
        [896, 4864],
      ]
    : [
        [896, 896],
        [4864, 896],
        [896, 4864],
        ...(f.name === 'Q8_0' && !process.argv.includes('--short') ? [[151936, 896]] : []),
      ];

/** `--node` measures in this process instead (for a Node that has relaxed SIMD). */
const inNode = process.argv.includes('--node');
const browser = inNode ? undefined : await openBrowser();
const page = await browser?.context.newPage();
/** An isolated page's clock has steps of 5 microseconds, else of 100. */
const server = await serve({ mounts: { '/': join(root, 'test', 'browser') } });
await page?.goto(`${server.origin}/page.html`);
const base64 = (file) => readFileSync(file).toString('base64');
console.log(
  `tokens ${tokens}; the fast tenth of many short pieces; shares are of the bare read and of the bare dot in registers`,
);
for (const format of formats) {
  const job = {
    engine: base64(module),
    bare,
    formats: [format],
    shapes: shapesOf(format),
    tokens,
    pieces: Number(option('pieces', 60)),
  };
  const result = page ? await page.evaluate(measure, job) : await measure(job);
  const { rates } = result;
  console.log(
    `${format.name}  bare: read ${rates.read.toFixed(1)} GB/s, from L1 ${rates.cached.toFixed(0)} GB/s, dot ${rates.dots.toFixed(0)} G/s, with a load each ${rates.loaded.toFixed(0)} G/s; semantics ${result.semantics}`,
  );
  for (const r of result.rows) {
    console.log(
      `  ${`${r.n} x ${r.cols}`.padEnd(13)} GEMV ${r.vectorGB.toFixed(1).padStart(5)} GB/s (${((100 * r.vectorGB) / rates.read).toFixed(0).padStart(3)} %) ${r.vectorG.toFixed(1).padStart(5)} G/s` +
        `   GEMM ${r.matrixG.toFixed(1).padStart(6)} G/s (${((100 * r.matrixG) / rates.dots).toFixed(0).padStart(3)} %)   pack ${r.packGB.toFixed(2)} GB/s`,
    );
  }
  const per = (n, cols) => result.rows.find((r) => r.n === n && r.cols === cols) ?? result.rows[0];
  const scaled = (key, n, cols, like) => like[key] * ((n * cols) / (like.n * like.cols));
  const width = format.block === 256 ? 1024 : 896;
  const layer = (key) =>
    scaled(key, 2 * 896 + 256, 896, per(width, width)) +
    scaled(key, 2 * 4864, 896, per(4864, width)) +
    scaled(key, 896, 4864, per(896, 4864));
  console.log(
    `  0.5B without its head: decode ${(1000 / (24 * layer('vectorMs'))).toFixed(1)} tokens/s, prefill ${((1000 * tokens) / (24 * layer('matrixMs'))).toFixed(0)} tokens/s`,
  );
}
await browser?.close();
await server.close();
