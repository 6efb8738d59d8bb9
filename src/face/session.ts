/**
 * A conversation, in the shape of the web's Prompt API. The file is long because one class has all methods of that API,
 * and each is documented for those who use it.
 */
import type { Attribution, AttributionSettings } from '../generate/attribution.ts';
import { InputError } from '../errors.ts';
import type { PromptInput } from '../chat/messages.ts';
import type { ContextChoice } from '../select/options.ts';
import type { AnswerPart, ToolSettings } from '../chat/tools.ts';
import {
  UNUSED,
  withAnswer,
  type AnswerReport,
  type PromptSettings,
  type SessionSettings,
  type TokenLogProb,
  type TokenUsage,
} from '../generate/options.ts';
import { cannotSee } from '../see/images.ts';
import type { AnswerInfo, CallsEvent, EngineApi, PromptEvent, SessionInfo } from '../worker/api.ts';
import { misfit } from './check.ts';
import type { MonitorCallback } from './monitor.ts';
import { misfitSchema, withGrammar, type Constrainable } from './constraint.ts';
import { ABORTABLE, APPEND, ATTRIBUTE, MEASURE, PROMPT, SAVE } from './options.ts';
import type { OnModel } from './painting.ts';
import { withPixels, type PictureInput } from './pictures.ts';
import { askToPersist, type SavedSession, type SaveOptions } from './sessions.ts';
import { linkedSignal } from './signals.ts';
import { AnswerStream, collect, type TextStream } from './stream.ts';
import type { Tool } from './tools.ts';

/** Options of calls that can be ended. */
export interface Abortable {
  /** Ends the call, which rejects with the signal's reason. The session stays usable. */
  readonly signal?: AbortSignal | undefined;
}

/** A kind of input or output that a page expects: text, and images as input for models that see. */
export interface ExpectedContent {
  /** The kind. No model here reads or makes sound. */
  readonly type: 'text' | 'image' | 'audio';
  /** Language tags, as in the Prompt API; they are not checked. */
  readonly languages?: readonly string[];
}

/** Options of `createSession`: sampling, the length of answers, tools, and how the context is kept. */
export interface SessionOptions extends SessionSettings, Abortable {
  /** What the model may call. Tools with `execute` are run for it, and the answer goes on with their results. */
  readonly tools?: readonly Tool[] | undefined;
  /** The Prompt API's download monitor. Since the model is loaded already, it receives 0 and 1. */
  readonly monitor?: MonitorCallback | undefined;
  /** Refused at once where the model does not take them, as in the Prompt API. */
  readonly expectedInputs?: readonly ExpectedContent[] | undefined;
  /** Anything but text is refused. */
  readonly expectedOutputs?: readonly ExpectedContent[] | undefined;
}

/** What tells the words of a prompt beside its messages. */
export interface MeasureOptions extends Constrainable, Abortable {
  /** Leaves the schema or the expression out of the prompt; otherwise it stands behind the question, so that the model sees it. */
  readonly omitResponseConstraintInput?: boolean | undefined;
}

/** Options of a prompt. What is left out is as in the session. */
export interface PromptOptions extends Omit<PromptSettings, 'grammar'>, MeasureOptions {
  /** In place of the session's tools. */
  readonly tools?: readonly Tool[] | undefined;
  /** Called with the number of prompt tokens that have been read, and the total. */
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
  /** Called with each token of the answer when `logprobs` is set, before the text that the token completes. */
  readonly onToken?: ((token: TokenLogProb) => unknown) | undefined;
}

type SessionInput = EngineApi['append']['params'];

/** Options of `append` and `prefill`. */
export type AppendOptions = Pick<PromptOptions, 'signal' | 'onPrefill'>;

/**
 * Returns the settings that are sent to the engine; functions and signals stay on the page. Throws
 * `InputError('argument')` for content that the model does not take.
 */
