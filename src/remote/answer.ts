/** One answer of a server, piece by piece. What a server sends may have any shape. */
import type { AnsweredCall } from '../chat/tools.ts';
import type { Answer, AnswerListener } from '../generate/answer.ts';
import { ratesOf, type FinishReason, type LikelyToken, type TokenLogProb } from '../generate/options.ts';
import { eventsOf } from './events.ts';
import { malformed, parsed, refused, send, textOf, type Received } from './http.ts';
import type { Server } from './settings.ts';

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const membersOf = (value: unknown): Members => (isObject(value) ? value : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textIn = (value: unknown): string => (typeof value === 'string' ? value : '');
const countIn = (value: unknown): number =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : 0;

/** Calls of tools in one answer: more are a server that is out of its mind. */
const MOST_CALLS = 128;

interface Call {
  readonly id: string;
  readonly name: string;
  args: string;
}

/** What came of an answer so far. */
class Coming {
  text = '';
  thinking = '';
  reason: string | undefined;
  tokens = { prompt: 0, cached: 0, generated: 0 };
  first: number | undefined;
  readonly calls: Call[] = [];
  readonly #listener: AnswerListener;
  readonly #server: Server;
  readonly #path: string;

  constructor(listener: AnswerListener, server: Server, path: string) {
    this.#listener = listener;
    this.#server = server;
    this.#path = path;
  }

  async take(chunk: unknown): Promise<void> {
    if (!isObject(chunk)) throw malformed(this.#server, this.#path, 'sent an event that is no object');
    const { error, usage } = chunk;
    if (error !== undefined && error !== null) throw this.#problem(error);
    this.#count(membersOf(usage));
    const choice = membersOf(listOf(chunk['choices'])[0]);
    // A server that does not stream sends the whole message; completions have their text beside it.
    const delta = membersOf(choice['delta'] ?? choice['message']);
    for (const token of listOf(membersOf(choice['logprobs'])['content']))
      this.#listener.onToken?.(tokenOf(membersOf(token)));
    await this.#think(textIn(delta['reasoning_content']) || textIn(delta['reasoning']));
    await this.#say(textIn(delta['content']) || textIn(choice['text']));
    for (const call of listOf(delta['tool_calls'])) await this.#call(membersOf(call));
    this.reason = textIn(choice['finish_reason']) || this.reason;
  }

  /** The calls, whose arguments are complete. */
  async finished(): Promise<readonly AnsweredCall[]> {
    const made = this.calls.map(({ id, name, args }): AnsweredCall => {
      const value = parsed(this.#server, this.#path, args === '' ? '{}' : args);
      if (!isObject(value)) throw malformed(this.#server, this.#path, `sent arguments of ${name} that are no object`);
      return { id, name, arguments: value };
    });
    for (const call of made) await this.#listener.onPart?.({ type: 'tool-call', ...call });
    return made;
  }

  #problem(error: unknown): Error {
    const { code } = membersOf(error);
    return refused(this.#server, this.#path, typeof code === 'number' ? code : 500, JSON.stringify({ error }));
  }

  #count(usage: Members): void {
    const prompt = countIn(usage['prompt_tokens']);
    if (prompt === 0) return;
    const cached = countIn(membersOf(usage['prompt_tokens_details'])['cached_tokens']);
    this.tokens = { prompt, cached, generated: countIn(usage['completion_tokens']) };
  }

  async #say(text: string): Promise<void> {
    if (text === '') return;
    this.first ??= performance.now();
    this.text += text;
    await this.#listener.onText?.(text);
  }

  async #think(text: string): Promise<void> {
    if (text === '') return;
    this.first ??= performance.now();
    this.thinking += text;
    await this.#listener.onPart?.({ type: 'thinking', text });
  }

  async #call(call: Members): Promise<void> {
    this.first ??= performance.now();
    const { name, arguments: args } = membersOf(call['function']);
    const index = typeof call['index'] === 'number' ? call['index'] : this.calls.length;
    let made = this.calls[index];
    if (made === undefined) {
      if (index !== this.calls.length || index >= MOST_CALLS || textIn(name) === '')
        throw malformed(this.#server, this.#path, 'sent a piece of a call that has not begun');
      made = { id: textIn(call['id']) || `call_${index}`, name: textIn(name), args: '' };
      this.calls.push(made);
      await this.#listener.onPart?.({ type: 'tool-call-start', id: made.id, name: made.name });
    }
    const delta = isObject(args) ? JSON.stringify(args) : textIn(args);
    made.args += delta;
    if (delta !== '') await this.#listener.onPart?.({ type: 'tool-call-delta', id: made.id, delta });
  }
}

const utf8 = new TextEncoder();

/** Servers do not tell a token's number: it is -1. */
function likely({ token, logprob, bytes }: Members): LikelyToken {
  const text = textIn(token);
  const given = listOf(bytes).filter((byte) => typeof byte === 'number');
  return {
    id: -1,
    text,
    bytes: given.length > 0 ? given : [...utf8.encode(text)],
    logprob: typeof logprob === 'number' ? logprob : NaN,
  };
}

const tokenOf = (token: Members): TokenLogProb => ({
  ...likely(token),
  top: listOf(token['top_logprobs']).map((one) => likely(membersOf(one))),
});

/**
 * Asks for an answer and hands it on. Rejects as `send` does, and with `StorageError('network')` for an answer that ends before its end. With
 * `keep` an abort after the first piece resolves with what had come, marked as partial.
 */
export async function remoteAnswer(
  server: Server,
  path: string,
  body: object,
  listener: AnswerListener,
  keep: boolean,
): Promise<Answer> {
  const begun = performance.now();
  const coming = new Coming(listener, server, path);
  const report = (finishReason: FinishReason, more: Partial<Answer> = {}): Answer => {
    const { text, thinking, tokens, first = begun } = coming;
    const time = { prefill: first - begun, decode: performance.now() - first };
    const rate = ratesOf({ answers: 1, tokens, time });
    return { text, ids: [], ...(thinking === '' ? {} : { thinking }), finishReason, tokens, time, rate, ...more };
  };
  let received: Received | undefined;
  try {
    received = await send(server, path, body, listener.signal);
    if (!(await read(received, coming, server, path)))
      throw malformed(server, path, 'the answer ended before its end; ask again');
  } catch (error) {
    const aborted = listener.signal?.aborted === true && error === listener.signal.reason;
    if (!keep || !aborted || coming.text === '') throw error;
    return report('length', { partial: true });
  } finally {
    received?.cancel();
  }
  const toolCalls = await coming.finished();
  if (toolCalls.length > 0) return report('tool-calls', { toolCalls });
  return report(coming.reason === 'length' ? 'length' : 'stop');
}

/** Whether the answer came to its end. */
async function read(received: Received, coming: Coming, server: Server, path: string): Promise<boolean> {
  if (/^application\/json/i.test(received.type)) {
    await coming.take(parsed(server, path, await textOf(received, server, path)));
    return coming.reason !== undefined;
  }
  if (/^text\/html/i.test(received.type)) throw malformed(server, path, 'answered with a web page; check baseURL');
  for await (const data of eventsOf(received, server, path)) {
    if (data.trim() === '[DONE]') return true;
    await coming.take(parsed(server, path, data));
  }
  // Some servers leave out the mark of the end.
  return coming.reason !== undefined;
}
