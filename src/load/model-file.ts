/**
 * The files of a model behind one interface, whatever their format: metadata, named tensors, and one streaming read.
 * Nothing here knows a model; `src/models` turns metadata into a configuration and says which tensors it needs.
 */
import type { Weight, WeightWriter } from '../backend/backend.ts';
import type { WeightSpec } from '../backend/weight.ts';
import type { StoredFormat } from './stored-format.ts';

/** GGUF metadata, or a Hugging Face folder's JSON files. */
export type ModelMetadata =
  | { readonly kind: 'gguf'; readonly values: ReadonlyMap<string, GgufValue> }
  | {
      readonly kind: 'huggingface';
      readonly config: JsonObject;
      readonly generationConfig?: JsonObject;
      readonly tokenizer?: JsonObject;
      readonly tokenizerConfig?: JsonObject;
      /** preprocessor_config.json: how images are prepared. */
      readonly preprocessor?: JsonObject;
      /** chat_template.jinja, if it is a separate file. */
      readonly chatTemplate?: string;
      /** What sentence-transformers keeps beside a model that embeds. */
      readonly sentence?: SentenceFiles;
    };

export interface SentenceFiles {
  /** modules.json, in its order: what a text goes through. */
  readonly modules: readonly SentenceModule[];
  /** sentence_bert_config.json: the most tokens of a text. */
  readonly limits?: JsonObject;
  /** config_sentence_transformers.json: prompts. */
  readonly settings?: JsonObject;
}

export interface SentenceModule {
  /** The Python class, for instance sentence_transformers.models.Pooling. */
  readonly type: string;
  /** Its folder; its tensors' names are `path/name`. Empty for the model's own. */
  readonly path: string;
  /** Its config.json. */
  readonly config?: JsonObject;
}

export type GgufValue =
  | number
  | bigint
  | boolean
  | string
  | readonly string[]
  | readonly boolean[]
  | readonly bigint[]
  | GgufNumbers;
export type GgufNumbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** `shape` is row-major (GGUF's dimensions reversed); `format` is what `read` delivers, after any conversion while loading. */
export interface TensorInfo extends WeightSpec {
  /** The number of bytes that `read` delivers. */
  readonly bytes: number;
  /** The format in the file; undefined for a tensor that comes from no file. */
  readonly stored?: StoredFormat;
}

/** Reading a `header`, `download`ing, `verify`ing a checksum, or `load`ing weights onto the device. */
export type LoadPhase = 'header' | 'download' | 'verify' | 'load';

/** How far a load has come. */
export interface LoadProgress {
  /** What is being done. */
  readonly phase: LoadPhase;
  /** Bytes that are done. */
  readonly loaded: number;
  /** Bytes of the phase; 0 where a server does not tell. */
  readonly total: number;
  /** Bytes a second, over the last seconds. */
  readonly rate: number;
  /** The name of the file. */
  readonly file: string;
  /**
   * `false` while a file is downloaded from a server that cannot resume: a broken connection starts it from the
   * beginning.
   */
  readonly resumable?: false;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  readonly monitor?: (progress: LoadProgress) => void;
}

export interface ModelFile {
  /** For messages: a file name or URL. */
  readonly name: string;
  readonly metadata: ModelMetadata;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The vision part of a GGUF model, a separate file ("mmproj") given beside it. */
  readonly projector?: ModelFile | undefined;
  /** The projector was found, not requested: a model that it does not fit is loaded without it. */
  readonly projectorFound?: boolean | undefined;
  /** Bytes of all files. */
  readonly bytes: number;
  /**
   * Hex SHA-256 over the headers (metadata, tensor tables) and 64 KiB from the middle of each file's data, which
   * identifies the file before it is read (that of a loaded model covers all weights).
   */
  readonly fingerprint: string;
  /**
   * Streams the tensors for which `writer` gives a writer, in file order, chunk by chunk with back-pressure.
   * On an error or abort every unfinished writer is aborted and every finished weight freed.
   */
  read(
    writer: (info: TensorInfo) => WeightWriter | undefined,
    options?: ReadOptions,
  ): Promise<ReadonlyMap<string, Weight>>;
  close(): Promise<void>;
}
