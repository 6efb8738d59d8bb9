/**
 * Convolution as products of gathered pixels; the whole im2col matrix is never made. A position (ky, kx) of the kernel
 * is called a tap. There are three methods, chosen by the weight's format and the number of channels:
 *
 *   blocks  int8 products, channels a multiple of 32: the picture is normalised and quantised once (a tile of pixels at
 *           a time), and the records of 64 output pixels are copied together as activations.ts draws them; a pixel in
 *           the padding is a record of zeros.
 *   taps    float products, in tiles of at most 8 x 6 output pixels: where there is a norm, the part of the picture
 *           that the tile reads is normalised into scratch, and the product reads the pixel of every tap in place.
 *   rows    all other cases (few channels, or not a multiple of 32): rows of kernel * kernel * channels values are
 *           gathered for up to 48 pixels.
 *
 * Upsampling is arithmetic on the coordinates. Tiles may also divide the weight's rows, where the pixels alone give too
 * few tiles for the threads.
 */
import { ACTIVATION_NONE } from './math';
import { channelTable, normPixel } from './group-norm';
import { finishRow } from './linear';
import {
  CHUNK, RECORD, TAPS_TOKENS, activationBytes, floatTaps, matmul, matmulScratchBytes, quantiseActivationRows, usesInt8,
} from './matmul';
import { parallel } from './pool';
import { KERNEL_CONV, KERNEL_CONV_PREPARE } from './kernels';

const BLOCKS: u32 = 0;
const TAPS: u32 = 1;
const ROWS: u32 = 2;

/** From this many channels on, float products read pixels in place. */
const TAP_CHANNELS: usize = 16;
/** Width in output pixels of a tile of the `taps` method. A tile has at most TAPS_TOKENS pixels. */
const TILE_WIDTH: usize = 8;
/** Pixels of a tile of the preparation. */
const PIXELS: usize = 16;
/** Least number of weight rows in a tile. */
const LEAST_ROWS: usize = 64;

/**
 * | pool | out | x | weight | format | rows | channels | height | width | kernel | stride | top | left |
 * | upsample: 0 or 1 | outHeight | outWidth | bias | activation | residual | threads | prepared: convPreparedBytes |
 * | moments (0: no norm) | groups | normWeight | normBias | normActivation | table |
 * `table` is memory for 3 channels of f32. Bias and residual are 0 for none.
 */
@unmanaged
export class Conv {
  pool: usize;
  out: usize;
  x: usize;
  weight: usize;
  format: i32;
  rows: usize;
  channels: usize;
  height: i32;
  width: i32;
  kernel: i32;
  stride: i32;
  top: i32;
  left: i32;
  upsample: i32;
  outHeight: i32;
  outWidth: i32;
  bias: usize;
  activation: u32;
  residual: usize;
  threads: usize;
  prepared: usize;
  moments: usize;
  groups: usize;
  normWeight: usize;
  normBias: usize;
  normActivation: u32;
  table: usize;
}

@inline
function way(a: Conv): u32 {
  if (usesInt8(a.format) != 0) return (a.channels & 31) == 0 ? BLOCKS : ROWS;
  return a.channels >= TAP_CHANNELS ? TAPS : ROWS;
}

@inline
function cols(a: Conv): usize {
  return <usize>(a.kernel * a.kernel) * a.channels;
}

@inline
function pixels(a: Conv): usize {
  return <usize>a.outHeight * <usize>a.outWidth;
}

/** Output pixels of a tile of the `taps` method, in each direction. */
@inline
function tileWidth(a: Conv): usize {
  return min<usize>(<usize>a.outWidth, max<usize>(TILE_WIDTH, TAPS_TOKENS / <usize>a.outHeight));
}
@inline
function tileHeight(a: Conv): usize {
  return min<usize>(<usize>a.outHeight, TAPS_TOKENS / tileWidth(a));
}

/** Returns the number of tiles of output pixels. */
function pixelTiles(a: Conv): usize {
  if (way(a) == TAPS) {
    return ((<usize>a.outWidth + tileWidth(a) - 1) / tileWidth(a)) *
      ((<usize>a.outHeight + tileHeight(a) - 1) / tileHeight(a));
  }
  return (pixels(a) + chunk(a) - 1) / chunk(a);
}

