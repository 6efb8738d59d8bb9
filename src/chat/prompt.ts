/** Encodes text and images as ids with image spans among them, and finds what two such prompts have in common. */
import type { Tokenizer } from '../text/tokenizer.ts';
import {
  joined,
  MessageText,
  restOf,
  spanTokens,
  type Content,
  type ImageProcessor,
  type PromptImage,
} from '../see/images.ts';

/** A span of an image in a prompt: its placeholders are the ids `[at, at + tokens)`. */
export interface PlacedSpan {
  readonly at: number;
  readonly tokens: number;
  readonly image: PromptImage;
  /** Which of the image's spans it is. */
  readonly span: number;
  /** The row of the image's embeddings (`ImageProcessor.embeddings`) for the position `at`. */
  readonly row: number;
}

export interface Prompt {
  readonly ids: Int32Array;
  /** In the order of the ids. */
  readonly spans: readonly PlacedSpan[];
}

/** The contents of a sequence. `content` is what the ids stand for, or undefined if no text stands for them exactly. */
export interface Transcript extends Prompt {
  readonly content: Content | undefined;
}

export const NOTHING: Transcript = { ids: new Int32Array(0), spans: [], content: undefined };

/** What encoding needs from a model. */
export interface Words {
  readonly tokenizer: Tokenizer;
  readonly images: Pick<ImageProcessor, 'placeholder'>;
}

function join(a: Prompt, b: Prompt): Prompt {
  return {
    ids: concatenated([a.ids, b.ids]),
    spans: [...a.spans, ...b.spans.map((span) => ({ ...span, at: span.at + a.ids.length }))],
  };
}

function concatenated(pieces: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** The first `length` ids. */
export function beginning({ ids, spans }: Prompt, length: number): Prompt {
  return { ids: ids.subarray(0, length), spans: spans.filter(({ at }) => at < length) };
}

/** Returns the same prompt with `other` in place of each image; the ids between the spans are kept. */
export function withImages({ ids, spans }: Prompt, other: (image: PromptImage) => PromptImage): Prompt {
  const pieces: Int32Array[] = [];
  const placed: PlacedSpan[] = [];
  let done = 0;
  let length = 0;
  const add = (piece: Int32Array): void => {
    pieces.push(piece);
    length += piece.length;
  };
  for (const { at, tokens, image, span } of spans) {
    add(ids.subarray(done, at));
    const changed = other(image);
    const counts = spanTokens(changed);
    const count = counts[span] ?? 0;
    const row = counts.slice(0, span).reduce((sum, one) => sum + one, 0);
    placed.push({ at: length, tokens: count, image: changed, span, row });
    add(new Int32Array(count).fill(ids[at] ?? 0));
    done = at + tokens;
  }
  add(ids.subarray(done));
  return { ids: concatenated(pieces), spans: placed };
}

/** Returns the places of `name` in a text and the given spans, as ascending spans that do not overlap. */
function withPlaces(text: string, name: string, given: readonly number[]): readonly number[] {
  if (name.length < 2 || !text.includes(name)) return given;
  const spans: [number, number][] = [];
  for (let i = 0; i < given.length; i += 2) spans.push([given[i] ?? 0, given[i + 1] ?? 0]);
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) spans.push([at, at + name.length]);
  const out: number[] = [];
  for (const [start, end] of spans.sort(([a], [b]) => a - b)) {
    if (start <= (out.at(-1) ?? -1)) out[out.length - 1] = Math.max(end, out.at(-1) ?? 0);
    else out.push(start, end);
  }
  return out;
}

function encode({ tokenizer, images }: Words, content: Content, special: boolean): Prompt {
  const { placeholder } = images;
  const name = placeholder === undefined ? '' : tokenizer.decode([placeholder], { special: true });
  const spans: PlacedSpan[] = [];
  const pieces: Int32Array[] = [];
  let length = 0;
  let text = '';
  /** Spans of `text` in which no control tokens are read. */
  let literal: number[] = [];
  const add = (ids: Int32Array): void => {
    pieces.push(ids);
    length += ids.length;
  };
  // The text of an image and the text around it are encoded together.
  const flush = (): void => {
    // Only images are encoded as the placeholder, even if a text spells it out.
    if (text !== '') add(tokenizer.encode(text, { special, literal: withPlaces(text, name, literal) }));
    text = '';
    literal = [];
  };
  for (const part of content) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    if (part instanceof MessageText) {
      if (literal.at(-1) === text.length) literal[literal.length - 1] = text.length + part.text.length;
      else literal.push(text.length, text.length + part.text.length);
      text += part.text;
      continue;
    }
    const counts = spanTokens(part);
    let span = 0;
    let row = 0;
    for (const piece of part.expansion) {
      if (typeof piece === 'string') {
        text += piece;
        continue;
      }
      flush();
      const tokens = counts[span] ?? 0;
      spans.push({ at: length, tokens, image: part, span, row });
      add(new Int32Array(tokens).fill(placeholder ?? 0));
      row += tokens;
      span++;
    }
  }
  flush();
  return { ids: concatenated(pieces), spans };
}

/** Encodes text as ids, with BOS if the model requires it and the text does not contain it. */
export function encodeContext(words: Words, content: Content, special = true): Prompt {
  const prompt = encode(words, content, special);
  const { addBos, bos } = words.tokenizer.facts;
  if (!addBos || bos === undefined || prompt.ids[0] === bos) return prompt;
  return join({ ids: Int32Array.of(bos), spans: [] }, prompt);
}

/**
 * Returns the ids of a content, keeping the transcript's own ids where the content continues it. The ids of an answer,
 * as they were drawn, are one of many encodings of its text; encoding the text again could change them and cost a
 * second prefill. Keeping them is exact when the rest begins with a special token, at which encoding splits in any
 * case; otherwise everything is encoded again.
 */
export function followOn(words: Words, transcript: Transcript, content: Content): Prompt {
  const { tokenizer } = words;
  const { content: before } = transcript;
  const rest = before === undefined || before.length === 0 ? undefined : restOf(joined(content), before);
  if (rest === undefined) return encodeContext(words, content);
  if (rest.length === 0) return transcript;
  const [text] = rest;
  const more = encode(words, rest, true);
  const first = more.ids[0];
  if (
    first === undefined ||
    typeof text !== 'string' ||
    tokenizer.decode([first]) !== '' ||
    !text.startsWith(tokenizer.decode([first], { special: true }))
  ) {
    return encodeContext(words, content);
  }
  return join(transcript, more);
}

/** Returns how many ids `a` and `b` have in common from the start, including images. */
export function commonPrefix(a: Prompt, b: Prompt): number {
  const least = Math.min(a.ids.length, b.ids.length);
  let same = 0;
  while (same < least && a.ids[same] === b.ids[same]) same++;
  return Math.min(same, firstOther(a, b), firstOther(b, a));
}

/** Returns the position of the first span of `a` that `b` does not have at the same place. */
function firstOther(a: Prompt, b: Prompt): number {
  const there = new Map(b.spans.map(({ at, image, span }) => [at, `${span} ${image.contentKey}`]));
  return a.spans.find(({ at, image, span }) => there.get(at) !== `${span} ${image.contentKey}`)?.at ?? Infinity;
}
