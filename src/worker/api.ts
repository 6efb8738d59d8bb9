/**
 * `EngineApi`: every call from the page to the engine, with its parameters, its result, and the events and stream items
 * that precede the result. It types both ends: `Caller` on the page and the handlers that `respond` runs in the engine.
 *
 * Settings are complete and cross to the engine; Info is what the engine reports. Models and sessions are identified by
 * numbers that the engine assigns.
 */
import type { Attribution, AttributionSettings } from '../generate/attribution.ts';
import type { TemplateAbilities } from '../chat/abilities.ts';
import type { Backend, MemoryUse } from '../backend/backend.ts';
import type { Message, PromptInput } from '../chat/messages.ts';
import type { AnsweredCall, AnswerPart, ToolResult } from '../chat/tools.ts';
import type {
  AnswerReport,
  CompletionSettings,
  PromptSettings,
  SessionSettings,
  TokenLogProb,
} from '../generate/options.ts';
import type { Score, ScoreSettings } from '../generate/score.ts';
import type { EmbedResult, EmbedSettings, RerankResult } from '../embed/options.ts';
import type { ModelInput } from '../load/index.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { PaintCheckpoint, PaintProgress, Picture } from '../paint/index.ts';
import type { EditSettings, PaintSettings } from '../paint/settings.ts';
import type { Saved } from '../saved/library.ts';
import type { ContextChoice } from '../select/options.ts';
import type { KeptTokens, KeptTokensSettings } from '../see/kept-cells.ts';
import type { Rgba } from '../vision/image.ts';
import type { WasmBuild } from '../wasm.ts';
import type { WireError } from './protocol.ts';

/** One call. Events are sent as they happen; items wait until the page can take them. */
export interface Call<Params = unknown, Result = unknown, Event = unknown, Item = unknown> {
  readonly params: Params;
  readonly result: Result;
  readonly event: Event;
  readonly item: Item;
}

/** The constraint on an API for `Caller` and `respond`. */
export type Calls<Api> = { readonly [Method in keyof Api]: Call };

/** Where a model is to run. `auto`: WebGPU where it is available and passes a self-check against WASM, otherwise WASM. */
export type DeviceName = 'auto' | 'wasm' | 'webgpu';

export interface DeviceRequest {
  /** Default `auto`. */
  readonly device?: DeviceName | undefined;
  /** WASM threads; by default chosen by the number of processors. */
  readonly threads?: number | undefined;
  /** One WASM build by name, for tests and benchmarks. */
  readonly build?: WasmBuild | undefined;
}

export interface LoadSettings extends DeviceRequest {
  /** The most tokens of a context. Default and limit are the length that the model was trained for. */
  readonly contextWindow?: number | undefined;
  /**
   * The projector ("mmproj") of a GGUF model, which holds the vision part; false for none, even where one is beside the
   * model.
   */
  readonly mmproj?: ModelInput | false | undefined;
  /** Quantise the weights of Hugging Face folders while loading. */
  readonly quantize?: 'q8' | 'q4' | undefined;
  /** Whether downloads are kept on the device (default true). */
  readonly store?: boolean | undefined;
  /** Sent with every request for the model's files, for instance `Authorization`; never stored or shown. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Whether cookies are sent to other origins, as in `fetch`. */
  readonly credentials?: RequestCredentials | undefined;
  /** The server for `hf:` names (default https://huggingface.co). */
  readonly hub?: string | undefined;
  /** The SHA-256 that the file must have, or that each file must have, by name. */
  readonly sha256?: string | Readonly<Record<string, string>> | undefined;
}

/** The device of a model. */
export interface DeviceInfo {
  /** `wasm`, `webgpu`, or `server` for a model that runs elsewhere. */
  readonly kind: Backend['kind'] | 'server';
  /** The WASM build and threads, or the adapter's name. */
  readonly description: string;
  /** Why this device was chosen. */
  readonly reason: string;
}

