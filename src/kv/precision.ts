/**
 * How precisely a page is kept, by its age. The newest tokens stay open (KIVI, Liu et al. 2024), older blocks are closed at the width that the
 * session asks for, or on a staircase (SAQ, 2410.18441): each older segment one step coarser.
 */
import { KV_FORMATS, PAGE_TOKENS, type KvFormat } from '../backend/backend.ts';

/** Bits of a key's or value's element in closed pages; `staircase` (SAQ): 8 for the newest quarter, 4 for the older half, 2 for the oldest quarter. */
export type KvBits = 16 | 8 | 4 | 2 | 'staircase';

const CLOSED: Readonly<Record<8 | 4 | 2, KvFormat>> = { 8: 'q8', 4: 'q4', 2: 'q2' };

/**
 * Blocks of a sequence of `length` tokens that are closed: all but the last 32 to 63 tokens, so that undoing a few steps reopens nothing.
 * None at 16 bits.
 */
export function closedBlocks(length: number, bits: KvBits): number {
  return bits === 16 ? 0 : Math.max(0, Math.floor(length / PAGE_TOKENS) - 1);
}

/** The format of block `block` of `closed` closed ones; `bits` is not 16. Grows no finer as `closed` grows. */
export function closedFormat(block: number, closed: number, bits: Exclude<KvBits, 16>): KvFormat {
  if (bits !== 'staircase') return CLOSED[bits];
  if (block < Math.floor(closed / 4)) return 'q2';
  return block < closed - Math.ceil(closed / 4) ? 'q4' : 'q8';
}

/** Whether `a` keeps less than `b`. */
export function coarser(a: KvFormat, b: KvFormat): boolean {
  return KV_FORMATS.indexOf(a) > KV_FORMATS.indexOf(b);
}
