/**
 * How likely the model finds a text or an answer: the log-probability of each id given those before it (teacher
 * forcing).
 */
import { PAGE_TOKENS, type Tensor } from '../backend/backend.ts';
import { Conversation } from '../chat/conversation.ts';
import { readInput, type Message } from '../chat/messages.ts';
import { commonPrefix, encodeContext, type Prompt } from '../chat/prompt.ts';
import { InputError } from '../errors.ts';
import { TimeSlice } from '../layers/yield.ts';
import type { ContextOptions, ContextPreset, DecidedContext } from '../select/options.ts';
import { isDecided, readContext } from '../select/settings.ts';
import { cut, freeDeviceSequence } from './device-sequence.ts';
import { advance, lastLogits } from './advance.ts';
import { checkIds, prefill } from './prefill.ts';
import { tooLong } from './answer.ts';
import { logSum } from './logprobs.ts';
import { checkCount, type AnswerOptions } from './options.ts';
import type { SessionModel } from './session-cache.ts';
import { imagesOf, imageTokens } from '../see/images.ts';

/** How a text is scored. */
export interface ScoreSettings extends Pick<AnswerOptions, 'templateOptions'> {
  /** How the context is kept and read, as in a session. */
  readonly context?: ContextOptions | ContextPreset | undefined;
  /**
   * Tokens of a window, including its BOS. A longer text is read in windows that are independent of each other.
   * Default: `context.window`, otherwise the model's window.
   */
  readonly window?: number | undefined;
  /**
   * Tokens at the front of each window that are read like a prompt and not scored. The others are then read one by one,
   * like an answer, so that `context.decode` and `context.evict` act on them. Default 0: all are read in blocks of 32,
   * which see what the tokens of an answer would see.
   */
  readonly prompt?: number | undefined;
  /** Whether special tokens in the text are read as such (default true). */
  readonly special?: boolean | undefined;
}

/** How likely the model finds a text. */
export interface Score {
  /** The ids that were read, window by window, with the BOS that the model puts before each. */
  readonly ids: Int32Array;
  /**
   * The natural logarithm of each id's probability; NaN for ids that were not scored: the first of a window, and its
   * prompt.
   */
  readonly logProbs: Float32Array;
  /** Scored ids. */
  readonly tokens: number;
  /** Mean negative log-likelihood of a scored id, in nats. */
  readonly nll: number;
  /** exp(nll) */
  readonly perplexity: number;
}

