/** POST /v1/chat/completions */
import type { LikelyToken, TokenLogProb } from '../generate/options.ts';
import type { PromptOptions, SessionOptions } from '../face/session.ts';
import type { Message } from '../chat/messages.ts';
import { choices, finishReason, finite, headOf, Usage, type Begin, type Head } from './choices.ts';
import { isObject, type Fields } from './fields.ts';
import { readMessages, type RemoteImages } from './messages.ts';
import { given, readCount, readSampling, SAMPLING_NAMES, seedOf, WITHOUT_EFFECT, type Sampling } from './parameters.ts';
import { refusal, unsupported } from './problem.ts';
import type { Served, ServedModel } from './served.ts';
import { CallDeltas, callBody, readTools } from './tools.ts';
import { streamed, type EventStream } from './stream.ts';

const OWN_NAMES = [
  'messages',
  'max_completion_tokens',
  'logprobs',
  'top_logprobs',
  'response_format',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'functions',
  'function_call',
  'modalities',
  'audio',
  'reasoning_effort',
  'web_search_options',
  'chat_template_kwargs',
] as const;

/** As with OpenAI. */
const MOST_ALTERNATIVES = 20;

interface Chat extends Sampling {
  readonly messages: readonly Message[];
  readonly settings: PromptOptions;
  readonly logprobs: boolean;
  /** How the context is kept; the server's choice, not the request's. */
  readonly context: SessionOptions['context'];
  /** Whether an answer may call one tool only. */
  readonly single: boolean;
}

/** The efforts that OpenAI names: of models here thinking is on or off. */
const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

function readChat(fields: Fields, remote: RemoteImages, context: SessionOptions['context']): Chat {
  fields.only(SAMPLING_NAMES, OWN_NAMES, WITHOUT_EFFECT);
  for (const name of ['functions', 'function_call'])
    if (fields.value(name) !== undefined) throw unsupported(name, "use 'tools' and 'tool_choice'");
  for (const name of ['audio', 'web_search_options'])
    if (fields.value(name) !== undefined) throw unsupported(name, 'models here answer in text, and look nothing up');
  if (fields.list('modalities')?.some((one) => one !== 'text')) throw unsupported('modalities', "use ['text']");
  const sampling = readSampling(fields);
  const logprobs = fields.flag('logprobs') ?? false;
  const alternatives = fields.number('top_logprobs', 0, MOST_ALTERNATIVES, true);
  if (alternatives !== undefined && !logprobs) throw fields.wrong('top_logprobs', "nothing, unless 'logprobs' is true");
  const templateOptions = fields.object('chat_template_kwargs') && fields.value('chat_template_kwargs');
  return {
    ...sampling,
    messages: readMessages(fields, remote),
    logprobs,
    context,
    single: fields.flag('parallel_tool_calls') === false,
    settings: given({
      ...readTools(fields),
      responseConstraint: readFormat(fields),
      ...sampling.options,
      maxTokens: readCount(fields, 'max_completion_tokens') ?? readCount(fields, 'max_tokens'),
      logprobs: logprobs ? (alternatives ?? 0) : undefined,
      thinking: fields.choice('reasoning_effort', EFFORTS) === 'none' ? false : undefined,
      templateOptions: templateOptions as PromptOptions['templateOptions'],
    }),
  };
}

/** The schema that an answer must fit, where it must be JSON. */
function readFormat(fields: Fields): PromptOptions['responseConstraint'] {
  const format = fields.object('response_format');
  switch (format?.choice('type', ['text', 'json_object', 'json_schema'] as const)) {
    case 'json_object':
      return { type: 'object' };
    case 'json_schema': {
      const schema = format?.object('json_schema');
      const value = schema?.value('schema');
      if (isObject(value)) return value;
      throw (schema ?? fields).wrong(schema === undefined ? 'response_format' : 'schema', 'a JSON Schema');
    }
    default:
      return undefined;
  }
}

