/** From messages and settings to the body of a request in OpenAI's shape. */
import type { ContentPart, Message, PromptInput } from '../chat/messages.ts';
import type { ToolSettings } from '../chat/tools.ts';
import { InputError } from '../errors.ts';
import { readLogprobs, type CompletionSettings, type PromptSettings } from '../generate/options.ts';
import { SAMPLING_MODES } from '../generate/sampling.ts';
import { toBase64 } from '../vision/base64.ts';
import { encodePng, resize, type Rgba } from '../vision/index.ts';

/** A message as it is sent. */
export type WireMessage = Readonly<Record<string, unknown>> & { readonly role: string };

/** Longest side of a picture that is sent: what models of this size are shown at most, as a PNG of some megabytes. */
const MOST_SIDE = 1536;

const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant', 'tool']);

/** Throws `InputError` for what is no message, or cannot be sent. */
export async function wireMessages(input: PromptInput): Promise<readonly WireMessage[]> {
  const messages: readonly Message[] = typeof input === 'string' ? [{ role: 'user', content: input }] : input;
  if (messages.length === 0 || input === '')
    throw new InputError('empty', 'the prompt is empty; give at least one character');
  return Promise.all(messages.map(wireMessage));
}

async function wireMessage(message: Message, index: number): Promise<WireMessage> {
  const place = `message ${index}`;
  if (typeof message !== 'object' || message === null || !ROLES.has(message.role))
    throw new InputError('argument', `${place}: role must be 'system', 'user', 'assistant' or 'tool'`, { index });
  if (message.prefix === true)
    throw new InputError(
      'argument',
      `${place}: prefix: servers begin an answer anew; ask for its beginning in words, or run the model on the device`,
      { index },
    );
  const { role, toolCalls = [], toolCallId, name } = message;
  const content = await wireContent(message.content, place);
  switch (role) {
    case 'assistant':
      return {
        role,
        content: content === '' && toolCalls.length > 0 ? null : content,
        ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(wireCall) }),
      };
    case 'tool':
      return { role, content, tool_call_id: toolCallId ?? '', ...(name === undefined ? {} : { name }) };
    default:
      return { role, content };
  }
}

const wireCall = ({
  id = '',
  name,
  arguments: args,
}: {
  id?: string | undefined;
  name: string;
  arguments: unknown;
}): object => ({
  id,
  type: 'function',
  function: { name, arguments: typeof args === 'string' ? args : JSON.stringify(args ?? {}) },
});

async function wireContent(content: Message['content'], place: string): Promise<string | readonly object[]> {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content))
    throw new InputError('argument', `${place}: content must be a string or an array of parts`);
  const parts: readonly ContentPart[] = content;
  // Servers of text models take strings alone.
  if (parts.every(({ type, value }) => type === 'text' && typeof value === 'string'))
    return parts.map(({ value }) => String(value)).join('');
  return Promise.all(
    parts.map(async ({ type, value }, index): Promise<object> => {
      if (type === 'text' && typeof value === 'string') return { type, text: value };
      if (type === 'image') return { type: 'image_url', image_url: { url: await dataUrl(value as Rgba) } };
      throw new InputError('argument', `${place}, part ${index}: send {type: 'text' | 'image', value}`, { type });
    }),
  );
}

async function dataUrl(image: Rgba): Promise<string> {
  const { width, height } = image;
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const sides = [width, height].map((side) => Math.max(1, Math.round(side * scale))) as [number, number];
  const bytes = await encodePng(scale === 1 ? image : resize(image, ...sides, 'bicubic'));
  return `data:image/png;base64,${toBase64(bytes)}`;
}

/** Without what is undefined: servers refuse what they do not know. */
export function given(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** OpenAI's own newer models take no other name; older servers know only the other. */
const NEW_NAMES = /(?:^|\.)(?:openai\.com|azure\.com)$/;

/** A JSON Schema as OpenAI's structured outputs take it. */
function responseFormat(grammar: PromptSettings['grammar']): object | undefined {
  if (grammar === undefined) return undefined;
  if (grammar.kind !== 'json')
    throw new InputError(
      'argument',
      'responseConstraint: servers take a JSON Schema; give one in place of the expression',
      {
        name: 'responseConstraint',
      },
    );
  const { schema } = grammar;
  if (typeof schema === 'boolean') return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } };
}

/** What chats and completions have in common. Options of the device (context, visual, loops, drafts) have no effect on a server. */
export function answerBody(settings: CompletionSettings, host: string, model: string): Record<string, unknown> {
  if (settings.contrast !== undefined && settings.contrast !== false)
    throw new InputError('argument', 'contrast: servers do not contrast answers; leave it out', { name: 'contrast' });
  const mode = settings.samplingMode === undefined ? undefined : SAMPLING_MODES[settings.samplingMode];
  const { stop } = settings;
  return given({
    model,
    stream: true,
    stream_options: { include_usage: true },
    temperature: settings.temperature ?? mode,
    top_p: settings.topP,
    top_k: settings.topK,
    min_p: settings.minP,
    presence_penalty: settings.presencePenalty,
    repetition_penalty: settings.repetitionPenalty,
    seed: settings.seed,
    stop: typeof stop === 'string' ? [stop] : stop,
    [NEW_NAMES.test(host) ? 'max_completion_tokens' : 'max_tokens']: settings.maxTokens,
  });
}

export function chatBody(
  settings: PromptSettings,
  messages: readonly WireMessage[],
  host: string,
  model: string,
): Record<string, unknown> {
  const { tools = [], toolChoice, thinking, templateOptions } = settings;
  const alternatives = readLogprobs(settings.logprobs);
  const template = given({ ...(thinking === undefined ? {} : { enable_thinking: thinking }), ...templateOptions });
  return given({
    ...answerBody(settings, host, model),
    messages,
    response_format: responseFormat(settings.grammar),
    logprobs: alternatives === undefined ? undefined : true,
    top_logprobs: alternatives === undefined || alternatives === 0 ? undefined : alternatives,
    tools: tools.length === 0 ? undefined : tools.map(wireTool),
    tool_choice:
      tools.length === 0 || toolChoice === undefined
        ? undefined
        : typeof toolChoice === 'string'
          ? toolChoice
          : { type: 'function', function: { name: toolChoice.name } },
    chat_template_kwargs: Object.keys(template).length === 0 ? undefined : template,
  });
}

const wireTool = ({ name, description, inputSchema }: ToolSettings): object => ({
  type: 'function',
  function: given({ name, description, parameters: inputSchema ?? { type: 'object', properties: {} } }),
});
