/** Text to token ids and back, for every tokenizer that a model file describes. */
import { InputError } from '../errors.ts';
import type { ModelMetadata } from '../load/model-file.ts';
import type { Wasm } from '../wasm.ts';
import { AddedTokens } from './added-tokens.ts';
import type { TokenizerDescription } from './description.ts';
import { Encoder, IdList } from './encoder.ts';
import { describeGguf } from './gguf.ts';

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

/** Text that is final, never half a character: `push` gives what an id completes, `flush` the rest. */
export interface TokenStream {
  push(id: number): string;
  flush(): string;
}

export interface Tokenizer {
  readonly facts: TokenizerFacts;
  /** `special`: parse special tokens in the text (default true); `bos`: put BOS and EOS as the model asks (default false). */
  encode(text: string, options?: { special?: boolean; bos?: boolean }): Int32Array;
  /** Invalid UTF-8 becomes U+FFFD. Throws `InputError('argument')` for ids outside the vocabulary. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  stream(options?: DecodeOptions): TokenStream;
  /** The raw bytes of a token within a text, for grammars and masks. */
  tokenBytes(id: number): Uint8Array;
  idOf(token: string): number | undefined;
  free(): void;
}

/** Owns WASM memory until `free`. Throws `ModelError('tokenizer')` where the metadata makes no tokenizer. */
export async function createTokenizer(wasm: Wasm, metadata: ModelMetadata): Promise<Tokenizer> {
  const description = await describe(metadata);
  return new DescribedTokenizer(new Encoder(wasm, description.model, description.stages), description);
}

async function describe(metadata: ModelMetadata): Promise<TokenizerDescription> {
  switch (metadata.kind) {
    case 'gguf':
      return describeGguf(metadata.values);
    // Pages that load GGUF files do not download it.
    case 'huggingface':
      return (await import('./huggingface.ts')).describeHuggingFace(metadata);
    default:
      return metadata satisfies never;
  }
}

const NOTHING = new Uint8Array(0);
const SPACE = 0x20;

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

  encode(text: string, options: { special?: boolean; bos?: boolean } = {}): Int32Array {
    const { before, after, normalize, prepare } = this.#description;
    const special = options.special ?? true;
    const ids = new IdList();
    if (options.bos === true) for (const id of before) ids.push(id);
    let first = true;
    let afterToken = true;
    this.#raw.split(
      text,
      special,
      (segment) => {
        const normal = normalize === undefined ? segment : normalize(segment, first, afterToken);
        this.#normalised.split(
          normal,
          special,
          (part) => {
            this.#encoder.encode(prepare === undefined ? part : prepare(part, first), first, ids);
            first = false;
          },
          (token) => {
            ids.push(token.id);
            first = false;
          },
        );
        first = false;
        afterToken = false;
      },
      (token) => {
        ids.push(token.id);
        first = false;
        afterToken = true;
      },
    );
    if (options.bos === true) for (const id of after) ids.push(id);
    return ids.take();
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

  stream(options: DecodeOptions = {}): TokenStream {
    const print = this.#printer(options);
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    return { push: (id) => utf8.decode(print(id), { stream: true }), flush: () => utf8.decode() };
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

  idOf(token: string): number | undefined {
    return this.#description.idOf(token);
  }

  free(): void {
    this.#encoder.free();
  }
}
