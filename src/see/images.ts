/**
 * Images in a prompt. A message holds them as parts of its content. Encoding replaces each by its text and by
 * placeholder ids, and prefill puts the image's embeddings in the places of the placeholders. What is stored of an
 * image are the prepared pixels (`PreparedImage.image`), from which the embeddings can be computed again after a lost
 * device or dropped turns. The context window bounds the number of images.
 */
import type { Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { ForwardCall } from '../models/decoder.ts';
import type {
  EncodedImage,
  ExpandedPart,
  ImageOptions,
  ImageSettings,
  PreparedImage,
  SpanPositions,
} from '../models/vision/vision-model.ts';
import type { SelectionRequest, TokenSelection } from './token-selection.ts';

/**
 * An image as a prompt shows it. Equal content keys mean equal pixels, settings and selections, and therefore equal
 * embeddings.
 */
export interface PromptImage {
  readonly contentKey: string;
  readonly prepared: PreparedImage;
  /** What replaces the image in a prompt: its spans in order, and the text between them. */
  readonly expansion: readonly ExpandedPart[];
  /** One for each span. */
  readonly positions: readonly SpanPositions[];
  /** Undefined: all tokens are read. */
  readonly selection?: TokenSelection | undefined;
  /** Whether each of its spans must be prefilled in one call. */
  readonly bidirectional: boolean;
}

/** Text of a message within a rendered prompt, in which no control tokens are read. */
export class MessageText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

/**
 * Text and images, in reading order. In a message, strings are its text. In a rendered prompt, strings are what the
 * template wrote, and control tokens in them are read as such; the text of messages is `MessageText`.
 */
export type Content = readonly (string | MessageText | PromptImage)[];

/** Returns the number of ids for each span in a prompt. Precondition: `ImageProcessor.resolve` was awaited. */
export function spanTokens({ prepared, selection }: PromptImage): readonly number[] {
  if (selection === undefined) return prepared.spans.map(({ tokens }) => tokens);
  if (selection.counts === undefined) throw new Error('the tokens of an image were counted before they were selected');
  return selection.counts;
}

/** Returns the number of ids for an image; undefined while unknown. */
export function imageTokens(image: PromptImage): number | undefined {
  const counts = image.selection === undefined ? spanTokens(image) : image.selection.counts;
  return counts?.reduce((sum, count) => sum + count, 0);
}

/** A forward call of positions `[start, start + count)`, and the spans of images among all positions. */
export interface ShownCall {
  readonly start: number;
  readonly count: number;
  readonly spans: readonly {
    readonly at: number;
    readonly tokens: number;
    readonly image: PromptImage;
    readonly row: number;
  }[];
}

export type ImageCall = Pick<ForwardCall, 'open' | 'perLayer'>;

/** Turns pixels into what a prompt needs of an image, on one device. */
export interface ImageProcessor {
  /** The placeholder id of images; undefined for a model that reads text only. */
  readonly placeholder: number | undefined;
  /** Fills in defaults. Throws `InputError('argument')` for options that the model does not have. */
  settings(options?: ImageOptions): ImageSettings;
  /**
   * Prepares RGBA pixels for prompts; `name` is used in messages. Throws `InputError('argument')` for any other value.
   */
  register(value: unknown, name: string, options?: ImageOptions, request?: SelectionRequest): PromptImage;
  /** The same image with only its `count` outlier tokens. Call `resolve` before its tokens are counted. */
  outliers(image: PromptImage, count: number): PromptImage;
  /**
   * Determines how many tokens are read, which may require encoding. Precondition: the caller holds the device lock.
   */
  resolve(image: PromptImage, signal?: AbortSignal): Promise<void>;
  /**
   * Encodes the image if its embeddings are not cached, in steps between which other work runs and an abort takes
   * effect.
   */
  encode(image: PromptImage, signal?: AbortSignal): Promise<void>;
  /**
   * Returns the kept embeddings, one row for each placeholder, valid until the next call. If they are not cached, they
   * are computed at once.
   */
  embeddings(image: PromptImage): EncodedImage;
  /** Returns what the images of a forward call ask of it besides their embeddings. `made` keeps what is made (default: the open scope). */
  during(call: ShownCall, made?: (body: () => Tensor) => Tensor): ImageCall | undefined;
  /** Frees the device's memory. */
  free(): void;
}

/** For a model that reads text only: refuses images, with the reason. */
export function textOnly(missing: readonly string[]): ImageProcessor {
  const refuse = (name: string): never => {
    throw cannotSee(name, missing);
  };
  const image = (): never => refuse('image');
  return {
    placeholder: undefined,
    settings: () => refuse('visual'),
    register: (_, name) => refuse(name),
    outliers: image,
    resolve: image,
    encode: image,
    embeddings: image,
    during: () => undefined,
    free: () => undefined,
  };
}

export function cannotSee(name: string, missing: readonly string[]): InputError {
  return new InputError(
    'argument',
    `${name}: this model reads text only (${missing.join('; ')}); send text, or load a model that sees`,
    { name, missing },
  );
}

/** Returns the same content with adjacent texts of one kind joined and empty ones removed. */
export function joined(content: Content): Content {
  const out: Content[number][] = [];
  for (const part of content) {
    const last = out.at(-1);
    if (part === '' || (part instanceof MessageText && part.text === '')) continue;
    if (typeof part === 'string' && typeof last === 'string') out[out.length - 1] = last + part;
    else if (part instanceof MessageText && last instanceof MessageText)
      out[out.length - 1] = new MessageText(last.text + part.text);
    else out.push(part);
  }
  return out;
}

/** Returns the images of a content, in order. */
export function imagesOf(content: Content): readonly PromptImage[] {
  return content.flatMap((part) => (typeof part === 'string' || part instanceof MessageText ? [] : [part]));
}

/** Returns the part of `content` after `beginning`; undefined if it does not begin with it. Both are `joined`. */
export function restOf(content: Content, beginning: Content): Content | undefined {
  const last = beginning.length - 1;
  for (const [i, part] of beginning.entries()) {
    const other = content[i];
    if (other === undefined) return undefined;
    const [mine, theirs] = [textOf(part), textOf(other)];
    if (mine === undefined || theirs === undefined) {
      if (mine !== theirs || keyOf(part) !== keyOf(other)) return undefined;
    } else if (
      part instanceof MessageText !== other instanceof MessageText ||
      !(i === last ? theirs.startsWith(mine) : theirs === mine)
    )
      return undefined;
  }
  const [end, open] = [beginning[last], content[last]];
  const length = end === undefined ? 0 : (textOf(end)?.length ?? 0);
  if (typeof open === 'string') return joined([open.slice(length), ...content.slice(last + 1)]);
  if (open instanceof MessageText)
    return joined([new MessageText(open.text.slice(length)), ...content.slice(last + 1)]);
  return content.slice(last + 1);
}

function textOf(part: Content[number]): string | undefined {
  return typeof part === 'string' ? part : part instanceof MessageText ? part.text : undefined;
}

function keyOf(part: Content[number]): string | undefined {
  return typeof part === 'string' || part instanceof MessageText ? undefined : part.contentKey;
}
