/** What a tokenizer is, whatever file described it: `gguf.ts` and `huggingface.ts` make it, `tokenizer.ts` runs it. */
import type { Automaton } from './automaton.ts';
import type { TokenizerFacts } from './tokenizer.ts';

export type SplitBehaviour = 'isolated' | 'removed' | 'merged-with-previous' | 'merged-with-next' | 'contiguous';

/** One cut of every piece so far: by a pattern's matches, or by a function of the piece that may also change it. */
export type SplitStage =
  | {
      readonly kind: 'pattern';
      readonly automaton: Automaton;
      readonly behaviour: SplitBehaviour;
      readonly invert: boolean;
    }
  | { readonly kind: 'function'; readonly split: (piece: string, first: boolean) => readonly string[] };

/** A token that is found in the text before anything else is done to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Parsed only when special tokens are asked for, and not printed by default. */
  readonly special: boolean;
  /** Takes the white space on its left, its right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Only between non-word characters. */
  readonly singleWord: boolean;
  /** Looked for in the normalised text. */
  readonly normalized: boolean;
}

/** What the vocabulary holds, as bytes that are compared with the text's: `bytes[offsets[i] .. offsets[i + 1])` is entry i; empty ones are never found. */
export interface Entries {
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

/** Merges in order of rank: left and right part by turns, `bytes[bounds[j] .. bounds[j + 1])`. */
export interface MergeList {
  readonly kind: 'list';
  readonly bytes: Uint8Array;
  readonly bounds: Uint32Array;
  /** Of equal pairs the last counts, else the first. */
  readonly last: boolean;
  /** Called with the numbers of merges that name what is no entry: throws unless that is as it should be. */
  check(failed: Uint32Array): void;
}

interface ModelBase {
  readonly entries: Entries;
  /** Entries `[0, tokens)` are tokens; later ones are characters that only occur within tokens. */
  readonly tokens: number;
  readonly unknown: number | undefined;
}

export type TokenModel =
  | (ModelBase & {
      readonly kind: 'bpe';
      /** Every byte is a symbol at first, or every character. */
      readonly byteLevel: boolean;
      /** 256 ids or -1: of the bytes (byte level), or what unknown characters fall back to. */
      readonly byteIds: Int32Array;
      readonly byteFallback: boolean;
      readonly fuseUnknown: boolean;
      /** A piece that is a token is not merged. */
      readonly ignoreMerges: boolean;
      /** An unknown character is left out before merging, as if it were not there. */
      readonly dropUnknown?: boolean;
      readonly merges:
        | MergeList
        | {
            readonly kind: 'ranks';
            /** SentencePiece: of each token; equal scores have equal ranks. */ readonly ranks: Uint32Array;
          };
    })
  | (ModelBase & {
      readonly kind: 'unigram';
      readonly scores: Float64Array;
      readonly unknownScore: number;
      readonly byteIds: Int32Array;
      readonly byteFallback: boolean;
    })
  /** Entries that begin a word are led by the byte 0xff. */
  | (ModelBase & { readonly kind: 'wordpiece'; readonly wordLimit: number });

export interface TokenizerDescription {
  readonly facts: TokenizerFacts;
  readonly added: readonly AddedToken[];
  /** `first`: the segment begins the text; `afterToken`: an added token, or nothing, is before it. */
  readonly normalize?: (text: string, first: boolean, afterToken: boolean) => string;
  /** Applied between normalised added tokens, before the stages. */
  readonly prepare?: (text: string, first: boolean) => string;
  readonly stages: readonly SplitStage[];
  readonly model: TokenModel;
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** The id of a token or an added token. */
  readonly idOf: (token: string) => number | undefined;
  readonly decoder: TokenDecoder;
}

export interface TokenDecoder {
  /** A token's bytes within a text. */
  bytes(id: number): Uint8Array;
  /** Its bytes where it begins a text, when they differ. */
  firstBytes?(id: number): Uint8Array;
  /** So many leading spaces of a text are dropped. */
  readonly leadingSpaces: number;
  /** Not printed unless special tokens are asked for. */
  isSpecial(id: number): boolean;
}
