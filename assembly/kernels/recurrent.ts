/**
 * Layers that carry a state from token to token: a causal depthwise convolution over a few tokens, and the gated delta rule (Yang et al. 2025).
 *
 * The delta rule runs token by token in every call, however long: a column of a head's state depends on no other, so that a tile, STRIP columns of a
 * head, stays in the cache while all tokens pass, and the additions have one order for any division of a prompt. What a token needs of a column is
 * read in one pass (k S and q S), and the state is written in a second: with w = beta (v - decay k S), o = decay q S + (q k) w.
 */
import { activateRow, ACTIVATION_NONE, ACTIVATION_SILU, exp1, lanes, madd } from './math';
import { NORM_RMS, normRow } from './norm';
import { parallel } from './pool';
import { KERNEL_DELTA, KERNEL_DELTA_GATES, KERNEL_DELTA_NORM, KERNEL_SHORT_CONV } from './kernels';

/** Tokens of a tile. */
const TOKENS: usize = 16;
/** Columns of a state in a tile. */
const STRIP: usize = 16;
/** Numbers of a token and value head: decay, beta, 1 / |k|, 1 / (|q| sqrt(keyDim)), q k. */
const GATES: usize = 5;
const LENGTH_EPSILON: f32 = 1e-6;

/**
 * | pool | out | x | stride | channels | count | taps | weight | state | after | gated: u32 | activation: u32 |
 * x: rows of `stride` values. `weight` [taps, channels]; `state` (0: zeros) and `after` [taps - 1, channels].
 */
@unmanaged
export class ShortConv {
  pool: usize;
  out: usize;
  x: usize;
  stride: usize;
  channels: usize;
  count: usize;
  taps: usize;
  weight: usize;
  state: usize;
  after: usize;
  gated: u32;
  activation: u32;
}

/** 0, or 1 when a worker was lost. The last tile is the state's. */
export function shortConv(args: usize): u32 {
  const a = changetype<ShortConv>(args);
  return parallel(a.pool, KERNEL_SHORT_CONV, args, <u32>((a.count + TOKENS - 1) / TOKENS + 1));
}

/** out += u * w for `bytes` of values; u is multiplied by b unless that is 0, and w is 1 where it is 0. */
function addProduct(out: usize, u: usize, b: usize, w: usize, bytes: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= bytes; i += 16) {
      let v = v128.load(u + i);
      if (b != 0) v = f32x4.mul(v, v128.load(b + i));
      v128.store(out + i, w == 0 ? v : madd(v, v128.load(w + i), v128.load(out + i)));
    }
  }
  for (; i < bytes; i += 4) {
    let v = load<f32>(u + i);
    if (b != 0) v *= load<f32>(b + i);
    store<f32>(out + i, w == 0 ? v : v * load<f32>(w + i) + load<f32>(out + i));
  }
}

/** Adds what token `t` (from -(taps - 1) on) was, times w. */
function addToken(a: ShortConv, out: usize, t: isize, w: usize): void {
  const bytes = a.channels << 2;
  if (t < 0) {
    if (a.state != 0) addProduct(out, a.state + (a.taps - 1 + <usize>t) * bytes, 0, w, bytes);
    return;
  }
  const row = a.x + ((<usize>t * a.stride) << 2);
  if (a.gated != 0) addProduct(out, row + 2 * bytes, row, w, bytes);
  else addProduct(out, row, 0, w, bytes);
}

