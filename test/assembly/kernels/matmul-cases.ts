/**
 * Checks of the quantised matrix products that run on any build, in Node and in a browser: `checkFormat` throws where a result is off.
 * References are f64 loops over test/reference/dequantise.ts.
 */
import { WEIGHT_FORMATS, type WeightFormat } from '../../../src/backend/weight.ts';
import type { WasmExports } from '../../../src/wasm-exports.ts';
import { dequantise } from '../../reference/dequantise.ts';
import { quantise } from '../../support/quantise.ts';
import { random } from '../../support/random.ts';
import { expectNmse, expectSame, productTolerance } from '../../support/tolerance.ts';

export interface Engine {
  readonly memory: WebAssembly.Memory;
  readonly exports: WasmExports;
}

export const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

/** Where a block keeps its f16 numbers. */
const HALVES: Partial<Record<WeightFormat, number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

/** Where a block of a K format keeps its quants. */
const QUANTS_AT: Partial<Record<WeightFormat, [number, number]>> = {
  Q2_K: [16, 80],
  Q3_K: [0, 96],
  Q4_K: [16, 144],
  Q5_K: [16, 176],
  Q6_K: [0, 192],
};

/** Blocks of random bits in every field, with finite scales of both signs, some of them 0, subnormal or large. */
export function randomBlocks(format: WeightFormat, values: number, seed: number, extremes: boolean): Uint8Array {
  const r = random(seed);
  const { block, bytes } = WEIGHT_FORMATS[format];
  const out = new Uint8Array((values / block) * bytes);
  const view = new DataView(out.buffer);
  const halves = HALVES[format];
  if (!halves) return quantise(format, r.normals(values));
  for (let i = 0; i < out.length; i++) out[i] = r.integer(0, 256);
  for (let at = 0; at < out.length; at += bytes) {
    for (const field of halves) {
      const sign = r.integer(0, 2) << 15;
      const ordinary = (r.integer(10, 14) << 10) | r.integer(0, 1024);
      view.setUint16(
        at + field,
        sign | (extremes ? r.pick([0, 1, 3, 0x3ff, 0x400, 0x7bff, ordinary]) : ordinary),
        true,
      );
    }
    if (extremes && format === 'Q8_0') for (let i = 2; i < bytes; i++) out[at + i] = r.pick([128, 127, 129, 0, 1, 255]);
  }
  return out;
}

/** What activations become: int8 per 32 values, in f32 arithmetic. */
function roundActivations(x: Float32Array): Float64Array {
  const out = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += 32) {
    const block = x.subarray(at, at + 32);
    const scale = Math.fround(block.reduce((a, v) => Math.max(a, Math.abs(v)), 0) / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    block.forEach((v, i) => {
      const exact = Math.fround(v * inverse);
      const floor = Math.floor(exact);
      const q = exact - floor === 0.5 ? floor + (floor & 1) : Math.round(exact);
      out[at + i] = q * scale;
    });
  }
  return out;
}

function product(x: ArrayLike<number>, w: Float64Array, count: number, rows: number, cols: number): Float64Array {
  const out = new Float64Array(count * rows);
  for (let t = 0; t < count; t++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let k = 0; k < cols; k++) sum += x[t * cols + k]! * w[r * cols + k]!;
      out[t * rows + r] = sum;
    }
  }
  return out;
}

/** Packs a weight from its file bytes, in slabs of `slab` rows, from an unaligned address. */
export function pack(
  engine: Engine,
  format: WeightFormat,
  bytes: Uint8Array,
  rows: number,
  cols: number,
  slab = 32,
): number {
  const { exports, memory } = engine;
  const id = WEIGHT_FORMATS[format].ggml;
  const rowBytes = bytes.length / rows;
  const weight = exports.alloc(exports.packedBytes(id, rows, cols)) >>> 0;
  const staging = exports.alloc(slab * rowBytes + 1) >>> 0;
  for (let row = 0; row < rows; row += slab) {
    const take = Math.min(slab, rows - row);
    new Uint8Array(memory.buffer).set(bytes.subarray(row * rowBytes, (row + take) * rowBytes), staging + 1);
    exports.packRows(weight, staging + 1, id, row, take, rows, cols);
  }
  exports.release(staging);
  return weight;
}

