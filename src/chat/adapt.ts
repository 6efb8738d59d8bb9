/**
 * Converts a conversation to one that the model's template accepts: what the template cannot write is merged into a
 * neighbouring message or converted.
 */
import { joined, MessageText, type Content } from '../see/images.ts';
import type { TemplateAbilities } from './abilities.ts';
import type { Speech } from './dialects/speech.ts';
import type { Role, ToolCall, Turn } from './messages.ts';
import type { ToolSettings } from './tools.ts';

/**
 * A message for the template. Strings are the text of a message; `special` means that control tokens in them are read
 * as such.
 */
export interface AdaptedMessage {
  readonly role: Role;
  readonly parts: readonly { readonly content: Content; readonly special: boolean }[];
  readonly thinking?: string | undefined;
  readonly calls?: readonly ToolCall[] | undefined;
  readonly name?: string | undefined;
  readonly callId?: string | undefined;
}

const BETWEEN = { content: ['\n\n'], special: false };

/** What the model is told of tools, and how calls are written where its template does not. */
export interface ToolTelling {
  readonly speech: Speech;
  readonly tools: readonly ToolSettings[];
}

export function adapt(
  turns: readonly Turn[],
  abilities: TemplateAbilities,
  telling?: ToolTelling,
): readonly AdaptedMessage[] {
  let messages: readonly AdaptedMessage[] = turns.map(({ content, special = false, ...turn }) => ({
    ...turn,
    parts: [{ content, special }],
  }));
  messages = linked(messages);
  if (telling !== undefined) messages = withTools(messages, abilities, telling);
  if (!abilities.system || !abilities.laterSystem) messages = withSystemFolded(messages, abilities.system);
  if (!abilities.repeatedRoles) messages = merged(messages);
  if (!abilities.assistantFirst) {
    const first = messages.findIndex(({ role }) => role !== 'system');
    if (messages[first]?.role === 'assistant')
      messages = [...messages.slice(0, first), { role: 'user', parts: [] }, ...messages.slice(first)];
  }
  return messages;
}

/** Ids that all templates take: Mistral's want nine letters and digits. */
const ID = /^[A-Za-z0-9]{9}$/;

/** Gives calls ids that every template takes, and results the ids and names of their calls: by id, or in their order. */
function linked(messages: readonly AdaptedMessage[]): readonly AdaptedMessage[] {
  let count = 0;
  let open: { readonly given: string | undefined; readonly id: string; readonly name: string }[] = [];
  return messages.map((message) => {
    if (message.calls !== undefined) {
      open = message.calls.map(({ id: given, name }) => {
        const made = `call${String(count++).padStart(5, '0')}`;
        return { given, id: given !== undefined && ID.test(given) ? given : made, name };
      });
      return { ...message, calls: message.calls.map((call, index) => ({ ...call, id: open[index]?.id })) };
    }
    if (message.role !== 'tool') return message;
    const named = open.findIndex(
      ({ given, id }) => message.callId !== undefined && [given, id].includes(message.callId),
    );
    const [call] = open.splice(Math.max(0, named), 1);
    return { ...message, name: message.name ?? call?.name, callId: call?.id ?? message.callId };
  });
}

/** Tools, calls and results as a template takes them that cannot write them itself, or in a way that nobody could read in an answer. */
function withTools(
  messages: readonly AdaptedMessage[],
  abilities: TemplateAbilities,
  { speech, tools }: ToolTelling,
): readonly AdaptedMessage[] {
  const { dialect, variable } = speech;
  const own = variable !== undefined || tools.length === 0;
  let out = messages;
  if (!own || !abilities.toolCalls)
    out = out.map(({ calls, ...message }) => {
      if (calls === undefined) return message;
      const said = message.parts.some(({ content }) => content.length > 0);
      const written = { content: dialect.write(calls), special: true };
      return { ...message, parts: [...message.parts, ...(said ? [LINE] : []), written] };
    });
  else if (!abilities.parallelCalls) out = oneByOne(out);
  if (!own || !abilities.toolResults)
    out = out.map(({ name, callId, ...message }) => {
      if (message.role !== 'tool') return { ...message, name, callId };
      const content = dialect.result(message.parts.flatMap((part) => literally(part.content)));
      return { role: 'user', parts: [{ content, special: true }] };
    });
  if (own) return out;
  const told = { content: dialect.describe(tools), special: true };
  const [first, ...rest] = out;
  return first?.role === 'system'
    ? [{ ...first, parts: [...first.parts, BETWEEN, told] }, ...rest]
    : [{ role: 'system', parts: [told] }, ...out];
}

const LINE = { content: ['\n'], special: false };

/** Where strings are read as the template's, a message's stay text. */
function literally(content: Content): Content {
  return joined(content.map((part) => (typeof part === 'string' ? new MessageText(part) : part)));
}

/** Each call of a message in one of its own, with its result behind it. */
function oneByOne(messages: readonly AdaptedMessage[]): readonly AdaptedMessage[] {
  const out: AdaptedMessage[] = [];
  for (const [index, message] of messages.entries()) {
    const { calls } = message;
    if (calls === undefined || calls.length < 2) {
      if (!out.includes(message)) out.push(message);
      continue;
    }
    const next = messages.slice(index + 1);
    const end = next.findIndex(({ role }) => role !== 'tool');
    const results = end < 0 ? next : next.slice(0, end);
    for (const [number, call] of calls.entries()) {
      out.push({ ...message, ...(number === 0 ? {} : { parts: [], thinking: undefined }), calls: [call] });
      out.push(...results.filter(({ callId }) => callId === call.id));
    }
  }
  return out;
}

/**
 * Merges system messages into the next message of the user, or into one at the beginning if the template supports
 * `first`.
 */
function withSystemFolded(messages: readonly AdaptedMessage[], first: boolean): readonly AdaptedMessage[] {
  const out: AdaptedMessage[] = [];
  let waiting: AdaptedMessage | undefined;
  const join = (a: AdaptedMessage, b: AdaptedMessage): AdaptedMessage => ({
    ...b,
    parts: [...a.parts, BETWEEN, ...b.parts],
  });
  for (const message of messages) {
    const before = out.at(-1);
    if (message.role === 'system') {
      if (first && (before === undefined || (out.length === 1 && before.role === 'system')))
        out[0] = before === undefined ? message : join(before, message);
      else waiting = waiting === undefined ? message : join(waiting, message);
    } else if (message.role === 'user' && waiting !== undefined) {
      out.push(join(waiting, message));
      waiting = undefined;
    } else out.push(message);
  }
  // No message of the user follows, so the text becomes a user message.
  if (waiting !== undefined) out.push({ ...waiting, role: 'user' });
  return out;
}

/** Merges adjacent messages of one role; calls and their results are not merged. */
function merged(messages: readonly AdaptedMessage[]): readonly AdaptedMessage[] {
  const out: AdaptedMessage[] = [];
  for (const message of messages) {
    const before = out.at(-1);
    const plain = message.role !== 'tool' && message.calls === undefined && before?.calls === undefined;
    if (before?.role === message.role && plain)
      out[out.length - 1] = { ...before, parts: [...before.parts, BETWEEN, ...message.parts] };
    else out.push(message);
  }
  return out;
}
