/** A loaded model, as the page uses it. */
import type { DocumentSource } from '../document/options.ts';
import { InputError } from '../errors.ts';
import type { OctavoDocument, OpenDocumentOptions } from './document.ts';
import type { OctavoFace } from './octavo.ts';
import type { TemplateAbilities } from '../chat/abilities.ts';
import type { Message } from '../chat/messages.ts';
import type { AnswerReport, CompletionSettings, TokenLogProb } from '../generate/options.ts';
import type { Score, ScoreSettings } from '../generate/score.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type {
  Capabilities,
  DeviceInfo,
  DeviceRequest,
  EmbeddingInfo,
  FreeEvent,
  MemoryInfo,
  ModelInfo,
  PaintingInfo,
  SessionInfo,
  TokenProgress,
} from '../worker/api.ts';
import type { KeptTokens } from '../see/kept-cells.ts';
import type { ImageInput } from '../vision/read.ts';
import type { Caller } from '../worker/caller.ts';
import { unpackError } from '../worker/protocol.ts';
import { misfit, misfitArgument } from './check.ts';
import { misfitSchema, withGrammar, type Constrainable } from './constraint.ts';
import { DownloadMonitor } from './monitor.ts';
import { COMPLETE, EDIT, IDS, PAINT, RECOVER, RESUME, SCORE, SCORED, SESSION, TEXT_OR_IDS, TOKENS } from './options.ts';
import { edit, paint, several, type EditOptions, type OnModel, type PaintOptions } from './painting.ts';
import type { PaintedPicture } from './picture.ts';
import { messagesWithPixels, type PictureInput, type ReadPicture } from './pictures.ts';
import type { KeptTokensOptions } from './kept-tokens.ts';
import type { ResumeOptions } from './sessions.ts';
import { discardSession, OctavoSession, reportOf, sessionSettings, type SessionOptions } from './session.ts';
import { AnswerStream, collect, type TextStream } from './stream.ts';
import type { Tool } from './tools.ts';
import type { EmbedOptions, Embeddings, RerankOptions, Ranking } from './texts.ts';

/** Options of `complete` and `completeStreaming`. */
export interface CompletionOptions extends Omit<CompletionSettings, 'grammar'>, Constrainable {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of tokens of the text that have been read, and the total. */
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
  /** Called with each token when `logprobs` is set, before the text that the token completes. */
  readonly onToken?: ((token: TokenLogProb) => unknown) | undefined;
}

/** A completion, and how it ended. */
export interface Completion extends AnswerReport {
  /** What follows the text that was given; it does not repeat it. */
  readonly text: string;
}

/** Options of `score`. */
export interface ScoreOptions extends ScoreSettings {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Tokens read so far, and the total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Options of `tokenize` and `detokenize`. */
export interface TokenOptions {
  /** Whether special tokens in the text are encoded, or written, as such. */
  readonly special?: boolean | undefined;
}

/** Options of `recover`: the device, which may be another one than before. */
export interface RecoverOptions extends DeviceRequest {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called while the weights are loaded again. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/** Milliseconds without a message after which an engine that is freeing a model is considered to hang. */
const PATIENCE = 5000;

/** A loaded model. It owns weights and a worker until `destroy`; its sessions share the weights. Made by `Octavo.load` and `Octavo.connect`. */
export class OctavoModel {
  /** Resolves with the error when the device is lost. `recover` replaces it by a new promise. */
  lost: Promise<Error>;
  /**
   * Resolves with the error, most often a `StorageError`, of the first prompt that was to be kept (`keep`) and could not be. Such prompts are answered all the same,
   * and read again next time.
   */
  readonly notKept: Promise<Error>;
  readonly #caller: Caller;
  readonly #read: ReadPicture;
  readonly #openDocument: OctavoFace['openDocument'];
  #info: ModelInfo;
  #destroyed: Promise<void> | undefined;
  #tellNotKept: ((error: Error) => void) | undefined;

