/** Texts as ids, cut to what the model reads, and packed by length so that little of a call is padding. */
import { ModelError } from '../errors.ts';
import { TimeSlice } from '../layers/yield.ts';
import type { Packed } from '../models/encoder/packed.ts';
import type { Affixes, Tokenizer } from '../text/tokenizer.ts';

/** One text, or one pair, as the model reads it. */
export interface Read {
  readonly ids: Int32Array;
  /** Where the second text of a pair begins. */
  readonly second?: number | undefined;
  /** See `Packed.placeholders`. */
  readonly placeholder?: number | undefined;
  readonly truncated: boolean;
}

/** Ids of a text: what the user wrote is text, whatever it looks like. */
export function idsOf(tokenizer: Tokenizer, text: string): Int32Array {
  return tokenizer.encode(text, { special: false });
}

/** `window`: most ids, those around the text included. */
export function framed(ids: Int32Array, { before, after }: Affixes, window: number): Read {
  const room = Math.max(0, window - before.length - after.length);
  return { ids: Int32Array.from([...before, ...ids.subarray(0, room), ...after]), truncated: ids.length > room };
}

/** Both texts are cut, the longer one first, as upstream's tokenizers do. */
export function framedPair(a: Int32Array, b: Int32Array, { before, between, after }: Affixes, window: number): Read {
  const room = Math.max(0, window - before.length - between.length - after.length);
  const shorter = Math.min(a.length, b.length);
  const half = Math.floor(room / 2);
  const keepShorter = Math.min(shorter, half);
  const keepLonger = Math.min(Math.max(a.length, b.length), room - keepShorter);
  const [keepA, keepB] = a.length > b.length ? [keepLonger, keepShorter] : [keepShorter, keepLonger];
  const first = [...before, ...a.subarray(0, keepA), ...between];
  return {
    ids: Int32Array.from([...first, ...b.subarray(0, keepB), ...after]),
    second: first.length,
    truncated: keepA < a.length || keepB < b.length,
  };
}

/** Reads all of `count` texts, and lets others compute meanwhile. */
export async function readAll(
  count: number,
  read: (index: number) => Read,
  signal: AbortSignal | undefined,
): Promise<readonly Read[]> {
  const slice = new TimeSlice();
  const all: Read[] = [];
  for (let i = 0; i < count; i++) {
    signal?.throwIfAborted();
    all.push(read(i));
    await slice.yield();
  }
  return all;
}

/** A text may be shorter than the longest of its call by a quarter, or by so many tokens. */
const SLACK = 8;

/** Which texts go into a call together: of similar length, and at most `rows` rows; a longer text goes by itself. */
export function batchesOf(lengths: readonly number[], rows: number): readonly (readonly number[])[] {
  const order = lengths.map((_, i) => i).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0));
  const batches: number[][] = [];
  let longest = 0;
  for (const index of order) {
    const length = lengths[index] ?? 0;
    const batch = batches.at(-1);
    const alike = 4 * length >= 3 * longest || longest - length <= SLACK;
    if (batch !== undefined && alike && (batch.length + 1) * longest <= rows) batch.push(index);
    else {
      batches.push([index]);
      longest = length;
    }
  }
  return batches;
}

/** `vocabulary`: rows of the model's embedding table. Throws `ModelError('tokenizer')` for an id that has none. */
export function pack(texts: readonly Read[], vocabulary: number): Packed {
  const lengths = Int32Array.from(texts, ({ ids }) => ids.length);
  const stride = Math.max(...lengths);
  const ids = new Int32Array(texts.length * stride);
  const segments = texts.some(({ second }) => second !== undefined) ? new Int32Array(ids.length) : undefined;
  texts.forEach((text, i) => {
    const wrong = text.ids.find((id) => id < 0 || id >= vocabulary);
    if (wrong !== undefined)
      throw new ModelError(
        'tokenizer',
        `the tokenizer gives the id ${wrong}, and the model has embeddings for the ids 0 to ${vocabulary - 1}; the tokenizer is another model's`,
        { id: wrong, vocabulary },
      );
    ids.set(text.ids, i * stride);
    if (text.second !== undefined) segments?.fill(1, i * stride + text.second, i * stride + text.ids.length);
  });
  const placeholders = texts.some(({ placeholder }) => placeholder !== undefined)
    ? Int32Array.from(texts, ({ placeholder = 0 }) => placeholder)
    : undefined;
  return { ids, segments, stride, lengths, placeholders };
}
