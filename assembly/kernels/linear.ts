/**
 * `linear`, `gatedMlp`, `norm` and `embed`: matrix products, fused with the operations before and after them while the
 * rows are still in cache.
 *
 * The preparation (tiles of PREPARE tokens) normalises rows and quantises them once for all weights. The product (tiles
 * of `tileRows` weight rows by up to BLOCK tokens, tokens innermost so that a tile of weights is read from memory once)
 * calls `matmul`, then adds bias, activation and residual in cache.
 */
import { ACTIVATION_NONE, ACTIVATION_TANH, activateRow } from './math';
import { NORM_NONE, normRow } from './norm';
import { activationBytes, decodeRow, matmul, matmulScratchBytes, quantiseActivationRows } from './matmul';
import { parallel } from './pool';
import { KERNEL_EMBED, KERNEL_GATED, KERNEL_NORM, KERNEL_PREPARE, KERNEL_PRODUCT } from './kernels';

/** Tokens of one product call. */
export const BLOCK: usize = 256;
/** Tokens of one tile of the row-wise kernels. */
const PREPARE: usize = 16;

/**
 * One weight of a concatenation. `bias` may be 0; `first` is the column of the result at which this weight's rows
 * begin.
 */
@unmanaged
export class Part {
  data: usize;
  format: i32;
  rows: usize;
  first: usize;
  bias: usize;
}

/**
 * | pool | out | outStride | x | cols | count | prepared | normalised | normKind | normWeight | normBias |
 * | epsilon: f32 | activation | residual (0: none; [count, outStride]) | parts: u32 | tileRows | scale: f32 |
 * | streams (see `matmul`) | Part ... |
 * `prepared` is memory of activationBytes, 0 when no weight is quantised. `normalised` is f32 [count, cols], 0 without
 * norm.
 */
@unmanaged
export class Linear {
  pool: usize;
  out: usize;
  outStride: usize;
  x: usize;
  cols: usize;
  count: usize;
  prepared: usize;
  normalised: usize;
  normKind: u32;
  normWeight: usize;
  normBias: usize;
  epsilon: f32;
  activation: u32;
  residual: usize;
  parts: u32;
  tileRows: usize;
  scale: f32;
  streams: usize;
}

@inline
function part(a: Linear, index: u32): Part {
  return changetype<Part>(changetype<usize>(a) + offsetof<Linear>() + index * offsetof<Part>());
}

@inline
function blocks(a: Linear): usize {
  return (a.count + BLOCK - 1) / BLOCK;
}

function prepare(a: Linear): u32 {
  if (a.normKind == NORM_NONE && a.prepared == 0) return 0;
  return parallel(a.pool, KERNEL_PREPARE, changetype<usize>(a), <u32>((a.count + PREPARE - 1) / PREPARE));
}

export function prepareTile(a: Linear, tile: usize): void {
  const start = tile * PREPARE;
  const end = min<usize>(start + PREPARE, a.count);
  const bytes = a.cols << 2;
  let x = a.x;
  if (a.normKind != NORM_NONE) {
    x = a.normalised;
    for (let t = start; t < end; t++) {
      normRow(x + t * bytes, a.x + t * bytes, a.normWeight, a.normBias, a.cols, a.normKind, a.epsilon);
    }
  }
  if (a.prepared == 0) return;
  const block = start / BLOCK;
  const first = block * BLOCK;
  quantiseActivationRows(
    a.prepared + activationBytes(first, a.cols), x + first * bytes, min<usize>(BLOCK, a.count - first), a.cols,
    start - first, end - first,
  );
}

/** Returns the address from which the product of `format` reads the activations of block `block`. */
@inline
function source(a: Linear, format: i32, block: usize): usize {
  const first = block * BLOCK;
  if (format == 0 || format == 1 || format == 30) {
    return (a.normKind == NORM_NONE ? a.x : a.normalised) + ((first * a.cols) << 2);
  }
  return a.prepared + activationBytes(first, a.cols);
}

