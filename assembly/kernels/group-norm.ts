/**
 * Group norm (Wu & He 2018) of pictures [rows, channels]: moments over all bands of a picture, and the normalisation
 * that uses them. The moments of a tile are computed in two passes over rows that stay in cache, in f32 for each
 * channel; tiles are combined in f64 (Chan, Golub & LeVeque 1983).
 */
import {
  ACTIVATION_GELU, ACTIVATION_GELU_TANH, ACTIVATION_NONE, ACTIVATION_SILU, activate1, activate4, madd,
} from './math';
import { parallel } from './pool';
import { KERNEL_GROUP_NORM, KERNEL_MOMENTS } from './kernels';

/** Values of a tile of the moments: 128 KiB. */
const TILE_VALUES: usize = 32768;
/** Pixels of a tile of the normalisation. */
const PIXELS: usize = 32;

/**
 * | pool | out (f32 [groups][mean, 1 / deviation]) | bands: (address u32, rows u32)... | bandCount | channels |
 * | groups | epsilon: f32 | partials |
 * `partials` holds for each tile | values of a group: f64 | (mean: f64, sum of squares: f64) for each group |.
 */
@unmanaged
export class Moments {
  pool: usize;
  out: usize;
  bands: usize;
  bandCount: usize;
  channels: usize;
  groups: usize;
  epsilon: f32;
  partials: usize;
}

@inline
function tileRows(a: Moments): usize {
  return max<usize>(1, TILE_VALUES / a.channels);
}

function tiles(a: Moments): usize {
  let count: usize = 0;
  for (let i: usize = 0; i < a.bandCount; i++) {
    count += (<usize>load<u32>(a.bands + (i << 3), 4) + tileRows(a) - 1) / tileRows(a);
  }
  return count;
}

@inline
function partialBytes(a: Moments): usize {
  return 8 + (a.groups << 4);
}

/** Returns the bytes of `partials`. */
export function momentsPartialBytes(args: usize): usize {
  const a = changetype<Moments>(args);
  return tiles(a) * partialBytes(a);
}

/** Returns the scratch bytes that one thread needs. */
export function momentsScratchBytes(channels: usize): usize {
  return channels << 3;
}

/** Returns 0, or 1 when a worker was lost. */
export function moments(args: usize): u32 {
  const a = changetype<Moments>(args);
  const count = tiles(a);
  if (parallel(a.pool, KERNEL_MOMENTS, args, <u32>count) != 0) return 1;
  for (let group: usize = 0; group < a.groups; group++) {
    let n: f64 = 0;
    let mean: f64 = 0;
    let squares: f64 = 0;
    for (let tile: usize = 0; tile < count; tile++) {
      const at = a.partials + tile * partialBytes(a);
      const more = load<f64>(at);
      const gap = load<f64>(at + 8 + (group << 4)) - mean;
      const all = n + more;
      squares += load<f64>(at + 8 + (group << 4), 8) + gap * gap * (n * more / all);
      mean += gap * (more / all);
      n = all;
    }
    store<f32>(a.out + (group << 3), <f32>mean);
    store<f32>(a.out + (group << 3), <f32>(1 / Math.sqrt(squares / n + <f64>a.epsilon)), 4);
  }
  return 0;
}

export function momentsTile(a: Moments, tile: usize, scratch: usize): void {
  const partial = a.partials + tile * partialBytes(a);
  const step = tileRows(a);
  let band = a.bands;
  while (true) {
    const here = (<usize>load<u32>(band, 4) + step - 1) / step;
    if (tile < here) break;
    tile -= here;
    band += 8;
  }
  const rows = min<usize>(step, <usize>load<u32>(band, 4) - tile * step);
  const x = <usize>load<u32>(band) + ((tile * step * a.channels) << 2);
  const width = a.channels / a.groups;
  const n = <f64>(rows * width);
  const shifts = scratch + (a.channels << 2);
  store<f64>(partial, n);
  columnSums(scratch, x, rows, a.channels);
  for (let group: usize = 0; group < a.groups; group++) {
    const mean = sumOf(scratch + ((group * width) << 2), width) / n;
    store<f64>(partial + 8 + (group << 4), mean);
    for (let c = group * width; c < (group + 1) * width; c++) store<f32>(shifts + (c << 2), <f32>mean);
  }
  columnSquares(scratch, x, shifts, rows, a.channels);
  for (let group: usize = 0; group < a.groups; group++) {
    store<f64>(partial + 8 + (group << 4), sumOf(scratch + ((group * width) << 2), width), 8);
  }
}

function sumOf(x: usize, n: usize): f64 {
  let sum: f64 = 0;
  for (let i: usize = 0; i < n; i++) sum += <f64>load<f32>(x + (i << 2));
  return sum;
}

