/**
 * exp, silu and gelu in f32, four at a time, and one at a time with the same arithmetic for tails and the scalar build.
 *
 * exp is 2^n times a polynomial of degree 6 on [-ln2 / 2, ln2 / 2] (least squares towards minimax). Its relative error
 * is below 2e-7 for x in [-87.3, 88.3]; it is 0 below, e^88.37 above, and NaN for NaN. erfc is exp(-t^2) times a
 * polynomial of degree 9 in 1 / (1 + t / 2), with a relative error below 5e-7 up to rounding of t^2.
 */

const LOG2E: f32 = 1.44269504;
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;
const LOWEST: f32 = -87.33;
const HIGHEST: f32 = 88.37;
/**
 * Adding this number rounds a small f32 to the nearest integer, ties to even, and leaves that integer in the low bits.
 */
const ROUNDING: f32 = 12582912; // 1.5 * 2^23
const E2: f32 = 0.49999993451692537;
const E3: f32 = 0.16666520767307688;
const E4: f32 = 0.04166838864830294;
const E5: f32 = 0.008368701480705752;
const E6: f32 = 0.0013814470182344114;

const C0: f32 = -8.738577376395675e-6;
const C1: f32 = 0.2822793101726601;
const C2: f32 = 0.28057668967204547;
const C3: f32 = 0.25241102102512675;
const C4: f32 = 0.17317264836044685;
const C5: f32 = 0.03301559547529051;
const C6: f32 = 0.2010261398652038;
const C7: f32 = -0.4256579500205557;
const C8: f32 = 0.25690031254599976;
const C9: f32 = -0.053715057860117287;

const SQRT_HALF: f32 = 0.70710678;
/** 2 sqrt(2 / pi), and the same times 0.044715. */
const TANH_1: f32 = 1.5957691216;
const TANH_3: f32 = 0.0713548162726;

export const ACTIVATION_NONE: u32 = 0;
export const ACTIVATION_SILU: u32 = 1;
export const ACTIVATION_GELU: u32 = 2;
export const ACTIVATION_GELU_TANH: u32 = 3;
export const ACTIVATION_SIGMOID: u32 = 4;
export const ACTIVATION_TANH: u32 = 5;

/** a * b + c, rounded once where the build has relaxed SIMD and the machine has FMA. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Returns the sum of the four lanes. */
@inline
export function lanes(v: v128): f32 {
  const w = f32x4.add(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(w, 0) + f32x4.extract_lane(w, 1);
}

/**
 * The constants of `exp4`, four times each. A load from here costs one instruction, a constant in the code up to three.
 */
// prettier-ignore
const EXP: usize = memory.data<f32>([
  LOWEST, LOWEST, LOWEST, LOWEST, HIGHEST, HIGHEST, HIGHEST, HIGHEST, LOG2E, LOG2E, LOG2E, LOG2E,
  ROUNDING, ROUNDING, ROUNDING, ROUNDING, LN2_HIGH, LN2_HIGH, LN2_HIGH, LN2_HIGH, LN2_LOW, LN2_LOW, LN2_LOW, LN2_LOW,
  E6, E6, E6, E6, E5, E5, E5, E5, E4, E4, E4, E4, E3, E3, E3, E3, E2, E2, E2, E2, 1, 1, 1, 1,
], 16);

@inline
export function exp4(x: v128): v128 {
  const lowest = v128.load(EXP);
  const one = v128.load(EXP, 176);
  // pmin and pmax are one instruction each, unlike min and max. A NaN as the first operand is kept.
  const c = f32x4.pmin(f32x4.pmax(x, lowest), v128.load(EXP, 16));
  const t = madd(c, v128.load(EXP, 32), v128.load(EXP, 48));
  const n = f32x4.sub(t, v128.load(EXP, 48));
  const r = f32x4.sub(f32x4.sub(c, f32x4.mul(n, v128.load(EXP, 64))), f32x4.mul(n, v128.load(EXP, 80)));
  let p = madd(v128.load(EXP, 96), r, v128.load(EXP, 112));
  p = madd(p, r, v128.load(EXP, 128));
  p = madd(p, r, v128.load(EXP, 144));
  p = madd(p, r, v128.load(EXP, 160));
  p = f32x4.add(one, madd(p, f32x4.mul(r, r), r));
  // The bits of 1 are those of the exponent 0.
  const power = i32x4.add(i32x4.shl(t, 23), one);
  return v128.andnot(f32x4.mul(p, power), f32x4.lt(x, lowest));
}

export function exp1(x: f32): f32 {
  if (x < LOWEST) return 0;
  const c = min<f32>(x, HIGHEST);
  const n = nearest<f32>(c * LOG2E);
  const r: f32 = (c - n * LN2_HIGH) - n * LN2_LOW;
  let p: f32 = E6 * r + E5;
  p = p * r + E4;
  p = p * r + E3;
  p = p * r + E2;
  p = 1 + (p * (r * r) + r);
  return p * reinterpret<f32>((<i32>n + 127) << 23);
}

/** y / (1 + exp(-x)) */
@inline
function gated4(y: v128, x: v128): v128 {
  return f32x4.div(y, f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}

@inline
function geluTanh4(x: v128): v128 {
  const u = f32x4.mul(x, madd(f32x4.mul(x, x), f32x4.splat(TANH_3), f32x4.splat(TANH_1)));
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp4(f32x4.neg(u))));
}

