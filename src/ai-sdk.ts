/**
 * `octavo/ai-sdk`: provides a loaded model, or an input from which one is loaded, as a language model of the AI SDK
 * (specification v3; `ai` 6 and 7). The SDK sends the whole conversation with every call. The session of the last call
 * is kept and continued where the new call continues its conversation, so that only the new turns are read. Images go
 * to models that see, text files are read as text, and calls of tools and their results stay in the conversation. Other
 * files are refused; what this version ignores (offering tools) is listed in `warnings`.
 */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3FinishReason,
  LanguageModelV3GenerateResult,
  LanguageModelV3Message,
  LanguageModelV3ToolResultOutput,
  LanguageModelV3StreamPart,
  LanguageModelV3StreamResult,
  LanguageModelV3Usage,
  SharedV3Warning,
} from '@ai-sdk/provider';
import { sha256 } from 'hash-wasm';
import { clipped, InputError } from './errors.ts';
import type {
  AnswerReport,
  ContentPart,
  LoadOptions,
  Message,
  ModelInput,
  OctavoModel,
  PromptOptions,
  SessionOptions,
  ToolCall,
} from './public.ts';

type UserPart = Extract<LanguageModelV3Message, { role: 'user' }>['content'][number];
type LanguageModelV3ToolPart = Extract<LanguageModelV3Message, { role: 'tool' }>['content'][number];

/** What the provider needs of a model: an `OctavoModel`, or an object of the same shape. */
export type ChatModel = Pick<OctavoModel, 'createSession' | 'name'>;

export interface OctavoProviderSettings {
  /** How the model is loaded when an input was given. */
  readonly load?: LoadOptions | undefined;
  /** Applies to calls that do not set the value themselves. */
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

/**
 * A language model for `generateText`, `streamText` and related functions. Loading starts with the first call and
 * happens once.
 */
export function octavo(model: ChatModel | ModelInput, settings: OctavoProviderSettings = {}): LanguageModelV3 {
  let loading: Promise<ChatModel> | undefined;
  const load = (): Promise<ChatModel> => {
    if (isModel(model)) return Promise.resolve(model);
    // A failed load is forgotten, so that the next call tries again.
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
  if (call.frequencyPenalty !== undefined && call.frequencyPenalty !== 0)
    unsupported('frequencyPenalty', 'use presencePenalty');
  const messages = prompt.flatMap((message) => readMessage(message, unsupported));
  const split = startOfNew(messages);
  const history = messages.slice(0, split);
  const last = messages.slice(split);
  const options = {
    ...ownOptions(call.providerOptions?.['octavo'], unsupported),
    temperature: call.temperature,
    topK: call.topK,
    topP: call.topP,
    presencePenalty: call.presencePenalty,
    // Any integer is a seed.
    seed: call.seed === undefined ? undefined : ((call.seed % 2 ** 32) + 2 ** 32) % 2 ** 32,
    maxTokens: call.maxOutputTokens,
    stop: call.stopSequences,
    // Without a schema, any JSON; with one, the model is shown it.
    responseConstraint: call.responseFormat?.type === 'json' ? (call.responseFormat.schema ?? true) : undefined,
    signal: call.abortSignal,
  };
  return {
    history,
    last,
    warnings,
    options: Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
}

/**
 * The AI SDK sends the whole conversation. Everything up to the last answer is the session's past; what follows it
 * (questions, results of tools) is new. Without any answer, the past is the system messages at the beginning.
 */
function startOfNew(messages: readonly Message[]): number {
  const answered = messages.findLastIndex(({ role }) => role === 'assistant') + 1;
  if (answered > 0 && answered < messages.length) return answered;
  const asked = messages.findLastIndex(({ role }) => role === 'user');
  if (answered > 0) return Math.max(0, asked);
  return Math.max(
    0,
    messages.findIndex(({ role }) => role !== 'system'),
  );
}

/** What `providerOptions.octavo` may contain in addition to the options of AI SDK calls. */
const OWN_OPTIONS = ['minP', 'repetitionPenalty', 'samplingMode', 'loops', 'contrast', 'templateOptions'] as const;

function ownOptions(
  given: Readonly<Record<string, unknown>> | undefined,
  unsupported: (feature: string, details: string) => void,
): Partial<PromptOptions> {
  const known = new Set<string>(OWN_OPTIONS);
  for (const name of Object.keys(given ?? {}))
    if (!known.has(name))
      unsupported(`providerOptions.octavo.${name}`, `there is no such option; there are ${OWN_OPTIONS.join(', ')}`);
  return Object.fromEntries(Object.entries(given ?? {}).filter(([name]) => known.has(name)));
}

/**
 * Converts one message, or makes one message for each result of a tool. Images and sound are passed on as parts, which
 * a session that cannot read them refuses. Throws `InputError('argument')` for files that are neither those nor text: a
 * model that does not see a part of the question would invent an answer.
 */
function readMessage(
  message: LanguageModelV3Message,
  unsupported: (feature: string, details: string) => void,
): readonly Message[] {
  if (message.role === 'system') return [{ role: 'system', content: message.content }];
  if (message.role === 'tool') return message.content.flatMap((part) => toolResult(part));
  const content: ContentPart[] = [];
  const toolCalls: ToolCall[] = [];
  const results: Message[] = [];
  for (const part of message.content) {
    switch (part.type) {
      case 'text':
        content.push({ type: 'text', value: part.text });
        break;
      case 'file':
        content.push(filePart(part));
        break;
      case 'reasoning':
        break;
      case 'tool-call':
        toolCalls.push({ id: part.toolCallId, name: part.toolName, arguments: part.input });
        break;
      case 'tool-result':
        results.push(...toolResult(part));
        break;
      default:
        unsupported((part as { readonly type: string }).type, 'this part of the conversation is left out');
    }
  }
  const calls = toolCalls.length === 0 ? {} : { toolCalls };
  return [{ role: message.role, content, ...calls }, ...results];
}

function toolResult(part: Exclude<LanguageModelV3ToolPart, { type: 'text' }>): readonly Message[] {
  if (part.type !== 'tool-result') return [];
  return [{ role: 'tool', name: part.toolName, toolCallId: part.toolCallId, content: outputText(part.output) }];
}

function outputText(output: LanguageModelV3ToolResultOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value;
    case 'execution-denied':
      return output.reason ?? 'The call was denied.';
    case 'content':
      return output.value.map((part) => (part.type === 'text' ? part.text : JSON.stringify(part))).join('\n');
    default:
      return JSON.stringify(output.value);
  }
}

/** Files whose bytes are text, whatever program wrote them. */
const TEXT_FILE = /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|javascript|toml|[\w.-]+\+(?:json|xml))(?:;|$))/;