/** Returns the pixels of a tile of the other two methods. */
@inline
function chunk(a: Conv): usize {
  return way(a) == BLOCKS ? CHUNK : TAPS_TOKENS;
}

/** Returns the weight rows of a tile: all of them, unless there would be too few tiles for the threads. */
function tileRows(a: Conv): usize {
  const tiles = pixelTiles(a);
  const wanted = a.threads < 2 ? 1 : (4 * a.threads + tiles - 1) / tiles;
  return max<usize>(LEAST_ROWS, ((a.rows + wanted - 1) / wanted + 15) & ~(<usize>15));
}

/**
 * The range of source pixels that the outputs from `first` to `last` read along one axis: where it begins, and where it
 * ends (exclusive) within `length`. `before` is the padding before the picture.
 */
@inline
function sourceFrom(a: Conv, first: usize, before: i32): i32 {
  return max<i32>(0, <i32>first * a.stride - before) >> a.upsample;
}
@inline
function sourceTo(a: Conv, last: usize, before: i32, length: i32): i32 {
  return (min<i32>((length << a.upsample) - 1, <i32>last * a.stride - before + a.kernel - 1) >> a.upsample) + 1;
}

/** Returns the largest number of source pixels that n consecutive outputs can read along one axis. */
@inline
function reach(a: Conv, n: usize): usize {
  return ((((<i32>n - 1) * a.stride + a.kernel) >> a.upsample) + 2);
}

/** Returns the bytes of `prepared`: the quantised picture and a pixel of zeros, or the pixel of zeros only. */
export function convPreparedBytes(args: usize): usize {
  const a = changetype<Conv>(args);
  if (way(a) == BLOCKS) return activationBytes(<usize>a.height * <usize>a.width + 1, a.channels);
  return a.channels << 2;
}

@inline
function aligned(bytes: usize): usize {
  return (bytes + 63) & ~(<usize>63);
}

/** Returns the scratch bytes that one thread needs. */
export function convScratchBytes(args: usize): usize {
  const a = changetype<Conv>(args);
  const product = aligned(matmulScratchBytes());
  if (way(a) == BLOCKS) {
    return product + aligned(activationBytes(CHUNK, cols(a))) + aligned(CHUNK << 2) + (a.channels << 2);
  }
  if (way(a) == ROWS) {
    const row = cols(a) << 2;
    return product +
      (usesInt8(a.format) != 0 ? aligned(activationBytes(TAPS_TOKENS, cols(a))) + row : TAPS_TOKENS * row);
  }
  const patch = a.moments == 0 ? 0 : reach(a, tileHeight(a)) * reach(a, tileWidth(a)) * (a.channels << 2);
  return product + aligned(((<usize>(a.kernel * a.kernel) + 1) * TAPS_TOKENS) << 2) + patch;
}

/** Returns 0, or 1 when a worker was lost. */
export function conv2d(args: usize): u32 {
  const a = changetype<Conv>(args);
  if (a.moments != 0) channelTable(a.table, a.moments, a.groups, a.normWeight, a.normBias, a.channels);
  if (way(a) == BLOCKS) {
    const count = <usize>a.height * <usize>a.width;
    memory.fill(a.prepared + activationBytes(count, a.channels), 0, activationBytes(1, a.channels));
    if (parallel(a.pool, KERNEL_CONV_PREPARE, args, <u32>((count + PIXELS - 1) / PIXELS)) != 0) return 1;
  } else memory.fill(a.prepared, 0, a.channels << 2);
  return parallel(a.pool, KERNEL_CONV, args, <u32>(pixelTiles(a) * ((a.rows + tileRows(a) - 1) / tileRows(a))));
}

