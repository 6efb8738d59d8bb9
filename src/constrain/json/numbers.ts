/**
 * JSON numbers as text: within bounds, whole, multiples. Texts are those that JSON.stringify writes, and others of bounded length: up to 21 digits before
 * and 24 behind the point, exponents from 21 up and from -7 down. Bounds are compared digit by digit; reading a decimal as a double keeps the order, so
 * a text within the bounds is a number within them.
 */
import { compileExpression } from '../compile-expression.ts';
import type { Expression } from '../expression.ts';
import { both, TooLarge, type Edge, type Language } from '../language.ts';

export interface NumberBounds {
  readonly integer: boolean;
  /** Both included. */
  readonly least: number;
  readonly most: number;
  /** Steps of which the number is a multiple, as decimals. */
  readonly multiples: readonly number[];
}

/** Digits as JSON.stringify writes them at most, before it takes an exponent. */
const WHOLE_DIGITS = 21;
const FRACTION_DIGITS = 24;
/** Digits behind the point of a number with an exponent: fewer than the least exponent, so that such a number is whole. */
const MANTISSA_DIGITS = 20;
const LEAST_EXPONENT = 21;
const MOST_EXPONENT = 308;
const LEAST_NEGATIVE = 7;
const MOST_NEGATIVE = 324;
/** States that tell remainders apart. */
const MOST_REMAINDERS = 8192;

/** The number before and after one in the order of doubles. */
export function nextBelow(value: number): number {
  return -nextAbove(-value);
}

export function nextAbove(value: number): number {
  if (!Number.isFinite(value)) return value;
  if (value === 0) return Number.MIN_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? 1n : -1n));
  return view.getFloat64(0);
}

/** A positive decimal: digits before and behind the point, without zeros at either end. */
interface Decimal {
  readonly whole: string;
  readonly fraction: string;
}

/** The digits of a double as JSON.stringify writes it, without an exponent. */
function decimal(value: number): Decimal {
  const [, digits = '0', more = '', exponent = '0'] = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  const all = digits + more;
  const point = digits.length + Number(exponent);
  const whole = point <= 0 ? '' : all.slice(0, point).padEnd(point, '0');
  const fraction = point <= 0 ? '0'.repeat(-point) + all : all.slice(point);
  return { whole: whole.replace(/^0+/, ''), fraction: fraction.replace(/0+$/, '') };
}

const digits = (from: number, to: number): Expression => ({ kind: 'set', set: [0x30 + from, 0x31 + to] });
const text = (of: string): Expression => ({
  kind: 'sequence',
  parts: [...of].map((character) => ({ kind: 'set', set: [character.charCodeAt(0), character.charCodeAt(0) + 1] })),
});
const sequence = (...parts: readonly Expression[]): Expression => ({ kind: 'sequence', parts });
const choice = (parts: readonly Expression[]): Expression => ({ kind: 'choice', parts });
const NONE: Expression = { kind: 'set', set: [] };
const EMPTY: Expression = sequence();
const repeated = (part: Expression, least: number, most: number): Expression =>
  most < least ? NONE : { kind: 'repeat', part, least, most };

/**
 * Texts of `length` digits and at most `fractions` behind the point, no less than `least` and no more than `most`, where those are given; both have
 * `length` digits before the point (one that is 0 has one).
 */
