/** Prompts as the web's Prompt API writes them, made into plain turns. */
import { InputError } from '../errors.ts';

export type Role = 'system' | 'user' | 'assistant';

/** A piece of a message. Pictures and sound are refused until a model that reads them is loaded. */
export interface ContentPart {
  readonly type: 'text' | 'image' | 'audio';
  readonly value: unknown;
}

export interface Message {
  readonly role: Role;
  readonly content: string | readonly ContentPart[];
  /** The last, assistant's message only: the answer is to begin with this text, and continues it. */
  readonly prefix?: boolean;
}

export type PromptInput = string | readonly Message[];

export interface Turn {
  readonly role: Role;
  readonly content: string;
}

export interface Input {
  readonly turns: readonly Turn[];
  /** What the answer begins with. */
  readonly prefix: string;
}

const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant']);

/**
 * Checks an input. Throws `InputError('empty')` for no message, or none with any text, and `InputError('argument')` for a role,
 * part or order that is not allowed. `initial` allows a leading system message; `prefix` allows an unfinished answer at the end.
 */
export function readInput(input: PromptInput, allow: { readonly system: boolean; readonly prefix: boolean }): Input {
  if (typeof input === 'string') {
    if (input.length === 0) throw new InputError('empty', 'the prompt is empty; give at least one character');
    return { turns: [{ role: 'user', content: input }], prefix: '' };
  }
  if (!Array.isArray(input)) throw new InputError('argument', `the prompt must be a string or an array of messages, not ${typeof input}`);
  const messages: readonly Message[] = input;
  const turns: Turn[] = [];
  let prefix = '';
  for (const [index, message] of messages.entries()) {
    const place = `message ${index}`;
    if (typeof message !== 'object' || message === null || !ROLES.has(message.role)) {
      throw new InputError('argument', `${place}: role must be 'system', 'user' or 'assistant'`, { index });
    }
    if (message.role === 'system' && (!allow.system || index > 0)) {
      throw new InputError('argument', `${place}: a system message must be the first of initialPrompts`, { index });
    }
    const content = readContent(message.content, place);
    if (message.prefix !== true) {
      turns.push({ role: message.role, content });
      continue;
    }
    if (!allow.prefix || message.role !== 'assistant' || index !== messages.length - 1) {
      throw new InputError('argument', `${place}: prefix is for the last message of a prompt, with the role 'assistant'`, { index });
    }
    prefix = content;
  }
  if (!turns.some((turn) => turn.content.length > 0)) throw new InputError('empty', 'the prompt is empty; give at least one character');
  return { turns, prefix };
}

function readContent(content: Message['content'], place: string): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw new InputError('argument', `${place}: content must be a string or an array of parts`);
  const parts: readonly ContentPart[] = content;
  let text = '';
  for (const [index, part] of parts.entries()) {
    if (part.type !== 'text') {
      throw new InputError('argument', `${place}, part ${index}: this model reads text only, not '${part.type}'; send {type: 'text', value}`, {
        type: part.type,
      });
    }
    if (typeof part.value !== 'string') throw new InputError('argument', `${place}, part ${index}: value must be a string`);
    text += part.value;
  }
  return text;
}
