/** A session, and its messages as they can be shown, taken back, saved and read again. */
import type { ContentPart, Message } from '../../chat/messages.ts';
import type { AnswerPart } from '../../chat/tools.ts';
import type { OctavoModel } from '../../face/model.ts';
import type { OctavoSession } from '../../face/session.ts';
import type { AnswerReport, SessionSettings } from '../../generate/options.ts';

/** A message, as it is sent and saved. Pictures are given by their paths or addresses. */
export interface Said extends Message {
  readonly role: 'user' | 'assistant';
  /** The answer was stopped. */
  readonly stopped?: boolean;
}

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly onPart: (part: AnswerPart) => Promise<void>;
  readonly onPrefill: (done: number, total: number) => void;
}

export class Conversation {
  readonly model: OctavoModel;
  readonly #sampling: SessionSettings;
  #session: OctavoSession;
  #system: string | undefined;
  #said: readonly Said[] = [];
  #thinking: boolean | undefined;
  /** Answers to one question so far: another one needs another seed. */
  #attempts = 0;
  /** Called when messages left the context. */
  onOverflow: () => void = () => undefined;

  private constructor(
    model: OctavoModel,
    sampling: SessionSettings,
    system: string | undefined,
    session: OctavoSession,
  ) {
    this.model = model;
    this.#sampling = sampling;
    this.#system = system;
    this.#session = session;
  }

  static async begin(model: OctavoModel, sampling: SessionSettings, system: string | undefined): Promise<Conversation> {
    return new Conversation(model, sampling, system, await begun(model, sampling, system));
  }

  get said(): readonly Said[] {
    return this.#said;
  }
  get system(): string | undefined {
    return this.#system;
  }
  get session(): OctavoSession {
    return this.#session;
  }
  /** Whether models that think before they answer do; undefined for their template's own choice. */
  get thinking(): boolean | undefined {
    return this.#thinking;
  }
  set thinking(on: boolean | undefined) {
    this.#thinking = on;
  }

  /**
   * Asks, and resolves with the report of the answer; undefined where it was stopped: the conversation then keeps what
   * was said so far. Rejects, with the conversation as it was, where there is no answer.
   */
  async ask(content: Said['content'], { signal, onPart, onPrefill }: AskOptions): Promise<AnswerReport | undefined> {
    const question: Said = { role: 'user', content };
    let text = '';
    let thinking = '';
    const answered = (stopped: boolean): void => {
      const answer: Said = {
        role: 'assistant',
        content: text,
        ...(thinking !== '' && { thinking }),
        ...(stopped && { stopped }),
      };
      this.#said = [...this.#said, question, answer];
      this.#attempts++;
    };
    this.#session.oncontextoverflow = () => this.onOverflow();
    const { seed } = this.#sampling;
    const answer = this.#session.promptParts([question], {
      signal,
      onPrefill,
      aborted: 'keep',
      ...(this.#thinking !== undefined && { thinking: this.#thinking }),
      ...(seed !== undefined && { seed: seed + this.#attempts }),
    });
    try {
      for await (const part of answer) {
        if (part.type === 'text') text += part.text;
        if (part.type === 'thinking') thinking += part.text;
        await onPart(part);
      }
      const report = await answer.finished;
      answered(false);
      return report;
    } catch (error) {
      if (!signal.aborted) throw error;
      if (text !== '' || thinking !== '') answered(true);
      // Tokens may have been drawn that were not shown; the session keeps them.
      else await this.#restore(this.#said);
      return undefined;
    }
  }

  /** Begins anew. */
  async clear(): Promise<void> {
    await this.#restore([]);
  }

  /** Takes back the last question and its answer; returns the question, undefined where there is none. */
  async undo(): Promise<Said['content'] | undefined> {
    const at = this.#said.findLastIndex(({ role }) => role === 'user');
    const question = this.#said[at];
    if (question === undefined) return undefined;
    const attempts = this.#attempts;
    await this.#restore(this.#said.slice(0, at));
    this.#attempts = attempts;
    return question.content;
  }

  /** Replaces the system message; the conversation goes on. */
  async setSystem(system: string | undefined): Promise<void> {
    await this.#restore(this.#said, system);
  }

  /** Goes on with another conversation. */
  async replace(system: string | undefined, said: readonly Said[]): Promise<void> {
    await this.#restore(said, system);
  }

  destroy(): void {
    this.#session.destroy();
  }

  /** The old session ends only after the new one is read, which reuses what the two have in common. */
  async #restore(said: readonly Said[], system = this.#system): Promise<void> {
    const session = await begun(this.model, this.#sampling, system);
    try {
      if (said.length > 0) await session.append(said.map(plain));
    } catch (error) {
      session.destroy();
      throw error;
    }
    this.#session.destroy();
    this.#session = session;
    this.#system = system;
    this.#said = said;
    this.#attempts = 0;
  }
}

function begun(model: OctavoModel, sampling: SessionSettings, system: string | undefined): Promise<OctavoSession> {
  return model.createSession({
    ...sampling,
    ...(system !== undefined && { initialPrompts: [{ role: 'system', content: system }] }),
  });
}

function plain({ role, content, thinking }: Said): Message {
  return { role, content, ...(thinking !== undefined && { thinking }) };
}

/** The text of a message; its pictures are left out. */
export function textOf(content: Said['content']): string {
  if (typeof content === 'string') return content;
  return content.flatMap(({ type, value }) => (type === 'text' ? [String(value)] : [])).join('\n');
}

/** Paths or addresses of a message's pictures. */
export function picturesOf(content: Said['content']): string[] {
  const parts: readonly ContentPart[] = typeof content === 'string' ? [] : content;
  return parts.flatMap(({ type, value }) => (type === 'image' ? [String(value)] : []));
}
