/** A conversation with a model on a server, which keeps nothing: all of it is sent with each prompt. */
import type { PromptInput } from '../chat/messages.ts';
import type { ToolResult } from '../chat/tools.ts';
import { InputError } from '../errors.ts';
import type { Answer } from '../generate/answer.ts';
import { DEFAULT_ROUNDS, inPlaceOf, type PromptSettings, type SessionSettings } from '../generate/options.ts';
import { Queue } from '../generate/queue.ts';
import type { Exchange } from '../generate/rounds.ts';
import type { SessionListener } from '../session.ts';
import { remoteAnswer } from './answer.ts';
import { chatBody, wireMessages, type WireMessage } from './body.ts';
import { malformed } from './http.ts';
import type { Server } from './settings.ts';

const PATH = 'chat/completions';

type Turns = readonly WireMessage[];

export class RemoteSession {
  /** Tokens of the context, as the server counted them last. */
  usage = 0;
  readonly #server: Server;
  readonly #model: string;
  readonly #settings: Omit<SessionSettings, 'initialPrompts'>;
  /** Never dropped. */
  readonly #initial: Turns;
  readonly #queue = new Queue();
  #turns: Turns = [];
  #destroyed = false;

  constructor(server: Server, model: string, settings: Omit<SessionSettings, 'initialPrompts'>, initial: Turns) {
    this.#server = server;
    this.#model = model;
    this.#settings = settings;
    this.#initial = initial;
  }

  static async create(
    server: Server,
    model: string,
    { initialPrompts = [], ...settings }: SessionSettings,
  ): Promise<RemoteSession> {
    const initial = initialPrompts.length === 0 ? [] : await wireMessages(initialPrompts);
    return new RemoteSession(server, model, settings, initial);
  }

  /** As that of a session on the device: after a failure or an abort the conversation is unchanged, unless it is to be kept. */
  prompt(input: PromptInput, settings: PromptSettings, listener: SessionListener): Promise<Answer> {
    const merged = inPlaceOf(this.#settings, settings);
    return this.#run(listener.signal, async () => {
      const asked = await wireMessages(input);
      const ask = (
        before: Turns,
        turns: Turns,
        heard: SessionListener,
        toolChoice = merged.toolChoice,
      ): Promise<Exchange<Turns, WireMessage>> => this.#exchange(before, turns, { ...merged, toolChoice }, heard);
      let done = await ask(this.#turns, asked, listener);
      const { tools } = listener;
      if (done.answer.finishReason === 'tool-calls' && tools !== undefined && tools.names.size > 0) {
        const { runRounds } = await import('../generate/rounds.ts');
        const turnOf = ({ id, name, content }: ToolResult): WireMessage => ({
          role: 'tool',
          tool_call_id: id,
          name,
          content,
        });
        const shown = {
          listener,
          tools,
          told: merged.tools ?? [],
          turnOf,
          most: merged.maxToolRounds ?? DEFAULT_ROUNDS,
        };
        done = await runRounds(done, shown, ({ conversation, turns }, heard, { toolChoice }) =>
          ask(conversation, turns, { ...listener, ...heard }, toolChoice),
        );
      }
      this.#turns = [...done.conversation, ...done.turns];
      const { tokens } = done.answer;
      this.usage = tokens.prompt + tokens.generated;
      return done.answer;
    });
  }

  append(input: PromptInput, signal: AbortSignal): Promise<void> {
    return this.#run(signal, async () => {
      this.#turns = [...this.#turns, ...(await wireMessages(input))];
    });
  }

  clone(signal: AbortSignal): Promise<RemoteSession> {
    return this.#run(signal, async () => {
      const copy = new RemoteSession(this.#server, this.#model, this.#settings, this.#initial);
      copy.#turns = this.#turns;
      copy.usage = this.usage;
      return copy;
    });
  }

  destroy(): void {
    this.#destroyed = true;
  }

  /** One answer. Where the server says that the prompt is too long, the oldest exchanges are dropped, as on the device. */
  async #exchange(
    before: Turns,
    asked: Turns,
    settings: PromptSettings,
    listener: SessionListener,
  ): Promise<Exchange<Turns, WireMessage>> {
    for (let conversation = before; ;) {
      const messages = [...this.#initial, ...conversation, ...asked];
      const body = chatBody(settings, messages, this.#server.base.hostname, this.#model);
      try {
        const answer = await remoteAnswer(this.#server, PATH, body, listener, settings.aborted === 'keep');
        if (settings.grammar !== undefined && answer.finishReason === 'stop') this.#isJson(answer.text);
        return { answer, conversation, turns: [...asked, answered(answer)] };
      } catch (error) {
        const shorter = withoutOldest(conversation);
        if (!(error instanceof InputError) || error.code !== 'too-long' || shorter === undefined) throw error;
        conversation = shorter;
        listener.onOverflow?.();
      }
    }
  }

  /** Some servers take no notice of `response_format`, and say nothing. */
  #isJson(text: string): void {
    try {
      JSON.parse(text);
    } catch {
      throw malformed(
        this.#server,
        PATH,
        'the answer is no JSON, though responseConstraint asks for it: this server does not support response_format',
      );
    }
  }

  #run<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    return this.#queue.run(signal, async () => {
      if (this.#destroyed) throw new InputError('destroyed', 'the session was destroyed; create another one');
      return body();
    });
  }
}

function answered({ text, toolCalls = [] }: Answer): WireMessage {
  const calls = toolCalls.map(({ id, name, arguments: args }) => ({
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(args) },
  }));
  return calls.length === 0
    ? { role: 'assistant', content: text }
    : { role: 'assistant', content: text === '' ? null : text, tool_calls: calls };
}

/** Without everything up to the second question; undefined where nothing is left to drop. */
function withoutOldest(turns: Turns): Turns | undefined {
  if (turns.length === 0) return undefined;
  const next = turns.findIndex(({ role }, index) => index > 0 && role === 'user');
  return next < 0 ? [] : turns.slice(next);
}
