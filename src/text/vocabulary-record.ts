/** The vocabulary record of assembly/tokenize/vocabulary.ts: its fields, and the values of `kind` and `flags`. */
import type { TokenModel } from './description.ts';

/** The fields of the record, as indices of u32. */
export const FIELDS = {
  offsets: 0,
  bytes: 1,
  count: 2,
  tokens: 3,
  slots: 4,
  slotMask: 5,
  pairs: 6,
  pairMask: 7,
  byteIds: 8,
  characterIds: 9,
  unknown: 10,
  flags: 11,
  cache: 12,
  cacheMask: 13,
  scratch: 14,
  scratchSymbols: 15,
  produced: 16,
  scores: 17,
  longest: 18,
  wordLimit: 19,
  unknownScore: 20,
  kind: 22,
  spans: 23,
} as const;
export const RECORD_BYTES = 96;
export const KINDS: readonly TokenModel['kind'][] = ['bpe', 'unigram', 'wordpiece'];
export const FLAGS = { byteLevel: 1, byteFallback: 2, fuseUnknown: 4, ignoreMerges: 8, dropUnknown: 16 } as const;