function between(length: number, least: Decimal | undefined, most: Decimal | undefined, fractions: number): Expression {
  const low = (least?.whole ?? '').padStart(length, '0');
  const high = (most?.whole ?? '').padStart(length, '0');
  /** Behind `at` digits that are those of the bounds, where `tied` to them. */
  const go = (at: number, tiedLow: boolean, tiedHigh: boolean): Expression => {
    if (at === length) return fraction(0, tiedLow, tiedHigh);
    if (!tiedLow && !tiedHigh)
      return sequence(repeated(digits(0, 9), length - at, length - at), fraction(0, false, false));
    const first = tiedLow ? Number(low[at]) : at === 0 && length > 1 ? 1 : 0;
    const last = tiedHigh ? Number(high[at]) : 9;
    return branches(first, last, tiedLow, tiedHigh, (l, h) => go(at + 1, l, h));
  };
  const fraction = (at: number, aboveLow: boolean, tiedHigh: boolean): Expression => {
    // Behind the digits of the lower bound, any are above it.
    const tiedLow = aboveLow && (least?.fraction.length ?? 0) > at;
    const end = tiedLow ? NONE : EMPTY;
    if (at === fractions) return end;
    const point = at === 0 ? text('.') : EMPTY;
    const rest = (digit: Expression): Expression =>
      at === 0 ? choice([EMPTY, sequence(point, repeated(digit, 1, fractions))]) : repeated(digit, 0, fractions - at);
    if (!tiedLow && !tiedHigh) return rest(digits(0, 9));
    if (!tiedLow && at >= (most?.fraction.length ?? 0)) return rest(digits(0, 0));
    const first = tiedLow ? Number(least?.fraction[at] ?? 0) : 0;
    const last = tiedHigh ? Number(most?.fraction[at] ?? 0) : 9;
    return choice([
      end,
      sequence(
        point,
        branches(first, last, tiedLow, tiedHigh, (l, h) => fraction(at + 1, l, h)),
      ),
    ]);
  };
  return go(0, least !== undefined, most !== undefined);
}

/** A digit from `first` to `last`, of which the first and the last stay tied to the bound. */
function branches(
  first: number,
  last: number,
  tiedLow: boolean,
  tiedHigh: boolean,
  go: (tiedLow: boolean, tiedHigh: boolean) => Expression,
): Expression {
  if (first > last) return NONE;
  if (first === last) return sequence(digits(first, first), go(tiedLow, tiedHigh));
  const parts: Expression[] = [];
  const from = tiedLow ? first + 1 : first;
  const to = tiedHigh ? last - 1 : last;
  if (tiedLow) parts.push(sequence(digits(first, first), go(true, false)));
  if (from <= to) parts.push(sequence(digits(from, to), go(false, false)));
  if (tiedHigh) parts.push(sequence(digits(last, last), go(false, true)));
  return choice(parts);
}

const lengthOf = ({ whole }: Decimal): number => Math.max(1, whole.length);

/** Positive numbers without an exponent; `least` and `most` are not negative. */
function plain(least: number, most: number, fractions: number): Expression {
  const [low, high] = [decimal(least), decimal(most)];
  const [from, to] = [lengthOf(low), lengthOf(high)];
  if (from > WHOLE_DIGITS) return NONE;
  if (from === to) return between(from, low, high, fractions);
  const parts = [between(from, low, undefined, fractions)];
  const longest = Math.min(to - 1, WHOLE_DIGITS);
  if (from < longest)
    parts.push(
      sequence(digits(1, 9), repeated(digits(0, 9), from, longest - 1), between(0, undefined, undefined, fractions)),
    );
  if (to <= WHOLE_DIGITS) parts.push(between(to, undefined, high, fractions));
  return choice(parts);
}

/** The exponent of the first digit. */
function exponentOf(value: number): number {
  return Number(/e([+-]\d+)$/.exec(value.toExponential())?.[1] ?? 0);
}

function mantissa(value: number): Decimal {
  const [whole = '', fraction = ''] = value.toExponential().replace(/e.*$/, '').split('.');
  return { whole, fraction };
}

/** Positive numbers with an exponent whose size is from `first` to `last`. */
function scientific(least: number, most: number, sign: '+' | '-', first: number, last: number): Expression {
  const size = (exponent: number): number => (sign === '+' ? exponent : -exponent);
  const written = (from: number, to: number): Expression =>
    from > to ? NONE : sequence(text(`e${sign}`), plain(from, to, 0));
  const one: Decimal = { whole: '1', fraction: '' };
  const low = least === 0 ? -Infinity : exponentOf(least);
  const high = exponentOf(most);
  const at = (exponent: number, from: Decimal, to: Decimal | undefined): Expression => {
    const of = size(exponent);
    return of < first || of > last ? NONE : sequence(between(1, from, to, MANTISSA_DIGITS), written(of, of));
  };
  if (low > high) return NONE;
  if (low === high) return at(low, mantissa(least), mantissa(most));
  const inside = [size(low + 1), size(high - 1)].map((of) => Math.min(Math.max(of, first - 1), last + 1));
  const [from, to] = [Math.min(...inside), Math.max(...inside)];
  const free = low + 1 > high - 1 ? NONE : written(Math.max(from, first), Math.min(to, last));
  return choice([
    Number.isFinite(low) ? at(low, mantissa(least), undefined) : NONE,
    sequence(between(1, one, undefined, MANTISSA_DIGITS), free),
    at(high, one, mantissa(most)),
  ]);
}

