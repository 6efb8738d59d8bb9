/**
 * Products with F32, F16 and BF16 weights: f32 activations [count, cols], f32 sums.
 *
 * For one token the 16 sums of a tile stay in registers. More tokens are processed in chunks of 48: a panel of 256 k of
 * a tile, widened to f32 in scratch where it is not f32 already (16 KiB, which stay in L1), is multiplied with six
 * tokens at a time, with 12 sums of 4 rows in registers (on plain SIMD builds with three, and 6 sums).
 *
 *   scratch: f32 [row group 0..3][token of the chunk][4 rows] | f32 [256][16 rows]
 */
import { FORMAT_BF16, FORMAT_F16, FORMAT_F32, TILE, tileBytes } from './layout';
import { f16 } from './decode';
import { multiplyAdd } from './dot';
import { halfMask, halfPower, halvesBy, unknownZero } from './vectors';
import { writeSums, writeToken } from './gemm';

export const TOKENS: usize = 48;
const PANEL: usize = 256;
const PANEL_AT: usize = TOKENS * 64;
export const FLOAT_SCRATCH: usize = PANEL_AT + PANEL * 64;

@inline
function valueBytes(format: i32): usize {
  return format == FORMAT_F32 ? 4 : 2;
}

/** Loads the values of four rows at one k. `mask` and `power` are as for `halvesBy`. */
@inline
function values(format: i32, at: usize, mask: v128, power: v128): v128 {
  if (format == FORMAT_F32) return v128.load(at);
  if (format == FORMAT_BF16) return i32x4.shl(v128.load16x4_u(at), 16);
  return halvesBy(at, mask, power);
}

@inline
function tileVector(format: i32, sums: usize, tile: usize, x: usize, cols: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const zero = unknownZero();
  const mask = halfMask(zero);
  const power = halfPower(zero);
  const step = 4 * valueBytes(format);
  for (const end = x + cols * 4; x < end; x += 4, tile += 4 * step) {
    const k = v128.load32_splat(x);
    s0 = multiplyAdd(values(format, tile, mask, power), k, s0);
    s1 = multiplyAdd(values(format, tile + step, mask, power), k, s1);
    s2 = multiplyAdd(values(format, tile + 2 * step, mask, power), k, s2);
    s3 = multiplyAdd(values(format, tile + 3 * step, mask, power), k, s3);
  }
  v128.store(sums, s0);
  v128.store(sums, s1, 16);
  v128.store(sums, s2, 32);
  v128.store(sums, s3, 48);
}

function tileF32(sums: usize, tile: usize, x: usize, cols: usize): void { tileVector(FORMAT_F32, sums, tile, x, cols); }
function tileF16(sums: usize, tile: usize, x: usize, cols: usize): void { tileVector(FORMAT_F16, sums, tile, x, cols); }
function tileBF16(sums: usize, tile: usize, x: usize, cols: usize): void {
  tileVector(FORMAT_BF16, sums, tile, x, cols);
}

@inline
function runTile(format: i32, sums: usize, tile: usize, x: usize, cols: usize): void {
  if (format == FORMAT_F32) tileF32(sums, tile, x, cols);
  else if (format == FORMAT_F16) tileF16(sums, tile, x, cols);
  else tileBF16(sums, tile, x, cols);
}

/** Converts `depth` k of 16 rows to f32. */
function widen(format: i32, to: usize, from: usize, depth: usize): void {
  const zero = unknownZero();
  const mask = halfMask(zero);
  const power = halfPower(zero);
  const end = to + depth * 64;
  if (format == FORMAT_F16) {
    for (; to < end; to += 16, from += 8) v128.store(to, values(FORMAT_F16, from, mask, power));
  } else {
    for (; to < end; to += 16, from += 8) v128.store(to, values(FORMAT_BF16, from, mask, power));
  }
}

