/** Checks prompts in the shape of the web's Prompt API and turns them into the conversation's own turns. */
import { clipped, InputError } from '../errors.ts';
import { joined, type Content, type PromptImage } from '../see/images.ts';

/** `tool`: the result of a call that the assistant made. */
export type Role = 'system' | 'user' | 'assistant' | 'tool';

/** A call of a tool by the assistant. */
export interface ToolCall {
  /** Identifies the call, so that its result names it. */
  readonly id?: string | undefined;
  /** The tool. */
  readonly name: string;
  /** The arguments by name, or the JSON of them. */
  readonly arguments: unknown;
}

/**
 * A piece of a message. A picture's `value` is whatever the page has of it (see `ImageInput`), and its pixels when it comes here.
 * A model that cannot see refuses pictures; sound is refused by all.
 */
export interface ContentPart {
  /** What `value` is. */
  readonly type: 'text' | 'image' | 'audio';
  /** A text, or a picture as `ImageInput` lists them. */
  readonly value: unknown;
}

/** A message of a conversation, in the shape of the web's Prompt API. */
export interface Message {
  /** Who says it. */
  readonly role: Role;
  /** A text, or texts and pictures in their order. */
  readonly content: string | readonly ContentPart[];
  /** The last, assistant's message only: the answer is to begin with this text, and continues it. */
  readonly prefix?: boolean;
  /**
   * Reads control tokens in this message's text as such. Without it (the default) a message is text, whatever it spells: only the model's template writes
   * control tokens.
   */
  readonly allowSpecialTokens?: boolean | undefined;
  /** The assistant's messages: what it thought, for models whose template repeats that while tools are called. */
  readonly thinking?: string | undefined;
  /** The assistant's messages: the tools that it called. */
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** Messages of a tool: its name. */
  readonly name?: string | undefined;
  /** The call that this is the result of. */
  readonly toolCallId?: string | undefined;
}

/** A user's message as text, or messages in their order. */
export type PromptInput = string | readonly Message[];

/** A message as it is remembered. */
export interface Turn {
  readonly role: Role;
  readonly content: Content;
  /** An answer that was aborted: the model would have gone on. */
  readonly partial?: boolean;
  /** Control tokens in its text are read as such. */
  readonly special?: boolean;
  readonly thinking?: string;
  readonly calls?: readonly ToolCall[];
  readonly name?: string;
  readonly callId?: string;
}

export interface Input {
  readonly turns: readonly Turn[];
  /** What the answer begins with. */
  readonly prefix: string;
}

export interface ReadOptions {
  /** Allows an unfinished answer at the end. */
  readonly prefix: boolean;
  /** Takes an image's value; throws where the model reads text only, or where it is no image. */
  readonly register: (value: unknown, name: string) => PromptImage;
}

const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant', 'tool']);

/**
 * Checks an input. Throws `InputError('empty')` for no message, or none with any content, and `InputError('argument')` for a role,
 * part or order that is not allowed.
 */
export function readInput(input: PromptInput, allow: ReadOptions): Input {
  if (typeof input === 'string') {
    if (input.length === 0) throw new InputError('empty', 'the prompt is empty; give at least one character');
    return { turns: [{ role: 'user', content: [input] }], prefix: '' };
  }
  if (!Array.isArray(input))
    throw new InputError('argument', `the prompt must be a string or an array of messages, not ${typeof input}`);
  const messages: readonly Message[] = input;
  const turns: Turn[] = [];
  let prefix = '';
  for (const [index, message] of messages.entries()) {
    const place = `message ${index}`;
    if (typeof message !== 'object' || message === null || !ROLES.has(message.role)) {
      throw new InputError('argument', `${place}: role must be 'system', 'user', 'assistant' or 'tool'`, { index });
    }
    const content = readContent(message, place, allow.register);
    if (message.prefix !== true) {
      turns.push({ role: message.role, content, ...extrasOf(message, place) });
      continue;
    }
    if (!allow.prefix || message.role !== 'assistant' || index !== messages.length - 1) {
      throw new InputError(
        'argument',
        `${place}: prefix is for the last message of a prompt, with the role 'assistant'`,
        { index },
      );
    }
    // An answer has no images: its content is one text, or none.
    prefix = content.filter((part) => typeof part === 'string').join('');
  }
  if (!turns.some((turn) => turn.content.length > 0 || turn.calls !== undefined))
    throw new InputError('empty', 'the prompt is empty; give at least one character');
  return { turns, prefix };
}

/** The fields of a turn beside its role and content. */
function extrasOf(
  { role, allowSpecialTokens, thinking, toolCalls, name, toolCallId }: Message,
  place: string,
): Partial<Turn> {
  if (toolCalls !== undefined && (role !== 'assistant' || !Array.isArray(toolCalls)))
    throw new InputError('argument', `${place}: toolCalls is a list, in the assistant's messages`);
  return {
    ...(allowSpecialTokens === true ? { special: true } : {}),
    ...(role === 'assistant' && typeof thinking === 'string' && thinking !== '' ? { thinking } : {}),
    ...(toolCalls === undefined || toolCalls.length === 0
      ? {}
      : { calls: toolCalls.map((call) => readCall(call, place)) }),
    ...(role === 'tool' && name !== undefined ? { name } : {}),
    ...(role === 'tool' && toolCallId !== undefined ? { callId: toolCallId } : {}),
  };
}

/** A call with its arguments by name; some APIs hand them on as JSON. */
function readCall(call: ToolCall, place: string): ToolCall {
  if (typeof call?.name !== 'string') throw new InputError('argument', `${place}: a call of a tool has no name`);
  let given: unknown = call.arguments ?? {};
  try {
    if (typeof given === 'string') given = given === '' ? {} : JSON.parse(given);
  } catch {
    // It is no JSON.
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new InputError('argument', `${place}: arguments of ${clipped(call.name)} must be an object, or its JSON`);
  return { id: call.id, name: call.name, arguments: given };
}

/** The text of the last of the user's messages; undefined where there is none. */
export function questionOf(input: PromptInput): string | undefined {
  if (typeof input === 'string') return input;
  if (!Array.isArray(input)) return undefined;
  const messages: readonly Message[] = input;
  const asked = messages.findLast((message) => message?.role === 'user')?.content;
  if (asked === undefined || typeof asked === 'string') return asked;
  const text = Array.isArray(asked)
    ? asked
        .flatMap((part: ContentPart) => (part?.type === 'text' && typeof part.value === 'string' ? [part.value] : []))
        .join(' ')
    : '';
  return text === '' ? undefined : text;
}

function readContent({ role, content }: Message, place: string, register: ReadOptions['register']): Content {
  if (typeof content === 'string') return joined([content]);
  if (!Array.isArray(content))
    throw new InputError('argument', `${place}: content must be a string or an array of parts`);
  const parts: readonly ContentPart[] = content;
  return joined(
    parts.map((part, index) => {
      const at = `${place}, part ${index}`;
      switch (part?.type) {
        case 'text':
          if (typeof part.value !== 'string') throw new InputError('argument', `${at}: value must be a string`);
          return part.value;
        case 'image':
          if (role === 'assistant')
            throw new InputError('argument', `${at}: an answer is text; send pictures in the user's messages`, {
              index,
            });
          return register(part.value, at);
        default:
          throw new InputError(
            'argument',
            `${at}: no model here reads '${part?.type}'; send {type: 'text' | 'image', value}`,
            { type: part?.type },
          );
      }
    }),
  );
}
