/**
 * The state of a session on the device: a sequence of KV pages, and the ids and the content that it stands for. It
 * survives the loss of the device. The file is long because every change keeps ids, content and pages in step.
 */
import type { Constraint } from '../constrain/constraint.ts';
import type { Grammar } from '../constrain/grammar.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { ConversationModel } from '../chat/conversation.ts';
import { PAGE_TOKENS } from '../backend/backend.ts';
import { InputError, StorageError } from '../errors.ts';
import type { ContextChoice, ContextOptions, DecidedContext } from '../select/options.ts';
import type { Choose, DeviceFacts } from './context-choice.ts';
import type { Prefixes, SharedPrompt } from '../kv/prefixes.ts';
import type { KeepLimits } from '../store/index.ts';
import { contentKey } from '../select/content-key.ts';
import type { Sequence } from '../kv/sequence.ts';
import { CLOSED_TOKENS } from '../kv/precision.ts';
import type { Tiers } from '../kv/tiers.ts';
import type { Answered } from './attribution.ts';
import { answer, type Answer, type AnswerListener, type AnswerRequest } from './answer.ts';
import { prefill } from './prefill.ts';
import { readContrast, type Contrast } from './contrast.ts';
import type { ContrastSequence } from './contrast-sequence.ts';
import { cut, freeDeviceSequence, type DeviceSequence } from './device-sequence.ts';
import type { PromptSettings } from './options.ts';
import { joined, type Content, type ImageProcessor } from '../see/images.ts';
import { NOTHING, beginning, commonPrefix, type Prompt, type Transcript, type Words } from '../chat/prompt.ts';
import type { Gate } from './queue.ts';
import type { SamplingDefaults } from './sampling.ts';
import type { SessionState } from './session-state.ts';

/**
 * Prompts on disk, found by their content (`src/saved/library.ts`). `contentKey` covers what the pages depend on
 * besides the model and the ids.
 */
export interface KeptPrompts {
  /** Appends what is stored of the prompt's beginning to what the sequence holds of it. */
  extend(prompt: Prompt, contentKey: string, sequence: Sequence, signal?: AbortSignal): Promise<void>;
  /** Stores a prompt in the background, and frees the sequence. `limits`: of what is kept. */
  keep(state: SessionState, sequence: Sequence, contentKey: string, limits?: KeepLimits): void;
}

/** The part of a loaded model (`src/engine/model.ts`) that sessions use. */
export interface SessionModel extends Words, ConversationModel {
  readonly tokenizer: Tokenizer;
  readonly images: ImageProcessor;
  readonly window: number;
  /** Tokens of a prefill chunk. */
  readonly chunk: number;
  readonly sampling: SamplingDefaults;
  /** The queue for the device, which every computation passes. */
  readonly gate: Gate;
  /** Increases when the model moves to another device: sequences of an earlier epoch are invalid. */
  readonly epoch: number;
  /** What sessions have read and others may begin with, for this epoch. */
  readonly prefixes?: Prefixes | undefined;
  /** Where offloaded pages are. */
  readonly tiers?: Pick<Tiers, 'using' | 'forget' | 'limit'> | undefined;
  /** The prompts that were kept on disk; undefined where nothing can be kept. */
  library?(): Promise<KeptPrompts | undefined>;
  /** Told why a prompt that was to be kept is not. */
  readonly onNotKept?: ((error: Error) => void) | undefined;
  /** Throws `InputError('argument')` for options that this model does not have. */
  fits?(options: ContextOptions): Promise<void>;
  /** The same, as far as it was not known before heads were measured. */
  deviceSequence(window: number, options: DecidedContext): Promise<DeviceSequence>;
  /** What decides where the options of a context leave something open. */
  deviceFacts?(): Promise<DeviceFacts>;
  /** A constraint for one answer, and the words that tell the model about it. Throws `InputError('argument')` for what is not supported. */
  constrain(grammar: Grammar): Promise<Constrained>;
  /** A sequence that shares the pages of `from` until either writes. */
  fork(from: DeviceSequence): DeviceSequence;
}

/** A grammar ready for one answer. */
export interface Constrained {
  readonly constraint: Constraint;
  /** Appended to the question; empty for a grammar that has none. */
  readonly words: string;
}

/** Tokens for which an answer reserves capacity beforehand, when the caller names no maximum. */
const ROOM = 256;

export class SessionCache {
  readonly window: number;
  readonly #model: SessionModel;
  readonly #given: ContextOptions;
  readonly #choose: Choose | undefined;
  /** What was chosen for the context; undefined where its options left nothing open. */
  choice: ContextChoice | undefined;
  #held: { readonly onDevice: DeviceSequence; readonly epoch: number } | undefined;
  #transcript: Transcript = NOTHING;
  /** Where the last answer begins, as long as the transcript ends with it. */
  #answered: number | undefined;
  /** Where the current prompt is kept. */
  #library: KeptPrompts | undefined;
  /** Tokens from here on were moved, and are not what reading gives; they are not shared. */
  #moved = Infinity;