function productTiles(a: Linear): u32 {
  let tiles: usize = 0;
  for (let i: u32 = 0; i < a.parts; i++) tiles += (part(a, i).rows + a.tileRows - 1) / a.tileRows;
  return <u32>(tiles * blocks(a));
}

/** out = x [count, cols] times the transposed concatenation of the parts. Returns 0, or 1 when a worker was lost. */
export function linear(args: usize): u32 {
  const a = changetype<Linear>(args);
  if (prepare(a) != 0) return 1;
  return parallel(a.pool, KERNEL_PRODUCT, args, productTiles(a));
}

export function productTile(a: Linear, tile: usize, scratch: usize): void {
  const perRow = blocks(a);
  const block = tile % perRow;
  let row = tile / perRow;
  let i: u32 = 0;
  let p = part(a, 0);
  while (true) {
    const tiles = (p.rows + a.tileRows - 1) / a.tileRows;
    if (row < tiles) break;
    row -= tiles;
    p = part(a, ++i);
  }
  const start = row * a.tileRows;
  const end = min<usize>(start + a.tileRows, p.rows);
  const token = block * BLOCK;
  const count = min<usize>(BLOCK, a.count - token);
  const stride = a.outStride << 2;
  const out = a.out + token * stride + (p.first << 2);
  matmul(
    out, a.outStride, source(a, p.format, block), p.data, p.format, start, end, p.rows, a.cols, count, scratch,
    a.streams,
  );
  if (p.bias == 0 && a.activation == ACTIVATION_NONE && a.scale == 1 && a.residual == 0) return;
  const bias: usize = p.bias == 0 ? 0 : p.bias + (start << 2);
  const residual: usize = a.residual == 0 ? 0 : a.residual + token * stride + ((p.first + start) << 2);
  for (let t: usize = 0; t < count; t++) {
    finishRow(
      out + t * stride + (start << 2), end - start, bias, a.activation, a.scale,
      residual == 0 ? <usize>0 : residual + t * stride,
    );
  }
}

/** y = act(y + bias) * scale + residual, each optional. The argument of tanh is divided by `scale`. */
export function finishRow(y: usize, n: usize, bias: usize, activation: u32, scale: f32, residual: usize): void {
  if (activation != ACTIVATION_NONE) {
    if (bias != 0 || activation == ACTIVATION_TANH) {
      addRow(y, n, bias, activation == ACTIVATION_TANH ? 1 / scale : 1, 0);
    }
    activateRow(y, y, n, activation);
    bias = 0;
  }
  if (bias != 0 || scale != 1 || residual != 0) addRow(y, n, bias, scale, residual);
}

/** y = (y + bias) * scale + residual, with bias and residual optional. */
function addRow(y: usize, n: usize, bias: usize, scale: f32, residual: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const scales = f32x4.splat(scale);
    for (; i + 4 <= n; i += 4) {
      const at = i << 2;
      let v = v128.load(y + at);
      if (bias != 0) v = f32x4.add(v, v128.load(bias + at));
      if (scale != 1) v = f32x4.mul(v, scales);
      if (residual != 0) v = f32x4.add(v, v128.load(residual + at));
      v128.store(y + at, v);
    }
  }
  for (; i < n; i++) {
    const at = i << 2;
    let v = load<f32>(y + at);
    if (bias != 0) v += load<f32>(bias + at);
    v *= scale;
    if (residual != 0) v += load<f32>(residual + at);
    store<f32>(y + at, v);
  }
}

/** out = act(x gate^T) * (x up^T): parts 0 and 1, both of `outStride` rows. Returns 0, or 1 when a worker was lost. */
export function gatedMlp(args: usize): u32 {
  const a = changetype<Linear>(args);
  if (prepare(a) != 0) return 1;
  return parallel(a.pool, KERNEL_GATED, args, <u32>(((part(a, 0).rows + a.tileRows - 1) / a.tileRows) * blocks(a)));
}

