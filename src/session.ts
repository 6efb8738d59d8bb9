/**
 * A conversation with a model, from messages to streamed text. It reads from top to bottom: messages (chat/messages) and the images in them
 * (see/) are rendered by the chat template (chat/conversation) and encoded (chat/prompt, text/); what the KV pages hold already is kept, the
 * rest is prefilled, and the answer is decoded on the device (generate/session-cache, models/, backend/), detokenised and handed on piece by
 * piece (generate/answer). The file is long because a conversation's calls share its one state and its one queue.
 */
import type { Sequence } from './kv/sequence.ts';
import { InputError } from './errors.ts';
import { tooLong, type Answer, type AnswerListener } from './generate/answer.ts';
import type { Attribution, AttributionSettings } from './generate/attribution.ts';
import { SessionCache, type SessionModel } from './generate/session-cache.ts';
import { Conversation, fit, type Fit, type Manner } from './chat/conversation.ts';
import type * as Dialects from './chat/dialects/index.ts';
import type { TemplateAbilities } from './chat/abilities.ts';
import type { ToolTelling } from './chat/adapt.ts';
import type { AnswerDivider } from './chat/divider.ts';
import type { ToolResult } from './chat/tools.ts';
import { questionOf, readInput, type Input, type PromptInput, type Turn } from './chat/messages.ts';
import type { Exchange, PageTools } from './generate/rounds.ts';
import {
  checkCount,
  DEFAULT_ROUNDS,
  inPlaceOf,
  MOST_ROUNDS,
  type CompletionSettings,
  type PromptSettings,
  type SessionSettings,
} from './generate/options.ts';
import { encodeContext, followOn, NOTHING, type Transcript } from './chat/prompt.ts';
import { imagesOf, imageTokens, joined, type Content, type PromptImage } from './see/images.ts';
import { Queue } from './generate/queue.ts';
import type { SessionState } from './generate/session-state.ts';
import type { Choose } from './generate/context-choice.ts';
import type { ContextChoice, ContextOptions } from './select/options.ts';
import { sampleSpec } from './generate/sampling.ts';

export interface SessionListener extends AnswerListener {
  /** The oldest exchanges were dropped to make room. */
  readonly onOverflow?: (() => void) | undefined;
  /** Tools that are run while a prompt waits. */
  readonly tools?: PageTools | undefined;
}

/** Settings whose context is given by its members. */
export interface OpenSettings extends Omit<SessionSettings, 'context'> {
  readonly context?: ContextOptions | undefined;
}

/** What decides the words about an answer's grammar. */
type Told = Pick<PromptSettings, 'grammar' | 'omitResponseConstraintInput'>;

/** Tokens that are kept free for an answer, by dropping the oldest exchanges, when the caller names no maximum. */
const USUAL_ANSWER = 256;

export class Session {
  readonly window: number;
  readonly #model: SessionModel;
  readonly #settings: Omit<OpenSettings, 'initialPrompts'>;
  readonly #queue = new Queue();
  #conversation: Conversation;
  #cache: SessionCache;
  /** Ids and text of the conversation. The cache may hold more, namely what a failed call read after it. */
  #transcript: Transcript = NOTHING;
  #destroyed = false;

  /**
   * Throws `InputError` for invalid settings. Precondition: `settings.context` is valid, as `open` makes sure of, and
   * `choose` chooses what it leaves open.
   */
  constructor(model: SessionModel, settings: OpenSettings = {}, choose?: Choose) {
    const { initialPrompts = [], ...rest } = settings;
    sampleSpec(settings, model.sampling);
    if (rest.visual !== undefined) model.images.settings(rest.visual);
    this.#model = model;
    this.#settings = rest;
    const { context = {} } = rest;
    if (context.memory !== undefined) model.tiers?.limit(context.memory);
    this.window = context.window ?? model.window;
    const initial = initialPrompts.length === 0 ? [] : this.#read(initialPrompts, false).turns;
    this.#conversation = new Conversation(model, initial);
    this.#cache = new SessionCache(model, this.window, context, choose);
  }

