/**
 * `octavo/prompt-api`: the web's `LanguageModel` (https://github.com/webmachinelearning/prompt-api) on a model of Octavo, for pages that are
 * written for the browser's built-in model. Members, options, events and exceptions are those of the specification; the deprecated names
 * (`inputUsage`, `inputQuota`, `measureInputUsage`, `quotaoverflow`, `topK`, `temperature`, `params`) are there, too.
 */
import { SAMPLING_MODES } from './generate/sampling.ts';
import type {
  Availability,
  ExpectedContent,
  LoadOptions,
  Message,
  ModelInput,
  MonitorCallback,
  OctavoError,
  OctavoFace,
  OctavoModel,
  OctavoSession,
  PromptInput,
  PromptOptions,
  SamplingMode,
  SessionOptions,
} from './public.ts';

/** How the model behind `LanguageModel` is loaded, and what applies to all of its sessions. */
export interface LanguageModelSettings {
  /** How the model is loaded; `signal`, `monitor` and `onProgress` come with each `create`. */
  readonly load?: Omit<LoadOptions, 'signal' | 'monitor' | 'onProgress'> | undefined;
  /** What the Prompt API has no option for, such as `maxTokens` and `context`; applies to every session. */
  readonly session?: Omit<SessionOptions, 'signal' | 'monitor' | 'initialPrompts' | 'samplingMode'> | undefined;
  /** The model is freed when it has had no session for so many milliseconds (default 60,000). Infinity, or more than timers can wait (24.8 days): never. */
  readonly idle?: number | undefined;
}

/** Options that `availability` and `create` share. */
export interface CreateCoreOptions {
  /** Kinds of input; those that the model does not take reject with `NotSupportedError`. */
  readonly expectedInputs?: readonly ExpectedContent[] | undefined;
  /** Kinds of output; anything but text rejects with `NotSupportedError`. */
  readonly expectedOutputs?: readonly ExpectedContent[] | undefined;
  /** What the model may call; `execute` runs on the page. */
  readonly tools?: SessionOptions extends { readonly tools?: infer Tools } ? Tools : never;
  /** Not together with `topK` or `temperature`. */
  readonly samplingMode?: SamplingMode | undefined;
  /** Only the k likeliest tokens. Together with `temperature`. */
  readonly topK?: number | undefined;
  /** From 0 to 2. Together with `topK`. */
  readonly temperature?: number | undefined;
}

/** Options of `LanguageModel.create`. */
export interface CreateOptions extends CreateCoreOptions {
  /** Ends `create`, which rejects with its reason; later, it destroys the session. */
  readonly signal?: AbortSignal | undefined;
  /** Hears the progress of the download. */
  readonly monitor?: MonitorCallback | undefined;
  /** A system message may only be the first. */
  readonly initialPrompts?: readonly Message[] | undefined;
}

/** A handler of events of a session. */
export type LanguageModelListener = ((this: LanguageModel, event: Event) => unknown) | null;

/** A session, as the specification has it. Made by `LanguageModel.create`. */
export interface LanguageModel extends EventTarget {
  /** Tokens in the context. */
  readonly contextUsage: number;
  /** The most tokens of the context. */
  readonly contextWindow: number;
  /** Hears that the oldest exchanges were dropped. */
  oncontextoverflow: LanguageModelListener;
  /** Resolves with the whole answer. Rejects with `QuotaExceededError` for a prompt that is longer than the context. */
  prompt(input: PromptInput, options?: PromptOptions): Promise<string>;
  /** The answer as it comes. */
  promptStreaming(input: PromptInput, options?: PromptOptions): ReadableStream<string>;
  /** Adds messages to the context without asking for an answer. */
  append(input: PromptInput, options?: Pick<PromptOptions, 'signal'>): Promise<undefined>;
  /** Resolves with the number of tokens that `input` would add to the context. */
  measureContextUsage(input: PromptInput, options?: PromptOptions): Promise<number>;
  /** A second session with the same past. */
  clone(options?: Pick<PromptOptions, 'signal'>): Promise<LanguageModel>;
  /** Ends the running calls and frees the session. */
  destroy(): undefined;
  /** @deprecated `contextUsage` */
  readonly inputUsage: number;
  /** @deprecated `contextWindow` */
  readonly inputQuota: number;
  /** @deprecated */
  readonly topK: number;
  /** @deprecated */
  readonly temperature: number;
  /** @deprecated `oncontextoverflow` */
  onquotaoverflow: LanguageModelListener;
  /** @deprecated `measureContextUsage` */
  measureInputUsage(input: PromptInput, options?: PromptOptions): Promise<number>;
}

