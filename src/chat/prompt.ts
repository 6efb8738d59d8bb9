/** From text with marks to ids with pictures among them, and what two such prompts have in common. */
import type { Tokenizer } from '../text/tokenizer.ts';
import { splitAtMarks, type SeenPicture, type Sight } from '../see/pictures.ts';

/** A picture in a prompt: its placeholders are the ids `[at, at + picture.tokens)`, or as many as there are. */
export interface Placed {
  readonly at: number;
  readonly picture: SeenPicture;
}

export interface Prompt {
  readonly ids: Int32Array;
  /** In the order of the ids. */
  readonly pictures: readonly Placed[];
}

/** What a sequence holds. `text` is what the ids stand for, or undefined where no text stands for them exactly. */
export interface Transcript extends Prompt {
  readonly text: string | undefined;
}

export const NOTHING: Transcript = { ids: new Int32Array(0), pictures: [], text: undefined };

/** A conversation as text, and the pictures whose marks may stand in it. */
export interface Rendered {
  readonly text: string;
  readonly pictures: readonly SeenPicture[];
}

/** What encoding asks of a model. */
export interface Words {
  readonly tokenizer: Tokenizer;
  readonly sight: Pick<Sight, 'placeholder'>;
}

function join(a: Prompt, b: Prompt): Prompt {
  const ids = new Int32Array(a.ids.length + b.ids.length);
  ids.set(a.ids);
  ids.set(b.ids, a.ids.length);
  return {
    ids,
    pictures: [...a.pictures, ...b.pictures.map(({ at, picture }) => ({ at: at + a.ids.length, picture }))],
  };
}

/** The first `length` ids. */
export function beginning({ ids, pictures }: Prompt, length: number): Prompt {
  return { ids: ids.subarray(0, length), pictures: pictures.filter(({ at }) => at < length) };
}

/** Writes the placeholder's name in two pieces, so that a message which spells it out is read as text. */
function spelled(text: string, name: string): string[] {
  const parts = text.split(name);
  return parts.map(
    (part, index) => (index === 0 ? '' : name.slice(1)) + part + (index === parts.length - 1 ? '' : name.slice(0, 1)),
  );
}

function encode({ tokenizer, sight }: Words, { text, pictures }: Rendered, special: boolean): Prompt {
  const { placeholder } = sight;
  if (placeholder === undefined) return { ids: tokenizer.encode(text, { special }), pictures: [] };
  const name = tokenizer.decode([placeholder], { special: true });
  const placed: Placed[] = [];
  const pieces: Int32Array[] = [];
  let length = 0;
  const add = (ids: Int32Array): void => {
    pieces.push(ids);
    length += ids.length;
  };
  for (const part of splitAtMarks(text, pictures)) {
    if (typeof part === 'string') {
      for (const piece of name.length > 1 ? spelled(part, name) : [part]) add(tokenizer.encode(piece, { special }));
    } else {
      placed.push({ at: length, picture: part });
      add(new Int32Array(part.tokens).fill(placeholder));
    }
  }
  const ids = new Int32Array(length);
  let at = 0;
  for (const piece of pieces) {
    ids.set(piece, at);
    at += piece.length;
  }
  return { ids, pictures: placed };
}

/** Text to ids with BOS where the model asks for it and the text does not bring it. */
export function encodeContext(words: Words, rendered: Rendered, special = true): Prompt {
  const prompt = encode(words, rendered, special);
  const { addBos, bos } = words.tokenizer.facts;
  if (!addBos || bos === undefined || prompt.ids[0] === bos) return prompt;
  return join({ ids: Int32Array.of(bos), pictures: [] }, prompt);
}

/**
 * Ids of a text, keeping the transcript's own ids where the text goes on from it: an answer's ids as they were drawn are one of many ways
 * to write its text, and encoding it anew could change them and cost a second prefill. That is exact where the rest begins with a
 * special token, at which encoding splits in any case; else everything is encoded anew.
 */
export function followOn(words: Words, transcript: Transcript, rendered: Rendered): Prompt {
  const { tokenizer } = words;
  const { text: before } = transcript;
  if (before === undefined || before.length === 0 || !rendered.text.startsWith(before))
    return encodeContext(words, rendered);
  const rest = rendered.text.slice(before.length);
  if (rest.length === 0) return transcript;
  const more = encode(words, { text: rest, pictures: rendered.pictures }, true);
  const first = more.ids[0];
  if (
    first === undefined ||
    tokenizer.decode([first]) !== '' ||
    !rest.startsWith(tokenizer.decode([first], { special: true }))
  ) {
    return encodeContext(words, rendered);
  }
  return join(transcript, more);
}

/** How many ids `a` and `b` have in common from the start, pictures included. */
export function commonPrefix(a: Prompt, b: Prompt): number {
  const least = Math.min(a.ids.length, b.ids.length);
  let same = 0;
  while (same < least && a.ids[same] === b.ids[same]) same++;
  return Math.min(same, firstOther(a, b), firstOther(b, a));
}

/** Where the first picture of `a` stands that `b` does not have in the same place. */
function firstOther(a: Prompt, b: Prompt): number {
  const there = new Map(b.pictures.map(({ at, picture }) => [at, picture.mark]));
  return a.pictures.find(({ at, picture }) => there.get(at) !== picture.mark)?.at ?? Infinity;
}
