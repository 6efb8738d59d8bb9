/** The session behind a conversation: kept from the last call where the new call goes on with it. */
import type { ContentPart, Message, OctavoModel, SessionOptions } from '../public.ts';
import type { Call } from './call.ts';

/** What the provider needs of a model: an `OctavoModel`, or anything shaped like one. */
export type ChatModel = Pick<OctavoModel, 'createSession' | 'name'>;

/** What applies where a call says nothing. */
export type SessionDefaults = Pick<
  SessionOptions,
  | 'temperature'
  | 'topK'
  | 'topP'
  | 'minP'
  | 'repetitionPenalty'
  | 'presencePenalty'
  | 'seed'
  | 'maxTokens'
  | 'stop'
  | 'thinking'
  | 'context'
>;

export type ChatSession = Awaited<ReturnType<ChatModel['createSession']>>;

/** The last session of each model and the conversation that it holds. Only one is kept, since a conversation that has ended would hold memory. */
const kept = new WeakMap<ChatModel, { readonly session: ChatSession; readonly past: string }>();

/** Identifies a conversation and the session settings; files are identified by their bytes. */
async function pastOf(defaults: SessionDefaults, messages: readonly Message[]): Promise<string> {
  const plain = messages.map(async ({ role, content, ...rest }) => [
    role,
    rest,
    typeof content === 'string' ? content : (await Promise.all(content.map(nameOf))).join(''),
  ]);
  return JSON.stringify([defaults, ...(await Promise.all(plain))]);
}

async function nameOf({ type, value }: ContentPart): Promise<string> {
  if (type === 'text') return String(value);
  const bytes = value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
  // Pages without a secure context have no digests: there the bytes stand for themselves.
  const name = globalThis.crypto?.subtle
    ? new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
    : bytes;
  return `\0${type} ${name.join(' ')}\0`;
}

/** Returns a session that holds exactly the call's history: the kept one, or a new one. No other call uses it until `keep`. */
export async function open(
  model: ChatModel,
  defaults: SessionDefaults,
  call: Call,
): Promise<{ readonly session: ChatSession; readonly fresh: boolean }> {
  const last = kept.get(model);
  kept.delete(model);
  if (last !== undefined && last.past === (await pastOf(defaults, call.history)))
    return { session: last.session, fresh: false };
  last?.session.destroy();
  const { signal } = call.options;
  const session = await model.createSession({
    ...defaults,
    initialPrompts: call.history,
    ...(signal === undefined ? {} : { signal }),
  });
  return { session, fresh: true };
}

export async function keep(
  model: ChatModel,
  defaults: SessionDefaults,
  call: Call,
  session: ChatSession,
  answer: Message,
): Promise<void> {
  const past = await pastOf(defaults, [...call.history, ...call.last, answer]);
  kept.get(model)?.session.destroy();
  kept.set(model, { session, past });
}