/** The global `LanguageModel` of the specification. */
export interface LanguageModelConstructor {
  /** For `instanceof`. */
  readonly prototype: LanguageModel;
  /** Makes a session; the first call downloads and loads the model. */
  create(options?: CreateOptions): Promise<LanguageModel>;
  /** Whether the model is there, or has to be downloaded first. */
  availability(options?: CreateCoreOptions): Promise<Availability>;
  /** @deprecated */
  params(): Promise<{
    /** 0: all tokens. */
    readonly defaultTopK: number;
    /** The largest value. */
    readonly maxTopK: number;
    /** That of `balanced`. */
    readonly defaultTemperature: number;
    /** The largest value. */
    readonly maxTemperature: number;
  }>;
}

/** A model without sessions stays loaded so long, in milliseconds. */
const IDLE_MS = 60_000;
/** The longest time of a timer; a longer one ends at once. */
const LONGEST_MS = 2 ** 31 - 1;
const DEFAULT_MODE: SamplingMode = 'balanced';
const PARAMS = {
  defaultTopK: 0,
  maxTopK: 2 ** 31 - 1,
  defaultTemperature: SAMPLING_MODES[DEFAULT_MODE],
  maxTemperature: 2,
} as const;

/** The model behind all sessions of one `LanguageModel`: loaded by the first, freed some time after the last. */
class SharedModel {
  readonly #load: (options: Pick<LoadOptions, 'monitor'>) => Promise<OctavoModel>;
  readonly #idle: number;
  #model: Promise<OctavoModel> | undefined;
  #users = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(load: (options: Pick<LoadOptions, 'monitor'>) => Promise<OctavoModel>, idle: number) {
    this.#load = load;
    this.#idle = idle;
  }

  /** Whether it is loaded, or being loaded. */
  get begun(): boolean {
    return this.#model !== undefined;
  }

  /** Every `take` is followed by one `give`, also where loading fails. */
  take(options: Pick<LoadOptions, 'monitor'>): Promise<OctavoModel> {
    clearTimeout(this.#timer);
    this.#users++;
    this.#model ??= this.#begin(options);
    return this.#model;
  }

  /** A model that could not be loaded, or was lost with its device or its worker, is loaded again by the next `take`. */
  #begin(options: Pick<LoadOptions, 'monitor'>): Promise<OctavoModel> {
    const model = this.#load(options);
    const forget = (): void => {
      if (this.#model === model) this.#model = undefined;
    };
    const follow = async (loaded: OctavoModel): Promise<void> => {
      await loaded.lost;
      forget();
      await loaded.destroy();
    };
    model.then(follow, forget).catch(() => undefined);
    return model;
  }

  give(): void {
    this.#users--;
    if (this.#users > 0 || this.#idle > LONGEST_MS) return;
    this.#timer = setTimeout(() => {
      const model = this.#model;
      this.#model = undefined;
      model?.then((loaded) => loaded.destroy()).catch(() => undefined);
    }, this.#idle);
    // Node: waiting for this is no reason to stay alive.
    (this.#timer as { unref?: () => void }).unref?.();
  }
}

/**
 * The errors of the specification; what it has no name for stays as it is. Octavo's errors are known by their names: this entry is a script of its
 * own, whose classes are not the page's.
 */
function specified(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('facts' in error)) return error;
  const { name, message } = error;
  const { code, facts } = error as OctavoError;
  if (name === 'StorageError') return new DOMException(message, 'NetworkError');
  if (code === 'too-long') return quotaExceeded(message, facts);
  if (code === 'destroyed') return new DOMException(message, 'InvalidStateError');
  if (code === 'argument') return new DOMException(message, 'NotSupportedError');
  return new DOMException(message, 'OperationError');
}