  /** @hidden Made by `Octavo.load`. */
  constructor(caller: Caller, info: ModelInfo, read: ReadPicture, open: OctavoFace['openDocument']) {
    this.#openDocument = open;
    this.#caller = caller;
    this.#info = info;
    this.#read = read;
    this.notKept = new Promise((resolve) => {
      this.#tellNotKept = resolve;
    });
    this.lost = this.#watch();
  }

  /** File name or URL; `nano` and `nano-text` of the bundled models. */
  get name(): string {
    return this.#info.name;
  }
  /** Hex SHA-256 of the file's header, which identifies the model. */
  get fingerprint(): string {
    return this.#info.fingerprint;
  }
  /** The architecture as its file names it, such as `qwen2` or `gemma3`. */
  get architecture(): string {
    return this.#info.architecture;
  }
  /** The number of its weights. */
  get parameters(): number {
    return this.#info.parameters;
  }
  /** Bytes of the model's files. */
  get bytes(): number {
    return this.#info.bytes;
  }
  /** The most tokens of a context: the length that the model was trained for, or `contextWindow` of `load`. */
  get contextWindow(): number {
    return this.#info.contextWindow;
  }
  /** The device, and why it was chosen. */
  get device(): DeviceInfo {
    return this.#info.device;
  }
  /**
   * What the model's chat template supports (system messages, tools, thinking, ...). Messages that it does not support
   * are merged or converted. Undefined without a template.
   */
  get template(): TemplateAbilities | undefined {
    return this.#info.template;
  }
  /** What this model can do, and which parts are missing for everything else. */
  get capabilities(): Capabilities {
    return this.#info.capabilities;
  }

  /** The vectors that `embed` gives; undefined for a model that gives none. */
  get embedding(): EmbeddingInfo | undefined {
    return this.#info.embedding;
  }

  /** The sizes that `paint` knows, and what the model's file recommends; undefined for a model that does not paint. */
  get painting(): PaintingInfo | undefined {
    return this.#info.painting;
  }