/** `six` for three tokens, on plain SIMD builds: where a product needs a register of its own, twelve sums are too many. */
function three(
  sums: usize, next: usize, last: usize, w: usize, x0: usize, x1: usize, x2: usize, depth: usize,
): void {
  const t1 = sums + 16 * min<usize>(1, last);
  const t2 = sums + 16 * last;
  let a0 = v128.load(sums);
  let a1 = v128.load(t1);
  let a2 = v128.load(t2);
  let b0 = v128.load(sums + next);
  let b1 = v128.load(t1 + next);
  let b2 = v128.load(t2 + next);
  for (const end = w + depth * 64; w < end; w += 64, x0 += 4, x1 += 4, x2 += 4) {
    const wa = v128.load(w);
    const wb = v128.load(w, 16);
    let k = v128.load32_splat(x0);
    a0 = multiplyAdd(wa, k, a0);
    b0 = multiplyAdd(wb, k, b0);
    k = v128.load32_splat(x1);
    a1 = multiplyAdd(wa, k, a1);
    b1 = multiplyAdd(wb, k, b1);
    k = v128.load32_splat(x2);
    a2 = multiplyAdd(wa, k, a2);
    b2 = multiplyAdd(wb, k, b2);
  }
  v128.store(sums, a0);
  v128.store(t1, a1);
  v128.store(t2, a2);
  v128.store(sums + next, b0);
  v128.store(t1 + next, b1);
  v128.store(t2 + next, b2);
}

/**
 * Multiplies the tokens at x0 .. x5 (when there are fewer than six, the last repeats) with 8 rows over `depth` k.
 * `sums` belongs to row group v; the sums of row group v + 1 lie `next` bytes behind.
 */
function six(
  sums: usize, next: usize, last: usize, w: usize, x0: usize, x1: usize, x2: usize, x3: usize, x4: usize, x5: usize,
  depth: usize,
): void {
  if (!ASC_FEATURE_RELAXED_SIMD) {
    three(sums, next, min<usize>(2, last), w, x0, x1, x2, depth);
    if (last > 2) three(sums + 48, next, last - 3, w, x3, x4, x5, depth);
    return;
  }
  const t1 = sums + 16 * min<usize>(1, last);
  const t2 = sums + 16 * min<usize>(2, last);
  const t3 = sums + 16 * min<usize>(3, last);
  const t4 = sums + 16 * min<usize>(4, last);
  const t5 = sums + 16 * last;
  let a0 = v128.load(sums);
  let a1 = v128.load(t1);
  let a2 = v128.load(t2);
  let a3 = v128.load(t3);
  let a4 = v128.load(t4);
  let a5 = v128.load(t5);
  let b0 = v128.load(sums + next);
  let b1 = v128.load(t1 + next);
  let b2 = v128.load(t2 + next);
  let b3 = v128.load(t3 + next);
  let b4 = v128.load(t4 + next);
  let b5 = v128.load(t5 + next);
  for (const end = w + depth * 64; w < end; w += 64, x0 += 4, x1 += 4, x2 += 4, x3 += 4, x4 += 4, x5 += 4) {
    const wa = v128.load(w);
    const wb = v128.load(w, 16);
    let k = v128.load32_splat(x0);
    a0 = multiplyAdd(wa, k, a0);
    b0 = multiplyAdd(wb, k, b0);
    k = v128.load32_splat(x1);
    a1 = multiplyAdd(wa, k, a1);
    b1 = multiplyAdd(wb, k, b1);
    k = v128.load32_splat(x2);
    a2 = multiplyAdd(wa, k, a2);
    b2 = multiplyAdd(wb, k, b2);
    k = v128.load32_splat(x3);
    a3 = multiplyAdd(wa, k, a3);
    b3 = multiplyAdd(wb, k, b3);
    k = v128.load32_splat(x4);
    a4 = multiplyAdd(wa, k, a4);
    b4 = multiplyAdd(wb, k, b4);
    k = v128.load32_splat(x5);
    a5 = multiplyAdd(wa, k, a5);
    b5 = multiplyAdd(wb, k, b5);
  }
  v128.store(sums, a0);
  v128.store(t1, a1);
  v128.store(t2, a2);
  v128.store(t3, a3);
  v128.store(t4, a4);
  v128.store(t5, a5);
  v128.store(sums + next, b0);
  v128.store(t1 + next, b1);
  v128.store(t2 + next, b2);
  v128.store(t3 + next, b3);
  v128.store(t4 + next, b4);
  v128.store(t5 + next, b5);
}

