/** Turns lists of tokens, merges and scores into the arrays of a `TokenModel`. */
import { compileAutomaton } from './automaton.ts';
import { byteCharacter } from './byte-level.ts';
import type { Entries, SplitStage } from './description.ts';
import { failTokenizer } from './gguf-metadata.ts';
import { SPACE_MARK } from './normalizers.ts';
import { parsePattern } from './pattern.ts';

/** The largest published vocabulary has 262,144 tokens. */
export const MOST_TOKENS = 1 << 22;
/** The longest published token has 512 bytes; a piece is compared with all its prefixes of at most this length. */
export const LONGEST_TOKEN = 2048;

export function checkTokens(tokens: readonly string[]): void {
  if (tokens.length === 0 || tokens.length > MOST_TOKENS) {
    failTokenizer(`a vocabulary of ${tokens.length} tokens; from 1 to ${MOST_TOKENS} are supported`, { tokens: tokens.length });
  }
  tokens.forEach((token, id) => {
    if (token.length > LONGEST_TOKEN) failTokenizer(`token ${id} has ${token.length} characters, at most ${LONGEST_TOKEN} are supported`, { id, length: token.length });
  });
}

/** Packs byte strings; `undefined` leaves an entry empty, which is never found. */
export function packEntries(parts: readonly (Uint8Array | undefined)[]): Entries {
  const offsets = new Uint32Array(parts.length + 1);
  let total = 0;
  parts.forEach((part, i) => {
    total += part?.length ?? 0;
    offsets[i + 1] = total;
  });
  const bytes = new Uint8Array(total);
  parts.forEach((part, i) => { if (part !== undefined) bytes.set(part, offsets[i]); });
  return { offsets, bytes };
}

/** The value of `<0xHH>`, or -1. */
export function byteTokenValue(token: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1;
}

/** The token of each byte: its printable stand-in where `byteLevel`, else `<0xHH>`; -1 for none. */
export function byteTokens(ids: ReadonlyMap<string, number>, byteLevel: boolean): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => ids.get(byteLevel ? byteCharacter(byte) : `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1);
}

/** "left right" lines as (left, right, result) ids. */
export function mergeTriples(merges: readonly (string | readonly [string, string])[], ids: ReadonlyMap<string, number>): Uint32Array {
  const triples = new Uint32Array(3 * merges.length);
  merges.forEach((merge, rank) => {
    const cut = typeof merge === 'string' ? merge.indexOf(' ', 1) : 0;
    const left = typeof merge === 'string' ? merge.slice(0, Math.max(0, cut)) : merge[0];
    const right = typeof merge === 'string' ? merge.slice(cut + 1) : merge[1];
    [left, right, left + right].forEach((token, i) => {
      const id = ids.get(token);
      if (id === undefined) failTokenizer(`merge ${rank} (${JSON.stringify(merge).slice(0, 100)}) names ${JSON.stringify(token.slice(0, 100))}, which is no token; the file is damaged`, { rank });
      else triples[3 * rank + i] = id;
    });
  });
  return triples;
}

/** Characters that occur in tokens without being tokens: SentencePiece merges them all the same. */
export function looseCharacters(tokens: readonly string[], ids: ReadonlyMap<string, number>): string[] {
  const loose = new Set<string>();
  for (const token of tokens) for (const character of token) if (!ids.has(character)) loose.add(character);
  return [...loose];
}

/**
 * Cutting before every space mark that follows something else is exact when no token has one in such a place and the mark is a token;
 * then words can be cached, and a long text need not be one piece.
 */
export function wordStages(tokens: readonly (string | undefined)[], ids: ReadonlyMap<string, number>): SplitStage[] {
  const inner = /[^▁]▁/u;
  if (!ids.has(SPACE_MARK) || tokens.some((token) => token !== undefined && inner.test(token))) return [];
  return isolatedStages(['▁*[^▁]+|▁+']);
}

/** Dense ranks: the best score is 0, equal scores are equal. */
export function ranksOf(scores: ArrayLike<number>, count: number): Uint32Array {
  const values = Float64Array.from({ length: count }, (_, id) => {
    const score = scores[id] ?? 0;
    return Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score;
  });
  const order = Uint32Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
  const ranks = new Uint32Array(count);
  let rank = 0;
  order.forEach((id, i) => {
    if (i > 0 && values[order[i - 1] ?? 0] !== values[id]) rank++;
    ranks[id] = rank;
  });
  return ranks;
}
/** Stages that cut with these expressions one after the other, matches and what is between them alike. */
export function isolatedStages(expressions: readonly string[]): SplitStage[] {
  return expressions.map((expression) => ({ kind: 'pattern', automaton: compileAutomaton(parsePattern(expression)), behaviour: 'isolated', invert: false }));
}


/** As SentencePiece: an unknown character costs 10 more than the least likely token. */
const UNKNOWN_PENALTY = 10;
/** Log probabilities are above -100; sums of scores within this stay exact enough to compare. */
const LARGEST_SCORE = 1e9;

export function checkScores(scores: Float64Array): void {
  const wrong = scores.findIndex((score) => !(Math.abs(score) <= LARGEST_SCORE));
  if (wrong >= 0) failTokenizer(`the score of token ${wrong} is ${scores[wrong]}; the file is damaged`, { id: wrong });
}

export function unigramUnknownScore(scores: Float64Array): number {
  return scores.reduce((least, score) => Math.min(least, score), scores.length === 0 ? 0 : Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY;
}

/** BERT's punctuation: Unicode's, and all of ASCII that is neither letter nor digit. */
export const PUNCTUATION = String.raw`[\p{P}!-/:-@\[-${'`'}{-~]`;

/** Words between white space, and every punctuation mark by itself. */
export function bertStages(): SplitStage[] {
  return [
    { kind: 'pattern', automaton: compileAutomaton(parsePattern(String.raw`\s+`)), behaviour: 'removed', invert: false },
    ...isolatedStages([PUNCTUATION]),
  ];
}