export interface ScoreListener {
  readonly signal?: AbortSignal | undefined;
  /** Ids read so far, and the total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A window, which is read independently of the others. */
interface Piece extends Prompt {
  /** The number of ids at the front that are read like a prompt. */
  readonly prompt: number;
}

/**
 * Scores text, ids, or the last of messages: the answer's text, given the conversation before it as the chat template
 * writes it. Throws `InputError` for invalid options, and when nothing is to be scored.
 */
export async function score(
  model: SessionModel,
  input: string | Int32Array | readonly Message[],
  settings: ScoreSettings = {},
  { signal, onProgress }: ScoreListener = {},
): Promise<Score> {
  const given = readContext(settings.context ?? {}, model.window);
  const window = checkCount('window', settings.window ?? given.window ?? model.window, model.window);
  const pieces =
    typeof input === 'string' || ArrayBuffer.isView(input)
      ? inWindows(model, input, window, settings, given)
      : [await answered(model, input, window, settings, signal)];
  const scored = pieces.reduce((sum, { ids, prompt }) => sum + Math.max(0, ids.length - Math.max(1, prompt)), 0);
  if (scored === 0)
    throw new InputError(
      'empty',
      `no window has more tokens than the ${Math.max(1, pieces[0]?.prompt ?? 0)} at its front that are not scored; give more text`,
    );

  const context = isDecided(given) ? given : await decided(model, given, pieces);
  const total = pieces.reduce((sum, { ids: { length } }) => sum + length, 0);
  const ids = new Int32Array(total);
  const logProbs = new Float32Array(total).fill(NaN);
  let done = 0;
  for (const piece of pieces) {
    const { length } = piece.ids;
    ids.set(piece.ids, done);
    const into = logProbs.subarray(done, done + length);
    await model.gate.share(signal, () =>
      scoreWindow(model, context, piece, into, signal, (read) => onProgress?.(done + read, total)),
    );
    done += length;
  }
  let sum = 0;
  for (const value of logProbs) if (!Number.isNaN(value)) sum -= value;
  const nll = sum / scored;
  return { ids, logProbs, tokens: scored, nll, perplexity: Math.exp(nll) };
}

async function decided(model: SessionModel, given: ContextOptions, pieces: readonly Piece[]): Promise<DecidedContext> {
  const { decidedContext } = await import('./context-choice.ts');
  return decidedContext(model, given, Math.max(...pieces.map(({ ids }) => ids.length)));
}

/**
 * Returns the ids of a conversation and of its answer. Throws `InputError('too-long')` when they do not fit into one
 * window.
 */
async function answered(
  model: SessionModel,
  messages: readonly Message[],
  window: number,
  settings: ScoreSettings,
  signal: AbortSignal | undefined,
): Promise<Piece> {
  const last = messages.at(-1);
  if (last?.role !== 'assistant')
    throw new InputError(
      'argument',
      "score: the last message must be the assistant's: its text is scored, given the messages before it",
    );
  for (const name of ['prompt', 'special'] as const)
    if (settings[name] !== undefined)
      throw new InputError('argument', `${name}: is for text; the chat template says what of messages is the prompt`, {
        name,
      });
  const register = (value: unknown, name: string): ReturnType<typeof model.images.register> =>
    model.images.register(value, name);
  const { turns, prefix } = readInput([...messages.slice(0, -1), { ...last, prefix: true }], {
    prefix: true,
    register,
  });
  for (const image of turns.flatMap(({ content }) => imagesOf(content)))
    if (imageTokens(image) === undefined) await model.gate.share(signal, () => model.images.resolve(image, signal));
  const conversation = new Conversation(model, []);
  const encoded = (answer: string): Prompt =>
    encodeContext(model, conversation.render(turns, true, answer, settings.templateOptions));
  const whole = encoded(prefix);
  if (whole.ids.length > window) throw tooLong(whole, window);
  // Without an id before it, nothing is known about the first id.
  return { ...whole, prompt: Math.max(1, commonPrefix(encoded(''), whole)) };
}

function inWindows(
  model: SessionModel,
  input: string | Int32Array,
  window: number,
  { prompt = 0, special = true, templateOptions }: ScoreSettings,
  context: ContextOptions,
): Piece[] {
  if (templateOptions !== undefined)
    throw new InputError('argument', 'templateOptions: are for messages; text is read without the chat template', {
      name: 'templateOptions',
    });
  if (prompt !== 0) checkCount('prompt', prompt, window - 1);
  else if (actsOnAnswers(context))
    throw new InputError(
      'argument',
      'context.decode and context.evict act on answers; give `prompt`, the tokens of each window before its answer',
      {
        name: 'prompt',
      },
    );
  return split(model, input, window, special).map((ids) => ({ ids, spans: [], prompt }));
}

/** Tells whether the options have an effect only after a prompt. */
function actsOnAnswers({ decode = 'dense', evict }: ContextOptions): boolean {
  return evict !== undefined || (typeof decode === 'string' ? decode : decode.method) !== 'dense';
}

/** Returns the ids of each window: text with BOS if the model has one. */
function split(model: SessionModel, input: string | Int32Array, window: number, special: boolean): Int32Array[] {
  const encoded = typeof input === 'string' ? encodeContext(model, [input], special).ids : input;
  const { addBos, bos } = model.tokenizer.facts;
  const front =
    typeof input === 'string' && addBos && bos !== undefined && encoded[0] === bos
      ? encoded.subarray(0, 1)
      : new Int32Array(0);
  const rest = encoded.subarray(front.length);
  const step = window - front.length;
  if (step < 1)
    throw new InputError('argument', `window: ${window} has no room beside the BOS; give 2 or more`, {
      name: 'window',
    });
  const pieces: Int32Array[] = [];
  for (let start = 0; start < rest.length; start += step)
    pieces.push(Int32Array.from([...front, ...rest.subarray(start, start + step)]));
  return pieces;
}

async function scoreWindow(
  session: SessionModel,
  context: DecidedContext,
  { ids, spans, prompt }: Piece,
  into: Float32Array,
  signal: AbortSignal | undefined,
  onRead: (done: number) => void,
): Promise<void> {
  const onDevice = await session.deviceSequence(ids.length, context);
  const { model, sequence } = onDevice;
  const { backend } = model;
  const { tiers } = session;
  const slice = new TimeSlice();
  /** Scores the ids that follow the positions `[from, ..)` whose logits these are, and frees the logits. */
  const note = async (logits: Tensor | undefined, from: number): Promise<void> => {
    if (logits === undefined) return;
    try {
      const rows = await backend.download(logits);
      const targets = ids.subarray(from + 1, from + 1 + rows.length / model.config.vocabulary);
      into.set(logProbabilities(rows, targets), from + 1);
    } finally {
      backend.free(logits);
    }
  };
  const body = async (): Promise<void> => {
    let logits: Tensor | undefined;
    if (prompt > 0) {
      const read = { ids: ids.subarray(0, prompt), spans, cached: 0, chunk: session.chunk, signal };
      await prefill(onDevice, read, (hidden, _start, count) => {
        logits = backend.keep(lastLogits(model, hidden, count));
      });
      await note(logits, Math.min(prompt, ids.length) - 1);
    }
    checkIds(ids, 0, model.config.vocabulary);
    backend.writeIds(onDevice.ring, 0, ids);
    // The last id predicts no id of this window.
    for (let start = prompt; start < ids.length - 1;) {
      signal?.throwIfAborted();
      const count = prompt > 0 ? 1 : Math.min(PAGE_TOKENS, ids.length - 1 - start);
      const room = onDevice.tiers?.room(sequence, start + count);
      if (room !== undefined) await room;
      const step = advance(onDevice, {
        start,
        count,
        ids,
        promptEnd: prompt > 0 ? prompt : ids.length,
        phase: prompt > 0 ? 'decode' : 'prefill',
        take: (hidden) => {
          logits = backend.keep(model.logits(hidden));
        },
        spans: [],
      });
      if (step !== undefined) await step;
      await note(logits, start);
      start += count;
      onRead(start);
      await slice.yield();
    }
    onRead(ids.length);
  };
  try {
    await (tiers === undefined ? body() : tiers.using(sequence, ids.length, (length) => cut(onDevice, length), body));
  } finally {
    tiers?.forget(sequence);
    freeDeviceSequence(onDevice);
  }
}

/** log softmax of each row of `logits` [targets, vocabulary] at its target. */
function logProbabilities(logits: Float32Array, targets: Int32Array): Float32Array {
  const width = logits.length / targets.length;
  return Float32Array.from(targets, (target, row) => {
    const values = logits.subarray(row * width, (row + 1) * width);
    return (values[target] ?? NaN) - logSum(values);
  });
}