function vectorProduct(
  out: usize, x: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize, cols: usize, scratch: usize,
): void {
  const stride = tileBytes(format, cols);
  for (let row = rowStart; row < rowEnd; row += TILE) {
    const tile = weight + (row / TILE) * stride;
    if (row + TILE <= rowEnd) runTile(format, out + row * 4, tile, x, cols);
    else {
      runTile(format, scratch, tile, x, cols);
      writeSums(out + row * 4, 0, scratch, 1, rowEnd - row);
    }
  }
}

function matrixProduct(
  out: usize, outStride: usize, x: usize, weight: usize, format: i32,
  rowStart: usize, rowEnd: usize, cols: usize, count: usize, scratch: usize,
): void {
  const stride = tileBytes(format, cols);
  const kBytes = TILE * valueBytes(format);
  for (let first: usize = 0; first < count; first += TOKENS) {
    const tokens = min<usize>(TOKENS, count - first);
    for (let row = rowStart; row < rowEnd; row += TILE) {
      memory.fill(scratch, 0, tokens * 64);
      const tile = weight + (row / TILE) * stride;
      for (let k: usize = 0; k < cols; k += PANEL) {
        const depth = min<usize>(PANEL, cols - k);
        let panel = tile + k * kBytes;
        if (format != FORMAT_F32) {
          widen(format, scratch + PANEL_AT, panel, depth);
          panel = scratch + PANEL_AT;
        }
        for (let t: usize = 0; t < tokens; t += 6) {
          const last = min<usize>(5, tokens - t - 1);
          const x0 = x + ((first + t) * cols + k) * 4;
          const x1 = x0 + cols * 4 * min<usize>(1, last);
          const x2 = x0 + cols * 4 * min<usize>(2, last);
          const x3 = x0 + cols * 4 * min<usize>(3, last);
          const x4 = x0 + cols * 4 * min<usize>(4, last);
          const x5 = x0 + cols * 4 * last;
          six(scratch + t * 16, tokens * 16, last, panel, x0, x1, x2, x3, x4, x5, depth);
          if (row + 8 < rowEnd) {
            six(scratch + (2 * tokens + t) * 16, tokens * 16, last, panel + 32, x0, x1, x2, x3, x4, x5, depth);
          }
        }
      }
      writeSums(out + (first * outStride + row) * 4, outStride, scratch, tokens, min<usize>(TILE, rowEnd - row));
    }
  }
}

@inline
function placeOf(places: usize, token: usize): usize {
  return <usize>load<u32>(places + token * 4);
}

/**
 * As `matrixProduct`, for at most TOKENS tokens whose k consist of `taps` pieces of `depth` values, each at an address
 * of its own: u32 places [taps][count]. The result of token t goes to outs[t] + 4 row; u32 outs [count].
 */
function tapsMatrix(
  outs: usize, places: usize, taps: usize, depth: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize,
  count: usize, scratch: usize,
): void {
  const stride = tileBytes(format, taps * depth);
  const kBytes = TILE * valueBytes(format);
  for (let row = rowStart; row < rowEnd; row += TILE) {
    memory.fill(scratch, 0, count * 64);
    let panel = weight + (row / TILE) * stride;
    for (let tap: usize = 0; tap < taps; tap++) {
      for (let k: usize = 0; k < depth; k += PANEL) {
        const piece = min<usize>(PANEL, depth - k);
        let w = panel;
        if (format != FORMAT_F32) {
          w = scratch + PANEL_AT;
          widen(format, w, panel, piece);
        }
        panel += piece * kBytes;
        const places6 = places + tap * count * 4;
        for (let t: usize = 0; t < count; t += 6) {
          const last = min<usize>(5, count - t - 1);
          const x0 = placeOf(places6, t) + k * 4;
          const x1 = placeOf(places6, t + min<usize>(1, last)) + k * 4;
          const x2 = placeOf(places6, t + min<usize>(2, last)) + k * 4;
          const x3 = placeOf(places6, t + min<usize>(3, last)) + k * 4;
          const x4 = placeOf(places6, t + min<usize>(4, last)) + k * 4;
          const x5 = placeOf(places6, t + last) + k * 4;
          six(scratch + t * 16, count * 16, last, w, x0, x1, x2, x3, x4, x5, piece);
          if (row + 8 < rowEnd) {
            six(scratch + (2 * count + t) * 16, count * 16, last, w + 32, x0, x1, x2, x3, x4, x5, piece);
          }
        }
      }
    }
    for (let t: usize = 0; t < count; t++) {
      writeToken(placeOf(outs, t) + row * 4, scratch + t * 16, count * 16, min<usize>(TILE, rowEnd - row));
    }
  }
}

