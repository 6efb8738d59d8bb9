/** What a call of the AI SDK asks, as messages and options of a session. */
import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4ToolResultOutput,
  SharedV4FileData,
  SharedV4Warning,
} from '@ai-sdk/provider';
import { clipped, InputError } from '../errors.ts';
import { seed32 } from '../generate/seed.ts';
import type { ContentPart, Message, PromptOptions, ToolCall } from '../public.ts';

type ToolPart = Extract<LanguageModelV4Message, { role: 'tool' }>['content'][number];

export interface Call {
  readonly history: readonly Message[];
  readonly last: readonly Message[];
  readonly options: PromptOptions;
  readonly warnings: SharedV4Warning[];
}

export function readCall({ prompt, ...call }: LanguageModelV4CallOptions): Call {
  const warnings: SharedV4Warning[] = [];
  const unsupported = (feature: string, details: string): number =>
    warnings.push({ type: 'unsupported', feature, details });
  if (call.frequencyPenalty !== undefined && call.frequencyPenalty !== 0)
    unsupported('frequencyPenalty', 'use presencePenalty');
  const messages = prompt.flatMap((message) => readMessage(message, unsupported));
  const split = startOfNew(messages);
  const history = messages.slice(0, split);
  const last = messages.slice(split);
  const options = {
    ...ownOptions(call.providerOptions?.['octavo'], unsupported),
    ...readTools(call, unsupported),
    responseConstraint: constraintOf(call.responseFormat),
    thinking: call.reasoning === 'none' ? false : undefined,
    temperature: call.temperature,
    topK: call.topK,
    topP: call.topP,
    presencePenalty: call.presencePenalty,
    // Any integer is a seed.
    seed: call.seed === undefined ? undefined : seed32(call.seed),
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

/** The tools that an answer may call. None has a function here, so that an answer ends with its calls and the AI SDK runs them. */
function readTools(
  { tools = [], toolChoice }: Pick<LanguageModelV4CallOptions, 'tools' | 'toolChoice'>,
  unsupported: (feature: string, details: string) => void,
): Pick<PromptOptions, 'tools' | 'toolChoice'> {
  const offered = tools.flatMap((tool) => {
    if (tool.type === 'function')
      return [{ name: tool.name, description: tool.description, inputSchema: { ...tool.inputSchema } }];
    unsupported(`tool ${tool.name}`, 'models here know no tools of a provider');
    return [];
  });
  if (offered.length === 0) return {};
  return {
    tools: offered,
    toolChoice: toolChoice?.type === 'tool' ? { name: toolChoice.toolName } : toolChoice?.type,
  };
}

/** JSON by a schema, which the model is shown, or any JSON. */
function constraintOf(format: LanguageModelV4CallOptions['responseFormat']): PromptOptions['responseConstraint'] {
  if (format?.type !== 'json') return undefined;
  return format.schema === undefined ? true : { ...format.schema };
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
const OWN_OPTIONS = [
  'minP',
  'repetitionPenalty',
  'samplingMode',
  'loops',
  'drafts',
  'contrast',
  'templateOptions',
] as const;

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
  message: LanguageModelV4Message,
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

function toolResult(part: ToolPart): readonly Message[] {
  if (part.type !== 'tool-result') return [];
  return [{ role: 'tool', name: part.toolName, toolCallId: part.toolCallId, content: outputText(part.output) }];
}

function outputText(output: LanguageModelV4ToolResultOutput): string {
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
const TEXT_FILE =
  /^(?:text(?:\/|$)|application\/(?:json|xml|yaml|x-yaml|javascript|toml|[\w.-]+\+(?:json|xml))(?:;|$))/;

function filePart({ data, mediaType, filename }: LanguageModelV4FilePart): ContentPart {
  const kind = /^(image|audio)(?:\/|$)/.exec(mediaType)?.[1];
  if (kind !== undefined && data.type !== 'text')
    return { type: kind as 'image' | 'audio', value: fileOf(data, mediaType) };
  const text = data.type === 'text' || TEXT_FILE.test(mediaType) ? textOf(data) : undefined;
  if (text !== undefined) return { type: 'text', value: filename === undefined ? text : `File ${filename}:\n${text}` };
  throw new InputError(
    'argument',
    `file${filename === undefined ? '' : ` ${clipped(filename)}`}: no model here reads ${clipped(mediaType)}; send its text, or its pages as images`,
    { mediaType },
  );
}

/** Undefined for a URL: the AI SDK downloads files whose URLs the model does not accept. */
function textOf(data: SharedV4FileData): string | undefined {
  if (data.type === 'text') return data.text;
  if (data.type !== 'data') return undefined;
  if (typeof data.data !== 'string') return new TextDecoder().decode(data.data);
  const base64 = /^data:[^,]*;base64,(.*)$/s.exec(data.data)?.[1] ?? data.data;
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

/** Bytes, or a URL. Text is Base64 unless it is a data URL. */
function fileOf(data: Exclude<SharedV4FileData, { type: 'text' }>, mediaType: string): Uint8Array | string | URL {
  if (data.type === 'url') return data.url;
  if (data.type === 'reference')
    throw new InputError('argument', 'file: a reference to a file of a provider; send the file itself', { mediaType });
  const bytes = data.data;
  if (typeof bytes !== 'string' || bytes.startsWith('data:')) return bytes;
  return `data:${mediaType.includes('/') ? mediaType.replace('*', 'png') : `${mediaType}/png`};base64,${bytes}`;
}
