/**
 * KV pages in seven formats, naively: the truth of layout, quantiser and pool (the drawing is in `assembly/kv/layout.ts`).
 * Open pages (f32, f16) hold f64 whatever the format names, so that the suite's truth has no rounding of its own; `read`, `write` and
 * `convert` round as the format says. Closed pages hold exactly the values that their bytes stand for.
 */
import {
  KV_FORMATS,
  PAGE_TOKENS,
  pageFormat,
  pageIndex,
  pageNumber,
  type KvFormat,
  type KvPool,
  type KvSpec,
  type KvView,
} from '../../src/backend/backend.ts';
import * as checks from '../../src/backend/page-checks.ts';
import { halfToNumber } from './dequantise.ts';

const { abs, ceil, floor, fround, max, min } = Math;

const GROUP = 32;
const MOST_HALF = 65504;
/** Of a key and of a value. */
const BITS: Readonly<Record<KvFormat, readonly [number, number]>> = {
  f32: [32, 32],
  f16: [16, 16],
  q8: [8, 8],
  q4: [4, 4],
  q2: [2, 2],
  k8v4: [8, 4],
  k4v2: [4, 2],
};

/** All finite halves from 0 up, which is the order of their bits. */
const HALVES = Float64Array.from({ length: 0x7c00 }, (_, bits) => halfToNumber(bits));

/** Nearest half, ties to the even one, by comparing neighbours: bits. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = abs(value);
  let low = 0;
  let high = 0x7c00;
  // The largest half at or below the size.
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (HALVES[middle]! <= size) low = middle;
    else high = middle;
  }
  if (size === Infinity) return sign | 0x7c00;
  const below = HALVES[low]!;
  // Beyond the last one, the next would be 65536.
  const above = HALVES[low + 1] ?? 65536;
  if (size - below > above - size || (size - below === above - size && low % 2 === 1)) return sign | (low + 1);
  return sign | low;
}

const clamped = (value: number): number => numberToHalf(max(-MOST_HALF, min(MOST_HALF, value)));

/** Bytes of a page. */
export function pageSize(format: KvFormat, headDim: number): number {
  const [keys, values] = BITS[format].map((bits) => PAGE_TOKENS * ceil((headDim * bits) / 32) * 4) as [number, number];
  return format === 'f32' || format === 'f16'
    ? keys + values
    : keys + values + 4 * headDim + 4 * PAGE_TOKENS * ceil(headDim / GROUP);
}

/** Where a closed page's parts begin. */
function parts(
  format: KvFormat,
  headDim: number,
): { keyBits: number; valueScales: number; valueBits: number; rows: readonly [number, number]; groups: number } {
  const rows = BITS[format].map((bits) => ceil((headDim * bits) / 32) * 4) as [number, number];
  const groups = ceil(headDim / GROUP);
  const keyBits = 4 * headDim;
  const valueScales = keyBits + PAGE_TOKENS * rows[0];
  return { keyBits, valueScales, valueBits: valueScales + 4 * PAGE_TOKENS * groups, rows, groups };
}

/** A group of f32 values: f16 bits of scale and minimum, and a code for each. */
export function quantiseGroup(
  values: readonly number[],
  bits: number,
): { scale: number; minimum: number; codes: number[] } {
  if (values.some(Number.isNaN)) return { scale: 0x7e00, minimum: 0x7e00, codes: values.map(() => 0) };
  const least = values.reduce((a, b) => min(a, b));
  const most = values.reduce((a, b) => max(a, b));
  const steps = 2 ** bits - 1;
  const scale = most === least ? 0 : clamped(fround(fround(most - least) / steps));
  const minimum = clamped(least);
  const [s, m] = [halfToNumber(scale), halfToNumber(minimum)];
  const code = (x: number): number =>
    s === 0 ? 0 : max(0, min(steps, floor(fround(fround(fround(x - m) / s) + 0.5))));
  return { scale, minimum, codes: values.map(code) };
}

/** values [2, 32, headDim] (keys, then values) -> the page's bytes. */
export function encodePage(format: KvFormat, headDim: number, values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(pageSize(format, headDim));
  const view = new DataView(bytes.buffer);
  if (format === 'f32') values.forEach((v, i) => view.setFloat32(4 * i, v, true));
  else if (format === 'f16') values.forEach((v, i) => view.setUint16(2 * i, numberToHalf(fround(v)), true));
  else {
    const { keyBits, valueScales, valueBits, rows, groups } = parts(format, headDim);
    const at = (part: number, token: number, channel: number): number =>
      fround(values[(part * PAGE_TOKENS + token) * headDim + channel]!);
    const put = (part: 0 | 1, token: number, channel: number, code: number): void => {
      const bit = channel * BITS[format][part];
      bytes[(part === 0 ? keyBits : valueBits) + token * rows[part] + floor(bit / 8)]! |= code << (bit % 8);
    };
    for (let c = 0; c < headDim; c++) {
      const { scale, minimum, codes } = quantiseGroup(
        Array.from({ length: PAGE_TOKENS }, (_, t) => at(0, t, c)),
        BITS[format][0],
      );
      view.setUint16(4 * c, scale, true);
      view.setUint16(4 * c + 2, minimum, true);
      codes.forEach((code, t) => put(0, t, c, code));
    }
    for (let t = 0; t < PAGE_TOKENS; t++) {
      for (let g = 0; g < groups; g++) {
        const first = g * GROUP;
        const { scale, minimum, codes } = quantiseGroup(
          Array.from({ length: min(GROUP, headDim - first) }, (_, i) => at(1, t, first + i)),
          BITS[format][1],
        );
        view.setUint16(valueScales + 4 * (t * groups + g), scale, true);
        view.setUint16(valueScales + 4 * (t * groups + g) + 2, minimum, true);
        codes.forEach((code, i) => put(1, t, first + i, code));
      }
    }
  }
  return bytes;
}

