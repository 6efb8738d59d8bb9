/**
 * `octavo/ai-sdk`: a loaded model, or what one is loaded from, as a language model of the AI SDK (specification v3; `ai` 6 and 7).
 * The SDK sends the whole conversation with every call; the last call's session is kept and goes on where the new one continues it, so
 * that only the new turn is read. Images go to models that see. What this version cannot do (tools, JSON mode, other files) is told in `warnings` or refused.
 */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3FinishReason,
  LanguageModelV3GenerateResult,
  LanguageModelV3Message,
  LanguageModelV3StreamPart,
  LanguageModelV3StreamResult,
  LanguageModelV3Usage,
  SharedV3Warning,
} from '@ai-sdk/provider';
import { sha256 } from 'hash-wasm';
import type {
  AnswerReport,
  ContentPart,
  LoadOptions,
  Message,
  ModelInput,
  OctavoModel,
  PromptOptions,
  SessionOptions,
} from './public.ts';

/** What the provider needs of a model: an `OctavoModel`, or anything shaped like one. */
export type ChatModel = Pick<OctavoModel, 'createSession' | 'name'>;

export interface OctavoProviderSettings {
  /** How the model is loaded, where an input was given. */
  readonly load?: LoadOptions | undefined;
  /** Applies where a call says nothing. */
  readonly session?:
    | Pick<
        SessionOptions,
        | 'temperature'
        | 'topK'
        | 'topP'
        | 'minP'
        | 'repetitionPenalty'
        | 'presencePenalty'
        | 'seed'
        | 'maxTokens'
        | 'stop'
        | 'context'
      >
    | undefined;
}

function isModel(value: ChatModel | ModelInput): value is ChatModel {
  return typeof value === 'object' && 'createSession' in value && typeof value.createSession === 'function';
}

/** A language model for `generateText`, `streamText` and their kin. Loading starts with the first call and happens once. */
export function octavo(model: ChatModel | ModelInput, settings: OctavoProviderSettings = {}): LanguageModelV3 {
  let loading: Promise<ChatModel> | undefined;
  const load = (): Promise<ChatModel> => {
    if (isModel(model)) return Promise.resolve(model);
    // A failed load is not kept: the next call tries again.
    loading ??= import('octavo')
      .then(({ Octavo }) => Octavo.load(model, settings.load))
      .catch((error: unknown) => {
        loading = undefined;
        throw error;
      });
    return loading;
  };
  return {
    specificationVersion: 'v3',
    provider: 'octavo',
    modelId: isModel(model)
      ? model.name
      : typeof model === 'string'
        ? model
        : model instanceof URL
          ? model.href
          : 'file',
    supportedUrls: {},
    doGenerate: async (options) => generate(await load(), settings, options),
    doStream: async (options) => stream(await load(), settings, options),
  };
}

interface Call {
  readonly history: readonly Message[];
  readonly last: readonly Message[];
  readonly options: PromptOptions;
  readonly warnings: SharedV3Warning[];
}

