/** The answers of one request, one after the other, as they come. */
import type { AnswerPart } from '../chat/tools.ts';
import type { AnswerReport, TokenLogProb } from '../generate/options.ts';

/** A part of the answer with this number, with the tokens of its text where they are asked for, or its end. */
export type ChoiceEvent =
  | { readonly index: number; readonly part: AnswerPart; readonly tokens: readonly TokenLogProb[] }
  | { readonly index: number; readonly report: AnswerReport };

interface AnswerStream extends AsyncIterable<AnswerPart | string> {
  readonly finished: Promise<AnswerReport>;
}

/** Begins the answer with this number; tokens are told to `onToken` before the text that they complete. */
export type Begin = (index: number, onToken: (token: TokenLogProb) => void) => Promise<AnswerStream>;

export async function* choices(count: number, begin: Begin): AsyncGenerator<ChoiceEvent, void> {
  for (let index = 0; index < count; index++) {
    const tokens = new TokensOfText();
    const answer = await begin(index, (token) => tokens.push(token));
    for await (const item of answer) {
      const part = typeof item === 'string' ? ({ type: 'text', text: item } as const) : item;
      yield { index, part, tokens: part.type === 'text' ? tokens.take(part.text) : [] };
    }
    yield { index, report: await answer.finished };
  }
}

const utf8 = new TextEncoder();

/**
 * Gives each token with the text in which it begins. Tokens that are no part of the text (thoughts, calls of tools and the marks around them, a stop
 * string) are left out: the text goes on with the first token from which on the bytes agree.
 */
class TokensOfText {
  readonly #waiting: TokenLogProb[] = [];
  /** Bytes of the last token that belong to the text to come. */
  #over: readonly number[] = [];

  push(token: TokenLogProb): void {
    if (token.bytes.length > 0) this.#waiting.push(token);
  }

  take(text: string): readonly TokenLogProb[] {
    let rest = [...utf8.encode(text)];
    const shared = Math.min(rest.length, this.#over.length);
    const goesOn = this.#over.slice(0, shared).every((byte, i) => byte === rest[i]);
    if (goesOn) rest = rest.slice(shared);
    this.#over = goesOn ? this.#over.slice(shared) : [];
    const first = this.#waiting.findIndex((_, start) => this.#agrees(start, rest));
    if (rest.length === 0 || first < 0) return [];
    let covered = 0;
    let end = first;
    for (; end < this.#waiting.length && covered < rest.length; end++) covered += this.#waiting[end]?.bytes.length ?? 0;
    const taken = this.#waiting.splice(0, end).slice(first);
    this.#over = taken.at(-1)?.bytes.slice(-(covered - rest.length) || Infinity) ?? [];
    return taken;
  }

  /** Whether the tokens from `start` on spell `bytes`, as far as both go. */
  #agrees(start: number, bytes: readonly number[]): boolean {
    let at = 0;
    for (let i = start; i < this.#waiting.length && at < bytes.length; i++)
      for (const byte of this.#waiting[i]?.bytes ?? []) {
        if (at < bytes.length && byte !== bytes[at]) return false;
        at++;
      }
    return true;
  }
}

/** Why an answer ended, in OpenAI's words. One that repeated itself was cut. */
export function finishReason({ finishReason: reason }: AnswerReport): 'stop' | 'length' | 'tool_calls' {
  if (reason === 'tool-calls') return 'tool_calls';
  return reason === 'stop' ? 'stop' : 'length';
}

/** The tokens of a request: its prompt was read once, whatever the number of answers. */
export class Usage {
  #prompt = 0;
  #cached = 0;
  #generated = 0;
  /** Answers are made one after the other: the first of a prompt tells what of it was cached. */
  add({ tokens }: AnswerReport, first: boolean): void {
    if (first) {
      this.#prompt += tokens.prompt;
      this.#cached += tokens.cached;
    }
    this.#generated += tokens.generated;
  }

  get body(): object {
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#generated,
      total_tokens: this.#prompt + this.#generated,
      prompt_tokens_details: { cached_tokens: this.#cached },
    };
  }
}

/** What every response of a request begins with. */
export interface Head {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

export function headOf(
  prefix: string,
  object: string,
  model: { readonly name: string; readonly fingerprint: string },
): Head {
  const random = crypto.getRandomValues(new Uint32Array(4));
  return {
    id: `${prefix}-${[...random].map((word) => word.toString(16).padStart(8, '0')).join('')}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model: model.name,
    system_fingerprint: `octavo-${model.fingerprint.slice(0, 12)}`,
  };
}

/** JSON has no infinities; this is what OpenAI writes for tokens that cannot come. */
const NEVER = -9999;

export const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : NEVER);