export function sessionSettings(
  options: SessionOptions,
  { see, missing }: Pick<PictureInput, 'see' | 'missing'>,
): SessionSettings {
  const { signal: _signal, monitor: _monitor, expectedInputs = [], expectedOutputs = [], tools, ...rest } = options;
  const settings = { ...rest, ...toolSettings(tools) };
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

/** What the engine is told of tools: their functions stay on the page. */
function toolSettings(tools: readonly Tool[] | undefined): { readonly tools?: readonly ToolSettings[] } {
  return tools === undefined ? {} : { tools: tools.map(({ execute: _execute, ...told }) => told) };
}

/** Destroys a session whose call was aborted while the session was made. */
export function discardSession({ caller, model }: OnModel): { readonly onLate: (info: SessionInfo) => void } {
  return {
    onLate: ({ session }) => void caller.call('destroySession', { model, session }).catch(() => undefined),
  };
}

/** The report of an answer for the user, with the likelihoods of its tokens if there are any. */
export function reportOf({ usage: _usage, ...report }: AnswerInfo, logprobs: readonly TokenLogProb[]): AnswerReport {
  return logprobs.length === 0 ? report : { ...report, logprobs };
}

/**
 * A conversation with a model, in the shape of the web's Prompt API. Calls of one session run in the order in
 * which they were made; sessions of one model take turns. Made by `OctavoModel.createSession`; `destroy` frees its
 * memory.
 */
export class OctavoSession extends EventTarget {
  /** The most tokens of its context. When they are used up, the oldest exchanges are dropped and `contextoverflow` is sent; initial prompts stay. */
  readonly contextWindow: number;
  /** Hears that exchanges were dropped, as listeners of `contextoverflow` do. */
  oncontextoverflow: ((this: OctavoSession, event: Event) => unknown) | null = null;
  readonly #on: OnModel;
  readonly #id: number;
  readonly #pictures: PictureInput;
  readonly #tools: readonly Tool[];
  readonly #ended = new AbortController();
  /** Settles when the images of all calls so far are read; undefined when none is pending. */
  #reading: Promise<unknown> | undefined;
  #usage: number;
  #context: ContextChoice | undefined;
  #answered = UNUSED;

  /** @hidden Made by `OctavoModel.createSession`. */
  constructor(on: OnModel, info: SessionInfo, pictures: PictureInput, tools: readonly Tool[] = []) {
    super();
    this.#on = on;
    this.#pictures = pictures;
    this.#tools = tools;
    this.#id = info.session;
    this.#usage = info.usage;
    this.#context = info.context;
    this.contextWindow = info.window;
  }

  /**
   * What was chosen for the context where its options left that open (a preset, or `kvBits: 'auto'`), and why; undefined
   * otherwise. A longer prompt than all before it may change the choice.
   */
  get context(): ContextChoice | undefined {
    return this.#context;
  }

  /** The number of tokens in the context. */
  get contextUsage(): number {
    return this.#usage;
  }

  /**
   * What the answers of this session have cost so far: tokens read, reused and written, and the rates. A clone counts
   * its own.
   */
  get usage(): TokenUsage {
    return this.#answered;
  }

  /**
   * Asks, and resolves with the whole answer. Throws `InputError('empty')` and `InputError('too-long')` for prompts that have no text or do not fit the context,
   * `InputError('argument')` for content that the model does not take, `InputError('destroyed')`, `DeviceError('lost')`, and the signal's reason on abort.
   */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    const stream = this.promptStreaming(input, options);
    const text = await collect(stream);
    await stream.finished;
    return text;
  }

  /**
   * The answer as a stream of text: iterate it, or use it as a ReadableStream. Nothing is thrown here: errors (those of `prompt`) reject the reader and
   * `finished`.
   */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): TextStream<AnswerReport> {
    return this.#answer(input, options, (part) => (part.type === 'text' ? part.text : undefined));
  }

  /** The same with everything that the answer consists of: text, thoughts, calls of tools and their results, in order. */
  promptParts(input: PromptInput, options: PromptOptions = {}): AnswerStream<AnswerPart, AnswerReport> {
    return this.#answer(input, options, (part) => part);
  }

  /** `pick`: what of a part goes to the reader. */
  #answer<Item>(
    input: PromptInput,
    options: PromptOptions,
    pick: (part: AnswerPart) => Item | undefined,
  ): AnswerStream<Item, AnswerReport> {
    const problem = misfit('prompt', options, PROMPT) ?? misfitSchema(options);
    const { signal, onPrefill, onToken, tools, ...rest } = problem === undefined ? options : {};
    const settings = { ...withGrammar(rest), ...toolSettings(tools) };
    const usable = tools ?? this.#tools;
    const runs = usable.flatMap(({ name, execute }) => (execute === undefined ? [] : [name]));
    const more = { settings, runs };
    const link = linkedSignal(signal, this.#ended.signal);
    const transfer: Transferable[] = [];
    const read = problem ?? this.#withInput(input, transfer, link.signal);
    const params = read instanceof Promise ? read.then((ready) => ({ ...ready, ...more })) : { ...read, ...more };
    const logprobs: TokenLogProb[] = [];
    const hear = (token: TokenLogProb): unknown => {
      logprobs.push(token);
      return onToken?.(token);
    };
    const note = (info: AnswerInfo): AnswerReport => {
      const report = reportOf(info, logprobs);
      this.#usage = info.usage;
      this.#answered = withAnswer(this.#answered, report);
      return report;
    };
    const run = async ({ round, calls }: CallsEvent): Promise<void> => {
      const { runTools } = await import('./tools.ts');
      const results = await runTools(calls, usable, link.signal);
      const { model } = this.#on;
      await this.#on.caller.call('giveResults', { model, round, results }, { signal: link.signal });
    };
    const stream = new AnswerStream<Item, AnswerReport>(({ signal: linked, onItem }) => {
      const { result, take } = this.#on.caller.stream('prompt', params, {
        signal: linked,
        onItem: (part) => {
          const item = pick(part);
          // What nobody reads makes room at once.
          if (item === undefined) take();
          else onItem(item);
        },
        transfer,
        onEvent: (event) => (event.kind === 'calls' ? run(event) : this.#hear(event, onPrefill, hear)),
        // An aborted answer that stays in the conversation.
        onLate: note,
      });
      return { result: result.then(note), take };
    }, link.signal);
    stream.finished.catch(() => undefined).finally(() => link.unlink());
    return stream;
  }

  /** Adds messages to the context without asking for an answer, and resolves when they are read, so that a later prompt starts sooner. Throws as `prompt`. */
  async append(input: PromptInput, options: AppendOptions = {}): Promise<void> {
    this.#usage = await this.#read('append', input, options);
  }

  /**
   * Reads a prompt that may be asked, such as one that is being written, and leaves the conversation as it is: the next prompt goes on from the token where the two
   * differ. A server reads nothing ahead. Throws as `prompt`.
   */
  async prefill(input: PromptInput, options: AppendOptions = {}): Promise<void> {
    await this.#read('prefill', input, options);
  }

  /** Resolves with the number of tokens that `input` would add to the context, with what a constraint adds to it. */
  async measureContextUsage(input: PromptInput, options: MeasureOptions = {}): Promise<number> {
    const problem = misfit('measureContextUsage', options, MEASURE);
    if (problem !== undefined) return problem;
    const { signal, ...rest } = options;
    const settings = withGrammar(rest);
    return this.#linked(signal, (linked, transfer) => {
      const read = this.#withInput(input, transfer, linked);
      const params = read instanceof Promise ? read.then((ready) => ({ ...ready, settings })) : { ...read, settings };
      return this.#on.caller.call('measure', params, { signal: linked, transfer });
    });
  }

  /**
   * Tells which spans of a text in the conversation the last answer was drawn from: the attention that each of its
   * tokens was predicted with. Reads the answer's tokens once more.
   */
  async attribute(settings: AttributionSettings, options: Abortable = {}): Promise<Attribution> {
    const problem = misfit('attribute', settings, ATTRIBUTE) ?? misfit('attribute', options, ABORTABLE);
    if (problem !== undefined) return problem;
    return this.#linked(options.signal, (linked) =>
      this.#on.caller.call('attribute', this.#inTurn({ ...this.#of, settings }), { signal: linked }),
    );
  }

  /**
   * Makes a second session with the same past and settings, which the caller frees by its own `destroy`. It costs little, since the two share memory until they
   * differ.
   */
  async clone(options: Abortable = {}): Promise<OctavoSession> {
    const problem = misfit('clone', options, ABORTABLE);
    if (problem !== undefined) return problem;
    const { onLate } = discardSession(this.#on);
    const info = await this.#linked(options.signal, (linked) =>
      this.#on.caller.call('cloneSession', this.#inTurn(this.#of), { signal: linked, onLate }),
    );
    return new OctavoSession(this.#on, info, this.#pictures, this.#tools);
  }

  /**
   * Saves the session under a name, replacing what was saved under it: conversation, settings, images, and the pages
   * that were computed from them. Waits for calls made before; later calls need not wait for it. Resolves when
   * everything is written; until then the name keeps its old content. `model.resumeSession` restores it, also after a
   * reload. Throws `StorageError('quota')` when there is not enough storage.
   */
  async save(name: string, options: SaveOptions = {}): Promise<SavedSession> {
    const problem = misfit('save', options, SAVE);
    if (problem !== undefined) return problem;
    const { signal, persist, evict = false } = options;
    const asked = askToPersist(persist);
    asked.catch(() => undefined);
    const saved = await this.#linked(signal, (linked) =>
      this.#on.caller.call('saveSession', this.#inTurn({ ...this.#of, name, evict }), { signal: linked }),
    );
    const persisted = await asked;
    return persisted === undefined ? saved : { ...saved, persisted };
  }

  /** Ends the running calls and frees the session's memory. */
  destroy(): undefined {
    if (this.#ended.signal.aborted) return undefined;
    this.#ended.abort(new DOMException('the session was destroyed', 'AbortError'));
    this.#on.caller.call('destroySession', this.#of).catch(() => undefined);
    return undefined;
  }

  /** Identifies this session in a call. */
  get #of(): { readonly model: number; readonly session: number } {
    return { model: this.#on.model, session: this.#id };
  }

  /** Runs a call that also ends when the session is destroyed. */
  async #linked<T>(
    signal: AbortSignal | undefined,
    call: (linked: AbortSignal, transfer: Transferable[]) => Promise<T>,
  ): Promise<T> {
    const link = linkedSignal(signal, this.#ended.signal);
    try {
      return await call(link.signal, []);
    } finally {
      link.unlink();
    }
  }

  /** The parameters of a call with messages. */
  #withInput(input: PromptInput, transfer: Transferable[], signal: AbortSignal): SessionInput | Promise<SessionInput> {
    const read = withPixels(input, this.#pictures, transfer, signal);
    const params = (ready: PromptInput): SessionInput => ({ ...this.#of, input: ready });
    return this.#inTurn(read instanceof Promise ? read.then(params) : params(read));
  }

  /**
   * Returns the parameters of a call at once when no image is being read, otherwise after all images were read, so that
   * calls are sent in the order in which they were made.
   */
  #inTurn<Params>(params: Params | Promise<Params>): Params | Promise<Params> {
    const before = this.#reading;
    if (!(params instanceof Promise) && before === undefined) return params;
    const inOrder = async (): Promise<Params> => {
      try {
        return await params;
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
    return ready;
  }

  /** Has `input` read without asking for an answer, and resolves with what the engine answers. */
  async #read<Method extends 'append' | 'prefill'>(
    method: Method,
    input: PromptInput,
    options: AppendOptions,
  ): Promise<EngineApi[Method]['result']> {
    const problem = misfit(method, options, APPEND);
    if (problem !== undefined) return problem;
    const { signal, onPrefill } = options;
    return this.#linked(signal, (linked, transfer) =>
      this.#on.caller.call(method, this.#withInput(input, transfer, linked), {
        signal: linked,
        transfer,
        onEvent: (event) => this.#hear(event, onPrefill),
      }),
    );
  }

  #hear(event: PromptEvent, onPrefill?: PromptOptions['onPrefill'], onToken?: PromptOptions['onToken']): unknown {
    switch (event.kind) {
      case 'prefill':
        return onPrefill?.(event.done, event.total);
      case 'token':
        return onToken?.(event.token);
      case 'context':
        this.#context = event.choice;
        return undefined;
      case 'overflow': {
        const overflow = new Event('contextoverflow');
        this.oncontextoverflow?.(overflow);
        this.dispatchEvent(overflow);
        return undefined;
      }
      default:
        return event satisfies never;
    }
  }
}