  /** Prefills the initial prompts, so that the first answer comes sooner. */
  start(listener: SessionListener = {}): Promise<void> {
    if (this.#conversation.empty) return Promise.resolve();
    return this.#compute(listener.signal, () => this.#add({ turns: [], prefix: '' }, listener));
  }

  /**
   * Answers `input`. When that fails or is aborted, the conversation is unchanged. With `aborted: 'keep'`, an aborted
   * answer that has begun stays in the conversation, and the call resolves with it, marked `partial`.
   */
  prompt(input: PromptInput, settings: PromptSettings = {}, listener: SessionListener = {}): Promise<Answer> {
    const read = this.#read(input, true);
    const merged = inPlaceOf(this.#settings, settings);
    const rounds = checkCount('maxToolRounds', merged.maxToolRounds ?? DEFAULT_ROUNDS, MOST_ROUNDS);
    return this.#run(listener.signal, async () => {
      const ask = (
        before: Conversation,
        asked: Input,
        heard: SessionListener,
        more = {},
      ): Promise<Exchange<Conversation, Turn>> =>
        this.#model.gate.share(listener.signal, () => this.#exchange(before, asked, { ...merged, ...more }, heard));
      const turns = await this.#told(read.turns, settings);
      let done = await ask(this.#conversation, { ...read, turns }, listener);
      const { tools } = listener;
      if (done.answer.finishReason === 'tool-calls' && tools !== undefined && tools.names.size > 0) {
        const { runRounds } = await import('./generate/rounds.ts');
        const turnOf = ({ id, name, content }: ToolResult): Turn => ({
          role: 'tool',
          content: [content],
          name,
          callId: id,
        });
        const { grammar } = merged;
        const shown = { listener, tools, told: merged.tools ?? [], turnOf, grammar, most: rounds };
        done = await runRounds(done, shown, ({ conversation, turns }, heard, more) =>
          ask(conversation, { turns, prefix: '' }, { ...listener, ...heard }, more),
        );
      }
      this.#conversation = done.conversation.with(...done.turns);
      this.#transcript = this.#cache.transcript;
      return done.answer;
    });
  }

  /** One answer, which stays in the cache alone. */
  async #exchange(
    before: Conversation,
    asked: Input,
    settings: PromptSettings,
    listener: SessionListener,
  ): Promise<Exchange<Conversation, Turn>> {
    await this.#resolve(asked.turns, listener.signal);
    const manner = await this.#manner(before, asked.turns, settings);
    const reserve = Math.min(settings.maxTokens ?? USUAL_ANSWER, Math.max(1, this.window >> 2));
    const { conversation, prompt, content } = this.#fit(before, asked, true, reserve, manner, listener);
    const divider = await this.#divider(conversation, asked, content, manner);
    const { telling } = manner;
    const limited = await (telling?.tools.length
      ? this.#calling(settings, telling, content, listener)
      : this.#limited(settings, listener, content));
    const answer = await this.#cache.answer(prompt, content, settings, { ...limited, divider });
    const { text, thinking, toolCalls: calls, partial } = answer;
    const said = { content: [asked.prefix + text], ...(thinking && { thinking }), ...(calls && { calls }) };
    const turn: Turn = { role: 'assistant', ...said, ...(partial && { partial }) };
    return { answer, conversation, turns: [...asked.turns, turn] };
  }

  /** Adds messages to the context without generating an answer. */
  append(input: PromptInput, listener: SessionListener = {}): Promise<void> {
    const read = this.#read(input, false);
    return this.#compute(listener.signal, () => this.#add(read, listener));
  }

  /**
   * Reads a prompt that may be asked, with what precedes its answer, and leaves the conversation as it is. The next prompt goes on from the token where the two
   * differ; so what an aborted call has read is not lost.
   */
  prefill(input: PromptInput, listener: SessionListener = {}): Promise<void> {
    const read = this.#read(input, true);
    return this.#compute(listener.signal, async () => {
      await this.#resolve(read.turns, listener.signal);
      const manner = await this.#manner(this.#conversation, read.turns, this.#settings);
      const { prompt, content } = this.#fit(this.#conversation, read, true, 1, manner, listener);
      await this.#cache.fill(prompt, content, listener, false);
    });
  }

  /** Continues raw text or ids, without a chat template and independently of earlier calls. */
  complete(
    input: string | Int32Array,
    settings: CompletionSettings = {},
    listener: SessionListener = {},
  ): Promise<Answer> {
    if (input.length === 0) throw new InputError('empty', 'the prompt is empty; give at least one character');
    return this.#compute(listener.signal, async () => {
      const limited = await this.#limited(settings, listener);
      const content = typeof input === 'string' ? [input] : undefined;
      const prompt =
        typeof input === 'string' ? encodeContext(this.#model, [input], settings.special) : { ids: input, spans: [] };
      const result = await this.#cache.answer(prompt, content, inPlaceOf(this.#settings, settings), limited, false);
      this.#transcript = this.#cache.transcript;
      return result;
    });
  }

  /** Tells which spans of the conversation the last answer was drawn from (generate/attribution.ts). */
  attribute(settings: AttributionSettings, signal?: AbortSignal): Promise<Attribution> {
    return this.#compute(signal, async () => {
      // Pages that do not ask for it do not download this code.
      const { attribute } = await import('./generate/attribution.ts');
      return this.#cache.withAnswer((copy, answered) => attribute(this.#model, copy, answered, settings, signal));
    });
  }

  /** The number of tokens that `input` would add to the context, with the words about its answer's grammar. */
  measure(input: PromptInput, settings: Told = {}, signal?: AbortSignal): Promise<number> {
    const { turns: given, prefix } = this.#read(input, true);
    return this.#run(signal, async () => {
      const turns = await this.#told(given, settings);
      if (this.#unresolved(turns).length > 0) await this.#model.gate.share(signal, () => this.#resolve(turns, signal));
      const transcript = this.#transcript;
      const manner = await this.#manner(this.#conversation, turns, this.#settings);
      const { ids } = followOn(this.#model, transcript, this.#conversation.render(turns, true, prefix, manner));
      return Math.max(0, ids.length - transcript.ids.length);
    });
  }

  /** What was chosen for the context; undefined where its options left nothing open. */
  get context(): ContextChoice | undefined {
    return this.#cache.choice;
  }

  /** Tokens in the context now. */
  get usage(): number {
    return this.#transcript.ids.length;
  }

  /** A second session with the same past. The two share pages until one of them writes. */
  clone(signal?: AbortSignal): Promise<Session> {
    return this.#run(signal, async () => {
      const copy = new Session(this.#model, this.#settings);
      copy.#conversation = this.#conversation;
      copy.#cache = await this.#cache.fork();
      copy.#transcript = this.#transcript;
      return copy;
    });
  }

  /**
   * Returns what a save needs, in turn with the session's other calls. The pages are shared until the session writes
   * into them; the caller frees them.
   */
  snapshot(signal?: AbortSignal): Promise<{ readonly state: SessionState; readonly sequence: Sequence | undefined }> {
    const { context, ...settings } = this.#settings;
    return this.#run(signal, async () => {
      const state = {
        window: this.window,
        settings: { ...settings, ...(context && { context: this.#cache.options }) },
        ...this.#conversation.parts,
        transcript: this.#transcript,
      };
      return { state, sequence: await this.#cache.share(state.transcript) };
    });
  }

  /** A session with settings of a caller. Throws `InputError` for invalid ones. */
  static async open(model: SessionModel, settings: SessionSettings = {}): Promise<Session> {
    const { context: given, ...rest } = settings;
    if (given === undefined) return new Session(model, rest);
    // Fetched by sessions that ask something of their context.
    const { readContext, isDecided } = await import('./select/settings.ts');
    const context = readContext(given, model.window);
    await model.fits?.(context);
    const open = isDecided(context) ? undefined : await import('./generate/context-choice.ts');
    return new Session(model, { ...rest, context }, await open?.chooser(model, context));
  }

  /**
   * Restores a saved session. `read` appends its stored pages to an empty sequence; what is missing is computed with
   * the next prompt.
   */
  static async restored(
    model: SessionModel,
    state: SessionState,
    read: (sequence: Sequence) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<Session> {
    const { settings, window, initial, turns, transcript } = state;
    const session = new Session(model, { ...settings, context: { ...settings.context, window } });
    session.#conversation = new Conversation(model, initial, turns);
    try {
      await session.#compute(signal, () => session.#cache.restore(transcript, read));
      session.#transcript = transcript;
    } catch (error) {
      void session.destroy();
      throw error;
    }
    return session;
  }

  /** Refuses later calls, and frees the pages when the running calls have ended (abort them by their signals). */
  destroy(): Promise<void> {
    this.#destroyed = true;
    return this.#queue.run(undefined, async () => this.#cache.free());
  }

  #read(input: PromptInput, prefix: boolean): Input {
    const { visual = 'all' } = this.#settings.context ?? {};
    const request = visual === 'all' ? undefined : { choice: visual, question: questionOf(input) };
    return readInput(input, {
      prefix,
      register: (value, name) => this.#model.images.register(value, name, this.#settings.visual, request),
    });
  }

  /** What is asked, with the words about the answer's grammar. Throws for a grammar that is not supported. */
  async #told(turns: readonly Turn[], settings: Told): Promise<readonly Turn[]> {
    const { grammar, omitResponseConstraintInput } = settings;
    if (grammar === undefined) return turns;
    const { words } = await this.#model.constrain(grammar);
    const last = turns.findLastIndex(({ role }) => role === 'user');
    if (omitResponseConstraintInput === true || words === '' || last < 0) return turns;
    return turns.map((turn, i) =>
      i === last ? { ...turn, content: joined([...turn.content, `\n\n${words}`]) } : turn,
    );
  }

  /** The listener of one answer, with the constraint of its grammar. `content`: of a chat's prompt, in which a model may be asked to think first. */
  async #limited(
    { grammar, thinking }: Pick<PromptSettings, 'grammar' | 'thinking'>,
    listener: SessionListener,
    content?: Content,
  ): Promise<SessionListener> {
    if (grammar === undefined) return listener;
    const thoughts = thinking === false || content === undefined ? undefined : this.#thoughts;
    if (thoughts === undefined || content === undefined)
      return { ...listener, constraint: (await this.#model.constrain(grammar)).constraint };
    const { limitAfterThoughts } = await dialects();
    return { ...listener, constraint: await limitAfterThoughts(this.#model, grammar, thoughts, content) };
  }

  /** The same for an answer that may call tools. */
  async #calling(
    { grammar: answer, toolChoice: choice, thinking }: PromptSettings,
    telling: ToolTelling,
    content: Content,
    listener: SessionListener,
  ): Promise<SessionListener> {
    if (listener.constraint !== undefined) return listener;
    const { limit } = await dialects();
    const thoughts = thinking === false ? undefined : this.#thoughts;
    const constraint = await limit(this.#model, telling, { choice, thoughts, content, answer });
    return { ...listener, constraint };
  }

  /** Determines how many tokens the images take. */
  async #resolve(turns: readonly Turn[], signal?: AbortSignal): Promise<void> {
    for (const image of this.#unresolved(turns)) await this.#model.images.resolve(image, signal);
  }

  #unresolved(turns: readonly Turn[]): readonly PromptImage[] {
    const images = [...this.#conversation.parts.initial, ...turns].flatMap(({ content }) => imagesOf(content));
    return images.filter((image) => imageTokens(image) === undefined);
  }

  async #add(read: Input, listener: SessionListener): Promise<void> {
    await this.#resolve(read.turns, listener.signal);
    const manner = await this.#manner(this.#conversation, read.turns, this.#settings);
    // A template may refuse a conversation without a question. In that case the initial prompts are read together with
    // the first question.
    if (!this.#conversation.with(...read.turns).renders(manner.telling)) {
      this.#conversation = this.#conversation.with(...read.turns);
      return;
    }
    const { conversation, prompt, content } = this.#fit(this.#conversation, read, false, 1, manner, listener);
    await this.#cache.fill(prompt, content, listener);
    this.#transcript = this.#cache.transcript;
    this.#conversation = conversation.with(...read.turns);
  }

  /** How the conversation is rendered. Those without tools and calls do not download the dialects. */
  async #manner(
    conversation: Conversation,
    more: readonly Turn[],
    { tools, toolChoice, thinking, templateOptions: variables }: PromptSettings,
  ): Promise<Manner> {
    const called = conversation.with(...more).all.some(({ role, calls }) => role === 'tool' || calls !== undefined);
    if (tools === undefined && toolChoice === undefined && !called) return { variables, thinking };
    const { tell } = await dialects();
    return { variables, thinking, telling: tell(this.#model.tokenizer.facts.chatTemplate, tools, toolChoice) };
  }

  get #thoughts(): TemplateAbilities['thoughts'] {
    const { templates, tokenizer } = this.#model;
    return templates?.abilitiesOf(tokenizer.facts.chatTemplate ?? '').thoughts;
  }

  /** What divides the answer; undefined where it is text alone. */
  async #divider(
    conversation: Conversation,
    { turns, prefix }: Input,
    content: Content,
    { telling }: Manner,
  ): Promise<AnswerDivider | undefined> {
    const thoughts = this.#thoughts;
    if (thoughts === undefined && !telling?.tools.length) return undefined;
    const { divide } = await dialects();
    return divide(telling, thoughts, { turns: conversation.with(...turns).all, content, begun: prefix !== '' });
  }

  #fit(
    conversation: Conversation,
    { turns, prefix }: Input,
    answer: boolean,
    reserve: number,
    manner: Manner,
    listener: SessionListener,
  ): Fit {
    const ask = { more: turns, answer, prefix, reserve, manner, window: this.window };
    const found = fit(this.#model, conversation, this.#transcript, ask);
    if (found.prompt.ids.length >= this.window) throw tooLong(found.prompt, this.window);
    if (found.dropped) listener.onOverflow?.();
    return found;
  }

  /** Runs in turn with the session's other calls, then waits for the device. */
  #compute<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    return this.#run(signal, () => this.#model.gate.share(signal, body));
  }

  #run<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    return this.#queue.run(signal, async () => {
      if (this.#destroyed) throw new InputError('destroyed', 'the session was destroyed; create another one');
      return body();
    });
  }
}

function dialects(): Promise<typeof Dialects> {
  return import('./chat/dialects/index.ts');
}