  /** Precondition: `choose` is given where the options leave something open. */
  constructor(model: SessionModel, window: number, options: ContextOptions = {}, choose?: Choose) {
    this.#model = model;
    this.window = window;
    this.#given = options;
    this.#choose = choose;
    this.choice = choose?.(0);
  }

  /** How the context is kept and read. */
  get options(): DecidedContext {
    return this.choice?.options ?? (this.#given as DecidedContext);
  }

  get transcript(): Transcript {
    return this.#transcript;
  }

  /**
   * The sequence that holds the beginning of the transcript; undefined before the first prompt, and after the device
   * was lost.
   */
  get onDevice(): DeviceSequence | undefined {
    return this.#held?.epoch === this.#model.epoch ? this.#held.onDevice : undefined;
  }

  /** Prefills a prompt, from where it differs from what the pages hold. `publish`: other sessions may begin with it. */
  async fill(prompt: Prompt, content: Content | undefined, listener: AnswerListener, publish = true): Promise<void> {
    const onDevice = await this.#onDevice(prompt, listener);
    await this.#using(onDevice, prompt.ids.length, async () => {
      const cached = await this.#take(onDevice, prompt, content, true, listener.signal);
      await this.#guard(onDevice, () =>
        prefill(onDevice, { ...prompt, cached, chunk: this.#model.chunk, ...listener }),
      );
      if (publish) this.#publish(onDevice, prompt);
    });
  }