/** Normalises pixels, then quantises them; the records of one pixel are contiguous. */
export function convPrepareTile(a: Conv, tile: usize, scratch: usize): void {
  const end = min<usize>((tile + 1) * PIXELS, <usize>a.height * <usize>a.width);
  for (let pixel = tile * PIXELS; pixel < end; pixel++) {
    let x = a.x + ((pixel * a.channels) << 2);
    if (a.moments != 0) {
      normPixel(scratch, x, a.table, a.channels, a.normActivation);
      x = scratch;
    }
    quantiseActivationRows(a.prepared + activationBytes(pixel, a.channels), x, 1, a.channels, 0, 1);
  }
}

export function convTile(a: Conv, tile: usize, scratch: usize): void {
  const parts = (a.rows + tileRows(a) - 1) / tileRows(a);
  const start = (tile % parts) * tileRows(a);
  const end = min<usize>(start + tileRows(a), a.rows);
  tile /= parts;
  if (way(a) == TAPS) return tapsTile(a, tile, start, end, scratch);
  const first = tile * chunk(a);
  const count = min<usize>(chunk(a), pixels(a) - first);
  const other = scratch + aligned(matmulScratchBytes());
  const x = other;
  if (way(a) == BLOCKS) gatherBlocks(a, first, count, other, other + aligned(activationBytes(CHUNK, cols(a))));
  else gatherRows(a, first, count, other);
  const stride = a.rows << 2;
  matmul(a.out + first * stride, a.rows, x, a.weight, a.format, start, end, a.rows, cols(a), count, scratch, 0);
  for (let t = first; t < first + count; t++) finishPixel(a, a.out + t * stride, start, end);
}

@inline
function finishPixel(a: Conv, out: usize, start: usize, end: usize): void {
  if (a.bias == 0 && a.activation == ACTIVATION_NONE && a.residual == 0) return;
  const at = start << 2;
  finishRow(
    out + at, end - start, a.bias == 0 ? 0 : a.bias + at, a.activation, 1,
    a.residual == 0 ? 0 : a.residual + (out - a.out) + at,
  );
}

/** Returns the source pixel that tap (ky, kx) of output (oy, ox) reads, or -1 in the padding. */
@inline
function sourceOf(a: Conv, oy: i32, ox: i32, ky: i32, kx: i32): i32 {
  const y = oy * a.stride + ky - a.top;
  const x = ox * a.stride + kx - a.left;
  // A negative coordinate is a very large unsigned number, so one comparison checks both sides.
  if (<u32>y >= <u32>(a.height << a.upsample) || <u32>x >= <u32>(a.width << a.upsample)) return -1;
  return (y >> a.upsample) * a.width + (x >> a.upsample);
}

/**
 * Copies the records of `count` output pixels to `to`, as [block][pixel]; `places` is memory for one address a pixel.
 */
function gatherBlocks(a: Conv, first: usize, count: usize, to: usize, places: usize): void {
  const bytes = activationBytes(1, a.channels);
  const zeros = a.prepared + <usize>a.height * <usize>a.width * bytes;
  const oy0 = <i32>(first / <usize>a.outWidth);
  const ox0 = <i32>(first % <usize>a.outWidth);
  for (let ky = 0; ky < a.kernel; ky++) {
    for (let kx = 0; kx < a.kernel; kx++) {
      let oy = oy0;
      let ox = ox0;
      for (let t: usize = 0; t < count; t++) {
        const source = sourceOf(a, oy, ox, ky, kx);
        store<u32>(places + (t << 2), <u32>(source < 0 ? zeros : a.prepared + <usize>source * bytes));
        if (++ox == a.outWidth) {
          ox = 0;
          oy++;
        }
      }
      for (let block: usize = 0; block < bytes; block += RECORD) {
        for (let t: usize = 0; t < count; t++, to += RECORD) {
          copyRecord(to, <usize>load<u32>(places + (t << 2)) + block);
        }
      }
    }
  }
}

@inline
function copyRecord(to: usize, from: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    if (RECORD > 64) {
      v128.store(to, v128.load(from, 64), 64);
      v128.store(to, v128.load(from, 80), 80);
    }
  } else memory.copy(to, from, RECORD);
}

/**
 * Gathers the rows of `count` output pixels at `to`: f32 [count][cols], or for int8 products their records, for which
 * each row is first gathered behind the records.
 */