function filePart({ data, mediaType, filename }: Extract<UserPart, { type: 'file' }>): ContentPart {
  const kind = /^(image|audio)\//.exec(mediaType)?.[1];
  if (kind !== undefined) return { type: kind as 'image' | 'audio', value: fileOf(data, mediaType) };
  const text = TEXT_FILE.test(mediaType) ? textOf(data) : undefined;
  if (text !== undefined) return { type: 'text', value: filename === undefined ? text : `File ${filename}:\n${text}` };
  throw new InputError(
    'argument',
    `file${filename === undefined ? '' : ` ${clipped(filename)}`}: no model here reads ${clipped(mediaType)}; send its text, or its pages as images`,
    { mediaType },
  );
}

/** Undefined for a URL: the AI SDK downloads files whose URLs the model does not accept. */
function textOf(data: Uint8Array | string | URL): string | undefined {
  if (data instanceof Uint8Array) return new TextDecoder().decode(data);
  if (typeof data !== 'string') return undefined;
  const base64 = /^data:[^,]*;base64,(.*)$/s.exec(data)?.[1] ?? data;
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

/** Bytes, or a URL. Text is Base64 unless it is a data URL. */
function fileOf(data: Uint8Array | string | URL, mediaType: string): Uint8Array | string | URL {
  return typeof data === 'string' && !data.startsWith('data:')
    ? `data:${mediaType.replace('*', 'png')};base64,${data}`
    : data;
}

type ChatSession = Awaited<ReturnType<ChatModel['createSession']>>;

/** The last session of each model and the conversation that it holds. Only one is kept, since a conversation that has ended would hold memory. */
const kept = new WeakMap<ChatModel, { readonly session: ChatSession; readonly past: string }>();

/** Identifies a conversation and the session settings; files are identified by their bytes. */
async function pastOf(settings: OctavoProviderSettings, messages: readonly Message[]): Promise<string> {
  const plain = messages.map(async ({ role, content, ...rest }) => [
    role,
    rest,
    typeof content === 'string' ? content : (await Promise.all(content.map(nameOf))).join(''),
  ]);
  return JSON.stringify([settings.session, ...(await Promise.all(plain))]);
}

async function nameOf({ type, value }: ContentPart): Promise<string> {
  return type === 'text'
    ? String(value)
    : `\0${type} ${await sha256(value instanceof Uint8Array ? value : String(value))}\0`;
}

/** Returns a session that holds exactly the call's history: the kept one, or a new one. No other call uses it until `keep`. */
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
      // Also runs when the reader stops early.
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

/** Token counts. A fresh session has read its history for this call, so none of it counts as cached. */
function usage({ tokens }: AnswerReport, fresh: boolean): LanguageModelV3Usage {
  const cached = fresh ? 0 : tokens.cached;
  return {
    inputTokens: { total: tokens.prompt, noCache: tokens.prompt - cached, cacheRead: cached, cacheWrite: undefined },
    outputTokens: { total: tokens.generated, text: tokens.generated, reasoning: undefined },
  };
}
