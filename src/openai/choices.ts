/** The answers of one request, one after the other, as they come. */
import type { AnswerReport, TokenLogProb } from '../generate/options.ts';

/** A piece of the answer with this number, with the tokens that begin in it where they are asked for, or its end. */
export type ChoiceEvent =
  | { readonly index: number; readonly text: string; readonly tokens: readonly TokenLogProb[] }
  | { readonly index: number; readonly report: AnswerReport };

interface AnswerStream extends AsyncIterable<string> {
  readonly finished: Promise<AnswerReport>;
}

/** Begins the answer with this number; tokens are told to `onToken` before the text that they complete. */
export type Begin = (index: number, onToken: (token: TokenLogProb) => void) => Promise<AnswerStream>;

export async function* choices(count: number, begin: Begin): AsyncGenerator<ChoiceEvent, void> {
  for (let index = 0; index < count; index++) {
    const tokens = new TokensOfText();
    const answer = await begin(index, (token) => tokens.push(token));
    for await (const text of answer) yield { index, text, tokens: tokens.take(text) };
    yield { index, report: await answer.finished };
  }
}

const utf8 = new TextEncoder();

/** Gives each token with the text in which it begins. Those of a stop string, which is no part of the text, are left. */
class TokensOfText {
  readonly #waiting: { readonly token: TokenLogProb; readonly start: number }[] = [];
  #told = 0;
  #shown = 0;

  push(token: TokenLogProb): void {
    this.#waiting.push({ token, start: this.#told });
    this.#told += token.bytes.length;
  }

  take(text: string): readonly TokenLogProb[] {
    this.#shown += utf8.encode(text).length;
    const end = this.#waiting.findIndex(({ start }) => start >= this.#shown);
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end).map(({ token }) => token);
  }
}

/** Why an answer ended, in OpenAI's words. One that went round in circles was cut. */
export function finishReason({ finishReason: reason }: AnswerReport): 'stop' | 'length' {
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
