/** A conversation, as the web's Prompt API shapes it. */
import type { AnswerFacts, PromptEvent, SessionFacts } from '../engine/service.ts';
import { InputError } from '../errors.ts';
import type { PromptInput } from '../generate/messages.ts';
import type { AnswerReport, PromptSettings, SessionSettings } from '../generate/options.ts';
import type { Caller } from '../worker/caller.ts';
import { linkedSignal } from './signals.ts';
import { collect, TextStream } from './stream.ts';

interface Abortable {
  /** Ends the call; it rejects with the signal's reason, and the session stays usable. */
  readonly signal?: AbortSignal | undefined;
}

/** A kind of input or output that a page expects; text only for now. */
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
export function plainSettings(options: Abortable & Partial<PromptOptions> & Partial<SessionOptions>): SessionSettings {
  for (const name of NOT_YET) {
    if ((options as Readonly<Record<string, unknown>>)[name] !== undefined) throw new InputError('argument', `${name}: not supported by this version; leave it out`);
  }
  const { signal: _signal, onPrefill: _onPrefill, expectedInputs = [], expectedOutputs = [], ...settings } = options;
  for (const { type } of [...expectedInputs, ...expectedOutputs]) {
    if (type !== 'text') throw new InputError('argument', `expected ${type}: this model reads and writes text only`, { type });
  }
  return settings;
}

export class OctavoSession extends EventTarget {
  readonly contextWindow: number;
  oncontextoverflow: ((this: OctavoSession, event: Event) => unknown) | null = null;
  readonly #caller: Caller;
  readonly #id: number;
  readonly #ended = new AbortController();
  #usage: number;

  /** Made by `OctavoModel.createSession`. */
  constructor(caller: Caller, facts: SessionFacts) {
    super();
    this.#caller = caller;
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
    const link = linkedSignal(signal, this.#ended.signal);
    const stream = new TextStream<AnswerReport>(
      this.#caller,
      'prompt',
      { session: this.#id, input, settings: plainSettings(options) },
      {
        signal: link.signal,
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
  async append(input: PromptInput, { signal, onPrefill }: Pick<PromptOptions, 'signal' | 'onPrefill'> = {}): Promise<void> {
    const onEvent = (event: unknown): void => this.#hear(event as PromptEvent, onPrefill);
    this.#usage = (await this.#call('append', { session: this.#id, input }, signal, onEvent)) as number;
  }

  /** Tokens that `input` would add to the context. */
  async measureContextUsage(input: PromptInput, { signal }: Abortable = {}): Promise<number> {
    return (await this.#call('measure', { session: this.#id, input }, signal)) as number;
  }

  /** A second session with the same past, at hardly any cost: the two share memory until they differ. */
  async clone({ signal }: Abortable = {}): Promise<OctavoSession> {
    return new OctavoSession(this.#caller, (await this.#call('cloneSession', { session: this.#id }, signal)) as SessionFacts);
  }

  /** Ends what is under way and frees the session's memory. */
  destroy(): undefined {
    if (this.#ended.signal.aborted) return undefined;
    this.#ended.abort(new DOMException('the session was destroyed', 'AbortError'));
    this.#caller.call('destroySession', { session: this.#id }).catch(() => undefined);
    return undefined;
  }

  async #call(method: string, params: unknown, signal: AbortSignal | undefined, onEvent?: (event: unknown) => void): Promise<unknown> {
    const link = linkedSignal(signal, this.#ended.signal);
    try {
      return await this.#caller.call(method, params, { signal: link.signal, onEvent });
    } finally {
      link.unlink();
    }
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