export function shortConvTile(a: ShortConv, tile: usize): void {
  const bytes = a.channels << 2;
  const start = tile * TOKENS;
  if (start >= a.count) {
    memory.fill(a.after, 0, (a.taps - 1) * bytes);
    for (let k: usize = 0; k + 1 < a.taps; k++) addToken(a, a.after + k * bytes, <isize>(a.count + k + 1) - <isize>a.taps, 0);
    return;
  }
  const end = min<usize>(start + TOKENS, a.count);
  for (let t = start; t < end; t++) {
    const out = a.out + t * bytes;
    memory.fill(out, 0, bytes);
    for (let k: usize = 0; k < a.taps; k++) addToken(a, out, <isize>(t + k + 1) - <isize>a.taps, a.weight + k * bytes);
    if (a.activation != ACTIVATION_NONE) activateRow(out, out, a.channels, a.activation);
    if (a.gated != 0) multiply(out, a.x + ((t * a.stride + a.channels) << 2), bytes);
  }
}

/** out *= x for `bytes` of values. */
function multiply(out: usize, x: usize, bytes: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= bytes; i += 16) v128.store(out + i, f32x4.mul(v128.load(out + i), v128.load(x + i)));
  }
  for (; i < bytes; i += 4) store<f32>(out + i, load<f32>(out + i) * load<f32>(x + i));
}

/**
 * | pool | out | qkv | qkvStride | rest | restStride | count | keyHeads | valueHeads | keyDim | valueDim | tiled: u32 | decay | timeBias | norm | epsilon: f32 |
 * | state | after | gates |
 * `qkv` and `rest` have rows of so many values: q, k, v; z, b, a. `state` (0: zeros) and `after` [valueHeads, keyDim, valueDim]. `gates`: room for
 * [count, valueHeads, GATES].
 */
@unmanaged
export class Delta {
  pool: usize;
  out: usize;
  qkv: usize;
  qkvStride: usize;
  rest: usize;
  restStride: usize;
  count: usize;
  keyHeads: usize;
  valueHeads: usize;
  keyDim: usize;
  valueDim: usize;
  tiled: u32;
  decay: usize;
  timeBias: usize;
  norm: usize;
  epsilon: f32;
  state: usize;
  after: usize;
  gates: usize;
}

/** Scratch bytes of one thread: a strip of a state, or a head's z. */
export function deltaScratchBytes(keyDim: usize, valueDim: usize): usize {
  return max<usize>(keyDim * STRIP, valueDim) << 2;
}
/** Bytes at `gates`. */
export function deltaGateBytes(count: usize, valueHeads: usize): usize {
  return (count * valueHeads * GATES) << 2;
}

@inline
function strips(a: Delta): usize {
  return (a.valueDim + STRIP - 1) / STRIP;
}

/** 0, or 1 when a worker was lost. */
export function deltaRule(args: usize): u32 {
  const a = changetype<Delta>(args);
  const tokens = <u32>((a.count + TOKENS - 1) / TOKENS);
  if (parallel(a.pool, KERNEL_DELTA_GATES, args, tokens) != 0) return 1;
  if (parallel(a.pool, KERNEL_DELTA, args, <u32>(a.valueHeads * strips(a))) != 0) return 1;
  return parallel(a.pool, KERNEL_DELTA_NORM, args, tokens);
}

/** Where q of value head n begins in a row. */
@inline
function queryOf(a: Delta, t: usize, n: usize): usize {
  const head = a.tiled != 0 ? n % a.keyHeads : n / (a.valueHeads / a.keyHeads);
  return a.qkv + ((t * a.qkvStride + head * a.keyDim) << 2);
}

function dot(x: usize, y: usize, n: usize): f32 {
  let i: usize = 0;
  let sum: f32 = 0;
  if (ASC_FEATURE_SIMD) {
    let s = f32x4.splat(0);
    for (; i < n; i += 4) s = madd(v128.load(x + (i << 2)), v128.load(y + (i << 2)), s);
    return lanes(s);
  }
  for (; i < n; i++) sum += load<f32>(x + (i << 2)) * load<f32>(y + (i << 2));
  return sum;
}

