/** A conversation as a file: Markdown to read, JSON to read again. */
import { readFile, writeFile } from 'node:fs/promises';
import type { ContentPart } from '../../chat/messages.ts';
import { FileError, InputError } from '../../errors.ts';
import { isObject, parseJsonObject } from '../../load/json.ts';
import type { JsonValue } from '../../load/model-file.ts';
import { picturesOf, textOf, type Conversation, type Said } from './conversation.ts';

/** A saved conversation that is read may have as many bytes: far more than any context holds. */
const MOST_BYTES = 32_000_000;
const FORMAT = 'octavo-conversation';

/** Writes a conversation as JSON where the name ends in .json, as Markdown otherwise. Throws `InputError` for a file that exists, unless `force`. */
export async function saveTranscript(conversation: Conversation, file: string, force: boolean): Promise<void> {
  const text = /\.json$/i.test(file) ? asJson(conversation) : asMarkdown(conversation);
  try {
    await writeFile(file, text, { flag: force ? 'w' : 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
      throw new InputError('argument', `${file} exists; choose another name, or overwrite it with /save --force FILE`, {
        file,
      });
    throw new FileError('unsupported', { file, field: 'conversation' }, 'it cannot be written; check the folder', {
      cause,
    });
  }
}

function asJson({ model, system, said }: Conversation): string {
  const { name, fingerprint } = model;
  const saved = new Date().toISOString();
  const first = system === undefined ? [] : [{ role: 'system', content: system }];
  return `${JSON.stringify({ format: FORMAT, model: { name, fingerprint }, saved, messages: [...first, ...said] }, null, 2)}\n`;
}

export function asMarkdown({ model, system, said }: Pick<Conversation, 'model' | 'system' | 'said'>): string {
  const parts = [`# Conversation with ${model.name}`];
  if (system !== undefined) parts.push('## System', system);
  for (const { role, content, thinking, stopped } of said) {
    parts.push(role === 'user' ? '## Question' : '## Answer');
    for (const picture of picturesOf(content)) parts.push(`![](<${picture.replace(/[<>\n]/g, encodeURIComponent)}>)`);
    if (thinking !== undefined) parts.push(quoted(thinking.trim()));
    parts.push(textOf(content).trim() + (stopped === true ? ' *(stopped)*' : ''));
  }
  return `${parts.join('\n\n')}\n`;
}

/** What a model thought stands apart from what it answered. */
function quoted(text: string): string {
  return `Thoughts:\n\n${text.replaceAll(/^/gm, '> ')}`;
}

/** Reads a conversation that was saved as JSON. Throws `FileError`. */
export async function readTranscript(
  file: string,
): Promise<{ readonly system: string | undefined; readonly said: readonly Said[] }> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new FileError('missing', { file, field: 'conversation' }, 'it cannot be read; check the path', { cause });
  });
  if (bytes.length > MOST_BYTES)
    throw new FileError(
      'limit',
      { file, field: 'conversation' },
      `it has ${bytes.length} bytes, and at most ${MOST_BYTES} are read`,
    );
  const malformed = (field: string): FileError =>
    new FileError('malformed', { file, field }, 'it is not a conversation that /save wrote as JSON');
  const data = parseJsonObject(bytes, file, 'conversation', 0);
  if (data['format'] !== FORMAT || !Array.isArray(data['messages'])) throw malformed('format');
  let system: string | undefined;
  const said: Said[] = [];
  for (const [index, message] of data['messages'].entries()) {
    const field = `messages[${index}]`;
    if (!isObject(message)) throw malformed(field);
    const { role, thinking, stopped } = message;
    if (role === 'system' && index === 0 && typeof message['content'] === 'string') {
      system = message['content'];
      continue;
    }
    const content = contentOf(message['content']);
    if ((role !== 'user' && role !== 'assistant') || content === undefined) throw malformed(field);
    // A file of somebody else's is to tell no server that it was opened.
    const remote = picturesOf(content).find((picture) => /^(?!data:)[a-z][a-z0-9+.-]+:/i.test(picture));
    if (remote !== undefined)
      throw new FileError('unsupported', { file, field }, `its picture is at ${remote}, which /load does not fetch`);
    said.push({
      role,
      content,
      ...(typeof thinking === 'string' && { thinking }),
      ...(stopped === true && { stopped }),
    });
  }
  return { system, said };
}

function contentOf(content: JsonValue | undefined): Said['content'] | undefined {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  const parts: ContentPart[] = [];
  for (const part of content as readonly JsonValue[]) {
    if (!isObject(part)) return undefined;
    const { type, value } = part;
    if ((type !== 'text' && type !== 'image') || typeof value !== 'string') return undefined;
    parts.push({ type, value });
  }
  return parts;
}