@inline
function gelu4(x: v128): v128 {
  const t = f32x4.mul(f32x4.abs(x), f32x4.splat(SQRT_HALF));
  const s = f32x4.div(f32x4.splat(1), madd(t, f32x4.splat(0.5), f32x4.splat(1)));
  let p = madd(f32x4.splat(C9), s, f32x4.splat(C8));
  p = madd(p, s, f32x4.splat(C7));
  p = madd(p, s, f32x4.splat(C6));
  p = madd(p, s, f32x4.splat(C5));
  p = madd(p, s, f32x4.splat(C4));
  p = madd(p, s, f32x4.splat(C3));
  p = madd(p, s, f32x4.splat(C2));
  p = madd(p, s, f32x4.splat(C1));
  p = madd(p, s, f32x4.splat(C0));
  const h = f32x4.mul(f32x4.splat(0.5), f32x4.mul(p, exp4(f32x4.neg(f32x4.mul(t, t)))));
  const negative = f32x4.lt(x, f32x4.splat(0));
  return f32x4.mul(x, v128.bitselect(h, f32x4.sub(f32x4.splat(1), h), negative));
}

function gelu1(x: f32): f32 {
  const t: f32 = abs<f32>(x) * SQRT_HALF;
  const s: f32 = 1 / (t * 0.5 + 1);
  let p: f32 = C9 * s + C8;
  p = p * s + C7;
  p = p * s + C6;
  p = p * s + C5;
  p = p * s + C4;
  p = p * s + C3;
  p = p * s + C2;
  p = p * s + C1;
  p = p * s + C0;
  const h: f32 = 0.5 * (p * exp1(-(t * t)));
  return x * (x < 0 ? h : 1 - h);
}

/** Applies the activation `kind`, one of the ACTIVATION numbers. */
@inline
export function activate4(kind: u32, x: v128): v128 {
  if (kind == ACTIVATION_SILU || kind == ACTIVATION_SIGMOID) return gated4(kind == ACTIVATION_SILU ? x : f32x4.splat(1), x);
  if (kind == ACTIVATION_GELU) return gelu4(x);
  if (kind == ACTIVATION_GELU_TANH) return geluTanh4(x);
  if (kind == ACTIVATION_TANH) return f32x4.sub(gated4(f32x4.splat(2), f32x4.add(x, x)), f32x4.splat(1));
  return x;
}

export function activate1(kind: u32, x: f32): f32 {
  if (kind == ACTIVATION_SILU) return x / (1 + exp1(-x));
  if (kind == ACTIVATION_GELU) return gelu1(x);
  if (kind == ACTIVATION_GELU_TANH) return x / (1 + exp1(-(x * (x * x * TANH_3 + TANH_1))));
  if (kind == ACTIVATION_SIGMOID) return 1 / (1 + exp1(-x));
  if (kind == ACTIVATION_TANH) return 2 / (1 + exp1(-2 * x)) - 1;
  return x;
}

/** y[i] = act(x[i]) for n values; `y` may be `x`. */
export function activateRow(y: usize, x: usize, n: usize, kind: u32): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 4 <= n; i += 4) v128.store(y + (i << 2), activate4(kind, v128.load(x + (i << 2))));
  }
  for (; i < n; i++) store<f32>(y + (i << 2), activate1(kind, load<f32>(x + (i << 2))));
}

/** y[i] = exp(x[i]) for n values. */
export function expRow(y: usize, x: usize, n: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 4 <= n; i += 4) v128.store(y + (i << 2), exp4(v128.load(x + (i << 2))));
  }
  for (; i < n; i++) store<f32>(y + (i << 2), exp1(load<f32>(x + (i << 2))));
}