function positive(least: number, most: number, integer: boolean, exponents: boolean): Expression {
  if (least > most) return NONE;
  const parts = [plain(least, most, integer ? 0 : FRACTION_DIGITS)];
  if (exponents) {
    parts.push(scientific(least, most, '+', LEAST_EXPONENT, MOST_EXPONENT));
    if (!integer) parts.push(scientific(least, most, '-', LEAST_NEGATIVE, MOST_NEGATIVE));
  }
  return choice(parts);
}

/** May be empty. */
export function numberLanguage({ integer, least, most, multiples }: NumberBounds): Language {
  const bound = (value: number): number => Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
  const [low, high] = [bound(least), bound(most)];
  const exponents = multiples.length === 0;
  const parts: Expression[] = [];
  if (high >= 0 && high >= low) parts.push(positive(Math.max(0, low), high, integer, exponents));
  // Negative zero is written as zero.
  if (low < 0 && high >= low)
    parts.push(sequence(text('-'), positive(Math.max(Number.MIN_VALUE, -high), -low, integer, exponents)));
  const language = compileExpression({ expression: choice(parts), lookaheads: [], units: false }, false);
  return multiples.reduce((left, step) => both(left, multiplesOf(step)), language);
}

/** Decimals that are a multiple of a step: the digits, the point left out, are one of the step's, and behind those come zeros. */
function multiplesOf(step: number): Language {
  const { whole, fraction } = decimal(step);
  const places = fraction.length;
  const modulus = Number(whole + fraction);
  if (!Number.isSafeInteger(modulus) || modulus * (places + 2) > MOST_REMAINDERS)
    throw new TooLarge(`more than ${MOST_REMAINDERS} remainders of a multiple`);
  // States: the sign, then by the digits behind the point so far (none, with the point or without it) the remainder.
  const point = (at: number): number => 1 + modulus * at;
  const zeros = point(places + 2);
  const edges: Edge[][] = Array.from({ length: zeros + 1 }, () => []);
  const ends = edges.map(() => false);
  const digit = (state: number, to: (digit: number) => number): void => {
    for (let value = 0; value < 10; value++) edges[state]?.push([0x30 + value, 0x31 + value, to(value)]);
  };
  for (let remainder = 0; remainder < modulus; remainder++) {
    const next = (value: number): number => (10 * remainder + value) % modulus;
    // Before the point; what is missing behind it counts as zeros.
    const state = point(0) + remainder;
    edges[state]?.push([0x2e, 0x2f, point(1) + remainder]);
    digit(state, (value) => point(0) + next(value));
    ends[state] = (remainder * shifted(places, modulus)) % modulus === 0;
    for (let at = 0; at <= places; at++) {
      const behind = point(1 + at) + remainder;
      if (at < places) digit(behind, (value) => point(2 + at) + next(value));
      else if (remainder === 0) edges[behind]?.push([0x30, 0x31, zeros]);
      if (at > 0) ends[behind] = (remainder * shifted(places - at, modulus)) % modulus === 0;
    }
  }
  edges[zeros]?.push([0x30, 0x31, zeros]);
  ends[zeros] = true;
  edges[0]?.push([0x2d, 0x2e, point(0)]);
  digit(0, (value) => point(0) + (value % modulus));
  return { edges, ends };
}

/** The remainder of a power of ten. */
function shifted(places: number, modulus: number): number {
  let power = 1 % modulus;
  for (let i = 0; i < places; i++) power = (10 * power) % modulus;
  return power;
}