function gatherRows(a: Conv, first: usize, count: usize, to: usize): void {
  const bytes = a.channels << 2;
  const int8 = usesInt8(a.format) != 0;
  let row = int8 ? to + aligned(activationBytes(TAPS_TOKENS, cols(a))) : to;
  let oy = <i32>(first / <usize>a.outWidth);
  let ox = <i32>(first % <usize>a.outWidth);
  for (let t: usize = 0; t < count; t++) {
    let at = row;
    for (let ky = 0; ky < a.kernel; ky++) {
      for (let kx = 0; kx < a.kernel; kx++, at += bytes) {
        const source = sourceOf(a, oy, ox, ky, kx);
        if (source < 0) memory.fill(at, 0, bytes);
        else if (a.moments != 0) normPixel(at, a.x + <usize>source * bytes, a.table, a.channels, a.normActivation);
        else memory.copy(at, a.x + <usize>source * bytes, bytes);
      }
    }
    if (int8) quantiseActivationRows(to, row - ((t * cols(a)) << 2), count, cols(a), t, t + 1);
    else row += cols(a) << 2;
    if (++ox == a.outWidth) {
      ox = 0;
      oy++;
    }
  }
}

/**
 * Computes one tile of the `taps` method. Scratch behind that of the product: | addresses u32 [taps][count] | addresses
 * of the results u32 [count] | patch f32 [y][x][channels] |.
 */
function tapsTile(a: Conv, tile: usize, start: usize, end: usize, scratch: usize): void {
  const across = (<usize>a.outWidth + tileWidth(a) - 1) / tileWidth(a);
  const oy = (tile / across) * tileHeight(a);
  const ox = (tile % across) * tileWidth(a);
  const high = min<usize>(tileHeight(a), <usize>a.outHeight - oy);
  const wide = min<usize>(tileWidth(a), <usize>a.outWidth - ox);
  const count = high * wide;
  const taps = <usize>(a.kernel * a.kernel);
  const bytes = a.channels << 2;
  const places = scratch + aligned(matmulScratchBytes());
  const outs = places + ((taps * count) << 2);
  const patch = places + aligned(((taps + 1) * TAPS_TOKENS) << 2);

  let base = a.x;
  let line = <usize>a.width * bytes;
  let y0 = 0;
  let x0 = 0;
  if (a.moments != 0) {
    y0 = sourceFrom(a, oy, a.top);
    x0 = sourceFrom(a, ox, a.left);
    const y1 = sourceTo(a, oy + high - 1, a.top, a.height);
    const x1 = sourceTo(a, ox + wide - 1, a.left, a.width);
    base = patch;
    line = <usize>max<i32>(0, x1 - x0) * bytes;
    for (let y = y0; y < y1; y++) {
      let to = patch + <usize>(y - y0) * line;
      for (let x = x0; x < x1; x++, to += bytes) {
        normPixel(to, a.x + (<usize>y * <usize>a.width + <usize>x) * bytes, a.table, a.channels, a.normActivation);
      }
    }
  }

  for (let t: usize = 0; t < count; t++) {
    const y = <i32>(oy + t / wide);
    const x = <i32>(ox + t % wide);
    store<u32>(outs + (t << 2), <u32>(a.out + (((<usize>y * <usize>a.outWidth + <usize>x) * a.rows) << 2)));
    let place = places + (t << 2);
    for (let ky = 0; ky < a.kernel; ky++) {
      const sy = y * a.stride + ky - a.top;
      for (let kx = 0; kx < a.kernel; kx++, place += count << 2) {
        const sx = x * a.stride + kx - a.left;
        const inside = <u32>sy < <u32>(a.height << a.upsample) && <u32>sx < <u32>(a.width << a.upsample);
        const at = base + <usize>((sy >> a.upsample) - y0) * line + <usize>((sx >> a.upsample) - x0) * bytes;
        store<u32>(place, <u32>(inside ? at : a.prepared));
      }
    }
  }
  floatTaps(outs, places, taps, a.channels, a.weight, a.format, start, end, count, scratch);
  for (let t: usize = 0; t < count; t++) finishPixel(a, <usize>load<u32>(outs + (t << 2)), start, end);
}
