/**
 * Row-wise operations around the products of image models: taking rows, sums, adaptive layer norm, gates, and one step
 * of denoising.
 */
import { ACTIVATION_NONE, activateRow, exp1, exp4, madd } from './math';
import { layerScale, rowMean } from './norm';
import { parallel } from './pool';
import { KERNEL_ADD, KERNEL_DENOISE, KERNEL_GATED_ADD, KERNEL_MODULATE, KERNEL_TAKE } from './kernels';

/** Rows of a tile. */
const TILE: usize = 16;

/**
 * | pool | out | x | cols | count | other | otherStride | first | second | epsilon: f32 | weight | bias | activation |
 * Strides, `first` and `second` count f32 values.
 *
 *   take       other: i32 [count], rows of x, -1 for zeros
 *   add        other [count, cols], or one row for all when otherStride is 0; activation
 *   modulate   other: the modulation [count, otherStride], the shift at column `first`, the scale at `second`;
 *              weight and bias [cols], or 0
 *   gatedAdd   other: the modulation, the gate at column `first`; weight: y [count, cols];
 *              x may be 0
 */
@unmanaged
export class Rowwise {
  pool: usize;
  out: usize;
  x: usize;
  cols: usize;
  count: usize;
  other: usize;
  otherStride: usize;
  first: usize;
  second: usize;
  epsilon: f32;
  weight: usize;
  bias: usize;
  activation: u32;
}

@inline
function tiles(a: Rowwise): u32 {
  return <u32>((a.count + TILE - 1) / TILE);
}

/** Each operation returns 0, or 1 when a worker was lost. */
export function take(args: usize): u32 {
  const a = changetype<Rowwise>(args);
  return parallel(a.pool, KERNEL_TAKE, args, tiles(a));
}
export function add(args: usize): u32 {
  const a = changetype<Rowwise>(args);
  return parallel(a.pool, KERNEL_ADD, args, tiles(a));
}
export function modulate(args: usize): u32 {
  const a = changetype<Rowwise>(args);
  return parallel(a.pool, KERNEL_MODULATE, args, tiles(a));
}
export function gatedAdd(args: usize): u32 {
  const a = changetype<Rowwise>(args);
  return parallel(a.pool, KERNEL_GATED_ADD, args, tiles(a));
}

export function takeTile(a: Rowwise, tile: usize): void {
  const bytes = a.cols << 2;
  const end = min<usize>((tile + 1) * TILE, a.count);
  for (let t = tile * TILE; t < end; t++) {
    const row = load<i32>(a.other + (t << 2));
    if (row < 0) memory.fill(a.out + t * bytes, 0, bytes);
    else memory.copy(a.out + t * bytes, a.x + <usize>row * bytes, bytes);
  }
}

export function addTile(a: Rowwise, tile: usize): void {
  const bytes = a.cols << 2;
  const end = min<usize>((tile + 1) * TILE, a.count);
  for (let t = tile * TILE; t < end; t++) {
    const out = a.out + t * bytes;
    const x = a.x + t * bytes;
    const y = a.other + ((t * a.otherStride) << 2);
    let i: usize = 0;
    if (ASC_FEATURE_SIMD) {
      for (; i + 16 <= bytes; i += 16) {
        v128.store(out + i, f32x4.add(v128.load(x + i), v128.load(y + i)));
      }
    }
    for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(x + i) + load<f32>(y + i));
    if (a.activation != ACTIVATION_NONE) activateRow(out, out, a.cols, a.activation);
  }
}

export function modulateTile(a: Rowwise, tile: usize): void {
  const bytes = a.cols << 2;
  const end = min<usize>((tile + 1) * TILE, a.count);
  for (let t = tile * TILE; t < end; t++) {
    const out = a.out + t * bytes;
    const x = a.x + t * bytes;
    const row = a.other + ((t * a.otherStride) << 2);
    const shift = row + (a.first << 2);
    const scale = row + (a.second << 2);
    const mean = rowMean(x, a.cols);
    const factor = layerScale(x, a.cols, mean, a.epsilon);
    let i: usize = 0;
    if (ASC_FEATURE_SIMD) {
      const m = f32x4.splat(mean);
      const f = f32x4.splat(factor);
      const one = f32x4.splat(1);
      for (; i + 16 <= bytes; i += 16) {
        let v = f32x4.mul(f32x4.sub(v128.load(x + i), m), f);
        if (a.weight != 0) v = madd(v, v128.load(a.weight + i), v128.load(a.bias + i));
        v128.store(out + i, madd(v, f32x4.add(one, v128.load(scale + i)), v128.load(shift + i)));
      }
    }
    for (; i < bytes; i += 4) {
      let v: f32 = (load<f32>(x + i) - mean) * factor;
      if (a.weight != 0) v = v * load<f32>(a.weight + i) + load<f32>(a.bias + i);
      store<f32>(out + i, v * (1 + load<f32>(scale + i)) + load<f32>(shift + i));
    }
  }
}

