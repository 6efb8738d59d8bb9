/** Messages as OpenAI's chats write them, as those of a session. */
import type { ContentPart, Message, ToolCall } from '../chat/messages.ts';
import type { Fields } from './fields.ts';
import { refusal } from './problem.ts';

/** Which addresses of pictures may be fetched: none by default, since a request could make this device ask any other. */
export type RemoteImages = boolean | ((url: URL) => boolean);

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;

export function readMessages(fields: Fields, remote: RemoteImages): readonly Message[] {
  const messages = fields.objects('messages');
  if (messages === undefined || messages.length === 0) throw fields.wrong('messages', 'an array of messages');
  /** Names of the tools that were called, by the ids of the calls. */
  const called = new Map<string, string>();
  return messages.map((message): Message => {
    const role = message.choice('role', ROLES);
    switch (role) {
      case 'system':
      case 'developer':
        return { role: 'system', content: readContent(message, remote) };
      case 'user':
        return { role, content: readContent(message, remote) };
      case 'assistant': {
        const toolCalls = readCalls(message);
        for (const { id, name } of toolCalls) if (id !== undefined) called.set(id, name);
        const content = message.value('content') === undefined ? '' : readContent(message, remote);
        if (content === '' && toolCalls.length === 0)
          throw message.wrong('content', 'a string, or tool_calls beside it');
        const thinking = message.text('reasoning_content') ?? message.text('reasoning');
        return {
          role,
          content,
          ...(toolCalls.length === 0 ? {} : { toolCalls }),
          ...(thinking === undefined ? {} : { thinking }),
        };
      }
      case 'tool': {
        const toolCallId = message.text('tool_call_id');
        if (toolCallId === undefined)
          throw message.wrong('tool_call_id', 'the id of the call that this is the result of');
        const name = message.text('name') ?? called.get(toolCallId);
        return { role, content: readContent(message, remote), toolCallId, ...(name === undefined ? {} : { name }) };
      }
      default:
        throw message.wrong('role', `one of ${ROLES.map((one) => `'${one}'`).join(', ')}`);
    }
  });
}

function readContent(message: Fields, remote: RemoteImages): string | readonly ContentPart[] {
  const content = message.value('content');
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw message.wrong('content', 'a string or an array of parts');
  return (message.objects('content') ?? []).map((part): ContentPart => {
    const type = part.text('type');
    switch (type) {
      case 'text':
      case 'refusal':
        return { type: 'text', value: part.text(type) ?? fail(part, type, 'a string') };
      case 'image_url':
        return { type: 'image', value: imageAddress(part, remote) };
      default:
        throw part.wrong('type', "'text' or 'image_url'");
    }
  });
}

function fail(fields: Fields, name: string, wanted: string): never {
  throw fields.wrong(name, wanted);
}

/** A data URL, or an address that the app allows. Never a path: in Node those would be this machine's files. */
function imageAddress(part: Fields, remote: RemoteImages): string {
  const image = part.object('image_url');
  const url = image?.text('url') ?? fail(part, 'image_url', "an object with 'url'");
  if (/^data:image\//i.test(url)) return url;
  const param = part.path('image_url.url');
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (address === undefined || !/^https?:$/.test(address.protocol))
    throw refusal(400, `Invalid value for '${param}': expected a data URL of an image`, {
      param,
      code: 'invalid_image_url',
    });
  if (remote === false || (remote !== true && !remote(address)))
    throw refusal(
      400,
      `Pictures from other servers are not fetched here: send '${param}' as a data URL (data:image/png;base64,...)`,
      { param, code: 'invalid_image_url' },
    );
  return address.href;
}

function readCalls(message: Fields): readonly ToolCall[] {
  return (message.objects('tool_calls') ?? []).map((call) => {
    const made = call.object('function');
    const name = made?.text('name') ?? fail(call, 'function', "an object with 'name' and 'arguments'");
    const text = made?.text('arguments') ?? '{}';
    const id = call.text('id');
    let args: unknown;
    try {
      args = JSON.parse(text === '' ? '{}' : text);
    } catch {
      throw call.wrong('function.arguments', 'JSON');
    }
    return { name, arguments: args, ...(id === undefined ? {} : { id }) };
  });
}
