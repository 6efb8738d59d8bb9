/** One answer as text: ids from the device are detokenised, cut at stop strings, and delivered piece by piece. */
import type { Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Constraint } from '../constrain/constraint.ts';
import type { ContextChoice } from '../select/options.ts';
import { generate, type Generated, type GenerateOptions } from './generate.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import { contrastedSpec, readContrast } from './contrast.ts';
import { LoopDetector } from './loops.ts';
import {
  checkCount,
  DEFAULT_ANSWER,
  ratesOf,
  readLogprobs,
  stopsLoops,
  type AnswerReport,
  type Phases,
  type PromptSettings,
  type TokenLogProb,
} from './options.ts';
import type { AnswerDivider, DividedPart } from '../chat/divider.ts';
import type { AnswerPart } from '../chat/tools.ts';
import { MessageText, type Content } from '../see/images.ts';
import type { Prompt } from '../chat/prompt.ts';
import { answerSampling, type SamplingDefaults } from './sampling.ts';
import { StopStrings } from './stop.ts';

export interface AnswerRequest {
  readonly onDevice: DeviceSequence;
  readonly tokenizer: Tokenizer;
  readonly prompt: Prompt;
  /** The number of ids at the front that the sequence holds already. */
  readonly cached: number;
  readonly window: number;
  readonly chunk: number;
  readonly settings: PromptSettings;
  readonly defaults: SamplingDefaults;
  /** Whether the answer belongs to a chat. Then repetition is discouraged if no sampling options say otherwise. */
  readonly chat: boolean;
  /** As in `GenerateOptions`. */
  readonly mark?: GenerateOptions['mark'];
}

/** Callbacks during an answer. Generation waits for the promise that `onText` returns, which provides back-pressure. */
export interface AnswerListener {
  readonly signal?: AbortSignal | undefined;
  /** The constraint on the answer. It is used up by the answer. */
  readonly constraint?: Constraint | undefined;
  /** Divides the answer into thoughts, text and calls; used up by it. */
  readonly divider?: AnswerDivider | undefined;
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
  /** The context is kept in another way from this prompt on. */
  readonly onContext?: ((choice: ContextChoice) => void) | undefined;
  readonly onText?: ((text: string) => void | Promise<void>) | undefined;
  /**
   * Called with each token of the answer and its likelihood, if `logprobs` is set, before the text that it completes.
   */
  readonly onToken?: ((token: TokenLogProb) => void) | undefined;
  /** The same for what is no text: thoughts and calls, where the answer is divided. */
  readonly onPart?: ((part: Exclude<AnswerPart, { type: 'text' }>) => void | Promise<void>) | undefined;
}

export interface Answer extends Omit<AnswerReport, 'logprobs'> {
  readonly text: string;
  /** The answer was aborted; only with `aborted: 'keep'`. */
  readonly partial?: boolean;
}

/** An answer, and how many of its ids make up its text. The others are the first bytes of a character that was cut. */
export interface Answered {
  readonly answer: Answer;
  readonly whole: number;
  /** All that was drawn, thoughts and the names of control tokens included. */
  readonly drawn: Content;
}