export function gatedAddTile(a: Rowwise, tile: usize): void {
  const bytes = a.cols << 2;
  const end = min<usize>((tile + 1) * TILE, a.count);
  for (let t = tile * TILE; t < end; t++) {
    const out = a.out + t * bytes;
    const y = a.weight + t * bytes;
    const gate = a.other + ((t * a.otherStride + a.first) << 2);
    // Without x, -0: a sum with it is the other summand, whatever its sign.
    if (a.x == 0) for (let i: usize = 0; i < bytes; i += 4) store<f32>(out + i, -0.0);
    else memory.copy(out, a.x + t * bytes, bytes);
    let i: usize = 0;
    if (ASC_FEATURE_SIMD) {
      for (; i + 16 <= bytes; i += 16) {
        v128.store(out + i, madd(v128.load(y + i), v128.load(gate + i), v128.load(out + i)));
      }
    }
    for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(out + i) + load<f32>(y + i) * load<f32>(gate + i));
  }
}

/**
 * | pool | out | x | cols | count | predicted | noise | guided | velocity | guidance: f32 | alpha | sigma | x0FromX |
 * | x0FromEps | meanFromX0 | meanFromX | lowLogVariance | highLogVariance | noiseScale: f32 |
 * x, noise and out are [count, cols]; predicted is [count, or 2 count when `guided`; 2 cols]. With `velocity` the model
 * predicts v instead of eps.
 */
@unmanaged
export class Denoise {
  pool: usize;
  out: usize;
  x: usize;
  cols: usize;
  count: usize;
  predicted: usize;
  noise: usize;
  guided: u32;
  velocity: u32;
  guidance: f32;
  alpha: f32;
  sigma: f32;
  x0FromX: f32;
  x0FromEps: f32;
  meanFromX0: f32;
  meanFromX: f32;
  lowLogVariance: f32;
  highLogVariance: f32;
  noiseScale: f32;
}

export function denoise(args: usize): u32 {
  const a = changetype<Denoise>(args);
  return parallel(a.pool, KERNEL_DENOISE, args, <u32>((a.count + TILE - 1) / TILE));
}

export function denoiseTile(a: Denoise, tile: usize): void {
  const bytes = a.cols << 2;
  const end = min<usize>((tile + 1) * TILE, a.count);
  const middle: f32 = (a.highLogVariance + a.lowLogVariance) / 4;
  const half: f32 = (a.highLogVariance - a.lowLogVariance) / 4;
  for (let t = tile * TILE; t < end; t++) {
    const out = a.out + t * bytes;
    const x = a.x + t * bytes;
    const noise = a.noise + t * bytes;
    const conditional = a.predicted + t * 2 * bytes;
    const unconditional = conditional + a.count * 2 * bytes;
    let i: usize = 0;
    if (ASC_FEATURE_SIMD) {
      for (; i + 16 <= bytes; i += 16) {
        const value = v128.load(x + i);
        let eps = v128.load(conditional + i);
        if (a.guided != 0) {
          const free = v128.load(unconditional + i);
          eps = madd(f32x4.splat(a.guidance), f32x4.sub(eps, free), free);
        }
        if (a.velocity != 0) eps = madd(f32x4.splat(a.sigma), value, f32x4.mul(f32x4.splat(a.alpha), eps));
        const clean = f32x4.sub(f32x4.mul(f32x4.splat(a.x0FromX), value), f32x4.mul(f32x4.splat(a.x0FromEps), eps));
        const mean = madd(f32x4.splat(a.meanFromX0), clean, f32x4.mul(f32x4.splat(a.meanFromX), value));
        const deviation = exp4(madd(v128.load(conditional + bytes + i), f32x4.splat(half), f32x4.splat(middle)));
        v128.store(out + i, madd(f32x4.mul(v128.load(noise + i), f32x4.splat(a.noiseScale)), deviation, mean));
      }
    }
    for (; i < bytes; i += 4) {
      const value = load<f32>(x + i);
      let eps = load<f32>(conditional + i);
      if (a.guided != 0) {
        const free = load<f32>(unconditional + i);
        eps = free + a.guidance * (eps - free);
      }
      if (a.velocity != 0) eps = a.sigma * value + a.alpha * eps;
      const mean: f32 = a.meanFromX0 * (a.x0FromX * value - a.x0FromEps * eps) + a.meanFromX * value;
      const deviation = exp1(load<f32>(conditional + bytes + i) * half + middle);
      store<f32>(out + i, load<f32>(noise + i) * a.noiseScale * deviation + mean);
    }
  }
}