/** `QuotaExceededError` is a class of its own in new browsers, and a name of `DOMException` in older ones; both say how much was asked for. */
function quotaExceeded(message: string, facts: OctavoError['facts']): Error {
  const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
  return Object.assign(new DOMException(message, 'QuotaExceededError'), {
    requested: number(facts['tokens']),
    quota: number(facts['window'] ?? facts['capacity']),
  });
}

async function within<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw specified(error);
  }
}

/** Rejects with the signal's reason as soon as it is aborted; the work goes on. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The sampling of a session: what `create` asks, else what the page's settings say, else the specification's default. */
function withSampling(
  asked: CreateCoreOptions,
  { topK, temperature }: Pick<SessionOptions, 'topK' | 'temperature'> = {},
): CreateCoreOptions {
  if (asked.samplingMode !== undefined) return asked;
  const numbers = { topK: asked.topK ?? topK, temperature: asked.temperature ?? temperature };
  if (numbers.topK === undefined && numbers.temperature === undefined) return { ...asked, samplingMode: DEFAULT_MODE };
  return { ...asked, topK: numbers.topK, temperature: numbers.temperature ?? PARAMS.defaultTemperature };
}

/** Throws `TypeError` for what the specification forbids before anything is loaded. */
function check({ samplingMode, topK, temperature, initialPrompts = [] }: CreateOptions): void {
  if (samplingMode !== undefined && (topK !== undefined || temperature !== undefined))
    throw new TypeError('samplingMode cannot be combined with topK or temperature');
  for (const [i, { role, prefix }] of initialPrompts.entries()) {
    if (role === 'system' && i > 0) throw new TypeError('a system prompt must be the first of the initial prompts');
    if (prefix === true) throw new TypeError('initial prompts cannot end in a prefix');
  }
}

/**
 * A `LanguageModel` class on the model behind `input`. The model is loaded by the first `create` and shared by all sessions; `octavo` is the
 * `Octavo` of the entry that the page uses.
 */
