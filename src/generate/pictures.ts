/**
 * Pictures in a conversation. The chat template sees a mark in a picture's place; encoding turns the mark into placeholder ids, and prefill
 * puts the picture's embeddings where those stand. What is remembered of a picture is what the model was shown: its pixels at the model's size
 * (four bytes each), enough to compute the embeddings again after a lost device or dropped turns. The context window bounds how many there are.
 */
import { InputError } from '../errors.ts';
import type { Rgba } from '../vision/image.ts';

/** Which encoder looks: the one that painting uses, too, or a vision tower of its own. */
export type VisualRoute = 'mar' | 'siglip';

/** How pictures are looked at. */
export interface VisualOptions {
  /** Pixels a side, one of the model's sizes: larger shows more and takes more of the context. */
  readonly size?: number | undefined;
  readonly route?: VisualRoute | undefined;
}

/** A picture as the model sees it. Equal marks: equal content, size and route. */
export interface SeenPicture {
  /** Stands for the picture in text; holds a number drawn for this model, so that no message can contain it unless it is the picture. */
  readonly mark: string;
  /** Pixels a side. */
  readonly size: number;
  readonly route: VisualRoute | undefined;
  /** Placeholders that it takes in the context. */
  readonly tokens: number;
  /** size x size */
  readonly image: Rgba;
}

/** What a model sees by. */
export interface Sight {
  /** The id whose embedding a picture takes the place of; undefined where nothing is seen. */
  readonly placeholder: number | undefined;
  /** Context tokens of a picture. Throws `InputError('argument')` for options that the model does not have. */
  tokens(options?: VisualOptions): number;
  /** Takes RGBA pixels; `name` is for messages. Throws `InputError('argument')` for anything else. */
  look(value: unknown, name: string, options?: VisualOptions): SeenPicture;
}

/** The sight of a model that sees nothing: refuses all, and says why. */
export function blind(missing: readonly string[]): Sight {
  const refuse = (name: string): never => {
    throw cannotSee(name, missing);
  };
  return { placeholder: undefined, tokens: () => refuse('visual'), look: (_, name) => refuse(name) };
}

export function cannotSee(name: string, missing: readonly string[]): InputError {
  return new InputError('argument', `${name}: this model reads text only (${missing.join('; ')}); send text, or load a model that sees`, { name, missing });
}

const OPEN = '\uFFF9';
const CLOSE = '\uFFFB';
const MARK = /\uFFF9picture [\w ]+\uFFFB/g;

/** `name`: letters, digits and spaces. */
export function pictureMark(name: string): string {
  return `${OPEN}picture ${name}${CLOSE}`;
}

/** `text` in parts, cut where the marks of `pictures` stand. What looks like a mark and is none of them is text. */
export function splitAtMarks(text: string, pictures: readonly SeenPicture[]): (string | SeenPicture)[] {
  if (pictures.length === 0) return [text];
  const known = new Map(pictures.map((picture) => [picture.mark, picture]));
  const parts: (string | SeenPicture)[] = [];
  let done = 0;
  for (const { 0: mark, index } of text.matchAll(MARK)) {
    const picture = known.get(mark);
    if (picture === undefined) continue;
    parts.push(text.slice(done, index), picture);
    done = index + mark.length;
  }
  parts.push(text.slice(done));
  return parts;
}