@inline
function value(format: i32, tile: usize, row: usize, k: usize): f32 {
  if (format == FORMAT_F32) return load<f32>(tile + k * 64 + row * 4);
  const bits = <u32>load<u16>(tile + k * 32 + row * 2);
  return format == FORMAT_F16 ? f16(bits) : reinterpret<f32>(bits << 16);
}

@inline
function scalar(
  format: i32, out: usize, outStride: usize, x: usize, weight: usize, rowStart: usize, rowEnd: usize, cols: usize,
  count: usize,
): void {
  const stride = tileBytes(format, cols);
  for (let t: usize = 0; t < count; t++) {
    for (let r = rowStart; r < rowEnd; r++) {
      const tile = weight + (r / TILE) * stride;
      let sum: f32 = 0;
      for (let k: usize = 0; k < cols; k++) sum += value(format, tile, r % TILE, k) * load<f32>(x + (t * cols + k) * 4);
      store<f32>(out + (t * outStride + r) * 4, sum);
    }
  }
}

@inline
function scalarTaps(
  format: i32, outs: usize, places: usize, taps: usize, depth: usize, weight: usize, rowStart: usize, rowEnd: usize,
  count: usize,
): void {
  const stride = tileBytes(format, taps * depth);
  for (let t: usize = 0; t < count; t++) {
    for (let r = rowStart; r < rowEnd; r++) {
      const tile = weight + (r / TILE) * stride;
      let sum: f32 = 0;
      for (let tap: usize = 0; tap < taps; tap++) {
        const x = placeOf(places, tap * count + t);
        for (let k: usize = 0; k < depth; k++) {
          sum += value(format, tile, r % TILE, tap * depth + k) * load<f32>(x + k * 4);
        }
      }
      store<f32>(placeOf(outs, t) + r * 4, sum);
    }
  }
}

/**
 * Multiplies F32, F16 and BF16 weights [rows, taps * depth] with at most TOKENS tokens whose pieces are not contiguous
 * (the pixels of a convolution): u32 addresses places [taps][count] and outs [count]. Row r of token t goes to outs[t]
 * + 4 r.
 */
export function floatTaps(
  outs: usize, places: usize, taps: usize, depth: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize,
  count: usize, scratch: usize,
): void {
  if (ASC_FEATURE_SIMD) {
    tapsMatrix(outs, places, taps, depth, weight, format, rowStart, rowEnd, count, scratch);
    return;
  }
  switch (format) {
    case FORMAT_F32: return scalarTaps(FORMAT_F32, outs, places, taps, depth, weight, rowStart, rowEnd, count);
    case FORMAT_F16: return scalarTaps(FORMAT_F16, outs, places, taps, depth, weight, rowStart, rowEnd, count);
    default: return scalarTaps(FORMAT_BF16, outs, places, taps, depth, weight, rowStart, rowEnd, count);
  }
}

export function floatProduct(
  out: usize, outStride: usize, x: usize, weight: usize, format: i32,
  rowStart: usize, rowEnd: usize, cols: usize, count: usize, scratch: usize,
): void {
  if (ASC_FEATURE_SIMD) {
    if (count == 1) vectorProduct(out, x, weight, format, rowStart, rowEnd, cols, scratch);
    else matrixProduct(out, outStride, x, weight, format, rowStart, rowEnd, cols, count, scratch);
    return;
  }
  switch (format) {
    case FORMAT_F32: return scalar(FORMAT_F32, out, outStride, x, weight, rowStart, rowEnd, cols, count);
    case FORMAT_F16: return scalar(FORMAT_F16, out, outStride, x, weight, rowStart, rowEnd, cols, count);
    default: return scalar(FORMAT_BF16, out, outStride, x, weight, rowStart, rowEnd, cols, count);
  }
}
