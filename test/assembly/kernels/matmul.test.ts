/** The quantised matrix products on every build: scalar and SIMD in this process, relaxed SIMD in Chromium (Node 20 miscompiles it). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createMemory, instantiate, type WasmBuild } from '../../../src/wasm.ts';
import { WEIGHT_FORMATS, type WeightFormat } from '../../../src/backend/weight.ts';
import { random } from '../../support/random.ts';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { FORMATS, checkCompany, checkFormat, multiply, pack, type Engine } from './matmul-cases.ts';

const file = (name: string): string => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
const wasmFile = (name: WasmBuild): string => file(`build/wasm/octavo.${name}.wasm`);

async function open(name: WasmBuild): Promise<Engine> {
  return instantiate(name, await WebAssembly.compile(readFileSync(wasmFile(name))), createMemory(name));
}

describe.each(['scalar', 'simd'] as const)('products of the %s build', (name) => {
  test.each(FORMATS)('%s', async (format) => {
    checkFormat(await open(name), format, name);
  });

  test.each(FORMATS)('%s: the same bits in any company', async (format) => {
    checkCompany(await open(name), format);
  });

  test('a NaN in the activations reaches the result', async () => {
    const engine = await open(name);
    for (const format of ['Q8_0', 'Q4_0', 'F16'] as const) {
      const rows = 16;
      const { block, bytes } = WEIGHT_FORMATS[format];
      const weight = pack(engine, format, new Uint8Array(((rows * 32) / block) * bytes).fill(17), rows, 32);
      const x = random(3).normals(2 * 32);
      x[37] = NaN;
      const out = multiply(engine, format, weight, x, 2, rows, 32);
      expect(out.subarray(0, rows).every(Number.isFinite)).toBe(true);
      expect(out.subarray(rows).every(Number.isNaN)).toBe(true);
    }
  });

  test('a packed weight takes at most 1.05 of the file', async () => {
    const { exports } = await open(name);
    for (const format of FORMATS) {
      const { ggml, block, bytes } = WEIGHT_FORMATS[format];
      expect(exports.packedBytes(ggml, 1024, 1024)).toBeLessThanOrEqual(((1024 * 1024) / block) * bytes * 1.05);
    }
  });
});

declare global {
  function checkProducts(wasm: string, format: string, sevenBits: boolean): Promise<string>;
  function checkBits(wasm: string, format: string, sevenBits: boolean): Promise<string>;
}

describe.each([
  { where: 'Chromium', args: [] },
  {
    where: 'Chromium on a machine without AVX-VNNI',
    args: ['--js-flags=--no-enable-avx-vnni --no-enable-avx-vnni-int8'],
  },
])('products of the relaxed build in $where', ({ args }) => {
  let browser: Awaited<ReturnType<typeof openBrowser>> | undefined;
  let page: Awaited<ReturnType<Awaited<ReturnType<typeof openBrowser>>['context']['newPage']>>;
  let wasm: string;

  beforeAll(async () => {
    if (!(await hasBrowser())) {
      console.warn('skipped: no browser could be started');
      return;
    }
    browser = await openBrowser({ args });
    page = await browser.context.newPage();
    const source = `
      import { checkCompany, checkFormat } from './test/assembly/kernels/matmul-cases.ts';
      const open = async (wasm) => {
        const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
        const bytes = Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0));
        const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
        return { memory, exports: instance.exports };
      };
      globalThis.checkProducts = async (wasm, format, sevenBits) => {
        checkFormat(await open(wasm), format, 'relaxed', sevenBits);
        return 'right';
      };
      globalThis.checkBits = async (wasm, format, sevenBits) => {
        checkCompany(await open(wasm), format, sevenBits);
        return 'right';
      };`;
    const bundle = await build({
      stdin: { contents: source, resolveDir: file('.'), loader: 'ts' },
      bundle: true,
      write: false,
      format: 'iife',
      target: 'es2022',
    });
    await page.evaluate(bundle.outputFiles[0]!.text);
    wasm = readFileSync(wasmFile('relaxed')).toString('base64');
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
  });

  const check = (format: WeightFormat, sevenBits: boolean): Promise<string> =>
    page.evaluate(([a, b, c]) => globalThis.checkProducts(a, b, c), [wasm, format, sevenBits] as const);

  test.each(FORMATS)(
    '%s',
    async (format) => {
      if (!browser) return;
      expect(await check(format, false)).toBe('right');
    },
    60_000,
  );

  test('Q8_0 where the dot is safe for 0..127 only', async () => {
    if (!browser) return;
    expect(await check('Q8_0', true)).toBe('right');
  }, 60_000);

  test.each([...FORMATS.map((format) => ({ format, sevenBits: false })), { format: 'Q8_0', sevenBits: true } as const])(
    '$format: the same bits in any company, safe for 0..127 only: $sevenBits',
    async ({ format, sevenBits }) => {
      if (!browser) return;
      const found = await page.evaluate(([a, b, c]) => globalThis.checkBits(a, b, c), [wasm, format, sevenBits] as const);
      expect(found).toBe('right');
    },
    60_000,
  );
});
