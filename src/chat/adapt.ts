/** Makes of a conversation one that the model's template accepts: what it cannot write as it is, is folded into a neighbour, merged or converted. */
import type { Content } from '../see/images.ts';
import type { TemplateAbilities } from './abilities.ts';
import type { Role, ToolCall, Turn } from './messages.ts';

/** A message on its way to the template. Strings are a message's text; `special`: control tokens in them are read as such. */
export interface AdaptedMessage {
  readonly role: Role;
  readonly parts: readonly { readonly content: Content; readonly special: boolean }[];
  readonly calls?: readonly ToolCall[] | undefined;
  readonly name?: string | undefined;
  readonly callId?: string | undefined;
}

const BETWEEN = { content: ['\n\n'], special: false };

export function adapt(turns: readonly Turn[], abilities: TemplateAbilities): readonly AdaptedMessage[] {
  let messages: readonly AdaptedMessage[] = turns.map(({ content, special = false, ...turn }) => ({
    ...turn,
    parts: [{ content, special }],
  }));
  if (!abilities.toolCalls || !abilities.toolResults) messages = messages.map(withoutTools);
  if (!abilities.system || !abilities.laterSystem) messages = withSystemFolded(messages, abilities.system);
  if (!abilities.repeatedRoles) messages = merged(messages);
  if (!abilities.assistantFirst) {
    const first = messages.findIndex(({ role }) => role !== 'system');
    if (messages[first]?.role === 'assistant')
      messages = [...messages.slice(0, first), { role: 'user', parts: [] }, ...messages.slice(first)];
  }
  return messages;
}

/** Calls and results as text that a model without tools understands. */
function withoutTools({ calls, name, callId: _callId, ...message }: AdaptedMessage): AdaptedMessage {
  if (message.role === 'tool') {
    const title = { content: [`Result of ${name ?? 'the tool'}:\n`], special: false };
    return { role: 'user', parts: [title, ...message.parts] };
  }
  if (calls === undefined) return message;
  const text = calls.map((call) => `${call.name}(${JSON.stringify(call.arguments)})`).join('\n');
  const said = message.parts.some(({ content }) => content.length > 0);
  return { ...message, parts: [...message.parts, ...(said ? [BETWEEN] : []), { content: [text], special: false }] };
}

/** System messages into the next message of the user; into one at the beginning where the template has `first`. */
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
  // Nothing of the user follows: it is said as the user.
  if (waiting !== undefined) out.push({ ...waiting, role: 'user' });
  return out;
}

/** Neighbours of one role as one message; calls and their results stay by themselves. */
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
