/** POST /v1/completions: raw text goes on, without a chat template. */
import type { TokenLogProb } from '../generate/options.ts';
import type { CompletionOptions } from '../face/model.ts';
import { choices, finishReason, finite, headOf, Usage, type Begin, type ChoiceEvent } from './choices.ts';
import type { Fields } from './fields.ts';
import { given, readCount, readSampling, SAMPLING_NAMES, seedOf, WITHOUT_EFFECT, type Sampling } from './parameters.ts';
import { unsupported } from './problem.ts';
import type { Served, ServedModel } from './served.ts';
import { streamed, type EventStream } from './stream.ts';

const OWN_NAMES = ['prompt', 'suffix', 'best_of', 'echo', 'logprobs'] as const;
/** As with OpenAI. */
const DEFAULT_TOKENS = 16;
const MOST_ALTERNATIVES = 5;
const MOST_PROMPTS = 64;

interface Completing extends Sampling {
  readonly prompts: readonly (string | Int32Array)[];
  readonly echo: boolean;
  readonly settings: CompletionOptions;
}

function readCompleting(fields: Fields): Completing {
  fields.only(SAMPLING_NAMES, OWN_NAMES, WITHOUT_EFFECT);
  if (fields.value('suffix') !== undefined) throw unsupported('suffix', 'write what follows into the prompt');
  const sampling = readSampling(fields);
  if ((fields.number('best_of', 1, 20, true) ?? 1) > sampling.count)
    throw unsupported('best_of', "use 'n', and choose yourself");
  const prompts = readPrompts(fields);
  const logprobs = fields.number('logprobs', 0, MOST_ALTERNATIVES, true);
  const echo = fields.flag('echo') ?? false;
  if (echo && (logprobs !== undefined || prompts.some((prompt) => typeof prompt !== 'string')))
    throw unsupported('echo', 'it is for prompts of text, without logprobs; model.score tells how likely a text is');
  return {
    ...sampling,
    prompts,
    echo,
    settings: given({
      ...sampling.options,
      maxTokens: readCount(fields, 'max_tokens') ?? DEFAULT_TOKENS,
      logprobs,
    }),
  };
}

function readPrompts(fields: Fields): readonly (string | Int32Array)[] {
  const prompt = fields.value('prompt');
  const wanted = fields.wrong('prompt', `a text or token ids, or an array of at most ${MOST_PROMPTS} of them`);
  const isIds = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length > 0 && value.every((one) => Number.isInteger(one));
  const one = (value: unknown): string | Int32Array => {
    if (typeof value === 'string') return value;
    if (isIds(value)) return Int32Array.from(value);
    throw wanted;
  };
  if (typeof prompt === 'string' || isIds(prompt)) return [one(prompt)];
  if (!Array.isArray(prompt) || prompt.length === 0 || prompt.length > MOST_PROMPTS) throw wanted;
  return prompt.map(one);
}

export async function completions(fields: Fields, served: Served, signal: AbortSignal): Promise<Response> {
  const asked = readCompleting(fields);
  if (asked.stream)
    return streamed(signal, (events, linked) =>
      served.inTurn(linked, (model) => stream(model, served, asked, events, linked)),
    );
  return served.inTurn(signal, async (model) => Response.json(await whole(model, served, asked, signal)));
}

/** The choices of the first prompt, then those of the second, ... */
function beginning(model: ServedModel, { prompts, count, settings }: Completing, signal: AbortSignal): Begin {
  return async (index, onToken) =>
    model.completeStreaming(prompts[Math.floor(index / count)] ?? '', {
      ...settings,
      ...seedOf(settings.seed, index % count),
      onToken,
      signal,
    });
}

const textOf = ({ part }: Extract<ChoiceEvent, { part: unknown }>): string => (part.type === 'text' ? part.text : '');

/** What a choice's text begins with. */
const echoed = ({ echo, prompts, count }: Completing, index: number): string =>
  echo ? String(prompts[Math.floor(index / count)]) : '';

async function whole(model: ServedModel, { name }: Served, asked: Completing, signal: AbortSignal): Promise<object> {
  const head = headOf('cmpl', 'text_completion', { name, fingerprint: model.fingerprint });
  const usage = new Usage();
  const made: object[] = [];
  let text = '';
  let tokens: TokenLogProb[] = [];
  const all = asked.count * asked.prompts.length;
  for await (const event of choices(all, beginning(model, asked, signal))) {
    const { index } = event;
    if ('part' in event) {
      text += textOf(event);
      tokens.push(...event.tokens);
      continue;
    }
    usage.add(event.report, index % asked.count === 0);
    const logprobs = asked.settings.logprobs === undefined ? null : logprobsOf(tokens, 0);
    made.push({ index, text: echoed(asked, index) + text, logprobs, finish_reason: finishReason(event.report) });
    text = '';
    tokens = [];
  }
  return { ...head, choices: made, usage: usage.body };
}

async function stream(
  model: ServedModel,
  { name }: Served,
  asked: Completing,
  events: EventStream,
  signal: AbortSignal,
): Promise<void> {
  const head = {
    ...headOf('cmpl', 'text_completion', { name, fingerprint: model.fingerprint }),
    ...(asked.withUsage ? { usage: null } : {}),
  };
  const usage = new Usage();
  const all = asked.count * asked.prompts.length;
  let begun = -1;
  let offset = 0;
  for await (const event of choices(all, beginning(model, asked, signal))) {
    const { index } = event;
    const lead = begun < index ? echoed(asked, index) : '';
    if (begun < index) offset = 0;
    begun = index;
    const text = lead + ('part' in event ? textOf(event) : '');
    const logprobs = 'part' in event && asked.settings.logprobs !== undefined ? logprobsOf(event.tokens, offset) : null;
    offset += text.length;
    const reason = 'report' in event ? finishReason(event.report) : null;
    events.send({ ...head, choices: [{ index, text, logprobs, finish_reason: reason }] });
    if ('report' in event) usage.add(event.report, index % asked.count === 0);
  }
  if (asked.withUsage) events.send({ ...head, choices: [], usage: usage.body });
}

/** `offset`: where in the whole text the tokens begin. */
function logprobsOf(tokens: readonly TokenLogProb[], offset: number): object {
  let at = offset;
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ text, logprob }) => [text, finite(logprob)]))),
    text_offset: tokens.map(({ text, bytes }) => {
      const start = at;
      at += bytes.length === 0 ? 0 : text.length;
      return start;
    }),
  };
}