/** What a model can do, and what is missing for everything else. */
export interface Capabilities {
  /** Writes text: sessions, `complete` and `score`. */
  readonly generate: boolean;
  /** Gives vectors of texts; `OctavoModel.embedding` says how good they are. */
  readonly embed: boolean;
  /** Orders passages by how well they answer a query. */
  readonly rerank: boolean;
  /** Whether the file has a chat template. Without one, prompts are continued as raw text. */
  readonly chat: boolean;
  /** Reads images in messages. */
  readonly see: boolean;
  /** Paints pictures from words. */
  readonly paint: boolean;
  /** Changes an image by an instruction. */
  readonly edit: boolean;
  /** Human-readable: which parts the file lacks, and what the model cannot do without them. */
  readonly missing: readonly string[];
}

/** The vectors that a model gives. */
export interface EmbeddingInfo {
  /** Width of the vectors. */
  readonly dimensions: number;
  /** Most tokens of a text; of a longer one only the beginning counts. */
  readonly window: number;
  /** Which of a text's states its vector is: their mean, the first, or the last. */
  readonly pooling: 'mean' | 'cls' | 'last';
  /** What is put before a text by its kind. */
  readonly prefixes: {
    /** Before questions. */
    readonly query: string;
    /** Before the texts that are searched. */
    readonly document: string;
  };
  /** Whether the model was trained to embed. Chat models were not: their vectors are second best, and a small embedding model's are better. */
  readonly trained: boolean;
  /** Tokens that the model knows: 100,000 and more where it was trained on many languages. */
  readonly vocabulary: number;
}

/** What a model paints, and what its file recommends. */
export interface PaintingInfo {
  /** Pixels a side that it knows, ascending. */
  readonly sizes: readonly number[];
  /** Pixels a side where a call names none. */
  readonly size: number;
  /** Pixels a side of a token. */
  readonly patch: number;
  /** Rounds in which a picture is uncovered. */
  readonly steps: number;
  /** Denoising steps a round. */
  readonly diffusionSteps: number;
  /** How closely pictures follow the words; 1 applies no guidance. */
  readonly guidance: number;
}

export interface ModelInfo {
  /** The number by which the engine identifies the model. */
  readonly model: number;
  readonly name: string;
  readonly fingerprint: string;
  readonly bytes: number;
  readonly device: DeviceInfo;
  readonly contextWindow: number;
  readonly architecture: string;
  readonly parameters: number;
  readonly vocabulary: number;
  readonly capabilities: Capabilities;
  /** Undefined for a model that gives no vectors. */
  readonly embedding: EmbeddingInfo | undefined;
  /** Undefined for a model that does not paint. */
  readonly painting: PaintingInfo | undefined;
  /** What the chat template supports; undefined without one. */
  readonly template: TemplateAbilities | undefined;
}

/** Memory that a model needs, estimated from its header; weights and contexts, without the engine's own. */
export interface MemoryNeed {
  /** Bytes of the weights on the device. */
  readonly weights: number;
  /** Bytes of each token of a context. */
  readonly token: number;
  /** Bytes with a context of 4,096 tokens, or of the whole window where that is shorter. */
  readonly at4k: number;
  /** Bytes with a context of the whole window. */
  readonly full: number;
  /** Bytes that a model may have here, as far as known. */
  readonly available: number;
  /** Tokens of a context for which there is room, at most the window. */
  readonly room: number;
}