/** log(1 + exp(x)) = max(x, 0) + log(1 + e), e = exp(-|x|), by the series of 2 atanh(e / (2 + e)): no more than 1e-7 off. */
function softplus(x: f32): f32 {
  const e = exp1(-abs<f32>(x));
  const z: f32 = e / (2 + e);
  const s = z * z;
  let p: f32 = <f32>(2.0 / 13.0) * s + <f32>(2.0 / 11.0);
  p = p * s + <f32>(2.0 / 9.0);
  p = p * s + <f32>(2.0 / 7.0);
  p = p * s + <f32>(2.0 / 5.0);
  p = p * s + <f32>(2.0 / 3.0);
  return max<f32>(x, 0) + (p * s + 2) * z;
}

export function deltaGatesTile(a: Delta, tile: usize): void {
  const end = min<usize>((tile + 1) * TOKENS, a.count);
  const heads = a.valueHeads;
  for (let t = tile * TOKENS; t < end; t++) {
    const b = a.rest + ((t * a.restStride + heads * a.valueDim) << 2);
    for (let n: usize = 0; n < heads; n++) {
      const q = queryOf(a, t, n);
      const k = q + ((a.keyHeads * a.keyDim) << 2);
      const out = a.gates + (((t * heads + n) * GATES) << 2);
      const step = load<f32>(b + ((heads + n) << 2)) + load<f32>(a.timeBias + (n << 2));
      store<f32>(out, exp1(load<f32>(a.decay + (n << 2)) * softplus(step)));
      store<f32>(out, 1 / (1 + exp1(-load<f32>(b + (n << 2)))), 4);
      store<f32>(out, 1 / sqrt<f32>(dot(k, k, a.keyDim) + LENGTH_EPSILON), 8);
      store<f32>(out, 1 / sqrt<f32>((dot(q, q, a.keyDim) + LENGTH_EPSILON) * <f32>a.keyDim), 12);
      store<f32>(out, dot(q, k, a.keyDim), 16);
    }
  }
}

/** One token of columns [0, width) of a state: read at `from`, written at `to`, rows `fromStride` and `toStride` bytes apart. */
function deltaStep(
  out: usize, q: usize, k: usize, v: usize, gates: usize, keyDim: usize, width: usize, from: usize, fromStride: usize, to: usize, toStride: usize,
): void {
  const decay = load<f32>(gates);
  const beta = load<f32>(gates, 4);
  const kScale = load<f32>(gates, 8);
  const qScale = load<f32>(gates, 12);
  const qk = load<f32>(gates, 16);
  if (ASC_FEATURE_SIMD) {
    if (width == STRIP) {
      let k0 = f32x4.splat(0), k1 = k0, k2 = k0, k3 = k0, q0 = k0, q1 = k0, q2 = k0, q3 = k0;
      let s = from;
      for (let i: usize = 0; i < keyDim; i++) {
        const ki = v128.load32_splat(k + (i << 2));
        const qi = v128.load32_splat(q + (i << 2));
        const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
        k0 = madd(ki, s0, k0);
        k1 = madd(ki, s1, k1);
        k2 = madd(ki, s2, k2);
        k3 = madd(ki, s3, k3);
        q0 = madd(qi, s0, q0);
        q1 = madd(qi, s1, q1);
        q2 = madd(qi, s2, q2);
        q3 = madd(qi, s3, q3);
        s += fromStride;
      }
      const d4 = f32x4.splat(decay);
      const b4 = f32x4.splat(beta * kScale);
      const scale = f32x4.splat(decay * kScale);
      k0 = f32x4.mul(b4, f32x4.sub(v128.load(v), f32x4.mul(scale, k0)));
      k1 = f32x4.mul(b4, f32x4.sub(v128.load(v, 16), f32x4.mul(scale, k1)));
      k2 = f32x4.mul(b4, f32x4.sub(v128.load(v, 32), f32x4.mul(scale, k2)));
      k3 = f32x4.mul(b4, f32x4.sub(v128.load(v, 48), f32x4.mul(scale, k3)));
      const qk4 = f32x4.splat(qk);
      const qs = f32x4.splat(qScale);
      v128.store(out, f32x4.mul(qs, madd(qk4, k0, f32x4.mul(d4, q0))));
      v128.store(out, f32x4.mul(qs, madd(qk4, k1, f32x4.mul(d4, q1))), 16);
      v128.store(out, f32x4.mul(qs, madd(qk4, k2, f32x4.mul(d4, q2))), 32);
      v128.store(out, f32x4.mul(qs, madd(qk4, k3, f32x4.mul(d4, q3))), 48);
      s = from;
      for (let i: usize = 0; i < keyDim; i++) {
        const ki = v128.load32_splat(k + (i << 2));
        v128.store(to, madd(ki, k0, f32x4.mul(d4, v128.load(s))));
        v128.store(to, madd(ki, k1, f32x4.mul(d4, v128.load(s, 16))), 16);
        v128.store(to, madd(ki, k2, f32x4.mul(d4, v128.load(s, 32))), 32);
        v128.store(to, madd(ki, k3, f32x4.mul(d4, v128.load(s, 48))), 48);
        s += fromStride;
        to += toStride;
      }
      return;
    }
  }
  for (let j: usize = 0; j < width << 2; j += 4) {
    let kS: f32 = 0;
    let qS: f32 = 0;
    for (let i: usize = 0; i < keyDim; i++) {
      const s = load<f32>(from + i * fromStride + j);
      kS += load<f32>(k + (i << 2)) * s;
      qS += load<f32>(q + (i << 2)) * s;
    }
    const w: f32 = beta * kScale * (load<f32>(v + j) - decay * kScale * kS);
    store<f32>(out + j, qScale * (decay * qS + qk * w));
    for (let i: usize = 0; i < keyDim; i++)
      store<f32>(to + i * toStride + j, decay * load<f32>(from + i * fromStride + j) + load<f32>(k + (i << 2)) * w);
  }
}

