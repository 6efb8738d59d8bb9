/** The engine's end of the wire for a model on a server: the page's sessions, streams, aborts and option checks are those of models on the device. */
import { InputError } from '../errors.ts';
import type { Answer } from '../generate/answer.ts';
import { readLogprobs } from '../generate/options.ts';
import type { SessionListener } from '../session.ts';
import type { AnswerInfo, EngineApi, ModelInfo, PromptEvent, SessionInfo } from '../worker/api.ts';
import type { Endpoint } from '../worker/protocol.ts';
import { respond, type CallContext } from '../worker/responder.ts';
import { Rounds } from '../worker/rounds.ts';
import { remoteAnswer } from './answer.ts';
import { answerBody } from './body.ts';
import { RemoteSession } from './session.ts';
import type { Server } from './settings.ts';
import { remoteEmbed, remoteRerank } from './texts.ts';

const NOTHING = {
  weights: 0,
  kv: 0,
  activations: 0,
  allocations: 0,
  pages: 0,
  pageBytes: 0,
  parked: { host: 0, disk: 0 },
};

/** What only a model on the device can do. */
function onDeviceOnly(call: string, why: string): () => never {
  return () => {
    throw new InputError('argument', `${call}: ${why}; load the model on the device`, { name: call });
  };
}

export function serveRemote(endpoint: Endpoint, server: Server, info: ModelInfo): void {
  const sessions = new Map<number, RemoteSession>();
  const rounds = new Rounds();
  let next = 1;
  const session = (id: number): RemoteSession => {
    const found = sessions.get(id);
    if (found === undefined) throw new InputError('destroyed', 'the session was destroyed; create another one');
    return found;
  };
  const add = (made: RemoteSession): SessionInfo => {
    const id = next++;
    sessions.set(id, made);
    return { session: id, usage: made.usage, window: info.contextWindow };
  };
  const saves = onDeviceOnly('save', 'the server keeps no session');
  const counts = onDeviceOnly('measureContextUsage', 'servers do not count tokens beforehand');
  const cancel = respond<EngineApi>(endpoint, {
    load: () => info,
    inspect: onDeviceOnly('inspect', 'servers have no headers of files'),
    recover: () => info,
    watch: (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    memory: () => NOTHING,
    free: () => {
      sessions.clear();
      cancel(() => true);
    },
    encode: onDeviceOnly('tokenize', 'servers do not tell how they divide text'),
    decode: onDeviceOnly('detokenize', 'servers do not tell how they divide text'),
    createSession: async ({ settings }) => add(await RemoteSession.create(server, info.name, settings)),
    saveSession: saves,
    resumeSession: saves,
    cloneSession: async ({ session: id }, { signal }) => add(await session(id).clone(signal)),
    destroySession: ({ session: id }) => {
      sessions.get(id)?.destroy();
      sessions.delete(id);
    },
    prompt: async ({ session: id, input, settings, runs }, context) => {
      const asked = session(id);
      const answer = await asked.prompt(input, settings, {
        ...listenerOf(context, (text) => context.item({ type: 'text', text })),
        onPart: (part) => context.item(part),
        tools: { names: new Set(runs), run: (calls) => rounds.ask(calls, context) },
      });
      return reported(answer, asked.usage);
    },
    giveResults: ({ round, results }) => rounds.give(round, results),
    append: async ({ session: id, input }, { signal }) => {
      await session(id).append(input, signal);
      return session(id).usage;
    },
    // What a server reads, it answers.
    prefill: async () => undefined,
    measure: counts,
    attribute: onDeviceOnly('ask', 'citations need the attention of the model, which servers do not tell'),
    complete: async ({ input, settings }, context) => {
      if (input.length === 0) throw new InputError('empty', 'the prompt is empty; give at least one character');
      if (settings.grammar !== undefined)
        throw new InputError('argument', 'responseConstraint: servers take it in chats; use a session', {
          name: 'responseConstraint',
        });
      if (readLogprobs(settings.logprobs) !== undefined)
        throw new InputError('argument', 'logprobs: servers tell them of chats; use a session', { name: 'logprobs' });
      const body = {
        ...answerBody(settings, server.base.hostname, info.name),
        prompt: typeof input === 'string' ? input : [...input],
      };
      const listener = listenerOf(context, (text) => context.item(text));
      const answer = await remoteAnswer(server, 'completions', body, listener, settings.aborted === 'keep');
      return reported(answer, answer.tokens.prompt + answer.tokens.generated);
    },
    embed: ({ texts, settings }, context) =>
      remoteEmbed(server, info.name, texts, settings, context.signal, (done, total) => context.event({ done, total })),
    rerank: ({ query, passages }, { signal }) => remoteRerank(server, info.name, query, passages, signal),
    score: onDeviceOnly('score', 'servers do not tell how likely a given text is'),
    keptTokens: onDeviceOnly('keptTokens', 'tokens of pictures are selected on the device'),
    paint: onDeviceOnly('paint', 'pictures are painted on the device'),
  });
}

function listenerOf(
  context: Pick<CallContext<PromptEvent>, 'signal' | 'event'>,
  onText: SessionListener['onText'],
): SessionListener {
  return {
    signal: context.signal,
    onText,
    onOverflow: () => context.event({ kind: 'overflow' }),
    onToken: (token) => context.event({ kind: 'token', token }),
  };
}

function reported({ text: _text, ...report }: Answer, usage: number): AnswerInfo {
  return { ...report, usage };
}
