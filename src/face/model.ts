/** A loaded model, as the page sees it. */
import type { DeviceInfo, DeviceRequest } from '../engine/device.ts';
import type { Capabilities } from '../engine/model.ts';
import type { AnswerFacts, MemoryFacts, ModelFacts, SessionFacts } from '../engine/service.ts';
import type { AnswerReport, CompletionSettings } from '../generate/options.ts';
import type { Score, ScoreSettings } from '../generate/score.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { Caller } from '../worker/caller.ts';
import { unpackError, type WireError } from '../worker/protocol.ts';
import { edit, paint, several, type EditOptions, type PaintOptions } from './painting.ts';
import type { PaintedPicture } from './picture.ts';
import { withPixels, type Eyes, type ReadPicture } from './pictures.ts';
import type { ResumeOptions } from './sessions.ts';
import { OctavoSession, plainSettings, type SessionOptions } from './session.ts';
import { collect, TextStream } from './stream.ts';

export interface CompletionOptions extends CompletionSettings {
  readonly signal?: AbortSignal | undefined;
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
}

export interface Completion extends AnswerReport {
  readonly text: string;
}

export interface ScoreOptions extends ScoreSettings {
  readonly signal?: AbortSignal | undefined;
  /** Tokens read so far, and of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface RecoverOptions extends DeviceRequest {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

export class OctavoModel {
  /** Resolves with the error when the device is lost; `recover` arms it anew. */
  lost: Promise<Error>;
  readonly #caller: Caller;
  readonly #read: ReadPicture;
  readonly #shutdown: () => void;
  #facts: ModelFacts;
  #destroyed = false;

  /** Made by `Octavo.load`. */
  constructor(caller: Caller, facts: ModelFacts, read: ReadPicture, shutdown: () => void) {
    this.#caller = caller;
    this.#facts = facts;
    this.#read = read;
    this.#shutdown = shutdown;
    this.lost = this.#watch();
  }

  /** File name or URL. */
  get name(): string {
    return this.#facts.name;
  }
  /** Hex SHA-256 over the file's header: names the model. */
  get fingerprint(): string {
    return this.#facts.fingerprint;
  }
  get architecture(): string {
    return this.#facts.architecture;
  }
  get parameters(): number {
    return this.#facts.parameters;
  }
  /** Size of the files. */
  get bytes(): number {
    return this.#facts.bytes;
  }
  /** Most tokens of a context. */
  get contextWindow(): number {
    return this.#facts.contextWindow;
  }
  /** Where it runs and why there. */
  get device(): DeviceInfo {
    return this.#facts.device;
  }
  /** What this model can do, and which parts are missing for the rest. */
  get capabilities(): Capabilities {
    return this.#facts.capabilities;
  }

  /** A conversation. Resolves when the initial prompts are read. */
  async createSession(options: SessionOptions = {}): Promise<OctavoSession> {
    const eyes = this.#eyes;
    const transfer: Transferable[] = [];
    const { initialPrompts, ...settings } = plainSettings(options, eyes);
    const prompts =
      initialPrompts === undefined
        ? {}
        : { initialPrompts: await withPixels(initialPrompts, eyes, transfer, options.signal) };
    const facts = await this.#caller.call(
      'createSession',
      { settings: { ...settings, ...prompts } },
      { signal: options.signal, transfer },
    );
    return new OctavoSession(this.#caller, facts as SessionFacts, eyes);
  }