function readCall({ prompt, ...call }: LanguageModelV3CallOptions): Call {
  const warnings: SharedV3Warning[] = [];
  const unsupported = (feature: string, details: string): number =>
    warnings.push({ type: 'unsupported', feature, details });
  if (call.tools !== undefined && call.tools.length > 0) unsupported('tools', 'they are not shown to the model');
  if (call.toolChoice !== undefined && call.toolChoice.type !== 'auto' && call.toolChoice.type !== 'none')
    unsupported('toolChoice', 'it is ignored');
  if (call.responseFormat?.type === 'json') unsupported('responseFormat', 'the answer is not constrained to JSON');
  if (call.frequencyPenalty !== undefined && call.frequencyPenalty !== 0)
    unsupported('frequencyPenalty', 'use presencePenalty');
  const messages = prompt.map((message) => readMessage(message, unsupported));
  // The AI SDK sends the whole conversation: everything up to the last question is the session's past.
  const split = messages.findLastIndex((message) => message.role === 'user');
  const history = split < 0 ? [] : messages.slice(0, split);
  const last = split < 0 ? messages : messages.slice(split);
  const options = {
    temperature: call.temperature,
    topK: call.topK,
    topP: call.topP,
    presencePenalty: call.presencePenalty,
    seed: call.seed,
    maxTokens: call.maxOutputTokens,
    stop: call.stopSequences,
    signal: call.abortSignal,
  };
  return {
    history,
    last,
    warnings,
    options: Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
}

/** Images and sound go on as parts, which a session that cannot read them refuses with its own words; other files are left out, and it is said. */
function readMessage(
  message: LanguageModelV3Message,
  unsupported: (feature: string, details: string) => void,
): Message {
  if (message.role === 'system') return { role: 'system', content: message.content };
  const role = message.role === 'assistant' ? 'assistant' : 'user';
  const content: ContentPart[] = [];
  for (const part of message.content) {
    switch (part.type) {
      case 'text':
        content.push({ type: 'text', value: part.text });
        break;
      case 'file': {
        const kind = /^(image|audio)\//.exec(part.mediaType)?.[1];
        if (kind === undefined) unsupported(`file of ${part.mediaType}`, 'this part of the conversation is left out');
        else content.push({ type: kind as 'image' | 'audio', value: fileOf(part.data, part.mediaType) });
        break;
      }
      case 'reasoning':
        break;
      default:
        unsupported(part.type, 'this part of the conversation is left out');
    }
  }
  return { role, content };
}

/** Bytes, or an address: text is Base64 unless it is a data URL. */
function fileOf(data: Uint8Array | string | URL, mediaType: string): Uint8Array | string | URL {
  return typeof data === 'string' && !data.startsWith('data:')
    ? `data:${mediaType.replace('*', 'png')};base64,${data}`
    : data;
}

type ChatSession = Awaited<ReturnType<ChatModel['createSession']>>;

/** A model's last session and the conversation that it holds. One a model: a second would keep memory for a conversation that may be over. */
const kept = new WeakMap<ChatModel, { readonly session: ChatSession; readonly past: string }>();

/** What a session must agree on to go on with a conversation; files count by their bytes. */
async function pastOf(settings: OctavoProviderSettings, messages: readonly Message[]): Promise<string> {
  const plain = messages.map(async ({ role, content }) => [
    role,
    typeof content === 'string' ? content : (await Promise.all(content.map(nameOf))).join(''),
  ]);
  return JSON.stringify([settings.session, ...(await Promise.all(plain))]);
}

async function nameOf({ type, value }: ContentPart): Promise<string> {
  return type === 'text'
    ? String(value)
    : `\0${type} ${await sha256(value instanceof Uint8Array ? value : String(value))}\0`;
}

/** The session that holds exactly the call's past: the kept one, or a new one. It is the call's alone until `keep`. */
async function open(
  model: ChatModel,
  settings: OctavoProviderSettings,
  call: Call,
): Promise<{ readonly session: ChatSession; readonly fresh: boolean }> {
  const last = kept.get(model);
  kept.delete(model);
  if (last !== undefined && last.past === (await pastOf(settings, call.history)))
    return { session: last.session, fresh: false };
  last?.session.destroy();
  const { signal } = call.options;
  const session = await model.createSession({
    ...settings.session,
    initialPrompts: call.history,
    ...(signal === undefined ? {} : { signal }),
  });
  return { session, fresh: true };
}

async function keep(
  model: ChatModel,
  settings: OctavoProviderSettings,
  call: Call,
  session: ChatSession,
  answer: string,
): Promise<void> {
  const past = await pastOf(settings, [...call.history, ...call.last, { role: 'assistant', content: answer }]);
  kept.get(model)?.session.destroy();
  kept.set(model, { session, past });
}

async function generate(
  model: ChatModel,
  settings: OctavoProviderSettings,
  options: LanguageModelV3CallOptions,
): Promise<LanguageModelV3GenerateResult> {
  const call = readCall(options);
  const { session, fresh } = await open(model, settings, call);
  try {
    const answer = session.promptStreaming(call.last, call.options);
    let text = '';
    for await (const piece of answer) text += piece;
    const report = await answer.finished;
    await keep(model, settings, call, session, text);
    return {
      content: [{ type: 'text', text }],
      finishReason: finishReason(report),
      usage: usage(report, fresh),
      warnings: call.warnings,
      response: { modelId: model.name },
    };
  } catch (error) {
    session.destroy();
    throw error;
  }
}

async function stream(
  model: ChatModel,
  settings: OctavoProviderSettings,
  options: LanguageModelV3CallOptions,
): Promise<LanguageModelV3StreamResult> {
  const call = readCall(options);
  const { session, fresh } = await open(model, settings, call);
  const parts = async function* (): AsyncGenerator<LanguageModelV3StreamPart, void> {
    const id = '0';
    let done = false;
    let text = '';
    try {
      yield { type: 'stream-start', warnings: call.warnings };
      yield { type: 'response-metadata', modelId: model.name };
      yield { type: 'text-start', id };
      const answer = session.promptStreaming(call.last, call.options);
      for await (const delta of answer) {
        text += delta;
        yield { type: 'text-delta', id, delta };
      }
      const report = await answer.finished;
      done = true;
      yield { type: 'text-end', id };
      yield { type: 'finish', finishReason: finishReason(report), usage: usage(report, fresh) };
    } catch (error) {
      yield { type: 'error', error };
    } finally {
      // Reached by a reader that leaves early, too.
      if (done) await keep(model, settings, call, session, text);
      else session.destroy();
    }
  };
  const iterator = parts();
  return {
    stream: new ReadableStream<LanguageModelV3StreamPart>({
      pull: async (controller) => {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await iterator.return()),
    }),
  };
}

function finishReason({ finishReason: reason }: AnswerReport): LanguageModelV3FinishReason {
  return { unified: reason === 'loop' ? 'other' : reason, raw: reason };
}

/** A fresh session has read its history for this very call: that is no cache. */
function usage({ tokens }: AnswerReport, fresh: boolean): LanguageModelV3Usage {
  const cached = fresh ? 0 : tokens.cached;
  return {
    inputTokens: { total: tokens.prompt, noCache: tokens.prompt - cached, cacheRead: cached, cacheWrite: undefined },
    outputTokens: { total: tokens.generated, text: tokens.generated, reasoning: undefined },
  };
}
