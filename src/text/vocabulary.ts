/** Turns lists of tokens, merges and scores into the arrays of a `TokenModel`. */
import { compileAutomaton } from './automaton.ts';
import { byteCharacter, writeByteLevel } from './byte-level.ts';
import type { Entries, MergeList, SplitStage } from './description.ts';
import { failTokenizer } from './failure.ts';
import { SPACE_MARK } from './normalizers.ts';
import { parsePattern } from './pattern.ts';

/** The largest published vocabulary has 262,144 tokens. */
export const MOST_TOKENS = 1 << 22;
/** The longest published token has 512 bytes; a piece is compared with all its prefixes of at most this length. */
const LONGEST_TOKEN = 2048;

export function checkTokens(tokens: readonly string[]): void {
  if (tokens.length === 0 || tokens.length > MOST_TOKENS) {
    failTokenizer(`a vocabulary of ${tokens.length} tokens; from 1 to ${MOST_TOKENS} are supported`, {
      tokens: tokens.length,
    });
  }
  tokens.forEach((token, id) => {
    if (token.length > LONGEST_TOKEN)
      failTokenizer(`token ${id} has ${token.length} characters, at most ${LONGEST_TOKEN} are supported`, {
        id,
        length: token.length,
      });
  });
}

/** Byte strings one after the other. */
export class ByteList {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;
  readonly #bounds: number[] = [0];

  /** Appends UTF-8, or the bytes for which the characters of `text` stand where `byteLevel` (nothing, if one stands for none). */
  add(text: string, byteLevel = false, lead?: number): void {
    const room = this.#length + 3 * text.length + 1;
    if (room > this.#bytes.length) {
      const grown = new Uint8Array(2 * room);
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    if (lead !== undefined) this.#bytes[this.#length++] = lead;
    if (byteLevel || isAscii(text))
      this.#length += Math.max(0, writeByteLevel(text, this.#bytes, this.#length, byteLevel));
    else this.#length += utf8.encodeInto(text, this.#bytes.subarray(this.#length)).written;
    this.#bounds.push(this.#length);
  }
  /** Appends an empty string, an entry that never matches. */
  skip(): void {
    this.#bounds.push(this.#length);
  }
  take(): { bytes: Uint8Array; offsets: Uint32Array } {
    return { bytes: this.#bytes.slice(0, this.#length), offsets: Uint32Array.from(this.#bounds) };
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

const utf8 = new TextEncoder();

/** Tokens as entries; an `undefined` token never matches. */
export function packEntries(tokens: readonly (string | undefined)[], byteLevel: boolean): Entries {
  const list = new ByteList();
  for (const token of tokens) {
    if (token === undefined) list.skip();
    else list.add(token, byteLevel);
  }
  return list.take();
}

/** The value of `<0xHH>`, or -1. */
export function byteTokenValue(token: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1;
}

/** The token of each byte: its printable stand-in where `byteLevel`, else `<0xHH>`; -1 for none. */
export function byteTokens(ids: ReadonlyMap<string, number>, byteLevel: boolean): Int32Array {
  return Int32Array.from(
    { length: 256 },
    (_, byte) =>
      ids.get(byteLevel ? byteCharacter(byte) : `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1,
  );
}

/** "left right" lines, or pairs. What names no token of `ids` is refused; what names one that ordinary text must not become is left out. */
export function mergeList(
  merges: readonly (string | readonly [string, string])[],
  ids: ReadonlyMap<string, number>,
  byteLevel: boolean,
  last: boolean,
): MergeList {
  const list = new ByteList();
  const parts = (merge: string | readonly [string, string]): readonly [string, string] => {
    if (typeof merge !== 'string') return merge;
    const cut = merge.indexOf(' ', 1);
    return cut < 0 ? [merge, ''] : [merge.slice(0, cut), merge.slice(cut + 1)];
  };
  for (const merge of merges) for (const part of parts(merge)) list.add(part, byteLevel);
  const { bytes, offsets } = list.take();
  const check = (failed: Uint32Array): void => {
    for (const rank of failed) {
      const [left, right] = parts(merges[rank] ?? '');
      const missing = [left, right, left + right].find((token) => !ids.has(token));
      if (missing !== undefined) {
        failTokenizer(
          `merge ${rank} (${JSON.stringify([left, right]).slice(0, 100)}) names ${JSON.stringify(missing.slice(0, 100))}, which is no token; the file is damaged`,
          { rank },
        );
      }
    }
  };
  return { kind: 'list', bytes, bounds: offsets, last, check };
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
  return expressions.map((expression) => ({
    kind: 'pattern',
    automaton: compileAutomaton(parsePattern(expression)),
    behaviour: 'isolated',
    invert: false,
  }));
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
  return (
    scores.reduce((least, score) => Math.min(least, score), scores.length === 0 ? 0 : Number.POSITIVE_INFINITY) -
    UNKNOWN_PENALTY
  );
}

/** BERT's punctuation: Unicode's, and all of ASCII that is neither letter nor digit. */
export const PUNCTUATION = String.raw`[\p{P}!-/:-@\[-${'`'}{-~]`;

/** Words between white space, and every punctuation mark by itself. */
export function bertStages(): SplitStage[] {
  return [
    {
      kind: 'pattern',
      automaton: compileAutomaton(parsePattern(String.raw`\s+`)),
      behaviour: 'removed',
      invert: false,
    },
    ...isolatedStages([PUNCTUATION]),
  ];
}
