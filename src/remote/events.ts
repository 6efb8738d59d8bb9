/** Server-sent events (WHATWG HTML, section 9.2), however the network cuts them. */
import { malformed, type Received } from './http.ts';
import type { Server } from './settings.ts';

/** Characters of one event: a piece of an answer with the likeliest tokens has some thousands. */
const MOST_EVENT = 1 << 22;

/** The data of each event. */
export async function* eventsOf({ chunks }: Received, server: Server, path: string): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  let length = 0;
  const bounded = (more: number): void => {
    length += more;
    if (length > MOST_EVENT) throw malformed(server, path, `sent an event of more than ${MOST_EVENT} characters`);
  };
  for await (const chunk of chunks()) {
    const text = rest + decoder.decode(chunk, { stream: true });
    // A carriage return at the end may be half of a line's end.
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? '') + text.slice(end);
    if (length + rest.length > MOST_EVENT) bounded(rest.length);
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield data.join('\n');
        data = [];
        length = 0;
        continue;
      }
      const [, name, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (name !== 'data') continue;
      bounded(value.length);
      data.push(value);
    }
  }
  // An event without its empty line is incomplete; servers that end with their last one are understood all the same.
  const last = /^data: ?(.*)$/s.exec(rest + decoder.decode())?.[1];
  if (last !== undefined) data.push(last);
  if (data.length > 0) yield data.join('\n');
}