/** What a file's header tells, without its weights. */
export interface ModelReport {
  /** File name or URL. */
  readonly name: string;
  /** What kind of files it consists of. */
  readonly format: 'gguf' | 'huggingface';
  /** As the file names it. */
  readonly architecture: string;
  /** The number of its weights. */
  readonly parameters: number;
  /** Size of the files. */
  readonly bytes: number;
  /** What most weights are stored as, for instance 'Q4_K_M'. */
  readonly quantization: string;
  /** As the file states it; undefined where it does not. */
  readonly license: string | undefined;
  /** Whether the model runs here. */
  readonly runs: boolean;
  /** Why it does not. */
  readonly problem:
    | {
        /** As in errors of `load`. */
        readonly code: string;
        /** The sentence of that error. */
        readonly message: string;
      }
    | undefined;
  /** The most tokens of a context, or of a text; undefined for a model that is not supported, like all below. */
  readonly contextWindow: number | undefined;
  /** What it could do. */
  readonly capabilities: Capabilities | undefined;
  /** What it would need. */
  readonly memory: MemoryNeed | undefined;
  /** Where the memory would be needed: what `device: 'auto'` takes, unless the GPU turns out to compute wrongly. */
  readonly device: 'wasm' | 'webgpu';
}

export interface SessionInfo {
  /** The number by which the engine identifies the session. */
  readonly session: number;
  /** The number of tokens in the context. */
  readonly usage: number;
  /** The most tokens of the context. */
  readonly window: number;
  /** What was chosen for it; undefined where nothing was. */
  readonly context?: ContextChoice | undefined;
}

export interface AnswerInfo extends Omit<AnswerReport, 'logprobs'> {
  /** Tokens in the session's context, including the answer. */
  readonly usage: number;
}

/** What a model holds in memory. */
export interface MemoryInfo extends MemoryUse {
  /** KV pages that sessions use. */
  readonly pages: number;
  /** Bytes of all KV pages in use, including those kept for later sessions. */
  readonly pageBytes: number;
  /** Bytes of pages that are offloaded from the device, in host memory and on disk. */
  readonly parked: {
    /** In host memory. */
    readonly host: number;
    /** On disk. */
    readonly disk: number;
  };
}

/** Texts that are done, and of how many. */
export interface TextProgress {
  readonly done: number;
  readonly total: number;
}

/** Tokens read so far, and the total. */
export interface TokenProgress {
  readonly done: number;
  readonly total: number;
}

/** What is reported of a prompt before its answer is complete. */
export type PromptEvent =
  | { readonly kind: 'overflow' }
  | { readonly kind: 'context'; readonly choice: ContextChoice }
  | ({ readonly kind: 'prefill' } & TokenProgress)
  | { readonly kind: 'token'; readonly token: TokenLogProb };

/** The page is to run tools; the prompt waits for a call of `giveResults` with the number. */
export interface CallsEvent {
  readonly kind: 'calls';
  readonly round: number;
  readonly calls: readonly AnsweredCall[];
}

/** What is reported of a painting before it is finished. */
export type PaintEvent =
  | { readonly kind: 'progress'; readonly progress: PaintProgress }
  | { readonly kind: 'checkpoint'; readonly checkpoint: PaintCheckpoint };

interface OfModel {
  readonly model: number;
}
interface OfSession extends OfModel {
  readonly session: number;
}

/** A prompt that could not be kept. */
interface NotKept {
  readonly notKept: WireError;
}

/** `waiting` comes in intervals. */
export type FreeEvent = 'waiting' | NotKept;

export interface EngineApi {
  /**
   * `fetch` is a port on which the page makes the engine's requests (`lent-fetch.ts`); it is transferred to the engine
   * with the call.
   */
  readonly load: Call<
    { readonly input: ModelInput; readonly settings: LoadSettings; readonly fetch?: MessagePort | undefined },
    ModelInfo,
    LoadProgress,
    never
  >;
  /** Reads a file's header, and tells what the model is and whether it runs here. `once`: the network is asked without retries. */
  readonly inspect: Call<
    { readonly input: ModelInput; readonly settings: LoadSettings; readonly once: boolean },
    ModelReport,
    never,
    never
  >;
  /** Loads the weights of a model again after its device was lost. */
  readonly recover: Call<OfModel & { readonly request: DeviceRequest }, ModelInfo, LoadProgress, never>;
  /** Sends an event each time the model's device is lost, or a prompt could not be kept. The call lasts as long as the model. */
  readonly watch: Call<OfModel, void, { readonly lost: WireError } | NotKept, never>;
  readonly memory: Call<OfModel, MemoryInfo, never, never>;
  /** Ends the model's calls and frees it. Sends events while it waits for pending writes, and where one of them fails. */
  readonly free: Call<OfModel, void, FreeEvent, never>;
  readonly encode: Call<OfModel & { readonly text: string; readonly special: boolean }, Int32Array, never, never>;
  readonly decode: Call<OfModel & { readonly ids: Int32Array; readonly special: boolean }, string, never, never>;