/** The page's bytes -> [2, 32, headDim]. */
export function decodePage(format: KvFormat, headDim: number, bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const half = (at: number): number => halfToNumber(view.getUint16(at, true));
  const count = 2 * PAGE_TOKENS * headDim;
  if (format === 'f32') return Float64Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
  if (format === 'f16') return Float64Array.from({ length: count }, (_, i) => half(2 * i));
  const { keyBits, valueScales, valueBits, rows, groups } = parts(format, headDim);
  return Float64Array.from({ length: count }, (_, i) => {
    const c = i % headDim;
    const t = floor(i / headDim) % PAGE_TOKENS;
    const isValue = i >= PAGE_TOKENS * headDim;
    const scales = isValue ? valueScales + 4 * (t * groups + floor(c / GROUP)) : 4 * c;
    const [bits, row] = isValue ? [BITS[format][1], rows[1]] : [BITS[format][0], rows[0]];
    const bit = c * bits;
    const code = (bytes[(isValue ? valueBits : keyBits) + t * row + floor(bit / 8)]! >> (bit % 8)) & (2 ** bits - 1);
    return fround(half(scales + 2) + half(scales) * code);
  });
}

export class ReferencePool implements KvPool {
  readonly spec: KvSpec;
  /** Pages by format: keys, then values [2, 32, headDim]. Unwritten rows are NaN, so that reading one is seen. */
  readonly #data = Object.fromEntries(KV_FORMATS.map((format) => [format, []])) as unknown as Readonly<
    Record<KvFormat, Float64Array[]>
  >;
  /** Bytes of closed pages that were written: their values alone do not tell them, where a group does not use all of its codes. */
  readonly #bytes = new Map<number, Uint8Array>();
  readonly #freed: (pool: ReferencePool) => void;
  constructor(spec: KvSpec, freed: (pool: ReferencePool) => void) {
    checks.pool(spec);
    this.spec = spec;
    this.#freed = freed;
  }
  /** Of all pages that exist. */
  get bytes(): number {
    return KV_FORMATS.reduce((sum, format) => sum + this.pages(format) * this.pageBytes(format), 0);
  }
  pages(format: KvFormat = this.spec.format): number {
    return this.#data[format].length;
  }
  pageBytes(format: KvFormat = this.spec.format): number {
    return pageSize(format, this.spec.headDim);
  }
  reserve(pages: number, format: KvFormat = this.spec.format): void {
    checks.reserve(pages, format);
    const data = this.#data[format];
    while (data.length < pages) data.push(new Float64Array(2 * PAGE_TOKENS * this.spec.headDim).fill(NaN));
  }
  shrink(pages: number, format: KvFormat = this.spec.format): void {
    checks.shrink(this, pages, format);
    for (let index = pages; index < this.pages(format); index++) this.#bytes.delete(pageNumber(format, index));
    this.#data[format].length = pages;
  }
  copy(from: number, to: number): void {
    checks.copy(this, from, to);
    const source = this.#page(from);
    const target = this.#page(to);
    target.set(source);
    const bytes = this.#bytes.get(from);
    if (bytes) this.#bytes.set(to, bytes);
  }
  convert(from: Int32Array, to: Int32Array): void {
    checks.convert(this, from, to);
    const { headDim } = this.spec;
    const pairs = Array.from(from, (page, i) => [this.#page(page), this.#page(to[i]!), to[i]!] as const);
    for (const [source, target, page] of pairs) this.#put(page, target, encodePage(pageFormat(page), headDim, source));
  }
  async read(pages: Int32Array): Promise<Uint8Array> {
    checks.read(this, pages);
    const parts = Array.from(pages, (page) => {
      const values = this.#page(page);
      return this.#bytes.get(page) ?? encodePage(pageFormat(page), this.spec.headDim, values);
    });
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  }
  write(pages: Int32Array, bytes: Uint8Array): void {
    checks.write(this, pages, bytes);
    const targets = Array.from(pages, (page) => [this.#page(page), page] as const);
    let at = 0;
    for (const [target, page] of targets) {
      const size = this.pageBytes(pageFormat(page));
      this.#put(page, target, bytes.slice(at, at + size));
      at += size;
    }
  }
  free(): void {
    for (const format of KV_FORMATS) this.#data[format].length = 0;
    this.#freed(this);
  }

  /** The key (0) or value (1) row at `position`; undefined where there is no page. */
  find(kv: KvView, layer: number, head: number, position: number, which: 0 | 1): Float64Array | undefined {
    const page = kv.table[(layer * this.spec.kvHeads + head) * kv.blocks + floor(position / PAGE_TOKENS)]!;
    if (page < 0) return undefined;
    const data = this.#page(page);
    const at = (which * PAGE_TOKENS + (position % PAGE_TOKENS)) * this.spec.headDim;
    return data.subarray(at, at + this.spec.headDim);
  }

  /** The same, where the checks found that there is a page. */
  row(kv: KvView, layer: number, head: number, position: number, which: 0 | 1): Float64Array {
    return this.find(kv, layer, head, position, which)!;
  }

  #put(page: number, target: Float64Array, bytes: Uint8Array): void {
    const format = pageFormat(page);
    target.set(decodePage(format, this.spec.headDim, bytes));
    if (format !== 'f32' && format !== 'f16') this.#bytes.set(page, bytes);
  }

  #page(page: number): Float64Array {
    return this.#data[pageFormat(page)][pageIndex(page)]!;
  }
}
