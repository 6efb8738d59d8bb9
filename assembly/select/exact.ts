/** exp and the natural logarithm in f64, to within a few units in the last place, by series: the standard library's come with 6 KB of tables that no compression makes smaller. */

const LN2: f64 = 0.6931471805599453;
const SQRT_TWO: f64 = 1.4142135623730951;
/** e to it is 0 but for a subnormal rest. */
const LOWEST: f64 = -708;
/** Terms of e^r for |r| <= ln2 / 2: what is left out is below 2^-56. */
const EXP_TERMS: i32 = 14;
/** Powers s, s^3, ... of 2 atanh(s) for |s| <= (sqrt2 - 1) / (sqrt2 + 1): what is left out is below 2^-56. */
const LAST_POWER: i32 = 21;

/** e^x for x <= 0; NaN for NaN. */
export function expOf(x: f64): f64 {
  if (x != x) return x;
  if (x < LOWEST) return 0;
  const n = nearest<f64>(x / LN2);
  const r = x - n * LN2;
  let sum: f64 = 1;
  for (let i = EXP_TERMS; i > 0; i--) sum = 1 + (sum * r) / <f64>i;
  return sum * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** ln x for finite, normal x > 0. */
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