/** sums [channels] = the sum over the rows of x [rows, channels]. */
function columnSums(sums: usize, x: usize, rows: usize, channels: usize): void {
  const bytes = channels << 2;
  const end = x + rows * bytes;
  let c: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; c + 64 <= bytes; c += 64) {
      let p = f32x4.splat(0);
      let q = p;
      let r = p;
      let s = p;
      for (let at = x + c; at < end; at += bytes) {
        p = f32x4.add(p, v128.load(at));
        q = f32x4.add(q, v128.load(at, 16));
        r = f32x4.add(r, v128.load(at, 32));
        s = f32x4.add(s, v128.load(at, 48));
      }
      v128.store(sums + c, p);
      v128.store(sums + c, q, 16);
      v128.store(sums + c, r, 32);
      v128.store(sums + c, s, 48);
    }
    for (; c + 16 <= bytes; c += 16) {
      let p = f32x4.splat(0);
      for (let at = x + c; at < end; at += bytes) p = f32x4.add(p, v128.load(at));
      v128.store(sums + c, p);
    }
  }
  for (; c < bytes; c += 4) {
    let p: f64 = 0;
    for (let at = x + c; at < end; at += bytes) p += <f64>load<f32>(at);
    store<f32>(sums + c, <f32>p);
  }
}

/** sums [channels] = the sum over the rows of (x - shift)^2. */
function columnSquares(sums: usize, x: usize, shifts: usize, rows: usize, channels: usize): void {
  const bytes = channels << 2;
  const end = x + rows * bytes;
  let c: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; c + 32 <= bytes; c += 32) {
      const m = v128.load(shifts + c);
      const n = v128.load(shifts + c, 16);
      let p = f32x4.splat(0);
      let q = p;
      for (let at = x + c; at < end; at += bytes) {
        const u = f32x4.sub(v128.load(at), m);
        const v = f32x4.sub(v128.load(at, 16), n);
        p = madd(u, u, p);
        q = madd(v, v, q);
      }
      v128.store(sums + c, p);
      v128.store(sums + c, q, 16);
    }
    for (; c + 16 <= bytes; c += 16) {
      const m = v128.load(shifts + c);
      let p = f32x4.splat(0);
      for (let at = x + c; at < end; at += bytes) {
        const u = f32x4.sub(v128.load(at), m);
        p = madd(u, u, p);
      }
      v128.store(sums + c, p);
    }
  }
  for (; c < bytes; c += 4) {
    let p: f64 = 0;
    for (let at = x + c; at < end; at += bytes) {
      const u = <f64>(load<f32>(at) - load<f32>(shifts + c));
      p += u * u;
    }
    store<f32>(sums + c, <f32>p);
  }
}

/** Writes the f32 table [3][channels]: what is subtracted, the factor, and what is added. */
export function channelTable(
  table: usize, moments: usize, groups: usize, weight: usize, bias: usize, channels: usize,
): void {
  const width = channels / groups;
  for (let c: usize = 0; c < channels; c++) {
    const at = moments + ((c / width) << 3);
    store<f32>(table + (c << 2), load<f32>(at));
    store<f32>(table + ((channels + c) << 2), load<f32>(at, 4) * load<f32>(weight + (c << 2)));
    store<f32>(table + ((2 * channels + c) << 2), load<f32>(bias + (c << 2)));
  }
}

/** Normalises one pixel. `activation` is a constant at every call, so each activation gets a loop of its own. */
@inline
function normed(out: usize, x: usize, table: usize, channels: usize, activation: u32): void {
  const bytes = channels << 2;
  const scale = table + bytes;
  const shift = scale + bytes;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= bytes; i += 16) {
      const v = madd(f32x4.sub(v128.load(x + i), v128.load(table + i)), v128.load(scale + i), v128.load(shift + i));
      v128.store(out + i, activate4(activation, v));
    }
  }
  for (; i < bytes; i += 4) {
    store<f32>(
      out + i,
      activate1(activation, (load<f32>(x + i) - load<f32>(table + i)) * load<f32>(scale + i) + load<f32>(shift + i)),
    );
  }
}

export function normPixel(out: usize, x: usize, table: usize, channels: usize, activation: u32): void {
  if (activation == ACTIVATION_SILU) normed(out, x, table, channels, ACTIVATION_SILU);
  else if (activation == ACTIVATION_GELU) normed(out, x, table, channels, ACTIVATION_GELU);
  else if (activation == ACTIVATION_GELU_TANH) normed(out, x, table, channels, ACTIVATION_GELU_TANH);
  else normed(out, x, table, channels, ACTIVATION_NONE);
}

/**
 * | pool | out | x | pixels | channels | moments | groups | weight | bias | activation |
 * | table: memory for 3 channels of f32 |
 */
@unmanaged
export class GroupNorm {
  pool: usize;
  out: usize;
  x: usize;
  pixels: usize;
  channels: usize;
  moments: usize;
  groups: usize;
  weight: usize;
  bias: usize;
  activation: u32;
  table: usize;
}

export function groupNorm(args: usize): u32 {
  const a = changetype<GroupNorm>(args);
  channelTable(a.table, a.moments, a.groups, a.weight, a.bias, a.channels);
  return parallel(a.pool, KERNEL_GROUP_NORM, args, <u32>((a.pixels + PIXELS - 1) / PIXELS));
}

export function groupNormTile(a: GroupNorm, tile: usize): void {
  const bytes = a.channels << 2;
  const end = min<usize>((tile + 1) * PIXELS, a.pixels);
  for (let pixel = tile * PIXELS; pixel < end; pixel++) {
    normPixel(a.out + pixel * bytes, a.x + pixel * bytes, a.table, a.channels, a.activation);
  }
}
