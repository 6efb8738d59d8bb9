/** Prompts as the web's Prompt API writes them, made into plain turns. */
import { InputError } from '../errors.ts';
import { joined, type Content, type PromptImage } from '../see/images.ts';

export type Role = 'system' | 'user' | 'assistant';

/**
 * A piece of a message. A picture's `value` is whatever the page has of it (see `ImageInput`), and its pixels when it comes here.
 * A model that cannot see refuses pictures; sound is refused by all.
 */
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

/** A message as it is remembered. */
export interface Turn {
  readonly role: Role;
  readonly content: Content;
  /** An answer that was aborted: the model would have gone on. */
  readonly partial?: boolean;
}

export interface Input {
  readonly turns: readonly Turn[];
  /** What the answer begins with. */
  readonly prefix: string;
}

export interface ReadOptions {
  /** Allows a leading system message. */
  readonly system: boolean;
  /** Allows an unfinished answer at the end. */
  readonly prefix: boolean;
  /** Takes an image's value; throws where the model reads text only, or where it is no image. */
  readonly register: (value: unknown, name: string) => PromptImage;
}

const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant']);

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
      throw new InputError('argument', `${place}: role must be 'system', 'user' or 'assistant'`, { index });
    }
    if (message.role === 'system' && (!allow.system || index > 0)) {
      throw new InputError('argument', `${place}: a system message must be the first of initialPrompts`, { index });
    }
    const content = readContent(message, place, allow.register);
    if (message.prefix !== true) {
      turns.push({ role: message.role, content });
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
  if (!turns.some((turn) => turn.content.length > 0))
    throw new InputError('empty', 'the prompt is empty; give at least one character');
  return { turns, prefix };
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
