/**
 * A prompt that is read before it is asked, in a session that answers it afterwards: it goes on from the token where the two differ, where sessions that share a
 * beginning share whole pages only.
 */
import type { AnsweringModel, AnsweringSession } from './model.ts';

type SessionOptions = Parameters<AnsweringModel['createSession']>[0];

/** A prompt and how it is read. */
export interface AheadPrompt {
  readonly model: AnsweringModel;
  readonly options: SessionOptions;
  readonly text: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with the tokens that were read, and with those of the prompt that are to be read. */
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
}

interface Reading {
  readonly prompt: AheadPrompt;
  readonly abort: AbortController;
  /** Who is told how far it has come: whoever waits for it. */
  readonly tell: { call: AheadPrompt['onPrefill'] };
  /** Resolves when it has ended in whatever way. */
  ended: Promise<void>;
}

const keyOf = (options: SessionOptions): string => JSON.stringify({ ...options, signal: undefined });
const sameSession = (a: AheadPrompt, b: AheadPrompt): boolean =>
  a.model === b.model && keyOf(a.options) === keyOf(b.options);
const samePrompt = (a: AheadPrompt, b: AheadPrompt): boolean => a.text === b.text && sameSession(a, b);

/** Holds one session at most; `close` frees it. */
export class Ahead {
  #held: { readonly prompt: AheadPrompt; readonly session: AnsweringSession } | undefined;
  #reading: Reading | undefined;
  /** Increases with each call: of those that wait, only the newest goes on. */
  #calls = 0;
  #closed = false;

  /** Reads a prompt. Resolves when it is read, or when another prompt has taken its place; rejects with the error of the model. */
  async read(prompt: AheadPrompt): Promise<void> {
    const call = ++this.#calls;
    await this.#settled(prompt);
    if (call !== this.#calls) return;
    prompt.signal?.throwIfAborted();
    if (this.#held !== undefined && samePrompt(this.#held.prompt, prompt)) return;
    const session = await this.#session(prompt);
    // Another call has come meanwhile.
    if (call !== this.#calls) return session.destroy();
    const reading: Reading = {
      prompt,
      abort: new AbortController(),
      tell: { call: prompt.onPrefill },
      ended: Promise.resolve(),
    };
    const read = this.#read(session, reading);
    reading.ended = read.catch(() => undefined);
    this.#reading = reading;
    try {
      await read;
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  /**
   * The session that answers a prompt soonest, which the caller destroys: one that has read some of it, or a new one. A reading of the same prompt is waited for; of
   * another it ends.
   */
  async take(prompt: AheadPrompt): Promise<AnsweringSession> {
    const call = ++this.#calls;
    await this.#settled(prompt);
    prompt.signal?.throwIfAborted();
    // Of two questions at once, the newer one has it.
    return call === this.#calls ? this.#session(prompt) : prompt.model.createSession(prompt.options);
  }

  close(): void {
    this.#closed = true;
    this.#calls++;
    this.#reading?.abort.abort();
    this.#free();
  }

  /** Waits until nothing is read any more. */
  async #settled(prompt: AheadPrompt): Promise<void> {
    for (let reading = this.#reading; reading !== undefined; reading = this.#reading) {
      const { abort } = reading;
      const stop = (): void => abort.abort();
      if (samePrompt(reading.prompt, prompt)) {
        reading.tell.call = prompt.onPrefill;
        prompt.signal?.addEventListener('abort', stop, { once: true });
      } else stop();
      await reading.ended;
      prompt.signal?.removeEventListener('abort', stop);
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  /** The session that is held, if it was opened in the same way, and from now on the caller's; else a new one. */
  async #session(prompt: AheadPrompt): Promise<AnsweringSession> {
    const held = this.#held;
    if (held === undefined || !sameSession(held.prompt, prompt)) {
      this.#free();
      return prompt.model.createSession(prompt.options);
    }
    this.#held = undefined;
    return held.session;
  }

  async #read(session: AnsweringSession, { prompt, abort, tell }: Reading): Promise<void> {
    const { text, signal } = prompt;
    const stop = (): void => abort.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    let kept = true;
    try {
      await session.prefill(text, { signal: abort.signal, onPrefill: (done, total) => tell.call?.(done, total) });
    } catch (error) {
      // What was read before an abort serves the next prompt.
      kept = abort.signal.aborted;
      if (!kept || signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#free();
      if (kept && !this.#closed) this.#held = { prompt, session };
      else session.destroy();
    }
  }

  #free(): void {
    this.#held?.session.destroy();
    this.#held = undefined;
  }
}
