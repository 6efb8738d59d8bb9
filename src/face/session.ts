/** A conversation, as the web's Prompt API shapes it. */
import type { AnswerFacts, PromptEvent, SessionFacts } from '../engine/service.ts';
import { InputError } from '../errors.ts';
import type { PromptInput } from '../chat/messages.ts';
import type { AnswerReport, PromptSettings, SessionSettings } from '../generate/options.ts';
import { cannotSee } from '../see/pictures.ts';
import type { Caller } from '../worker/caller.ts';
import { withPixels, type Eyes } from './pictures.ts';
import { askToPersist, type SavedSession, type SaveOptions } from './sessions.ts';
import { linkedSignal } from './signals.ts';
import { collect, TextStream } from './stream.ts';

interface Abortable {
  /** Ends the call; it rejects with the signal's reason, and the session stays usable. */
  readonly signal?: AbortSignal | undefined;
}

/** A kind of input or output that a page expects: text, and pictures as input where the model sees. */
export interface ExpectedContent {
  readonly type: 'text' | 'image' | 'audio';
  readonly languages?: readonly string[];
}

export interface SessionOptions extends SessionSettings, Abortable {
  readonly expectedInputs?: readonly ExpectedContent[] | undefined;
  readonly expectedOutputs?: readonly ExpectedContent[] | undefined;
}

export interface PromptOptions extends PromptSettings, Abortable {
  /** Hears how much of the prompt has been read, in tokens. */
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
}

/** What the Prompt API has and this version has not: refused, since leaving it out would change the answer. */
const NOT_YET = ['responseConstraint', 'tools'] as const;

/** Functions and signals stay on this side; the rest crosses to the engine. Throws `InputError('argument')` for what is not supported. */
export function plainSettings(
  options: Abortable & Partial<PromptOptions> & Partial<SessionOptions>,
  { see, missing }: Eyes,
): SessionSettings {
  for (const name of NOT_YET) {
    if ((options as Readonly<Record<string, unknown>>)[name] !== undefined)
      throw new InputError('argument', `${name}: not supported by this version; leave it out`);
  }
  const { signal: _signal, onPrefill: _onPrefill, expectedInputs = [], expectedOutputs = [], ...settings } = options;
  for (const { type } of expectedInputs) {
    if (type === 'image' && !see) throw cannotSee('expectedInputs', missing);
    if (type !== 'text' && type !== 'image')
      throw new InputError('argument', `expectedInputs: no model here reads ${type}; expect text or images`, { type });
  }
  for (const { type } of expectedOutputs) {
    if (type !== 'text')
      throw new InputError(
        'argument',
        `expectedOutputs: a session answers in text, not ${type}; pictures come from model.paint`,
        { type },
      );
  }
  return settings;
}

export class OctavoSession extends EventTarget {
  readonly contextWindow: number;
  oncontextoverflow: ((this: OctavoSession, event: Event) => unknown) | null = null;
  readonly #caller: Caller;
  readonly #id: number;
  readonly #eyes: Eyes;
  readonly #ended = new AbortController();
  /** Settles when the pictures of all calls so far are read; undefined when they are. */
  #reading: Promise<unknown> | undefined;
  #usage: number;

  /** Made by `OctavoModel.createSession`. */
  constructor(caller: Caller, facts: SessionFacts, eyes: Eyes) {
    super();
    this.#caller = caller;
    this.#eyes = eyes;
    this.#id = facts.session;
    this.#usage = facts.usage;
    this.contextWindow = facts.window;
  }

  /** Tokens in the context. */
  get contextUsage(): number {
    return this.#usage;
  }

