/** Text to token ids and back, for every tokenizer that a model file describes. */
import { InputError } from '../errors.ts';
import type { ModelMetadata } from '../load/model-file.ts';
import type { Wasm } from '../wasm.ts';
import { AddedTokens, type Allowed } from './added-tokens.ts';
import { align, sourceOf, type Alignment } from './alignment.ts';
import { withSharedBudget } from './automaton.ts';
import type { TokenizerDescription } from './description.ts';
import { Encoder } from './encoder.ts';
import { IdList } from './id-list.ts';
import type { Locate } from './places.ts';
import { describeGguf } from './gguf.ts';
import { bounded } from './growth.ts';

/** What a model file says. */
export interface TokenizerFacts {
  readonly vocabulary: number;
  readonly bos?: number;
  /** All ids that end a generation: end of sequence, of turn, of message; the first is the file's own. */
  readonly eos: readonly number[];
  readonly unknown?: number;
  readonly padding?: number;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly chatTemplate?: string;
}

export interface DecodeOptions {
  /** Print special tokens; default false. */
  readonly special?: boolean;
  /** The ids begin a text, so that a space which `encode` put before it is dropped. Default true for `decode`, false for `stream`, whose ids go on a prompt. */
  readonly start?: boolean;
}

/** Ids to text as they come, never half a character. */
export interface TokenStream {
  /** The text that the id completes. */
  push(id: number): string;
  /** Whether the ids so far end within a character, whose first bytes are no text yet. */
  readonly incomplete: boolean;
  /** Ends the text: U+FFFD for an incomplete character. */
  flush(): string;
}

export interface EncodeOptions {
  /** Whether special tokens in the text are read as such (default true). */
  readonly special?: boolean | undefined;
  /** Start and end, by turns, of the parts of the text in which none are read all the same: ascending UTF-16 units. What overlaps one is text. */
  readonly literal?: readonly number[] | undefined;
  /** Puts BOS before and EOS behind the text, as the model asks (default false). */
  readonly bos?: boolean | undefined;
}

/** Token ids with their places. */
export interface Encoding {
  readonly ids: Int32Array;
  /**
   * [2 ids] of each id the UTF-16 units `[start, end)` of the text that it stands for. Tokens of a character's bytes stand for all of it; what the
   * tokenizer puts into the text stands for nothing, `start` and `end` being equal.
   */
  readonly offsets: Uint32Array;
}

/** Ids that stand around a text, and between the two texts of a pair, where the model wants them. */
export interface Affixes {
  readonly before: readonly number[];
  readonly between: readonly number[];
  readonly after: readonly number[];
}

export interface Tokenizer {
  readonly facts: TokenizerFacts;
  /** What `bos` puts around a text. */
  readonly affixes: Affixes;
  encode(text: string, options?: EncodeOptions & { readonly offsets?: false | undefined }): Int32Array;
  encode(text: string, options: EncodeOptions & { readonly offsets: true }): Encoding;
  /** Invalid UTF-8 becomes U+FFFD. Throws `InputError('argument')` for ids outside the vocabulary. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** `after`: the ids that the stream's go on from; where they end within a character, it is completed. */
  stream(options?: DecodeOptions & { readonly after?: ArrayLike<number> | undefined }): TokenStream;
  /** The raw bytes of a token within a text, for grammars and masks. */
  tokenBytes(id: number): Uint8Array;
  /** Every token, with its raw bytes; `special`: it is not printed unless special tokens are asked for. */
  eachToken(visit: (id: number, bytes: Uint8Array, special: boolean) => void): void;
  idOf(token: string): number | undefined;
  free(): void;
}

/** Owns WASM memory until `free`. Throws `ModelError('tokenizer')` where the metadata makes no tokenizer. */
export async function createTokenizer(wasm: Wasm, metadata: ModelMetadata): Promise<Tokenizer> {
  const description = await describeTokenizer(metadata);
  return new DescribedTokenizer(new Encoder(wasm, description.model, description.stages), description);
}

/** The tokenizer that the metadata describes. Throws as `createTokenizer`. */
export async function describeTokenizer(metadata: ModelMetadata): Promise<TokenizerDescription> {
  switch (metadata.kind) {
    case 'gguf':
      return describeGguf(metadata.values);
    // Pages that load GGUF files do not download it.
    case 'huggingface': {
      const { describeHuggingFace } = await import('./huggingface.ts');
      return withSharedBudget(() => describeHuggingFace(metadata));
    }
    default:
      return metadata satisfies never;
  }
}

