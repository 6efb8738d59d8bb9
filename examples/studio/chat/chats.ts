/** Conversations as they are kept: messages with their pictures. What was computed for one is kept by the package, as a saved session of the chat's name. */
import { Octavo, type ContextPreset } from 'octavo';
import { Observable } from '../../common/observable.ts';
import type { Photo } from '../pictures/raster.ts';
import { isRecord, Shelf } from '../store/shelf.ts';

export interface Message {
  readonly id: string;
  readonly role: 'user' | 'assistant';
  /** As the model wrote it; nano begins with a space. */
  readonly text: string;
  readonly picture?: Photo | undefined;
  /** Of an answer: it was ended before it was complete. */
  readonly stopped?: boolean | undefined;
  readonly measured?: Measured | undefined;
}

/** What an answer took. */
export interface Measured {
  /** Milliseconds to the first word, and tokens a second. */
  readonly first: number;
  readonly rate: number;
  /** Tokens that were read after the question was asked, and the milliseconds that it took. */
  readonly read: number;
  readonly prefill: number;
  /** Tokens of the context. */
  readonly usage: number;
}

export interface Chat {
  readonly id: string;
  readonly updated: number;
  readonly messages: readonly Message[];
  /** The model whose session was saved, the share of pictures that it reads, how its context is kept, and after how many messages. */
  readonly saved?:
    | {
        readonly fingerprint: string;
        readonly share: number;
        readonly preset: ContextPreset;
        readonly messages: number;
      }
    | undefined;
}

function isChat(value: unknown): value is Chat {
  return (
    isRecord(value) &&
    typeof value['id'] === 'string' &&
    typeof value['updated'] === 'number' &&
    Array.isArray(value['messages']) &&
    value['messages'].every((one) => isRecord(one) && typeof one['text'] === 'string' && typeof one['id'] === 'string')
  );
}

const shelf = new Shelf<Chat>('chats', isChat);

/** The newest first. */
export const chats = new Observable<readonly Chat[]>([]);

export function newChat(): Chat {
  return { id: crypto.randomUUID(), updated: Date.now(), messages: [] };
}

export async function openChats(): Promise<void> {
  chats.value = [...(await shelf.all())].sort((a, b) => b.updated - a.updated);
}

export async function keepChat(chat: Chat): Promise<void> {
  const others = chats.value.filter(({ id }) => id !== chat.id);
  chats.value = [chat, ...others].sort((a, b) => b.updated - a.updated);
  await shelf.put(chat.id, chat);
}

/** Takes a conversation away, and returns what puts it back. */
export async function removeChat(id: string): Promise<() => Promise<void>> {
  const gone = chats.value.find((one) => one.id === id);
  chats.value = chats.value.filter((one) => one.id !== id);
  await shelf.remove(id);
  await Octavo.sessions.remove(sessionOf(id)).catch(() => undefined);
  return async () => {
    if (gone !== undefined) await keepChat({ ...gone, saved: undefined });
  };
}

export async function removeAllChats(): Promise<void> {
  for (const { id } of chats.value) await removeChat(id);
}

export function sessionOf(chat: string): string {
  return `studio ${chat}`;
}

/** The first words of a conversation. */
export function titleOf({ messages }: Chat): string {
  const words = messages.find(({ role, text }) => role === 'user' && text.trim() !== '')?.text ?? '';
  return words.replace(/\s+/g, ' ').trim().slice(0, 80);
}
