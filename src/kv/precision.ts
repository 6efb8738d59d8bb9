/**
 * The precision of a page, by its age. The newest tokens stay open, and are closed together when there are
 * CLOSED_TOKENS of them (as KIVI closes keys, Liu et al. 2024), at the bits that the session asks for or on a staircase
 * (SAQ, 2410.18441), where each older segment has one step less precision.
 *
 * What a token sees of the tokens before it depends only on its position, however a prompt was divided into calls. A
 * sequence that is truncated to a multiple of CLOSED_TOKENS, or adopts so many tokens of another, is the same as if
 * these tokens had been computed (on the staircase only if no page has become coarser since).
 */
import { KV_FORMATS, PAGE_TOKENS, type KvFormat } from '../backend/backend.ts';

/**
 * Bits of an element of a key or value in closed pages. `staircase` has the shares `{ newest: 0.25, oldest: 0.25 }`.
 */
export type KvBits = 16 | 8 | 4 | 2 | 'staircase' | Staircase | UnequalBits;

/**
 * SAQ's staircase: 8 bits for the newest of the closed pages, 2 for the oldest, 4 for those between. The first block
 * keeps 8: it holds the attention sinks (Xiao et al. 2023, 2309.17453) and the beginning of the system message.
 */
export interface Staircase {
  /** Share of the pages that have 8 bits, 0 to 1. */
  readonly newest: number;
  /** Share of the pages that have 2 bits, 0 to 1; both together at most 1. */
  readonly oldest: number;
}

/** Fewer bits for values than for keys, whose errors the softmax multiplies: 8 and 4, or 4 and 2. */
export interface UnequalBits {
  /** Of keys: 8 or 4. */
  readonly keys: 8 | 4;
  /** Of values: half of it. */
  readonly values: 4 | 2;
}

const QUARTERS: Staircase = { newest: 0.25, oldest: 0.25 };
const CLOSED: Readonly<Record<8 | 4 | 2, KvFormat>> = { 8: 'q8', 4: 'q4', 2: 'q2' };

/**
 * Tells whether values are multiplied by a Hadamard matrix before they are written (`KvView.hadamard`; QuaRot,
 * 2404.00456): at the bits at which it was found to lose less (docs/long-context.md).
 */
export function transformsValues(bits: KvBits): boolean {
  return bits !== 16 && bits !== 8;
}

/**
 * Tokens that are closed at once, as many as in KIVI. Where pages are closed, no call runs tokens on both sides of a
 * multiple of it.
 */
export const CLOSED_TOKENS = 128;

/**
 * Returns the number of blocks that are closed when the token at position `length` is run: all but the last 0 to 127
 * tokens before it. None at 16 bits.
 */
export function closedBlocks(length: number, bits: KvBits): number {
  return bits === 16 ? 0 : wholeGroups(length) / PAGE_TOKENS;
}

/** `length` rounded down to a multiple of CLOSED_TOKENS. */
export function wholeGroups(length: number): number {
  return length - (length % CLOSED_TOKENS);
}

/**
 * Returns the format of block `block` of `closed` closed ones; `bits` is not 16. It never becomes finer as `closed`
 * grows.
 */
export function closedFormat(block: number, closed: number, bits: Exclude<KvBits, 16>): KvFormat {
  if (typeof bits === 'number') return CLOSED[bits];
  if (bits !== 'staircase' && 'keys' in bits) return bits.keys === 8 ? 'k8v4' : 'k4v2';
  const { newest, oldest } = bits === 'staircase' ? QUARTERS : bits;
  if (block === 0) return 'q8';
  if (block < Math.floor(closed * oldest)) return 'q2';
  return block < closed - Math.ceil(closed * newest) ? 'q4' : 'q8';
}

/** Tells whether a page of format `b` is to be closed further to `a`: the order is that of the staircase, and open pages come first. */
export function coarser(a: KvFormat, b: KvFormat): boolean {
  return KV_FORMATS.indexOf(a) > KV_FORMATS.indexOf(b);
}
