/**
 * exp and the natural logarithm in f64 by series, to within a few units in the last place. The functions of the
 * standard library bring 6 KB of tables that hardly compress.
 */

const LN2: f64 = 0.6931471805599453;
const SQRT_TWO: f64 = 1.4142135623730951;
/** Below it e^x is at most subnormal and counts as 0. */
const LOWEST: f64 = -708;
/** Terms of the series of e^r for |r| <= ln2 / 2; the remainder is below 2^-56. */
const EXP_TERMS: i32 = 14;
/**
 * The last power of s in the series 2 atanh(s) = 2 (s + s^3 / 3 + ...), for |s| <= (sqrt2 - 1) / (sqrt2 + 1); the
 * remainder is below 2^-56.
 */
const LAST_POWER: i32 = 21;

/** Returns e^x for x <= 0, and NaN for NaN. */
export function expOf(x: f64): f64 {
  if (x != x) return x;
  if (x < LOWEST) return 0;
  const n = nearest<f64>(x / LN2);
  const r = x - n * LN2;
  let sum: f64 = 1;
  for (let i = EXP_TERMS; i > 0; i--) sum = 1 + (sum * r) / <f64>i;
  return sum * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** Returns ln x for finite, normal x > 0. */
export function logOf(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  let n = (bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000);
  if (m > SQRT_TWO) {
    m /= 2;
    n++;
  }
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let sum: f64 = 0;
  for (let power = LAST_POWER; power > 0; power -= 2) sum = sum * square + 1 / <f64>power;
  return <f64>n * LN2 + 2 * s * sum;
}