export function createLanguageModel(
  octavo: Pick<OctavoFace, 'availability' | 'load'>,
  input: ModelInput,
  settings: LanguageModelSettings = {},
): LanguageModelConstructor {
  const shared = new SharedModel(
    (options) => octavo.load(input, { ...settings.load, ...options }),
    settings.idle ?? IDLE_MS,
  );
  const key = Symbol('made by create');

  class Session extends EventTarget implements LanguageModel {
    readonly topK: number;
    readonly temperature: number;
    oncontextoverflow: LanguageModelListener = null;
    onquotaoverflow: LanguageModelListener = null;
    readonly #session: OctavoSession;
    readonly #core: CreateCoreOptions;
    readonly #signal: AbortSignal | undefined;
    readonly #abort = (): void => this.destroy();
    #destroyed = false;

    /** `signal` destroys the session. */
    constructor(token: symbol, session: OctavoSession, core: CreateCoreOptions, signal?: AbortSignal) {
      if (token !== key) throw new TypeError('Illegal constructor');
      super();
      this.#signal = signal;
      signal?.addEventListener('abort', this.#abort, { once: true });
      this.#session = session;
      this.#core = core;
      const { topK, temperature, samplingMode = DEFAULT_MODE } = core;
      this.topK = topK ?? PARAMS.defaultTopK;
      this.temperature = temperature ?? SAMPLING_MODES[samplingMode];
      session.addEventListener('contextoverflow', () => {
        for (const name of ['contextoverflow', 'quotaoverflow'] as const) {
          const event = new Event(name);
          this[`on${name}`]?.(event);
          this.dispatchEvent(event);
        }
      });
    }

    static async create(options: CreateOptions = {}): Promise<LanguageModel> {
      check(options);
      const { signal, monitor, initialPrompts, ...asked } = options;
      const core = withSampling(asked, settings.session);
      signal?.throwIfAborted();
      // The session's own monitor tells 0 and 1 where the model is there already.
      const first = shared.begun ? {} : { monitor };
      const model = shared.take(first);
      try {
        const loaded = await abortable(within(model), signal);
        const rest = first.monitor === undefined ? { monitor } : {};
        const { topK: _topK, temperature: _temperature, ...given } = settings.session ?? {};
        const session = loaded.createSession({ ...given, ...core, ...rest, initialPrompts, signal });
        return new Session(key, await within(session), core, signal);
      } catch (error) {
        shared.give();
        throw error;
      }
    }

    static async availability(options: CreateCoreOptions = {}): Promise<Availability> {
      check(options);
      const { expectedInputs, expectedOutputs } = options;
      const found = await octavo.availability(input, { expectedInputs, expectedOutputs });
      return found === 'downloadable' && shared.begun ? 'downloading' : found;
    }

    static async params(): Promise<typeof PARAMS> {
      return PARAMS;
    }

    get contextUsage(): number {
      return this.#session.contextUsage;
    }
    get contextWindow(): number {
      return this.#session.contextWindow;
    }
    get inputUsage(): number {
      return this.contextUsage;
    }
    get inputQuota(): number {
      return this.contextWindow;
    }

    prompt(given: PromptInput, options: PromptOptions = {}): Promise<string> {
      return within(this.#session.prompt(given, options));
    }

    promptStreaming(given: PromptInput, options: PromptOptions = {}): ReadableStream<string> {
      const reader = this.#session.promptStreaming(given, options).getReader();
      return new ReadableStream<string>(
        {
          pull: async (controller) => {
            const { done, value } = await within(reader.read());
            if (done) controller.close();
            else controller.enqueue(value);
          },
          cancel: (reason) => reader.cancel(reason),
        },
        { highWaterMark: 0 },
      );
    }

    async append(given: PromptInput, options: Pick<PromptOptions, 'signal'> = {}): Promise<undefined> {
      await within(this.#session.append(given, options));
    }

    measureContextUsage(given: PromptInput, options: PromptOptions = {}): Promise<number> {
      return within(this.#session.measureContextUsage(given, options));
    }
    measureInputUsage(given: PromptInput, options?: PromptOptions): Promise<number> {
      return this.measureContextUsage(given, options);
    }

    async clone(options: Pick<PromptOptions, 'signal'> = {}): Promise<LanguageModel> {
      const copy = await within(this.#session.clone(options));
      // A second user of the model, which is there already.
      void shared.take({}).catch(() => undefined);
      return new Session(key, copy, this.#core);
    }

    destroy(): undefined {
      if (this.#destroyed) return undefined;
      this.#destroyed = true;
      this.#signal?.removeEventListener('abort', this.#abort);
      this.#session.destroy();
      shared.give();
      return undefined;
    }
  }
  return Session;
}

/**
 * Puts `LanguageModel` on the global object where the browser has none, and says whether it did. `replace: true` puts it there in any case,
 * so that a page can prefer a model of its own.
 */
export function installLanguageModel(
  octavo: Pick<OctavoFace, 'availability' | 'load'>,
  input: ModelInput,
  { replace = false, ...settings }: LanguageModelSettings & { readonly replace?: boolean } = {},
): boolean {
  if ('LanguageModel' in globalThis && !replace) return false;
  const value = createLanguageModel(octavo, input, settings);
  Object.defineProperty(value, 'name', { value: 'LanguageModel' });
  Object.defineProperty(globalThis, 'LanguageModel', { value, configurable: true, writable: true });
  return true;
}