  /** Vectors of texts. */
  readonly embed: Call<
    OfModel & { readonly texts: readonly string[]; readonly settings: EmbedSettings },
    EmbedResult,
    TextProgress,
    never
  >;
  /** Passages in the order in which they answer a query. */
  readonly rerank: Call<
    OfModel & { readonly query: string; readonly passages: readonly string[] },
    RerankResult,
    TextProgress,
    never
  >;

  readonly createSession: Call<OfModel & { readonly settings: SessionSettings }, SessionInfo, PromptEvent, never>;
  /** Resolves when the whole session is on disk. Meanwhile the session can be used. */
  readonly saveSession: Call<OfSession & { readonly name: string; readonly evict: boolean }, Saved, never, never>;
  readonly resumeSession: Call<OfModel & { readonly name: string }, SessionInfo, never, never>;
  readonly cloneSession: Call<OfSession, SessionInfo, never, never>;
  readonly destroySession: Call<OfSession, void, never, never>;
  /** `runs`: names of the tools that the page runs itself, as events ask for it. */
  readonly prompt: Call<
    OfSession & { readonly input: PromptInput; readonly settings: PromptSettings; readonly runs: readonly string[] },
    AnswerInfo,
    PromptEvent | CallsEvent,
    AnswerPart
  >;
  /** What the tools gave that a prompt asked for. */
  readonly giveResults: Call<
    OfModel & { readonly round: number; readonly results: readonly ToolResult[] },
    void,
    never,
    never
  >;
  /** Resolves with the number of tokens in the context. */
  readonly append: Call<OfSession & { readonly input: PromptInput }, number, PromptEvent, never>;
  /** Reads a prompt that may be asked. */
  readonly prefill: Call<OfSession & { readonly input: PromptInput }, void, PromptEvent, never>;
  /** Resolves with the number of tokens that `input` would add. */
  readonly measure: Call<
    OfSession & {
      readonly input: PromptInput;
      readonly settings: Pick<PromptSettings, 'grammar' | 'omitResponseConstraintInput'>;
    },
    number,
    never,
    never
  >;
  /** Tells which spans of the conversation the last answer was drawn from. */
  readonly attribute: Call<OfSession & { readonly settings: AttributionSettings }, Attribution, never, never>;
  /** Continues raw text or ids, in a session of its own. */
  readonly complete: Call<
    OfModel & { readonly input: string | Int32Array; readonly settings: CompletionSettings },
    AnswerInfo,
    PromptEvent,
    string
  >;
  readonly score: Call<
    OfModel & { readonly input: string | Int32Array | readonly Message[]; readonly settings: ScoreSettings },
    Score,
    TokenProgress,
    never
  >;
  /** Which tokens of an image a selection keeps. */
  readonly keptTokens: Call<
    OfModel & { readonly image: Rgba; readonly settings: KeptTokensSettings },
    KeptTokens,
    never,
    never
  >;
  /** The items are previews, if `preview` is set: the newest one whenever the page can take it. */
  readonly paint: Call<
    OfModel & {
      readonly settings: PaintSettings | EditSettings;
      readonly preview: boolean;
      readonly checkpoints: boolean;
    },
    readonly Picture[],
    PaintEvent,
    Rgba
  >;
}
