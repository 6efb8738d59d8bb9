/**
 * Log-probabilities of an answer's tokens, from the model's own distribution: before penalties, temperature, top-k,
 * constraints and contrasting, so that they do not depend on how tokens are drawn. Answers without log-probabilities do
 * not download this file.
 */
import type { Backend, Tensor } from '../backend/backend.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { notNumbers } from './decode.ts';
import type { LikelyToken, TokenLogProb } from './options.ts';

// Looked up once, since in jest's module context each look-up of a global is slow, and this one is used for every id of
// the vocabulary.
const { exp, log } = Math;

/**
 * Returns the logarithm of the sum of exp(values), which turns logits into log-probabilities. Throws `ModelError` when
 * they are not numbers.
 */
export function logSum(values: Float32Array): number {
  let highest = -Infinity;
  for (const value of values) highest = value > highest ? value : highest;
  let sum = 0;
  for (const value of values) sum += exp(value - highest);
  const found = highest + log(sum);
  if (Number.isNaN(found)) throw notNumbers(false);
  return found;
}

/** Returns the indices of the `count` highest values, the highest first, the lowest index among equals. */
function highest(values: Float32Array, count: number): number[] {
  const places: number[] = [];
  if (count === 0) return places;
  let least = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (places.length === count && value <= least) continue;
    let at = places.length;
    while (at > 0 && (values[places[at - 1] as number] as number) < value) at--;
    places.splice(at, 0, i);
    if (places.length > count) places.pop();
    least = values[places[places.length - 1] as number] as number;
  }
  return places;
}

/**
 * The distributions of one answer: copied from the device as they are drawn from, and read in the same order when the
 * drawn ids are known.
 */
export class LogProbs {
  readonly #tokenizer: Tokenizer;
  readonly #backend: Pick<Backend, 'download'>;
  /** The number of alternatives reported for each token. */
  readonly #top: number;
  readonly #copies: Promise<Float32Array>[] = [];

  constructor(tokenizer: Tokenizer, backend: Pick<Backend, 'download'>, top: number) {
    this.#tokenizer = tokenizer;
    this.#backend = backend;
    this.#top = top;
  }

  /** Copies the logits [1, vocabulary] of the next draw; they may be freed after the call. */
  note(logits: Tensor): void {
    const copy = this.#backend.download(logits);
    copy.catch(() => undefined);
    this.#copies.push(copy);
  }

  /** Reads the distribution of the next token, which is `id`. */
  async next(id: number): Promise<TokenLogProb> {
    const logits = (await this.#copies.shift()) ?? new Float32Array(0);
    const sum = logSum(logits);
    const token = (one: number): LikelyToken => ({ ...this.#described(one), logprob: (logits[one] ?? NaN) - sum });
    // Rows of the head beyond the vocabulary have no token.
    const tokens = logits.subarray(0, this.#tokenizer.facts.vocabulary);
    return { ...token(id), top: highest(tokens, this.#top).map(token) };
  }

  #described(id: number): Omit<LikelyToken, 'logprob'> {
    const tokenizer = this.#tokenizer;
    const name = tokenizer.tokenBytes(id);
    const control = tokenizer.decode([id], { start: false }) === '';
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(name);
    return { id, text, bytes: control ? [] : [...name] };
  }
}