const NOTHING = new Uint8Array(0);
const SPACE = 0x20;
/** Bytes of UTF-8. */
const LONGEST_CHARACTER = 4;

/** How many bytes the last character lacks after more were added. */
function missingBytes(before: number, bytes: Uint8Array): number {
  let missing = before;
  for (const byte of bytes) {
    if (missing > 0 && (byte & 0xc0) === 0x80) missing--;
    else
      missing = byte >= 0xf0 && byte < 0xf5 ? 3 : byte >= 0xe0 && byte < 0xf0 ? 2 : byte >= 0xc2 && byte < 0xe0 ? 1 : 0;
  }
  return missing;
}

/** A part of a text between added tokens, and where it stands. */
interface Segment {
  readonly at: number;
  readonly first: boolean;
  readonly afterToken: boolean;
  readonly special: boolean;
  readonly literal: readonly number[];
  readonly offsets: boolean;
}

/** Whether `[start, end)` has anything in common with one of the spans. */
function overlaps(spans: readonly number[], start: number, end: number): boolean {
  let low = 0;
  for (let high = spans.length >> 1; low < high;) {
    const middle = (low + high) >> 1;
    if ((spans[2 * middle + 1] ?? 0) <= start) low = middle + 1;
    else high = middle;
  }
  return (spans[2 * low] ?? Infinity) < end;
}

/** From units of the prepared text to units of the whole; the part stands at `start` of what `locate` is of. */
function locateIn(
  part: string,
  text: string,
  start: number,
  first: boolean,
  prepare: TokenizerDescription['prepare'],
  locate: Locate,
): Locate {
  if (prepare === undefined || part === text) return (a, b) => locate(start + a, start + b);
  const aligned = align(part, text, (piece, begins) => prepare(piece, begins && first), true);
  return (a, b) => {
    const [from, to] = sourceOf(aligned, a, b);
    return locate(start + from, start + to);
  };
}

class DescribedTokenizer implements Tokenizer {
  readonly #encoder: Encoder;
  /** Without what the encoder has copied: that is as large as the vocabulary several times over. */
  readonly #description: Omit<TokenizerDescription, 'model' | 'stages'>;
  /** Looked for in the text as it is, and in the normalised text. */
  readonly #raw: AddedTokens;
  readonly #normalised: AddedTokens;
  readonly #bytes: (Uint8Array | undefined)[] = [];

  constructor(encoder: Encoder, { model: _model, stages: _stages, ...description }: TokenizerDescription) {
    this.#encoder = encoder;
    this.#description = description;
    this.#raw = new AddedTokens(description.added.filter((token) => !token.normalized));
    this.#normalised = new AddedTokens(description.added.filter((token) => token.normalized));
  }

  get facts(): TokenizerFacts {
    return this.#description.facts;
  }

  get affixes(): Affixes {
    const { before, after, between = after } = this.#description;
    return { before, between, after };
  }