export async function chat(
  fields: Fields,
  served: Served,
  signal: AbortSignal,
  { remoteImages, context }: { readonly remoteImages: RemoteImages; readonly context: SessionOptions['context'] },
): Promise<Response> {
  const asked = readChat(fields, remoteImages, context);
  if (asked.stream)
    return streamed(signal, (events, linked) =>
      served.inTurn(linked, (model) => stream(model, served, asked, events, linked)),
    );
  return served.inTurn(signal, async (model) => Response.json(await whole(model, served, asked, signal)));
}

/** Every answer has a session of its own: what it has in common with earlier requests is shared by the engine. */
function beginning(model: ServedModel, { messages, settings, context }: Chat, signal: AbortSignal): Begin {
  if (!model.capabilities.chat)
    throw refusal(400, 'This model has no chat template; use /v1/completions', {
      param: 'model',
      code: 'unsupported_model',
    });
  return async (index, onToken) => {
    const session = await model.createSession({ signal, context });
    const answer = session.promptParts(messages, { ...settings, ...seedOf(settings.seed, index), onToken, signal });
    answer.finished.catch(() => undefined).finally(() => session.destroy());
    return answer;
  };
}

async function whole(model: ServedModel, { name }: Served, asked: Chat, signal: AbortSignal): Promise<object> {
  const head = headOf('chatcmpl', 'chat.completion', { name, fingerprint: model.fingerprint });
  const usage = new Usage();
  const made: object[] = [];
  let text = '';
  let tokens: TokenLogProb[] = [];
  for await (const event of choices(asked.count, beginning(model, asked, signal))) {
    if ('part' in event) {
      if (event.part.type === 'text') text += event.part.text;
      tokens.push(...event.tokens);
      continue;
    }
    const { thinking, toolCalls = [] } = event.report;
    const calls = toolCalls.slice(0, asked.single ? 1 : undefined).map(callBody);
    usage.add(event.report, event.index === 0);
    made.push({
      index: event.index,
      message: {
        role: 'assistant',
        content: text === '' && calls.length > 0 ? null : text,
        refusal: null,
        ...(thinking === undefined ? {} : { reasoning_content: thinking }),
        ...(calls.length === 0 ? {} : { tool_calls: calls }),
      },
      logprobs: asked.logprobs ? logprobsOf(tokens) : null,
      finish_reason: finishReason(event.report),
    });
    text = '';
    tokens = [];
  }
  return { ...head, choices: made, usage: usage.body };
}

async function stream(
  model: ServedModel,
  { name }: Served,
  asked: Chat,
  events: EventStream,
  signal: AbortSignal,
): Promise<void> {
  const head: Head & { readonly usage?: null } = {
    ...headOf('chatcmpl', 'chat.completion.chunk', { name, fingerprint: model.fingerprint }),
    ...(asked.withUsage ? { usage: null } : {}),
  };
  const usage = new Usage();
  let begun = -1;
  let calls = new CallDeltas(asked.single);
  const send = (index: number, delta: object, more: object = {}): void =>
    events.send({ ...head, choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }] });
  for await (const event of choices(asked.count, beginning(model, asked, signal))) {
    const { index } = event;
    if (begun < index) {
      send(index, { role: 'assistant', content: '', refusal: null });
      calls = new CallDeltas(asked.single);
    }
    begun = index;
    if ('part' in event) {
      const { part, tokens } = event;
      if (part.type === 'text')
        send(index, { content: part.text }, asked.logprobs ? { logprobs: logprobsOf(tokens) } : {});
      else if (part.type === 'thinking') send(index, { reasoning_content: part.text });
      const delta = calls.of(part);
      if (delta !== undefined) send(index, delta);
      continue;
    }
    usage.add(event.report, index === 0);
    send(index, {}, { finish_reason: finishReason(event.report) });
  }
  if (asked.withUsage) events.send({ ...head, choices: [], usage: usage.body });
}

const likely = ({ text, bytes, logprob }: LikelyToken): object => ({ token: text, logprob: finite(logprob), bytes });

function logprobsOf(tokens: readonly TokenLogProb[]): object {
  return { content: tokens.map((token) => ({ ...likely(token), top_logprobs: token.top.map(likely) })), refusal: null };
}