export function multiply(
  engine: Engine,
  format: WeightFormat,
  weight: number,
  x: Float32Array,
  count: number,
  rows: number,
  cols: number,
  split = rows,
  streams = 0,
): Float32Array {
  const { exports, memory } = engine;
  const id = WEIGHT_FORMATS[format].ggml;
  const stride = rows + 3;
  const input = exports.alloc(x.byteLength) >>> 0;
  const output = exports.alloc(stride * count * 4) >>> 0;
  const scratch = exports.alloc(exports.matmulScratchBytes()) >>> 0;
  let activations = input;
  if (exports.usesInt8(id) === 1) activations = exports.alloc(exports.activationBytes(count + 5, cols)) >>> 0;
  new Float32Array(memory.buffer, input, x.length).set(x);
  const view = new Float32Array(memory.buffer, output, stride * count).fill(-77);
  if (activations !== input) {
    const middle = count >> 1;
    exports.quantiseActivationRows(activations, input, count, cols, middle, count);
    exports.quantiseActivationRows(activations, input, count, cols, 0, middle);
  }
  for (let row = 0; row < rows; row += split) {
    exports.matmul(
      output,
      stride,
      activations,
      weight,
      id,
      row,
      Math.min(rows, row + split),
      rows,
      cols,
      count,
      scratch,
      streams,
    );
  }
  const found = new Float32Array(count * rows);
  for (let t = 0; t < count; t++) {
    found.set(view.subarray(t * stride, t * stride + rows), t * rows);
    for (let gap = rows; gap < stride; gap++)
      if (view[t * stride + gap] !== -77)
        throw new Error(`${format}: a product wrote beyond row ${rows} of token ${t}`);
  }
  exports.release(scratch);
  exports.release(output);
  exports.release(input);
  if (activations !== input) exports.release(activations);
  return found;
}

const squares = (values: ArrayLike<number>): Float64Array => Float64Array.from(values, (v) => v * v);

/** What f32 sums may add: an error of at most 1e-5 of the root of the summed squares of the terms, over all values. */
function expectRounding(found: ArrayLike<number>, wanted: Float64Array, terms: Float64Array, what: string): void {
  const error = wanted.reduce((a, v, i) => a + (v - found[i]!) ** 2, 0);
  const power = terms.reduce((a, v) => a + v, 0);
  if (!(error <= 1e-10 * power))
    throw new Error(`${what}: error ${Math.sqrt(error / power)} of the terms, allowed 1e-5`);
}

/** Every shape of one format: decoded rows exactly, products against f64 with and without the activations' rounding. */
export function checkFormat(engine: Engine, format: WeightFormat, name: string, sevenBits = false): void {
  const { exports, memory } = engine;
  const id = WEIGHT_FORMATS[format].ggml;
  const { block } = WEIGHT_FORMATS[format];
  if (exports.relaxedDot() === 0) throw new Error('the relaxed dot is not usable here');
  if (sevenBits) exports.assumeRelaxedDot(3);
  const widths = block === 256 ? [256, 768] : block === 32 ? [32, 96, 160] : [1, 5, 33, 64];
  const shapes = widths.flatMap((cols) => [1, 15, 16, 17, 95].map((rows) => ({ rows, cols })));
  let seed = 1;
  for (const { rows, cols } of shapes) {
    for (const extremes of [false, true]) {
      const what = `${name} ${format} [${rows}, ${cols}]${extremes ? ' extremes' : ''}`;
      const bytes = randomBlocks(format, rows * cols, seed++, extremes);
      const truth = dequantise(format, bytes, rows * cols);
      const weight = pack(engine, format, bytes, rows, cols);
      const row = exports.alloc(cols * 4) >>> 0;
      for (let r = 0; r < rows; r++) {
        exports.decodeRow(row, weight, id, r, rows, cols);
        const found = new Float32Array(memory.buffer, row, cols);
        const wanted = truth.subarray(r * cols, (r + 1) * cols);
        if (exact(format)) expectSame(found, Float32Array.from(wanted), `${what} row ${r}`);
        else expectNmse(found, wanted, wanted.some((v) => v !== 0) ? 1e-12 : 0, `${what} row ${r}`);
      }
      exports.release(row);
      const counts =
        cols === widths[1] && rows === 17 ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 33, 64, 65, 128, 131] : [1, 3, 5];
      for (const count of counts) {
        const x = random(seed++).normals(count * cols);
        if (extremes) for (let i = 0; i < x.length; i++) x[i]! *= [1, 1e-3, 0, 100][(i >> 5) & 3]!;
        // One token is multiplied by up to four tiles of 16 rows side by side: ranges of 80 rows are four, one, and a ragged one.
        const split = count === 1 ? 80 : count % 2 === 0 ? 16 : 48;
        const found = multiply(engine, format, weight, x, count, rows, cols, split);
        const label = `${what}, ${count} tokens`;
        const wanted = product(x, truth, count, rows, cols);
        // a few values may cancel, and with extremes a few large scales make the whole error: int8's bound holds for ordinary data and many values
        if (!extremes && rows * count >= 48) expectNmse(found, wanted, productTolerance(format), label);
        const rounded = exports.usesInt8(id) === 1 ? roundActivations(x) : x;
        expectRounding(
          found,
          product(rounded, truth, count, rows, cols),
          product(squares(rounded), squares(truth), count, rows, cols),
          `${label}, rounded`,
        );
      }
      exports.release(weight);
    }
  }
  checkLargest(engine, format, name);
}