  /**
   * Creates a conversation, which the caller frees by `destroy`. Resolves when the initial prompts are read. Throws `InputError('argument')` for options that
   * are not known or not possible, and for inputs that the model does not take.
   */
  async createSession(options: SessionOptions = {}): Promise<OctavoSession> {
    const problem = misfit('createSession', options, SESSION);
    if (problem !== undefined) return problem;
    const { signal, monitor } = options;
    // The model is downloaded already.
    if (monitor !== undefined) new DownloadMonitor(monitor).done();
    const transfer: Transferable[] = [];
    const { initialPrompts, ...settings } = sessionSettings(options, this.#pictures);
    const prompts = initialPrompts && {
      initialPrompts: await messagesWithPixels(initialPrompts, this.#pictures, transfer, signal),
    };
    const { onLate } = discardSession(this.#on);
    const info = await this.#caller.call(
      'createSession',
      { ...this.#of, settings: { ...settings, ...prompts } },
      { signal, transfer, onLate },
    );
    return this.#session(info, options.tools);
  }

  /**
   * Restores a session that this model saved (`session.save`). Its pages are read, not computed; damaged pages are
   * computed again with the next prompt. Throws `InputError` for an unknown name, `StorageError` for a session of
   * another model or version, or for a damaged one.
   */
  async resumeSession(name: string, options: ResumeOptions = {}): Promise<OctavoSession> {
    const problem = misfit('resumeSession', options, RESUME);
    if (problem !== undefined) return problem;
    const { signal, tools } = options;
    const { onLate } = discardSession(this.#on);
    const info = await this.#caller.call('resumeSession', { ...this.#of, name }, { signal, onLate });
    return this.#session(info, tools);
  }

  /**
   * Paints a picture from words, or a list of pictures if `count` is given. Only one painting runs at a time, and
   * answers wait for it.
   */
  paint(options: PaintOptions & { readonly count: number }): Promise<readonly PaintedPicture[]>;
  paint(options: PaintOptions & { readonly count?: undefined }): Promise<PaintedPicture>;
  paint(options: PaintOptions): Promise<PaintedPicture | readonly PaintedPicture[]>;
  async paint(options: PaintOptions): Promise<PaintedPicture | readonly PaintedPicture[]> {
    const problem = misfit('paint', options, PAINT);
    if (problem !== undefined) return problem;
    return several(await paint(this.#on, options), options);
  }

  /**
   * Changes the middle square of a picture by an instruction. Returns a list if `count` is given. Throws `InputError('argument')` for a model that does not edit
   * (`capabilities.edit`), and `FileError` for a picture that cannot be read.
   */
  edit(options: EditOptions & { readonly count: number }): Promise<readonly PaintedPicture[]>;
  edit(options: EditOptions & { readonly count?: undefined }): Promise<PaintedPicture>;
  edit(options: EditOptions): Promise<PaintedPicture | readonly PaintedPicture[]>;
  async edit(options: EditOptions): Promise<PaintedPicture | readonly PaintedPicture[]> {
    const problem = misfit('edit', options, EDIT);
    if (problem !== undefined) return problem;
    return several(await edit(this.#on, options, this.#read), options);
  }

  /**
   * Continues raw text (or ids), without a chat template. Throws `InputError('too-long')` for a text that is longer than the context, and
   * `InputError('argument')` for a model that does not write (`capabilities.generate`).
   */
  async complete(input: string | Int32Array, options: CompletionOptions = {}): Promise<Completion> {
    const stream = this.completeStreaming(input, options);
    const text = await collect(stream);
    return { text, ...(await stream.finished) };
  }

  /** As `complete`, as a stream of text. Errors reject the reader and `finished`. */
  completeStreaming(input: string | Int32Array, options: CompletionOptions = {}): TextStream<AnswerReport> {
    const problem =
      misfitArgument('complete', 'input', input, TEXT_OR_IDS) ??
      misfit('complete', options, COMPLETE) ??
      misfitSchema(options);
    const { signal, onPrefill, onToken, ...rest } = problem === undefined ? options : {};
    const params = problem ?? { ...this.#of, input, settings: withGrammar(rest) };
    const logprobs: TokenLogProb[] = [];
    return new AnswerStream((hooks) => {
      const { result, take } = this.#caller.stream('complete', params, {
        ...hooks,
        onEvent: (event) => {
          if (event.kind === 'prefill') return onPrefill?.(event.done, event.total);
          if (event.kind !== 'token') return undefined;
          logprobs.push(event.token);
          return onToken?.(event.token);
        },
      });
      return { result: result.then((info) => reportOf(info, logprobs)), take };
    }, signal);
  }

  /**
   * Returns how likely the model finds a text (or ids), token by token, with any options of a session's context. Of
   * messages, the last one, which must be the assistant's, is scored, given those before it.
   */
  async score(input: string | Int32Array | readonly Message[], options: ScoreOptions = {}): Promise<Score> {
    const problem = misfitArgument('score', 'input', input, SCORED) ?? misfit('score', options, SCORE);
    if (problem !== undefined) return problem;
    const { signal, onProgress, ...settings } = options;
    const onEvent = ({ done, total }: TokenProgress): unknown => onProgress?.(done, total);
    const transfer: Transferable[] = [];
    const read =
      typeof input === 'string' || ArrayBuffer.isView(input)
        ? input
        : await messagesWithPixels(input, this.#pictures, transfer, signal);
    return this.#caller.call('score', { ...this.#of, input: read, settings }, { signal, transfer, onEvent });
  }

  /**
   * A vector of length 1 for each text. Say what the texts are for (`kind`): models that were trained to search read questions and documents
   * differently. `embedding` says whether this model was trained to embed.
   */
  async embed(texts: readonly string[], options: EmbedOptions = {}): Promise<Embeddings> {
    return (await import('./texts.ts')).embed(this.#on, texts, options);
  }

  /**
   * The passages in the order in which they answer the query, the best first, with scores from 0 to 1. Throws `InputError('argument')` for a model that is no
   * cross-encoder or re-ranker (`capabilities.rerank`).
   */
  async rerank(query: string, passages: readonly string[], options: RerankOptions = {}): Promise<Ranking> {
    return (await import('./texts.ts')).rerank(this.#on, query, passages, options);
  }

  /**
   * Which parts of an image the model would read under a selection of visual tokens (`context.visual`), with the tiles
   * as it sees them: for pages that show it. Encodes the image, which a prompt that follows does not do again.
   */
  async keptTokens(image: ImageInput, options: KeptTokensOptions): Promise<KeptTokens> {
    return (await import('./kept-tokens.ts')).keptTokens(this.#on, image, options, this.#pictures);
  }

  /** Returns the token ids of a text. `special`: special tokens in it are encoded as such (default true). */
  async tokenize(text: string, options: TokenOptions = {}): Promise<Int32Array> {
    const problem = misfitArgument('tokenize', 'text', text, { is: 'string' }) ?? misfit('tokenize', options, TOKENS);
    if (problem !== undefined) return problem;
    const { special = true } = options;
    return this.#caller.call('encode', { ...this.#of, text, special });
  }

  /** Returns the text of token ids. `special`: special tokens are written by their names (default false). */
  async detokenize(ids: ArrayLike<number>, options: TokenOptions = {}): Promise<string> {
    const problem = misfitArgument('detokenize', 'ids', ids, IDS) ?? misfit('detokenize', options, TOKENS);
    if (problem !== undefined) return problem;
    const { special = false } = options;
    return this.#caller.call('decode', { ...this.#of, ids: Int32Array.from(ids), special });
  }

  /** `Octavo.openDocument`, with this model to answer `document.ask`. */
  openDocument(source: DocumentSource, options: OpenDocumentOptions = {}): Promise<OctavoDocument> {
    return this.#openDocument(source, { ...options, model: options.model ?? this });
  }

  /** What the model holds in memory at this moment, by purpose. */
  async memory(): Promise<MemoryInfo> {
    return this.#caller.call('memory', this.#of);
  }

  /** Loads the weights again after the device was lost, on the requested device. Sessions continue where they were. */
  async recover(options: RecoverOptions = {}): Promise<void> {
    const problem = misfit('recover', options, RECOVER);
    if (problem !== undefined) return problem;
    const { signal, onProgress, ...request } = options;
    this.#info = await this.#caller.call('recover', { ...this.#of, request }, { signal, onEvent: onProgress });
    this.lost = this.#watch();
  }

  /** Ends the running calls, frees weights, contexts and the worker, and resolves when they are freed. Later calls reject with `InputError('destroyed')`. */
  destroy(): Promise<void> {
    this.#destroyed ??= this.#free();
    return this.#destroyed;
  }

  /** Ends the worker when the engine has freed the model, or has sent nothing for too long. */
  #free(): Promise<void> {
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout>;
      const end = (): void => {
        clearTimeout(timer);
        this.#caller.close(new InputError('destroyed', 'the model was destroyed; load it again'));
        resolve();
      };
      const wait = (): void => {
        clearTimeout(timer);
        timer = setTimeout(end, PATIENCE);
      };
      wait();
      const onEvent = (told: FreeEvent): void => {
        if (told !== 'waiting') this.#tellNotKept?.(unpackError(told.notKept));
        wait();
      };
      this.#caller.call('free', this.#of, { onEvent }).then(end, end);
    });
  }

  #session(info: SessionInfo, tools?: readonly Tool[]): OctavoSession {
    return new OctavoSession(this.#on, info, this.#pictures, tools);
  }

  /** Identifies this model in a call. */
  get #of(): Pick<OnModel, 'model'> {
    return { model: this.#info.model };
  }

  get #on(): OnModel {
    return { caller: this.#caller, ...this.#of };
  }

  get #pictures(): PictureInput {
    const { see, missing } = this.capabilities;
    return { read: this.#read, see, missing };
  }

  #watch(): Promise<Error> {
    return new Promise((resolve) => {
      const watching = this.#caller.call('watch', this.#of, {
        background: true,
        onEvent: (told) => {
          if ('lost' in told) resolve(unpackError(told.lost));
          else this.#tellNotKept?.(unpackError(told.notKept));
        },
      });
      watching.catch((error: unknown) => {
        if (this.#destroyed === undefined && error instanceof Error) resolve(error);
      });
    });
  }
}