  /** The whole answer. */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    const stream = this.promptStreaming(input, options);
    const text = await collect(stream);
    await stream.finished;
    return text;
  }

  /** The answer as it comes: iterate it, or use it as a ReadableStream. */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): TextStream<AnswerReport> {
    const { signal, onPrefill } = options;
    const settings = plainSettings(options, this.#eyes);
    const link = linkedSignal(signal, this.#ended.signal);
    const transfer: Transferable[] = [];
    const stream = new TextStream<AnswerReport>(
      this.#caller,
      'prompt',
      this.#inTurn(this.#pixels(input, transfer, link.signal), (read) => ({
        session: this.#id,
        input: read,
        settings,
      })),
      {
        signal: link.signal,
        transfer,
        onEvent: (event) => this.#hear(event as PromptEvent, onPrefill),
        done: (value) => {
          const { usage, ...report } = value as AnswerFacts;
          this.#usage = usage;
          return report;
        },
      },
    );
    stream.finished.catch(() => undefined).finally(() => link.unlink());
    return stream;
  }

  /** Adds messages to the context, so that a later prompt starts sooner. */
  async append(
    input: PromptInput,
    { signal, onPrefill }: Pick<PromptOptions, 'signal' | 'onPrefill'> = {},
  ): Promise<void> {
    const onEvent = (event: unknown): void => this.#hear(event as PromptEvent, onPrefill);
    this.#usage = (await this.#send('append', input, signal, onEvent)) as number;
  }

  /** Tokens that `input` would add to the context. */
  async measureContextUsage(input: PromptInput, { signal }: Abortable = {}): Promise<number> {
    return (await this.#send('measure', input, signal)) as number;
  }

  /** A second session with the same past, at hardly any cost: the two share memory until they differ. */
  async clone({ signal }: Abortable = {}): Promise<OctavoSession> {
    return new OctavoSession(
      this.#caller,
      (await this.#send('cloneSession', undefined, signal)) as SessionFacts,
      this.#eyes,
    );
  }

  /**
   * Writes the session to the disk under a name, in place of what the name had: conversation, settings, pictures, and what was computed of them.
   * Waits for calls made before; later ones need not wait for it. Resolves when all of it is written: until then the name has what it had.
   * `model.resumeSession` reads it, after any reload. Throws `StorageError('quota')` where there is no room.
   */
  async save(name: string, { signal, persist, evict = false }: SaveOptions = {}): Promise<SavedSession> {
    const asked = askToPersist(persist);
    const link = linkedSignal(signal, this.#ended.signal);
    try {
      const params = this.#inTurn(undefined, () => ({ session: this.#id, name, evict }));
      const saved = (await this.#caller.call('saveSession', params, { signal: link.signal })) as SavedSession;
      const persisted = await asked;
      return persisted === undefined ? saved : { ...saved, persisted };
    } finally {
      link.unlink();
    }
  }

  /** Ends what is under way and frees the session's memory. */
  destroy(): undefined {
    if (this.#ended.signal.aborted) return undefined;
    this.#ended.abort(new DOMException('the session was destroyed', 'AbortError'));
    this.#caller.call('destroySession', { session: this.#id }).catch(() => undefined);
    return undefined;
  }

  async #send(
    method: string,
    input: PromptInput | undefined,
    signal: AbortSignal | undefined,
    onEvent?: (event: unknown) => void,
  ): Promise<unknown> {
    const link = linkedSignal(signal, this.#ended.signal);
    const transfer: Transferable[] = [];
    try {
      const params = this.#inTurn(
        input === undefined ? undefined : this.#pixels(input, transfer, link.signal),
        (read) => ({ session: this.#id, input: read }),
      );
      return await this.#caller.call(method, params, { signal: link.signal, onEvent, transfer });
    } finally {
      link.unlink();
    }
  }

  /** `withPixels`, whose refusal ends the call as any other error does. */
  #pixels(input: PromptInput, transfer: Transferable[], signal: AbortSignal): PromptInput | Promise<PromptInput> {
    try {
      return withPixels(input, this.#eyes, transfer, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** A call's parameters: at once where no picture is being read, else when all are, so that calls go out in the order in which they were made. */
  #inTurn(
    input: PromptInput | undefined | Promise<PromptInput>,
    params: (input: PromptInput | undefined) => unknown,
  ): unknown {
    if (!(input instanceof Promise) && this.#reading === undefined) return params(input);
    const before = this.#reading;
    const inOrder = async (): Promise<PromptInput | undefined> => {
      try {
        return await input;
      } finally {
        await before;
      }
    };
    const ready = inOrder();
    const settled: Promise<unknown> = ready
      .catch(() => undefined)
      .finally(() => {
        if (this.#reading === settled) this.#reading = undefined;
      });
    this.#reading = settled;
    return ready.then(params);
  }

  #hear(event: PromptEvent, onPrefill?: (done: number, total: number) => void): void {
    switch (event.kind) {
      case 'prefill':
        return onPrefill?.(event.done, event.total);
      case 'overflow': {
        const overflow = new Event('contextoverflow');
        this.oncontextoverflow?.(overflow);
        this.dispatchEvent(overflow);
        return;
      }
      default:
        event satisfies never;
    }
  }
}