/**
 * Sums that are as large as they can be: all quants at their largest or least, all activations at their largest, of both
 * signs, for many tokens and for one, in 32 bits and in 16.
 */
function checkLargest(engine: Engine, format: WeightFormat, name: string): void {
  const halves = HALVES[format];
  if (!halves) return;
  const { block, bytes } = WEIGHT_FORMATS[format];
  const [rows, cols, count] = [17, 256, 7];
  const x = Float32Array.from({ length: count * cols }, (_, i) => ((i / cols) & 1 ? -1 : 1));
  for (const quants of format === 'Q8_0' ? [127, 128, 129] : [255, 0]) {
    const file = new Uint8Array(((rows * cols) / block) * bytes).fill(quants);
    for (let at = 0; at < file.length; at += bytes) {
      // Scales of K formats are bytes of their own.
      if (quants === 0) file.set(randomBlocks(format, block, 9, false), at);
      if (quants === 0) file.fill(0, at + (QUANTS_AT[format]?.[0] ?? 0), at + (QUANTS_AT[format]?.[1] ?? bytes));
      for (const field of halves) file.set([0, 0x2c], at + field);
    }
    const weight = pack(engine, format, file, rows, cols);
    const wanted = product(x, dequantise(format, file, rows * cols), count, rows, cols);
    const check = (what: string): void => {
      const found = multiply(engine, format, weight, x, count, rows, cols);
      expectNmse(found, wanted, 1e-12, `${name} ${format}, quants of ${quants}, ${what}`);
      const alone = multiply(engine, format, weight, x.subarray(0, cols), 1, rows, cols);
      expectSame(alone, found.subarray(0, rows), `${name} ${format}, quants of ${quants}, one token, ${what}`);
    };
    check('as found');
    engine.exports.assumeRelaxedDot(3);
    check('sums in 16 bits');
    engine.exports.relaxedDot();
    engine.exports.release(weight);
  }
}

/** Every row of a product has the same bits in any company: alone, among few and many, and at any place among them. */
export function checkCompany(engine: Engine, format: WeightFormat, sevenBits = false): void {
  const { exports } = engine;
  if (exports.relaxedDot() === 0) throw new Error('the relaxed dot is not usable here');
  if (sevenBits) exports.assumeRelaxedDot(3);
  const { block } = WEIGHT_FORMATS[format];
  const cols = block === 256 ? 768 : block === 32 ? 352 : 301;
  const rows = 37;
  const tokens = 135;
  const weight = pack(engine, format, randomBlocks(format, rows * cols, 5, false), rows, cols);
  const x = random(6).normals(tokens * cols);
  const all = multiply(engine, format, weight, x, tokens, rows, cols);
  const pieces = [1, 2, 3, 4, 5, 6, 7, 16, 47, 48, 49, 65, 66, 95, 96, 97, 130].flatMap((count) =>
    [0, 1, 64, 70, 134].filter((first) => first + count <= tokens).map((first) => ({ first, count })),
  );
  for (const { first, count } of pieces) {
    const found = multiply(engine, format, weight, x.slice(first * cols, (first + count) * cols), count, rows, cols, 16);
    expectSame(found, all.subarray(first * rows, (first + count) * rows), `${format}: tokens ${first} to ${first + count}`);
  }
  exports.release(weight);
  // Tokens one by one, with as many tiles side by side as the rows allow, and with fewer.
  const many = 85;
  const tall = pack(engine, format, randomBlocks(format, many * cols, 7, false), many, cols);
  const together = multiply(engine, format, tall, x, 3, many, cols);
  for (let t = 0; t < 3; t++) {
    const alone = multiply(engine, format, tall, x.slice(t * cols, (t + 1) * cols), 1, many, cols);
    expectSame(alone, together.subarray(t * many, (t + 1) * many), `${format}: token ${t} alone, ${many} rows`);
  }
  for (const streams of [1, 3]) {
    const alone = multiply(engine, format, tall, x.slice(0, cols), 1, many, cols, many, streams);
    expectSame(alone, together.subarray(0, many), `${format}: one token, ${streams} tiles side by side`);
  }
  // The sums in 16 bits of machines where the dot is safe for 0..127 only.
  exports.assumeRelaxedDot(3);
  const narrow = multiply(engine, format, tall, x, 3, many, cols);
  expectSame(narrow, together, `${format}: with sums in 16 bits`);
  const alone = multiply(engine, format, tall, x.slice(0, cols), 1, many, cols);
  expectSame(alone, together.subarray(0, many), `${format}: one token with sums in 16 bits`);
  exports.release(tall);
}

/** Formats whose values f32 holds exactly (others round in scale * Q + minimum). */
function exact(format: WeightFormat): boolean {
  return format === 'F32' || format === 'F16' || format === 'BF16';
}