  encode(text: string, options?: EncodeOptions & { readonly offsets?: false | undefined }): Int32Array;
  encode(text: string, options: EncodeOptions & { readonly offsets: true }): Encoding;
  encode(
    text: string,
    options: EncodeOptions & { readonly offsets?: boolean | undefined } = {},
  ): Int32Array | Encoding {
    const { before, after } = this.#description;
    const { special = true, literal = [], offsets = false, bos = false } = options;
    const ids = new IdList();
    const place = (at: number): readonly number[] => (offsets ? [at, at] : []);
    if (bos) for (const id of before) ids.push(id, ...place(0));
    let first = true;
    let afterToken = true;
    this.#raw.split(
      text,
      (start, end) => special && !overlaps(literal, start, end),
      (segment, at) => {
        this.#segment(segment, { at, first, afterToken, special, literal, offsets }, ids);
        first = false;
        afterToken = false;
      },
      (token, start, end) => {
        ids.push(token.id, ...(offsets ? [start, end] : []));
        first = false;
        afterToken = true;
      },
    );
    if (bos) for (const id of after) ids.push(id, ...place(text.length));
    return offsets ? { ids: ids.take(), offsets: Uint32Array.from(ids.offsets) } : ids.take();
  }

  /** What is between two added tokens: normalised, cut at those that stand in normalised text, encoded. */
  #segment(segment: string, { at, first, afterToken, special, literal, offsets }: Segment, ids: IdList): void {
    const { normalize, prepare } = this.#description;
    const normal = normalize === undefined ? segment : bounded(segment, normalize(segment, first, afterToken));
    let aligned: Alignment | undefined;
    /** Units of the normalised segment to units of the text. */
    const locate: Locate = (start, end) => {
      if (normal === segment || normalize === undefined) return [at + start, at + end];
      aligned ??= align(
        segment,
        normal,
        (part, begins) => normalize(part, begins && first, begins && afterToken),
        true,
      );
      const [from, to] = sourceOf(aligned, start, end);
      return [at + from, at + to];
    };
    const allowed: Allowed = (start, end) =>
      special && (literal.length === 0 || !overlaps(literal, ...locate(start, end)));
    let begins = first;
    this.#normalised.split(
      normal,
      allowed,
      (part, start) => {
        const text = prepare === undefined ? part : bounded(part, prepare(part, begins));
        this.#encoder.encode(
          text,
          begins,
          ids,
          offsets ? locateIn(part, text, start, begins, prepare, locate) : undefined,
        );
        begins = false;
      },
      (token, start, end) => {
        ids.push(token.id, ...(offsets ? locate(start, end) : []));
        begins = false;
      },
    );
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const print = this.#printer({ start: true, ...options });
    let bytes = new Uint8Array(8 * ids.length + 16);
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const part = print(ids[i] ?? -1);
      if (length + part.length > bytes.length) {
        const grown = new Uint8Array(2 * (length + part.length));
        grown.set(bytes);
        bytes = grown;
      }
      bytes.set(part, length);
      length += part.length;
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, length));
  }

  stream({
    after = [],
    ...options
  }: DecodeOptions & { readonly after?: ArrayLike<number> | undefined } = {}): TokenStream {
    const print = this.#printer(options);
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    let missing = 0;
    const push = (id: number): string => {
      const bytes = print(id);
      missing = missingBytes(missing, bytes);
      return utf8.decode(bytes, { stream: true });
    };
    // A character has at most 4 bytes, each perhaps a token of its own.
    for (let i = Math.max(0, after.length - LONGEST_CHARACTER); i < after.length; i++) push(after[i] ?? 0);
    return {
      push,
      get incomplete() {
        return missing > 0;
      },
      flush: () => utf8.decode(),
    };
  }

  /** The bytes that each id of a sequence adds to the text. */
  #printer(options: DecodeOptions): (id: number) => Uint8Array {
    const { decoder } = this.#description;
    const special = options.special === true;
    let first = options.start === true;
    let drop = first ? decoder.leadingSpaces : 0;
    return (id) => {
      let bytes = this.tokenBytes(id);
      if (!special && decoder.isSpecial(id)) return NOTHING;
      if (first) bytes = decoder.firstBytes?.(id) ?? bytes;
      first = false;
      let from = 0;
      while (drop > 0 && from < bytes.length) {
        if (bytes[from] === SPACE) {
          drop--;
          from++;
        } else drop = 0;
      }
      return from === 0 ? bytes : bytes.subarray(from);
    };
  }

  tokenBytes(id: number): Uint8Array {
    const { facts, decoder } = this.#description;
    if (!Number.isInteger(id) || id < 0 || id >= facts.vocabulary) {
      throw new InputError('argument', `token id ${id} is outside the vocabulary of ${facts.vocabulary}`, {
        id,
        vocabulary: facts.vocabulary,
      });
    }
    let bytes = this.#bytes[id];
    if (bytes === undefined) {
      bytes = decoder.bytes(id);
      this.#bytes[id] = bytes;
    }
    return bytes;
  }

  eachToken(visit: (id: number, bytes: Uint8Array, special: boolean) => void): void {
    const { facts, decoder } = this.#description;
    // Not by `tokenBytes`: what it keeps would be as large as the vocabulary several times over.
    for (let id = 0; id < facts.vocabulary; id++) visit(id, decoder.bytes(id), decoder.isSpecial(id));
  }

  idOf(token: string): number | undefined {
    return this.#description.idOf(token);
  }

  free(): void {
    this.#encoder.free();
  }
}