export function deltaTile(a: Delta, tile: usize, scratch: usize): void {
  const n = tile / strips(a);
  const column = (tile % strips(a)) * STRIP;
  const width = min<usize>(STRIP, a.valueDim - column);
  const keyBytes = (a.keyHeads * a.keyDim) << 2;
  const place = (n * a.keyDim * a.valueDim + column) << 2;
  let from = scratch;
  let fromStride = STRIP << 2;
  if (a.state == 0) memory.fill(scratch, 0, (a.keyDim * STRIP) << 2);
  else {
    from = a.state + place;
    fromStride = a.valueDim << 2;
  }
  for (let t: usize = 0; t < a.count; t++) {
    const q = queryOf(a, t, n);
    const v = a.qkv + ((t * a.qkvStride + n * a.valueDim + column) << 2) + 2 * keyBytes;
    const out = a.out + (((t * a.valueHeads + n) * a.valueDim + column) << 2);
    const last = t + 1 == a.count;
    const to = last ? a.after + place : scratch;
    const toStride: usize = last ? a.valueDim << 2 : STRIP << 2;
    deltaStep(out, q, q + keyBytes, v, a.gates + (((t * a.valueHeads + n) * GATES) << 2), a.keyDim, width, from, fromStride, to, toStride);
    from = to;
    fromStride = toStride;
  }
}

/** Each head's outcome normalised, times silu(z). */
export function deltaNormTile(a: Delta, tile: usize, scratch: usize): void {
  const end = min<usize>((tile + 1) * TOKENS, a.count);
  const bytes = a.valueDim << 2;
  for (let t = tile * TOKENS; t < end; t++) {
    for (let n: usize = 0; n < a.valueHeads; n++) {
      const out = a.out + (t * a.valueHeads + n) * bytes;
      normRow(out, out, a.norm, 0, a.valueDim, NORM_RMS, a.epsilon);
      activateRow(scratch, a.rest + ((t * a.restStride) << 2) + n * bytes, a.valueDim, ACTIVATION_SILU);
      multiply(out, scratch, bytes);
    }
  }
}
