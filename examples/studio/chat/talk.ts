/**
 * The conversation that is open. A question is kept before it is answered, and an answer while it is written, so that a reload, or a browser that ends the page for its
 * memory, loses nothing: the answer to an open question begins again by itself.
 */
import {
  Octavo,
  type ContentPart,
  type ContextPreset,
  type Message as ModelMessage,
  type OctavoModel,
  type OctavoSession,
} from 'octavo';
import { visible } from '../../common/device/visibility.ts';
import { Observable } from '../../common/observable.ts';
import { isAbort } from '../../common/problem.ts';
import { holder, isNano, screenLock, settings } from '../context.ts';
import type { Photo } from '../pictures/raster.ts';
import { chats, keepChat, newChat, sessionOf, type Chat, type Measured, type Message } from './chats.ts';

export interface TalkState {
  readonly chat: Chat;
  /** What is being written; undefined when nothing is. */
  readonly answering: { readonly text: string; readonly read: number } | undefined;
  /** Why the last question was not answered. */
  readonly problem: unknown;
  /** The picture that goes with the next question. */
  readonly attached: Photo | undefined;
}

/** The fewest tokens over which the time of reading one is measured. */
const LEAST_READ = 16;

interface Held {
  readonly session: OctavoSession;
  readonly chat: string;
  readonly messages: number;
  readonly share: number;
  readonly preset: ContextPreset;
  readonly model: OctavoModel;
}

class Talk {
  readonly state = new Observable<TalkState>({
    chat: newChat(),
    answering: undefined,
    problem: undefined,
    attached: undefined,
  });
  #held: Held | undefined;
  #abort: AbortController | undefined;
  /** The picture that is read before its question is asked. */
  #reading: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;

  constructor() {
    holder.state.subscribe(({ model }) => {
      if (this.#held !== undefined && this.#held.model !== model) this.#held = undefined;
      if (model !== undefined) this.#answerOpen();
    });
  }

  /** Opens the conversation that was open before, or a new one. */
  start(): void {
    const { chat } = settings.value;
    this.show(chats.value.find(({ id }) => id === chat) ?? newChat());
  }

  show(chat: Chat): void {
    this.stop();
    this.#reading?.abort.abort();
    this.#change({ chat, problem: undefined, answering: undefined });
    settings.set({ chat: chat.id });
    this.#answerOpen();
  }

  /** A new conversation. */
  fresh(): void {
    this.show(newChat());
  }

  attach(photo: Photo | undefined): void {
    this.#change({ attached: photo });
    this.#reading?.abort.abort();
    const { model } = holder;
    const { chat, answering } = this.state.value;
    if (photo === undefined || model === undefined || answering !== undefined || !model.capabilities.see) return;
    const abort = new AbortController();
    const picture: Message = { id: '', role: 'user', text: '', picture: photo };
    this.#reading = { abort, ended: this.#readAhead(model, chat, picture, this.#reading?.ended, abort.signal) };
  }

  /** Reads a picture while its question is written. */
  async #readAhead(
    model: OctavoModel,
    chat: Chat,
    picture: Message,
    before: Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await before;
    try {
      const session = await this.#session(model, chat, chat.messages, signal);
      if (this.#held?.session === session) this.#held = { ...this.#held, messages: chat.messages.length };
      await session.prefill([toModel(picture, model)], { signal });
    } catch (error) {
      // What goes wrong here goes wrong again with the question, and is told then.
      if (isAbort(error)) return;
      this.#held?.session.destroy();
      this.#held = undefined;
    }
  }

  /** What was read of a picture stays in the session; what is left of it is read with the question. */
  async #endReading(): Promise<void> {
    this.#reading?.abort.abort();
    await this.#reading?.ended;
    this.#reading = undefined;
  }

  stop(): void {
    this.#abort?.abort();
  }

  async ask(text: string): Promise<void> {
    const { attached, answering, chat } = this.state.value;
    if (answering !== undefined || holder.model === undefined) return;
    const question: Message = { id: crypto.randomUUID(), role: 'user', text, ...(attached && { picture: attached }) };
    const asked: Chat = { ...chat, updated: Date.now(), messages: [...chat.messages, question] };
    this.#change({ attached: undefined, answering: { text: '', read: 0 } });
    // A question that is seen has been kept: it is there after a reload at any moment. Where nothing can be kept, it is asked all the same.
    await keepChat(asked).catch(() => undefined);
    if (this.state.value.chat !== chat) return;
    this.#change({ chat: asked, answering: undefined });
    await this.#answer();
  }

  /** Answers the last question anew. */
  async again(): Promise<void> {
    const { chat, answering } = this.state.value;
    if (answering !== undefined) return;
    const last = chat.messages.at(-1);
    if (last?.role === 'assistant') this.#set({ ...chat, messages: chat.messages.slice(0, -1) });
    await this.#answer();
  }

  /** The time that reading a token took, as far as it is known. */
  get perToken(): number | undefined {
    const { measured } =
      this.state.value.chat.messages.findLast(({ measured }) => (measured?.read ?? 0) >= LEAST_READ) ?? {};
    return measured && measured.prefill / measured.read;
  }