  /**
   * A session that this model saved (`session.save`), as it was. Its pages are read, not computed; pages that were damaged are computed anew with the
   * next prompt. Throws `InputError` for an unknown name, `StorageError` for a session of another model or version, or one that is damaged.
   */
  async resumeSession(name: string, { signal }: ResumeOptions = {}): Promise<OctavoSession> {
    const facts = await this.#caller.call('resumeSession', { name }, { signal });
    return new OctavoSession(this.#caller, facts as SessionFacts, this.#eyes);
  }

  /** A picture from words; a list of pictures exactly where `count` is given. One painting at a time, and answers wait for it. */
  paint(options: PaintOptions & { readonly count: number }): Promise<readonly PaintedPicture[]>;
  paint(options: PaintOptions & { readonly count?: undefined }): Promise<PaintedPicture>;
  paint(options: PaintOptions): Promise<PaintedPicture | readonly PaintedPicture[]>;
  async paint(options: PaintOptions): Promise<PaintedPicture | readonly PaintedPicture[]> {
    return several(await paint(this.#caller, options), options);
  }

  /** The middle square of a picture, changed by an instruction; a list exactly where `count` is given. */
  edit(options: EditOptions & { readonly count: number }): Promise<readonly PaintedPicture[]>;
  edit(options: EditOptions & { readonly count?: undefined }): Promise<PaintedPicture>;
  edit(options: EditOptions): Promise<PaintedPicture | readonly PaintedPicture[]>;
  async edit(options: EditOptions): Promise<PaintedPicture | readonly PaintedPicture[]> {
    return several(await edit(this.#caller, options, this.#read), options);
  }

  /** Continues raw text (or ids), without a chat template. */
  async complete(input: string | Int32Array, options: CompletionOptions = {}): Promise<Completion> {
    const stream = this.completeStreaming(input, options);
    const text = await collect(stream);
    return { text, ...(await stream.finished) };
  }

  completeStreaming(input: string | Int32Array, options: CompletionOptions = {}): TextStream<AnswerReport> {
    const { signal, onPrefill } = options;
    return new TextStream<AnswerReport>(
      this.#caller,
      'complete',
      { input, settings: plainSettings(options, this.#eyes) },
      {
        signal,
        onEvent: (event) => {
          const { done, total } = event as { done?: number; total?: number };
          if (done !== undefined && total !== undefined) onPrefill?.(done, total);
        },
        done: (value) => {
          const { usage: _usage, ...report } = value as AnswerFacts;
          return report;
        },
      },
    );
  }

  /** How likely a text (or ids) is to the model, token by token: perplexity, with any options of a session's context. */
  async score(input: string | Int32Array, { signal, onProgress, ...settings }: ScoreOptions = {}): Promise<Score> {
    const onEvent = (event: unknown): void => {
      const { done, total } = event as { done: number; total: number };
      onProgress?.(done, total);
    };
    return (await this.#caller.call('score', { input, settings }, { signal, onEvent })) as Score;
  }

  /** Token ids of a text. `special`: special tokens in it are read as such (default true). */
  async tokenize(text: string, { special = true }: { readonly special?: boolean } = {}): Promise<Int32Array> {
    return (await this.#caller.call('encode', { text, special })) as Int32Array;
  }

  async detokenize(ids: ArrayLike<number>, { special = false }: { readonly special?: boolean } = {}): Promise<string> {
    return (await this.#caller.call('decode', { ids: Int32Array.from(ids), special })) as string;
  }

  /** Bytes on the device by purpose. */
  async memory(): Promise<MemoryFacts> {
    return (await this.#caller.call('memory', {})) as MemoryFacts;
  }

  /** After a loss: loads the weights again, on the device asked for. Sessions go on where they were. */
  async recover({ signal, onProgress, ...request }: RecoverOptions = {}): Promise<void> {
    const onEvent = (progress: unknown): void => onProgress?.(progress as LoadProgress);
    this.#facts = (await this.#caller.call('recover', { request }, { signal, onEvent })) as ModelFacts;
    this.lost = this.#watch();
  }

  /** Ends what is under way and gives everything back: weights, contexts, worker. */
  async destroy(): Promise<void> {
    if (this.#destroyed) return;
    this.#destroyed = true;
    await this.#caller.call('free', {}).catch(() => undefined);
    this.#shutdown();
  }

  get #eyes(): Eyes {
    const { see, missing } = this.capabilities;
    return { read: this.#read, see, missing };
  }

  #watch(): Promise<Error> {
    return new Promise((resolve) => {
      const onEvent = (error: unknown): void => resolve(unpackError(error as WireError));
      this.#caller.call('watch', {}, { background: true, onEvent }).catch((error: unknown) => {
        if (!this.#destroyed && error instanceof Error) resolve(error);
      });
    });
  }
}
