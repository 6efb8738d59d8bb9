/** The quantiser of KV pages on the CPU engine, bit for bit against plain loops. */
import { describe, expect, test } from '@jest/globals';
import { random } from '../../support/random.ts';
import { expectSame } from '../../support/tolerance.ts';
import { openWasm, openWasmBackend, TEST_BUILDS } from '../../support/wasm.ts';
import { PAGE, QUANTISED, BITS, half, halfBits, quantised, contents, f32Bytes, fresh } from './quantised-pages.ts';

describe.each(TEST_BUILDS)('%s: quantiser', (build) => {
  test.each([4, 20, 32, 64, 72, 80, 128, 256])(
    'heads of %i: the bytes that the layout says, and their meaning back',
    async (d) => {
      const backend = await openWasmBackend(build);
      const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: d, format: 'f32' });
      const r = random(d);
      const pages = Array.from({ length: 5 }, () => contents(r, d));
      pages[4]![3 * d + 3] = NaN;
      pages[4]![(PAGE + 7) * d] = NaN;
      pages[3]![5] = 1e9;
      pages[3]![(PAGE + 1) * d + 1] = -Infinity;
      const open = fresh(pool, 'f32', 5);
      for (const [i, page] of pages.entries()) pool.write(open.subarray(i, i + 1), f32Bytes(page));
      for (const format of QUANTISED) {
        const wanted = pages.map((page) => quantised(page, d, BITS[format]));
        const closed = fresh(pool, format, 5);
        expect(pool.pageBytes(format)).toBe(wanted[0]!.bytes.length);
        pool.convert(open, closed);
        expectSame(
          await pool.read(closed),
          Uint8Array.from(wanted.flatMap(({ bytes }) => [...bytes])),
          `${format} of ${d}`,
        );
        const back = fresh(pool, 'f32', 5);
        pool.convert(closed, back);
        const values = new Float32Array((await pool.read(back)).buffer);
        expectSame(values, Float32Array.from(wanted.flatMap(({ meant }) => [...meant])), `${format} of ${d} decoded`);
      }
      backend.destroy();
    },
  );

  test('every f16 there is, among finite ones and not', async () => {
    const wasm = await openWasm(build);
    const value = (bits: number): number => {
      const [sign, exponent, rest] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      if (exponent === 31) return rest ? NaN : sign * Infinity;
      return sign * (exponent === 0 ? rest * 2 ** -24 : (1 + rest / 1024) * 2 ** (exponent - 15));
    };
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const from = wasm.alloc(2 * all.length);
    const to = wasm.alloc(4 * all.length);
    wasm.bytes(from, 2 * all.length).set(new Uint8Array(all.buffer));
    for (const [start, end] of [
      [0, 65536],
      [0, 0x7c00],
      [0x7bf9, 0x7c04],
      [0x8000, 0xfc00],
      [0xfc00, 0xfc09],
    ] as const) {
      wasm.exports.widen(to, from + 2 * start, end - start);
      expectSame(
        wasm.f32(to, end - start),
        Float32Array.from(all.subarray(start, end), value),
        `f16 ${start} to ${end}`,
      );
    }
  });

  test('f16 and f32 into each other, and quantised from quantised', async () => {
    const backend = await openWasmBackend(build);
    const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: 64, format: 'f16' });
    const x = contents(random(3), 64);
    const [f32, f16, q8, q4, again] = (['f32', 'f16', 'q8', 'q4', 'f32'] as const).map((format) =>
      fresh(pool, format, 1),
    );
    pool.write(f32!, f32Bytes(x));
    pool.convert(f32!, f16!);
    expectSame(
      new Uint16Array((await pool.read(f16!)).buffer),
      Uint16Array.from(x, (v) => halfBits(half(v))),
      'f16',
    );
    pool.convert(f16!, q8!);
    const eight = quantised(x.map(half), 64, BITS.q8);
    expectSame(await pool.read(q8!), eight.bytes, 'q8 from f16');
    pool.convert(q8!, q4!);
    const four = quantised(Float32Array.from(eight.meant), 64, BITS.q4);
    expectSame(await pool.read(q4!), four.bytes, 'q4 from q8');
    pool.convert(q4!, again!);
    expectSame(new Float32Array((await pool.read(again!)).buffer), Float32Array.from(four.meant), 'f32 from q4');
    backend.destroy();
  });
});