  #answerOpen(): void {
    const { chat, answering } = this.state.value;
    if (answering === undefined && holder.model !== undefined && chat.messages.at(-1)?.role === 'user')
      void this.#answer();
  }

  async #answer(): Promise<void> {
    const { model } = holder;
    const { chat } = this.state.value;
    const question = chat.messages.at(-1);
    if (model === undefined || question?.role !== 'user' || this.state.value.answering !== undefined) return;
    const abort = new AbortController();
    this.#abort = abort;
    const { signal } = abort;
    this.#change({ answering: { text: '', read: 0 }, problem: undefined });
    let text = '';
    try {
      await screenLock.during(settings.value.awake, async () => {
        const before = chat.messages.slice(0, -1);
        await this.#endReading();
        const session = await this.#session(model, chat, before, signal);
        const begun = performance.now();
        let first = 0;
        const stream = session.promptStreaming([toModel(question, model)], {
          signal,
          aborted: 'keep',
          onPrefill: (done, total) => this.#change({ answering: { text, read: total === 0 ? 1 : done / total } }),
        });
        let shown = 0;
        for await (const piece of stream) {
          if (first === 0) first = performance.now() - begun;
          text += piece;
          // At most one rendering a frame.
          if (performance.now() - shown > 16) {
            shown = performance.now();
            this.#change({ answering: { text, read: 1 } });
          }
          if (!visible.value) await whenVisible(signal);
        }
        const report = await stream.finished;
        const measured: Measured = {
          first,
          rate: report.rate.decode,
          read: report.tokens.prompt - report.tokens.cached,
          prefill: report.time.prefill,
          usage: session.contextUsage,
        };
        this.#finish(chat.id, { id: crypto.randomUUID(), role: 'assistant', text, measured });
        await this.#save(session, model);
      });
    } catch (error) {
      if (this.#held?.chat === chat.id) {
        this.#held.session.destroy();
        this.#held = undefined;
      }
      // Of a conversation that was left nothing more is told.
      if (this.state.value.chat.id !== chat.id) return;
      if (!isAbort(error)) this.#change({ answering: undefined, problem: error });
      else this.#finish(chat.id, { id: crypto.randomUUID(), role: 'assistant', text, stopped: true });
    } finally {
      if (this.#abort === abort) this.#abort = undefined;
    }
  }

  #finish(chat: string, message: Message): void {
    if (this.state.value.chat.id !== chat) return;
    this.#change({ answering: undefined });
    this.#add(message);
  }

  /** The session that has read what was said: the one in use, the one that was saved, or a new one that reads it again. */
  async #session(
    model: OctavoModel,
    chat: Chat,
    before: readonly Message[],
    signal: AbortSignal,
  ): Promise<OctavoSession> {
    const { preset } = settings.value;
    const share = model.capabilities.see ? settings.value.share : 1;
    const fitting = (one: { share: number; preset: ContextPreset; messages: number } | undefined): boolean =>
      one?.share === share && one.preset === preset && one.messages === before.length;
    const held = this.#held;
    if (held?.chat === chat.id && fitting(held)) return held.session;
    held?.session.destroy();
    this.#held = undefined;
    const { saved } = chat;
    const fits = saved?.fingerprint === model.fingerprint && fitting(saved);
    let session = fits ? await model.resumeSession(sessionOf(chat.id), { signal }).catch(() => undefined) : undefined;
    session ??= await model.createSession({
      signal,
      ...(isNano() && { temperature: 0 }),
      ...(before.length > 0 && { initialPrompts: before.map((message) => toModel(message, model)) }),
      context: { preset, ...(share < 1 && { visual: { method: 'todre', keep: share } }) },
    });
    // The question and its answer come on top.
    this.#held = { session, chat: chat.id, messages: before.length + 2, share, preset, model };
    return session;
  }

  async #save(session: OctavoSession, model: OctavoModel): Promise<void> {
    const { chat } = this.state.value;
    const held = this.#held;
    if (held?.session !== session || held.chat !== chat.id) return;
    try {
      await session.save(sessionOf(chat.id));
      // The conversation may have been removed meanwhile.
      if (!chats.value.some(({ id }) => id === chat.id)) await Octavo.sessions.remove(sessionOf(chat.id));
      const now = this.state.value.chat;
      if (now.id !== chat.id || now.messages.length !== held.messages) return;
      const { share, preset, messages } = held;
      this.#set({ ...now, saved: { fingerprint: model.fingerprint, share, preset, messages } });
    } catch {
      // Without it, the conversation is read again after a reload.
    }
  }

  #add(message: Message): void {
    const { chat } = this.state.value;
    this.#set({ ...chat, updated: Date.now(), messages: [...chat.messages, message] });
  }

  #set(chat: Chat): void {
    this.#change({ chat });
    if (chat.messages.length > 0) void keepChat(chat);
  }

  #change(change: Partial<TalkState>): void {
    this.state.value = { ...this.state.value, ...change };
  }
}

/** A model that reads text only is not shown the pictures of earlier messages. */
function toModel({ role, text, picture }: Message, model: OctavoModel): ModelMessage {
  if (picture === undefined || !model.capabilities.see) return { role, content: text };
  const content: ContentPart[] = [
    { type: 'image', value: picture.blob },
    { type: 'text', value: text },
  ];
  return { role, content };
}

function whenVisible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = visible.subscribe((now) => {
      if (now) done();
    });
    const done = (): void => {
      end();
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done);
  });
}

export const talk = new Talk();
