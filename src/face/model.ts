/** A loaded model, as the page sees it. */
import type { DeviceInfo, DeviceRequest } from '../engine/device.ts';
import type { AnswerFacts, MemoryFacts, ModelFacts, SessionFacts } from '../engine/service.ts';
import type { AnswerReport, CompletionSettings } from '../generate/options.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { Caller } from '../worker/caller.ts';
import { unpackError, type WireError } from '../worker/protocol.ts';
import { OctavoSession, plainSettings, type SessionOptions } from './session.ts';
import { collect, TextStream } from './stream.ts';

/** What this model can do. */
export interface Capabilities {
  /** Whether the file brings a chat template; without one, prompts are continued as raw text. */
  readonly chat: boolean;
  readonly images: boolean;
  readonly painting: boolean;
}

export interface CompletionOptions extends CompletionSettings {
  readonly signal?: AbortSignal | undefined;
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
}

export interface Completion extends AnswerReport {
  readonly text: string;
}

export interface RecoverOptions extends DeviceRequest {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

export class OctavoModel {
  /** Resolves with the error when the device is lost; `recover` arms it anew. */
  lost: Promise<Error>;
  readonly #caller: Caller;
  readonly #shutdown: () => void;
  #facts: ModelFacts;
  #destroyed = false;

  /** Made by `Octavo.load`. */
  constructor(caller: Caller, facts: ModelFacts, shutdown: () => void) {
    this.#caller = caller;
    this.#facts = facts;
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
  get capabilities(): Capabilities {
    return { chat: this.#facts.chat, images: false, painting: false };
  }

  /** A conversation. Resolves when the initial prompts are read. */
  async createSession(options: SessionOptions = {}): Promise<OctavoSession> {
    const settings = plainSettings(options);
    const facts = await this.#caller.call('createSession', { settings }, { signal: options.signal });
    return new OctavoSession(this.#caller, facts as SessionFacts);
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
      { input, settings: plainSettings(options) },
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

  #watch(): Promise<Error> {
    return new Promise((resolve) => {
      const onEvent = (error: unknown): void => resolve(unpackError(error as WireError));
      this.#caller.call('watch', {}, { background: true, onEvent }).catch((error: unknown) => {
        if (!this.#destroyed && error instanceof Error) resolve(error);
      });
    });
  }
}
