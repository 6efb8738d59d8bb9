/** A conversation as ids: turns rendered by the model's chat template, and how they follow on what the sequence holds already. */
import { renderChat } from '../text/chat-template.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Turn } from './messages.ts';

/** What a sequence holds. `text` is what the ids stand for, or undefined where no text stands for them exactly. */
export interface Transcript {
  readonly ids: Int32Array;
  readonly text: string | undefined;
}

export const NOTHING: Transcript = { ids: new Int32Array(0), text: undefined };

/** Immutable: an answer that fails leaves the conversation as it was. */
export class Conversation {
  readonly #tokenizer: Tokenizer;
  /** The first `initial` turns are never dropped. */
  readonly #initial: readonly Turn[];
  readonly #turns: readonly Turn[];

  constructor(tokenizer: Tokenizer, initial: readonly Turn[], turns: readonly Turn[] = []) {
    this.#tokenizer = tokenizer;
    this.#initial = initial;
    this.#turns = turns;
  }

  get empty(): boolean {
    return this.#initial.length + this.#turns.length === 0;
  }

  with(...turns: readonly Turn[]): Conversation {
    return new Conversation(this.#tokenizer, this.#initial, [...this.#turns, ...turns]);
  }

  /** Without the oldest exchange (everything up to the next question after an answer); undefined when nothing is left to drop. */
  withoutOldest(): Conversation | undefined {
    if (this.#turns.length === 0) return undefined;
    let end = this.#turns.findIndex((turn) => turn.role === 'assistant');
    end = end < 0 ? 0 : end;
    while (end < this.#turns.length && this.#turns[end]?.role === 'assistant') end++;
    if (end === 0) end = 1;
    return new Conversation(this.#tokenizer, this.#initial, this.#turns.slice(end));
  }

  /** The whole conversation, `more` included, as text. `answer` opens the assistant's turn with `prefix`. */
  render(more: readonly Turn[], answer: boolean, prefix = ''): string {
    const turns = [...this.#initial, ...this.#turns, ...more];
    const { facts } = this.#tokenizer;
    if (facts.chatTemplate === undefined) return plain(turns) + prefix;
    const name = (id: number | undefined): string => (id === undefined ? '' : this.#tokenizer.decode([id], { special: true }));
    const options = { addGenerationPrompt: answer, bosToken: name(facts.bos), eosToken: name(facts.eos[0]) };
    return renderChat(facts.chatTemplate, turns, options) + prefix;
  }
}

/** For base models, which know no turns: answers go on where the text before them ends, everything else begins a line. The model continues the last. */
function plain(turns: readonly Turn[]): string {
  return turns.map(({ role, content }, index) => (index === 0 || role === 'assistant' ? content : `\n${content}`)).join('');
}

/** Text to ids with BOS where the model asks for it and the text does not bring it. */
export function encodeContext(tokenizer: Tokenizer, text: string, special = true): Int32Array {
  const ids = tokenizer.encode(text, { special });
  const { addBos, bos } = tokenizer.facts;
  if (!addBos || bos === undefined || ids[0] === bos) return ids;
  const all = new Int32Array(ids.length + 1);
  all[0] = bos;
  all.set(ids, 1);
  return all;
}

/**
 * Ids of `text`, keeping the transcript's own ids where `text` goes on from it: an answer's ids as they were drawn are one of many ways
 * to write its text, and encoding it anew could change them and cost a second prefill. That is exact where the rest begins with a
 * special token, at which encoding splits in any case; else everything is encoded anew.
 */
export function followOn(tokenizer: Tokenizer, transcript: Transcript, text: string): Int32Array {
  const { ids, text: before } = transcript;
  if (before === undefined || before.length === 0 || !text.startsWith(before)) return encodeContext(tokenizer, text);
  const rest = text.slice(before.length);
  if (rest.length === 0) return ids;
  const more = tokenizer.encode(rest);
  const first = more[0];
  if (first === undefined || tokenizer.decode([first]) !== '' || !rest.startsWith(tokenizer.decode([first], { special: true }))) {
    return encodeContext(tokenizer, text);
  }
  const all = new Int32Array(ids.length + more.length);
  all.set(ids);
  all.set(more, ids.length);
  return all;
}

export interface Fit {
  /** What is left of the conversation. */
  readonly conversation: Conversation;
  readonly text: string;
  readonly ids: Int32Array;
}

/** What an overflow makes room to: with less room the next prompt would overflow again, and every overflow reads the whole context anew. */
const AFTER_OVERFLOW = 0.75;

/** Renders and encodes the conversation and `more`; where the ids leave less than `reserve` of `window`, the oldest exchanges are dropped. */
export function fit(
  tokenizer: Tokenizer,
  conversation: Conversation,
  transcript: Transcript,
  ask: { readonly more: readonly Turn[]; readonly answer: boolean; readonly prefix: string; readonly reserve: number; readonly window: number },
): Fit & { readonly dropped: boolean } {
  let most = ask.window - ask.reserve;
  for (let kept = conversation; ; ) {
    const text = kept.render(ask.more, ask.answer, ask.prefix);
    const ids = followOn(tokenizer, transcript, text);
    const shorter = ids.length > most ? kept.withoutOldest() : undefined;
    if (shorter === undefined) return { conversation: kept, text, ids, dropped: kept !== conversation };
    most = AFTER_OVERFLOW * (ask.window - ask.reserve);
    kept = shorter;
  }
}

/** How many ids `a` and `b` have in common from the start. */
export function commonPrefix(a: Int32Array, b: Int32Array): number {
  const least = Math.min(a.length, b.length);
  for (let i = 0; i < least; i++) if (a[i] !== b[i]) return i;
  return least;
}
