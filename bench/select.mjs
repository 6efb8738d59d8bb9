// ToDRE's first stage in Chromium, one thread: npm run asc, then node bench/select.mjs. Prints JSON; times in milliseconds, the first call apart.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../tools/browser.mjs';
import { serve } from '../tools/static-server.mjs';

const CALLS = 7;
const [count, width, kept] = [4160, 1536, 416];

/** Runs in the page. */
async function measure({ count, width, kept, calls }) {
  let state = 12345;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const normals = (n) => Float32Array.from({ length: n }, normal);
  const random = normals(count * width);
  // 64 clusters about a common direction, as embeddings of pictures are.
  const [common, centres] = [normals(width), normals(64 * width)];
  const clusters = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const centre = Math.floor(uniform() * 64) * width;
    for (let j = 0; j < width; j++) clusters[i * width + j] = 1.5 * common[j] + centres[centre + j] + 0.4 * normal();
  }
  const results = [];
  for (const build of ['relaxed', 'simd']) {
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
    const { instance } = await WebAssembly.instantiateStreaming(fetch(`/wasm/octavo.${build}.wasm`), {
      env: { memory },
    });
    const { alloc, todre, todreWorkBytes, relaxedDot } = instance.exports;
    relaxedDot();
    const [x, rows, out, work] = [4 * count * width, 4 * count, 4 * kept, todreWorkBytes(count, width)].map((bytes) =>
      alloc(bytes),
    );
    new Uint32Array(memory.buffer, rows, count).forEach((_, i, all) => (all[i] = i));
    for (const [data, values] of Object.entries({ random, clusters })) {
      new Float32Array(memory.buffer, x, values.length).set(values);
      for (const [precision, flags] of [
        ['exact', 0],
        ['int8', 1],
      ]) {
        const times = [];
        for (let call = 0; call < calls; call++) {
          const begun = performance.now();
          todre(out, x, rows, count, width, kept, -1, 0, flags, work);
          times.push(performance.now() - begun);
        }
        const chosen = [...new Uint32Array(memory.buffer, out, kept)];
        const warm = times.slice(1).sort((a, b) => a - b);
        results.push({
          build,
          data,
          precision,
          first: times[0],
          median: warm[warm.length >> 1],
          least: warm[0],
          chosen,
        });
      }
    }
  }
  return { agent: navigator.userAgent, results };
}

const folder = mkdtempSync(join(tmpdir(), 'octavo-select-'));
writeFileSync(join(folder, 'index.html'), '<!doctype html><title>select</title>');
const server = await serve({
  mounts: { '/page/': folder, '/wasm/': fileURLToPath(new URL('../build/wasm', import.meta.url)) },
});
const browser = await openBrowser();
try {
  const page = await browser.context.newPage();
  await page.goto(`${server.origin}/page/index.html`);
  const { agent, results } = await page.evaluate(measure, { count, width, kept, calls: CALLS });
  const [exact] = results.map(({ chosen }) => chosen);
  for (const result of results) {
    const same = results.find(({ data, precision }) => data === result.data && precision === 'exact');
    result.asExact = result.chosen.filter((i) => same.chosen.includes(i)).length / exact.length;
    for (const name of ['first', 'median', 'least']) result[name] = Math.round(10 * result[name]) / 10;
  }
  console.log(
    JSON.stringify(
      { agent, count, width, kept, calls: CALLS, results: results.map(({ chosen: _chosen, ...rest }) => rest) },
      null,
      1,
    ),
  );
} finally {
  await browser.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}
