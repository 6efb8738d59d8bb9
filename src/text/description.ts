/** Describes a tokenizer independently of the file format: `gguf.ts` and `huggingface.ts` create it, `tokenizer.ts` runs it. */
import type { Automaton } from './automaton.ts';
import type { TokenizerFacts } from './tokenizer.ts';

export type SplitBehaviour = 'isolated' | 'removed' | 'merged-with-previous' | 'merged-with-next' | 'contiguous';

/** One pretokenisation step, applied to every piece so far: it cuts at a pattern's matches, or calls a function that may also change the piece. */
export type SplitStage =
  | {
      readonly kind: 'pattern';
      readonly automaton: Automaton;
      readonly behaviour: SplitBehaviour;
      readonly invert: boolean;
    }
  | { readonly kind: 'function'; readonly split: (piece: string, first: boolean) => readonly string[] };

/** A token that is matched in the text before normalisation and pretokenisation. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Matched only where special tokens are allowed, and not printed by default. */
  readonly special: boolean;
  /** Whether a match includes the white space before it, or after it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Matches only where no word character is adjacent. */
  readonly singleWord: boolean;
  /** Matched in the normalised text instead of the raw text. */
  readonly normalized: boolean;
}

/**
 * The vocabulary's entries, as bytes that are compared with the bytes of the text: `bytes[offsets[i] .. offsets[i +
 * 1])` is entry i; empty entries never match.
 */
export interface Entries {
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

/** Merges in order of rank: left and right part alternately, `bytes[bounds[j] .. bounds[j + 1])`. */
export interface MergeList {
  readonly kind: 'list';
  readonly bytes: Uint8Array;
  readonly bounds: Uint32Array;
  /** Of equal pairs the last is used; otherwise the first. */
  readonly last: boolean;
  /** Called with the ranks of merges that name strings which are not entries; throws unless those are expected. */
  check(failed: Uint32Array): void;
}

interface ModelBase {
  readonly entries: Entries;
  /** Entries `[0, tokens)` are tokens; the rest are characters that occur within tokens without being tokens. */
  readonly tokens: number;
  readonly unknown: number | undefined;
}

export type TokenModel =
  | (ModelBase & {
      readonly kind: 'bpe';
      /** Whether merging starts from bytes; otherwise it starts from characters. */
      readonly byteLevel: boolean;
      /** 256 ids, -1 for none: the tokens of single bytes (byte level), or those that unknown characters fall back to. */
      readonly byteIds: Int32Array;
      readonly byteFallback: boolean;
      readonly fuseUnknown: boolean;
      /** A piece that is itself a token is used without merging. */
      readonly ignoreMerges: boolean;
      /** Unknown characters are removed before merging. */
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
  /** Entries that begin a word start with the byte 0xff. */
  | (ModelBase & { readonly kind: 'wordpiece'; readonly wordLimit: number });

export interface TokenizerDescription {
  readonly facts: TokenizerFacts;
  readonly added: readonly AddedToken[];
  /** `first`: the segment is at the beginning of the text; `afterToken`: it follows an added token, or is the first. */
  readonly normalize?: (text: string, first: boolean, afterToken: boolean) => string;
  /** Applied between normalised added tokens, before the stages. */
  readonly prepare?: (text: string, first: boolean) => string;
  readonly stages: readonly SplitStage[];
  readonly model: TokenModel;
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Inserted between the two texts of a pair; default: `after`. */
  readonly between?: readonly number[] | undefined;
  /** The id of a token or an added token. */
  readonly idOf: (token: string) => number | undefined;
  readonly decoder: TokenDecoder;
}

export interface TokenDecoder {
  /** A token's bytes within a text. */
  bytes(id: number): Uint8Array;
  /** Its bytes at the beginning of a text, if they differ. */
  firstBytes?(id: number): Uint8Array;
  /** How many leading spaces of a text are dropped. */
  readonly leadingSpaces: number;
  /** Not printed unless special tokens are asked for. */
  isSpecial(id: number): boolean;
}