/** Throws `InputError('too-long')` when not even one token of an answer fits. */
export async function answer(request: AnswerRequest, listener: AnswerListener): Promise<Answered> {
  const { onDevice, tokenizer, window, settings } = request;
  const { ids, spans } = request.prompt;
  const { stop: stops = [] } = settings;
  if (ids.length === 0) throw new InputError('empty', 'the prompt is empty: it encodes to no token; give some text');
  const room = window - ids.length;
  if (room < 1) throw tooLong(request.prompt, window);
  const most =
    settings.maxTokens === undefined
      ? Math.min(room, DEFAULT_ANSWER)
      : Math.min(room, checkCount('maxTokens', settings.maxTokens, Number.MAX_SAFE_INTEGER));
  const stop = new StopStrings(typeof stops === 'string' ? [stops] : stops);
  const { spec, overContext } = answerSampling(settings, request.defaults, request.chat);
  const loops = stopsLoops(settings.loops) ? new LoopDetector() : undefined;
  const contrast = readContrast(settings.contrast);
  const alternatives = readLogprobs(settings.logprobs);
  const { backend } = onDevice.model;
  const likely =
    alternatives === undefined
      ? undefined
      : new (await import('./logprobs.ts')).LogProbs(tokenizer, backend, alternatives);
  // A prompt of ids may end within a character, which the answer completes.
  const words = tokenizer.stream({ after: ids });
  const control = (id: number): string => tokenizer.decode([id], { special: true });
  let text = '';
  let whole = 0;
  let looped = false;
  const raw: Content[number][] = [];
  const show = async (piece: string): Promise<void> => {
    if (piece.length === 0) return;
    text += piece;
    await listener.onText?.(piece);
  };
  const { divider } = listener;
  // Stop strings are looked for in the text, not in thoughts and calls.
  const tell = async (parts: readonly DividedPart[]): Promise<void> => {
    for (const part of parts)
      if (part.type === 'text') await show(stop.push(part.text));
      else if (part.type === 'control') await show(stop.push(part.text, false));
      else await listener.onPart?.(part);
  };
  const hear = (piece: string, named: boolean): Promise<void> => {
    if (divider === undefined) return show(stop.push(piece, !named));
    raw.push(named ? piece : new MessageText(piece));
    return tell(divider.push(piece, named));
  };
  const cached = cut(onDevice, Math.min(request.cached, ids.length - 1));
  const drawn: number[] = [];
  const begun = performance.now();
  let prefilled = begun;
  const cost = (time: Phases): Pick<Answer, 'tokens' | 'time' | 'rate'> => {
    const tokens = { prompt: ids.length, cached, generated: drawn.length };
    return { tokens, time, rate: ratesOf({ answers: 1, tokens, time }) };
  };
  const asked = {
    ids,
    spans,
    cached,
    spec: onDevice.contrast === undefined || contrast === undefined ? spec : contrastedSpec(spec, contrast),
    seen: overContext ? undefined : new Int32Array(0),
    stopIds: new Set(tokenizer.facts.eos),
    maxTokens: most,
    chunk: request.chunk,
    mark: request.mark,
    drafts: settings.drafts,
    constraint: listener.constraint,
    signal: listener.signal,
    onPrefill: listener.onPrefill,
    onLogits: likely && ((logits: Tensor) => likely.note(logits)),
    onId: async (id: number) => {
      if (drawn.length === 0) prefilled = performance.now();
      if (likely !== undefined) listener.onToken?.(await likely.next(id));
      const piece = words.push(id);
      drawn.push(id);
      if (!words.incomplete) whole = drawn.length;
      await hear(piece, false);
      if (isControl(tokenizer, id)) await hear(control(id), true);
      looped = loops?.push(id) === true;
      return stop.met !== undefined || looped || divider?.done === true;
    },
  };
  let done: Generated;
  const answered = (report: Omit<Answer, 'text' | 'thinking' | 'toolCalls'>): Answered => {
    const { thinking = '', calls = [] } = divider ?? {};
    const more = { ...(thinking === '' ? {} : { thinking }), ...(calls.length === 0 ? {} : { toolCalls: calls }) };
    return {
      answer: { text, ...report, ...more },
      whole,
      drawn: divider === undefined ? [new MessageText(text)] : raw,
    };
  };
  try {
    done = await generate(onDevice, asked);
  } catch (error) {
    const { signal } = listener;
    if (settings.aborted !== 'keep' || drawn.length === 0 || !signal?.aborted || error !== signal.reason) throw error;
    const time = { prefill: prefilled - begun, decode: performance.now() - prefilled };
    return answered({ partial: true, ids: drawn, finishReason: 'length', ...cost(time) });
  }
  await tell(divider?.end() ?? []);
  // The id that ended the answer may end a stop string; if it does not, what was held back for one is text. The bytes of
  // an incomplete character are not part of the text.
  if (done.end !== undefined) await show(stop.push(control(done.end), false));
  await show(stop.flush());
  const called = (divider?.calls.length ?? 0) > 0 && done.reason === 'stop';
  return answered({
    ids: done.ids,
    finishReason: stop.met !== undefined ? 'stop' : looped ? 'loop' : called ? 'tool-calls' : done.reason,
    ...(stop.met === undefined ? {} : { stop: stop.met }),
    ...(done.drafts === undefined ? {} : { drafts: done.drafts }),
    ...cost({ prefill: done.prefill, decode: done.decode }),
  });
}

/** Tells whether an id prints nothing but has a name. */
function isControl(tokenizer: Tokenizer, id: number): boolean {
  return tokenizer.decode([id]) === '' && tokenizer.decode([id], { special: true }) !== '';
}

export function tooLong({ ids, spans }: Prompt, window: number): InputError {
  const seen = spans.reduce((sum, { tokens }) => sum + tokens, 0);
  return new InputError(
    'too-long',
    `the prompt has ${ids.length} tokens${seen === 0 ? '' : ` (${seen} of them pictures)`} and the context window holds ${window}, including the answer; ` +
      `shorten the prompt${seen === 0 ? '' : ', show fewer pictures or a smaller visual.size'}, or load the model with a larger contextWindow where it allows one`,
    { tokens: ids.length, window },
  );
}
