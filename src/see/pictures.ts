/**
 * Pictures in a conversation. The chat template sees a mark in a picture's place; encoding turns the mark into placeholder ids, and prefill
 * puts the picture's embeddings where those stand. What is remembered of a picture is what the model was shown: its pixels at the model's size
 * (four bytes each), enough to compute the embeddings again after a lost device or dropped turns. The context window bounds how many there are.
 */
import { InputError } from '../errors.ts';
import type { Rgba } from '../vision/image.ts';
import type { VisualChoice } from '../select/visual/index.ts';

/** Which encoder looks: the one that painting uses, too, or a vision tower of its own. */
export type VisualRoute = 'mar' | 'siglip';

/** How pictures are looked at. */
export interface VisualOptions {
  /** Pixels a side, one of the model's sizes: larger shows more and takes more of the context. */
  readonly size?: number | undefined;
  readonly route?: VisualRoute | undefined;
}

/** Which of a picture's tokens are to be read. */
export interface Thinning {
  readonly choice: VisualChoice;
  /** What was asked in the message that shows the picture; for choices that depend on it. */
  readonly question?: string | undefined;
  /** How many stay, where that is known of an earlier time. */
  readonly tokens?: number | undefined;
}

/** What stays of a picture's tokens. Where the choice itself tells when to stop, that is known once the picture was looked at. */
export class Thinned {
  readonly choice: VisualChoice;
  readonly question: string | undefined;
  /** The mark of the same picture with all tokens. */
  readonly whole: string;
  /** Tokens of the whole picture: the positions that it takes. */
  readonly of: number;
  #tokens: number | undefined;
  #kept: Int32Array | undefined;

  constructor({ choice, question, tokens }: Thinning, whole: string, of: number) {
    this.choice = choice;
    this.question = question;
    this.whole = whole;
    this.of = of;
    this.#tokens = tokens;
  }

  /** Placeholders in the context; undefined while they are not known. */
  get tokens(): number | undefined {
    return this.#tokens;
  }
  /** [tokens] those that stay, ascending; undefined before the picture was looked at. */
  get kept(): Int32Array | undefined {
    return this.#kept;
  }
  set kept(kept: Int32Array | undefined) {
    this.#kept = kept;
    this.#tokens = kept?.length ?? this.#tokens;
  }
}

/** A picture as the model sees it. Equal marks: equal content, size, route and choice of tokens. */
export interface SeenPicture {
  /** Stands for the picture in text; holds a number drawn for this model, so that no message can contain it unless it is the picture. */
  readonly mark: string;
  /** Pixels a side. */
  readonly size: number;
  readonly route: VisualRoute | undefined;
  /** Placeholders that it takes in the context. */
  readonly tokens: number;
  /** Undefined: all tokens are read. */
  readonly thinned?: Thinned | undefined;
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
  look(value: unknown, name: string, options?: VisualOptions, thinning?: Thinning): SeenPicture;
  /** The same picture of which nothing is seen but its `count` outlier tokens. */
  outliers?(picture: SeenPicture, count: number): SeenPicture;
  /** Makes `picture.tokens` known where only looking tells them. Whoever calls has passed the gate. */
  settle?(picture: SeenPicture, signal?: AbortSignal): Promise<void>;
}

/** The sight of a model that sees nothing: refuses all, and says why. */
export function blind(missing: readonly string[]): Sight {
  const refuse = (name: string): never => {
    throw cannotSee(name, missing);
  };
  return { placeholder: undefined, tokens: () => refuse('visual'), look: (_, name) => refuse(name) };
}

export function cannotSee(name: string, missing: readonly string[]): InputError {
  return new InputError(
    'argument',
    `${name}: this model reads text only (${missing.join('; ')}); send text, or load a model that sees`,
    { name, missing },
  );
}

export function cannotPaint(editing: boolean, missing: readonly string[]): InputError {
  const verb = editing ? 'edit' : 'paint';
  return new InputError(
    'argument',
    `${verb}: this model does not ${verb} pictures (${missing.join('; ')}); load one that does`,
    { name: verb, missing },
  );
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
