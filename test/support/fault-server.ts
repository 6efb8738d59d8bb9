/** A server in OpenAI's shape that answers each request as a test says, faults included. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, unknown>>;
}

export interface FaultServer {
  readonly baseURL: string;
  readonly asked: Asked[];
  /** What answers the next requests to chats, in order; the last goes on. Lists of models are always answered. */
  answer(...answers: readonly ((response: ServerResponse, asked: Asked) => unknown)[]): void;
  /** How often a client has closed the connection before the answer's end. */
  readonly left: () => number;
  close(): Promise<void>;
}

export async function faultServer(): Promise<FaultServer> {
  const asked: Asked[] = [];
  let answers: ((response: ServerResponse, asked: Asked) => unknown)[] = [];
  let left = 0;
  const reply = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = (text === '' ? {} : JSON.parse(text)) as Asked['body'];
    const path = incoming.url ?? '';
    if (path === '/v1/models') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ data: [{ id: 'tiny', max_model_len: 4096 }] }));
      return;
    }
    const one = { path, headers: incoming.headers, body };
    asked.push(one);
    response.on('close', () => {
      if (!response.writableFinished) left++;
    });
    const [next, ...rest] = answers;
    if (rest.length > 0) answers = rest;
    await next?.(response, one);
  };
  const server = createServer((incoming, response) => {
    reply(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    asked,
    answer: (...given) => {
      answers = [...given];
    },
    left: () => left,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The events of an answer with this text, in pieces. */
export function events(pieces: readonly string[], finish = 'stop', end = '\n\n'): string {
  const chunk = (delta: object, reason: string | null): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: reason }] })}${end}`;
  const usage = { prompt_tokens: 7, completion_tokens: pieces.length, prompt_tokens_details: { cached_tokens: 2 } };
  return [
    chunk({ role: 'assistant', content: '' }, null),
    ...pieces.map((content) => chunk({ content }, null)),
    chunk({}, finish),
    `data: ${JSON.stringify({ choices: [], usage })}${end}`,
    `data: [DONE]${end}`,
  ].join('');
}

/** The events up to the first of these pieces: an answer that goes on, for all a client knows. */
export function begun(first: string): string {
  const whole = events([first]);
  return whole.slice(0, whole.indexOf('data:', whole.indexOf(first)));
}

export function stream(response: ServerResponse, text = ''): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if (text !== '') response.write(text);
  return response;
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