/** Returns the scratch bytes that one thread needs in `linear` and `gatedMlp`. */
export function linearScratchBytes(tileRows: usize, count: usize): usize {
  return ((matmulScratchBytes() + 63) & ~(<usize>63)) + ((tileRows * min<usize>(count, BLOCK)) << 2);
}

export function gatedTile(a: Linear, tile: usize, scratch: usize): void {
  const perRow = blocks(a);
  const block = tile % perRow;
  const start = (tile / perRow) * a.tileRows;
  const gate = part(a, 0);
  const up = part(a, 1);
  const end = min<usize>(start + a.tileRows, gate.rows);
  const width = end - start;
  const token = block * BLOCK;
  const count = min<usize>(BLOCK, a.count - token);
  const stride = a.outStride << 2;
  const out = a.out + token * stride;
  const other = scratch + ((matmulScratchBytes() + 63) & ~(<usize>63));
  matmul(
    out, a.outStride, source(a, gate.format, block), gate.data, gate.format, start, end, gate.rows, a.cols, count,
    scratch, a.streams,
  );
  // `matmul` writes row r of the weight to column r, so the address is moved back for the tile's first row to land at
  // `other`.
  matmul(
    other - (start << 2), width, source(a, up.format, block), up.data, up.format, start, end, up.rows, a.cols, count,
    scratch, a.streams,
  );
  for (let t: usize = 0; t < count; t++) {
    gateRow(out + t * stride + (start << 2), other + ((t * width) << 2), width, a.activation);
  }
}

/** g = act(g) * u */
function gateRow(g: usize, u: usize, n: usize, activation: u32): void {
  activateRow(g, g, n, activation);
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 4 <= n; i += 4) {
      const at = i << 2;
      v128.store(g + at, f32x4.mul(v128.load(g + at), v128.load(u + at)));
    }
  }
  for (; i < n; i++) store<f32>(g + (i << 2), load<f32>(g + (i << 2)) * load<f32>(u + (i << 2)));
}

/**
 * out [count, cols] = (norm(x) + residual) * scale. Uses the record of `linear`, of which it reads out, x, cols, count,
 * the norm, the residual and the scale.
 */
export function norm(args: usize): u32 {
  const a = changetype<Linear>(args);
  return parallel(a.pool, KERNEL_NORM, args, <u32>((a.count + PREPARE - 1) / PREPARE));
}

export function normTile(a: Linear, tile: usize): void {
  const end = min<usize>((tile + 1) * PREPARE, a.count);
  for (let t = tile * PREPARE; t < end; t++) {
    const at = (t * a.cols) << 2;
    normRow(a.out + at, a.x + at, a.normWeight, a.normBias, a.cols, a.normKind, a.epsilon);
    if (a.residual != 0 || a.scale != 1) {
      finishRow(a.out + at, a.cols, a.residual == 0 ? 0 : a.residual + at, ACTIVATION_NONE, a.scale, 0);
    }
  }
}

/**
 * out [count, cols] = scale * the rows of part 0 that the i32 ids at x name. An id outside the table gives NaN, which
 * the next `sample` detects.
 */
export function embed(args: usize): u32 {
  const a = changetype<Linear>(args);
  return parallel(a.pool, KERNEL_EMBED, args, <u32>((a.count + PREPARE - 1) / PREPARE));
}

export function embedTile(a: Linear, tile: usize): void {
  const table = part(a, 0);
  const end = min<usize>((tile + 1) * PREPARE, a.count);
  for (let t = tile * PREPARE; t < end; t++) {
    const out = a.out + ((t * a.cols) << 2);
    const id = load<u32>(a.x + (t << 2));
    if (<usize>id < table.rows) {
      decodeRow(out, table.data, table.format, id, table.rows, a.cols);
      if (a.scale != 1) finishRow(out, a.cols, 0, ACTIVATION_NONE, a.scale, 0);
    } else for (let c: usize = 0; c < a.cols; c++) store<f32>(out + (c << 2), NaN);
  }
}