  /**
   * The same, followed by an answer, which becomes part of the context. Precondition: the caller holds the device gate.
   * `share`: whether other sessions may have read the prompt already, and may reuse its pages.
   */
  async answer(
    prompt: Prompt,
    content: Content | undefined,
    settings: PromptSettings,
    listener: AnswerListener,
    share = true,
  ): Promise<Answer> {
    const { tokenizer, sampling, chunk, gate } = this.#model;
    const onDevice = await this.#onDevice(prompt, listener);
    const { ids, spans } = prompt;
    const aside: AnswerListener = {
      onText: (piece) => gate.aside(listener.onText?.(piece)),
      onPart: (part) => gate.aside(listener.onPart?.(part)),
    };
    const kept: { beginning?: Sequence } = {};
    const {
      answer: result,
      whole: count,
      drawn,
    } = await this.#using(onDevice, ids.length + (settings.maxTokens ?? ROOM), async () => {
      const cached = await this.#take(onDevice, prompt, content, share, listener.signal);
      const closes = this.#library !== undefined && keepsOpen(onDevice);
      let mark: AnswerRequest['mark'];
      if (content !== undefined && (onDevice.planner?.asked !== undefined || closes)) {
        const { questionSpan } = await import('./question.ts');
        const span = questionSpan(tokenizer, prompt, content);
        if (span !== undefined) onDevice.planner?.asked?.(...span);
        // What is kept ends before a short question, whose pages would be closed with the last ones before it: other questions then go on from there.
        if (closes && span !== undefined && ids.length - span[0] <= CLOSED_TOKENS) {
          const [at] = span;
          const reached = (): void => {
            kept.beginning = onDevice.sequence.fork();
            kept.beginning.truncate(at);
          };
          if (cached >= at) reached();
          else mark = { at, reached };
        }
      }
      const asked = readContrast(settings.contrast);
      const contrast = asked && (await this.#contrast(prompt, asked, listener.signal));
      const request = {
        onDevice: contrast === undefined ? onDevice : { ...onDevice, contrast },
        tokenizer,
        prompt,
        cached,
        window: this.window,
        chunk,
        settings,
        defaults: sampling,
        // What others may share is a chat's.
        chat: share,
        mark,
      };
      const answered = await this.#guard(onDevice, () => answer(request, { ...listener, ...aside })).finally(() =>
        contrast?.free(),
      );
      if (share) this.#publish(onDevice, prompt, kept.beginning);
      return answered;
    }).finally(() => kept.beginning?.free());
    const all = new Int32Array(ids.length + count);
    all.set(ids);
    all.set(result.ids.slice(0, count), ids.length);
    // When a stop string was cut out of the text, or the end of a partial answer was held back, the text does not stand
    // for the ids.
    const exact = content !== undefined && result.stop === undefined && result.partial !== true;
    const whole = exact ? joined([...content, ...drawn]) : undefined;
    this.#transcript = { ids: all, spans, content: whole };
    this.#answered = ids.length;
    return result;
  }

  /** Answers that are not contrasted do not download this code. */
  async #contrast(
    prompt: Prompt,
    contrast: Contrast,
    signal: AbortSignal | undefined,
  ): Promise<ContrastSequence | undefined> {
    const { ContrastSequence: Opened } = await import('./contrast-sequence.ts');
    return Opened.open(this.#model, prompt, contrast, { window: this.window, signal });
  }

  /**
   * Returns the pages as far as they hold `transcript`, shared with this cache until it writes into them; the caller
   * frees them. Undefined if there are none. After a call that failed or was aborted, the pages may hold something else
   * after the conversation.
   */
  async share(transcript: Transcript): Promise<Sequence | undefined> {
    const { onDevice } = this;
    if (onDevice === undefined) return undefined;
    const fork = async (): Promise<Sequence> => {
      const copy = this.#model.fork(onDevice);
      try {
        cut(copy, commonPrefix(transcript, this.#transcript));
        return copy.sequence.fork();
      } finally {
        freeDeviceSequence(copy);
      }
    };
    return this.#using(onDevice, 0, fork, true);
  }

  /**
   * Adopts a transcript, and lets `read` append stored pages to the empty sequence; what is missing is computed on the
   * next request.
   */
  async restore(transcript: Transcript, read: (sequence: Sequence) => Promise<void>): Promise<void> {
    const onDevice = await this.#onDevice();
    await this.#using(onDevice, transcript.ids.length, async () => {
      await this.#take(onDevice, transcript, transcript.content, false);
      await this.#guard(onDevice, () => extend(onDevice, read));
    });
    // Stored tokens may have been moved.
    if (this.options.overflow === 'move') this.#moved = 0;
    this.#transcript = transcript;
  }

  /**
   * Runs `body` on a copy of the pages that end with an answer, so that what it computes leaves no trace. Throws
   * `InputError` where the last call gave none. Precondition: the caller holds the device gate.
   */
  async withAnswer<T>(body: (copy: DeviceSequence, answered: Answered) => Promise<T>): Promise<T> {
    const { onDevice } = this;
    const from = this.#answered;
    if (onDevice === undefined || from === undefined)
      throw new InputError('empty', 'the session has no answer yet, or lost it with its device; prompt it first');
    if (onDevice.planner !== undefined)
      throw new InputError('argument', 'an answer is attributed where attention sees everything; leave `context` out');
    const { tiers } = this.#model;
    const transcript = this.#transcript;
    const copy = await this.#using(onDevice, 0, async () => this.#model.fork(onDevice), true);
    try {
      return await this.#using(copy, transcript.ids.length, () => body(copy, { transcript, from }));
    } finally {
      tiers?.forget(copy.sequence);
      freeDeviceSequence(copy);
    }
  }

  async fork(): Promise<SessionCache> {
    const copy = new SessionCache(this.#model, this.window, this.#given, this.#choose);
    copy.choice = this.choice;
    const { epoch } = this.#model;
    const { onDevice } = this;
    if (onDevice !== undefined)
      copy.#held = { onDevice: await this.#using(onDevice, 0, async () => this.#model.fork(onDevice), true), epoch };
    copy.#transcript = this.#transcript;
    copy.#moved = this.#moved;
    return copy;
  }

  free(): void {
    this.#release();
    this.#transcript = NOTHING;
  }

  #release(): void {
    if (this.#held === undefined) return;
    this.#model.tiers?.forget(this.#held.onDevice.sequence);
    freeDeviceSequence(this.#held.onDevice);
    this.#held = undefined;
  }

  /**
   * Runs `body` with the pages of the sequence on the device (as many as fit, or all of them if `whole`), and with
   * capacity for `tokens`.
   */
  #using<T>(onDevice: DeviceSequence, tokens: number, body: () => Promise<T>, whole = false): Promise<T> {
    const { tiers } = this.#model;
    return tiers === undefined
      ? body()
      : tiers.using(onDevice.sequence, tokens, (length) => cut(onDevice, length), body, whole);
  }

  /** `prompt`: what is read next; what it keeps of a full window may be moved. */
  async #onDevice(prompt?: Prompt, listener?: AnswerListener): Promise<DeviceSequence> {
    const { epoch } = this.#model;
    const choice = prompt && this.#choose?.(prompt.ids.length, this.choice);
    if (choice !== undefined && choice !== this.choice) {
      // What was read in another way is read again.
      if (contentKey(choice.options) !== contentKey(this.options)) {
        this.#release();
        this.#transcript = NOTHING;
      }
      this.choice = choice;
      listener?.onContext?.(choice);
    }
    if (this.#held?.epoch !== epoch) this.#release();
    this.#held ??= { onDevice: await this.#model.deviceSequence(this.window, this.options), epoch };
    const { onDevice } = this.#held;
    if (prompt === undefined || this.options.overflow !== 'move') return onDevice;
    const { shifted } = await import('./shift.ts');
    const moved = await this.#using(onDevice, 0, async () => shifted(onDevice, this.#transcript, prompt), true);
    if (moved === undefined) return onDevice;
    this.#model.tiers?.forget(onDevice.sequence);
    onDevice.sequence.free();
    this.#held = { onDevice: { ...onDevice, sequence: moved.sequence }, epoch };
    this.#transcript = { ...beginning(prompt, moved.sequence.length), content: undefined };
    this.#moved = Math.min(this.#moved, moved.from);
    return this.#held.onDevice;
  }

  /** Returns how many ids of the prompt the pages hold. From then on the transcript is the prompt. */
  async #take(
    onDevice: DeviceSequence,
    prompt: Prompt,
    content: Content | undefined,
    share: boolean,
    signal?: AbortSignal,
  ): Promise<number> {
    cut(onDevice, commonPrefix(prompt, this.#transcript), prompt.ids);
    this.#transcript = { ...prompt, content };
    this.#answered = undefined;
    if (onDevice.sequence.length <= this.#moved) this.#moved = Infinity;
    const shared = share ? this.#shared(onDevice, prompt) : undefined;
    if (shared !== undefined)
      await extend(onDevice, async (sequence) =>
        this.#model.prefixes?.adopt(shared, sequence, (length) => cut(onDevice, length)),
      );
    const keeps = share && Boolean(this.options.keep);
    const library = keeps ? await this.#model.library?.() : undefined;
    this.#library = library;
    if (keeps && library === undefined)
      this.#model.onNotKept?.(
        new StorageError('unavailable', 'there is no IndexedDB (a private window, or a page without an origin)'),
      );
    if (library !== undefined) {
      await this.#guard(onDevice, () =>
        extend(onDevice, (sequence) => library.extend(prompt, contentKey(this.options), sequence, signal)),
      );
    }
    return onDevice.sequence.length;
  }

  /** `kept`: what of the prompt is kept on the disk, if not all of it. */
  #publish(onDevice: DeviceSequence, prompt: Prompt, kept = onDevice.sequence): void {
    if (this.#moved < Infinity) return;
    const shared = this.#shared(onDevice, prompt);
    if (shared !== undefined) this.#model.prefixes?.publish(shared, onDevice.sequence);
    const library = this.#library;
    if (library === undefined) return;
    const state = {
      window: this.window,
      settings: { context: this.options },
      initial: [],
      turns: [],
      transcript: { ...beginning(prompt, Math.min(prompt.ids.length, kept.length)), content: undefined },
    };
    const { keep } = this.options;
    library.keep(state, kept.fork(), contentKey(this.options), typeof keep === 'object' ? keep : {});
  }

  /** Publishes the prompt for other sessions. */
  #shared(onDevice: DeviceSequence, { ids, spans }: Prompt): SharedPrompt | undefined {
    if (this.options.share === false) return undefined;
    const shared = spans.map(({ at, tokens, image, span }) => ({
      at,
      tokens,
      contentKey: `${span} ${image.contentKey}`,
      bidirectional: image.bidirectional,
    }));
    return { ids, spans: shared, contentKey: contentKey(this.options), bits: onDevice.kvBits ?? 16 };
  }

  /** After a failure or abort the pages hold a beginning of the transcript, from which the next call continues. */
  async #guard<T>(onDevice: DeviceSequence, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      const { length } = this.#transcript.ids;
      const held = cut(onDevice, length);
      if (held < length) this.#transcript = { ...beginning(this.#transcript, held), content: undefined };
      throw error;
    }
  }
}

/** Tells whether the newest pages are open and closed later, where nothing else decides what a sequence can go on from. */
function keepsOpen({ kvBits = 16, planner, sequence }: DeviceSequence): boolean {
  return kvBits !== 16 && planner === undefined && sequence.state === undefined;
}

/**
 * Lets `read` append pages to the sequence. If its planner cannot continue after pages that it did not plan, they are
 * released again.
 */
async function extend(onDevice: DeviceSequence, read: (sequence: Sequence) => Promise<void>): Promise<void> {
  const { sequence, planner } = onDevice;
  if (planner !== undefined && planner.adopts === undefined) return;
  const before = sequence.length;
  await read(sequence);
  // Cut to a whole block, since `read` may have replaced the sequence's own pages after it.
  if (sequence.length > before && planner?.adopts?.(sequence.length) === false)
    cut(onDevice, before - (before % PAGE_TOKENS));
}
