/**
 * Drafts of an answer's next tokens, taken from what was written before (prompt lookup decoding, Saxena 2023; Yang et
 * al. 2023, "Inference with Reference"): where the last tokens stand earlier in the context, what followed them there is
 * the guess. A guess is verified by one forward call over its tokens, which costs much less than a call for each. Only
 * tokens that are drawn as guessed are kept, and draws depend on the seed and the position alone, so an answer is the
 * same with drafts and without.
 */
import type { Backend } from '../backend/backend.ts';

/** Tokens in a verifying call: the last token of the answer and its guesses. Calls are no larger than one of these. */
const SIZES = [4, 8, 16] as const;
const MOST_GUESSED = 15;
/**
 * The time of a call of each size, in calls of one token, before any was measured. WASM: Qwen2.5-0.5B, relaxed SIMD. On
 * a GPU the calls are not measured, because other sizes of calls round differently: the sizes must not depend on a
 * clock, or answers could not be reproduced. There the ratio includes the steps that are no longer run ahead.
 */
const FIRST_COST = { wasm: [1.9, 2.3, 3], reference: [1.9, 2.3, 3], webgpu: [1.6, 2, 3] } as const;
/** The least gain for which a guess is verified. */
const LEAST_GAIN = 1.1;
/** Longest suffix that is compared. The chance of a guess is tracked by the length of what agrees. */
const LONGEST_MATCH = 16;
/** Shortest length of agreement in each class, and the chance of its guesses before any was seen. */
const CLASSES = [
  { from: 2, chance: 0.3 },
  { from: 3, chance: 0.5 },
  { from: 5, chance: 0.7 },
  { from: 9, chance: 0.85 },
] as const;
/** Weight of the newest outcome in the running means. */
const NEWEST = 0.15;
/** Earlier places that are compared for the longest agreement. */
const MOST_PLACES = 32;

/** Keys of two ids, below 2^53. */
const ID_LIMIT = 2 ** 26;

interface Guess {
  readonly ids: Int32Array;
  readonly kind: number;
}

const nothing: Guess = { ids: new Int32Array(0), kind: 0 };

/** Counts of an answer's drafts. */
export interface DraftCounts {
  /** Number of tokens that were guessed and verified. */
  readonly guessed: number;
  /** How many of them were right: decoding steps that were saved. */
  readonly right: number;
}

/** The drafts of one answer. */
export class Drafts {
  /** Of the prompt and the answer; the caller writes them. */
  readonly #ids: Int32Array;
  readonly #vocabulary: number;
  readonly #measured: boolean;
  readonly #cost: number[];
  readonly #chance: number[] = CLASSES.map(({ chance }) => chance);
  /** The last place behind each pair of ids, and for each place the one before with the same pair; -1: none. */
  readonly #last = new Map<number, number>();
  readonly #before: Int32Array;
  #indexed = 2;
  #length: number;
  #plain = 0;
  #guessed = 0;
  #right = 0;
  /** What was guessed for the next id, and whether it was to be verified. */
  #shadow: Guess = nothing;

  /** `ids` holds the prompt, `length` ids, and has room for the answer. */
  constructor(ids: Int32Array, length: number, vocabulary: number, kind: Backend['kind']) {
    this.#ids = ids;
    this.#length = length;
    this.#vocabulary = Math.min(vocabulary, ID_LIMIT);
    this.#measured = kind !== 'webgpu';
    this.#cost = [...FIRST_COST[kind]];
    this.#before = new Int32Array(ids.length + 1);
  }

  get counts(): DraftCounts {
    return { guessed: this.#guessed, right: this.#right };
  }

  /** Takes note of `id`, which the caller has appended to the ids. */
  push(id: number): void {
    const { ids, kind } = this.#shadow;
    if (ids.length > 0) this.#learn(kind, ids[0] === id);
    this.#shadow = ids[0] === id ? { ids: ids.subarray(1), kind } : nothing;
    this.#length++;
  }

  /** Takes note of the milliseconds of a call of `count` tokens, of which one is no guess. */
  timed(count: number, ms: number): void {
    if (!this.#measured) return;
    if (count === 1) {
      this.#plain = this.#plain === 0 ? ms : mean(this.#plain, ms);
    } else if (this.#plain > 0) {
      const size = sizeOf(count);
      this.#cost[size] = mean(this.#cost[size] ?? 1, ms / this.#plain);
    }
  }

  /** Returns the ids to verify behind the last one, at most `most`; none where that does not pay. */
  propose(most: number): Int32Array {
    const guess = this.#guess();
    this.#shadow = guess;
    const available = Math.min(most, guess.ids.length);
    const chance = this.#chance[guess.kind] ?? 0;
    let gain = LEAST_GAIN;
    let count = 0;
    for (const [i, size] of SIZES.entries()) {
      const drafts = Math.min(size - 1, available);
      // Tokens that the call is expected to yield: sum of chance^k for k from 0 to `drafts`.
      const expected = (1 - chance ** (drafts + 1)) / (1 - chance);
      const gained = expected / (this.#cost[i] ?? Infinity);
      if (gained <= gain) continue;
      gain = gained;
      count = drafts;
    }
    return guess.ids.subarray(0, count);
  }

  /** Takes note that `right` of `guessed` verified ids were right; they are pushed besides. */
  verified(guessed: number, right: number): void {
    this.#guessed += guessed;
    this.#right += right;
  }

  /** What followed the longest earlier occurrence of the last ids, the newest among equals. */
  #guess(): Guess {
    const ids = this.#ids;
    const end = this.#length;
    if (end < 3) return nothing;
    this.#index(end);
    let agreed = 0;
    let found = -1;
    let place = this.#last.get(pair(ids, end)) ?? -1;
    for (let tried = 0; place >= 0 && tried < MOST_PLACES && agreed < LONGEST_MATCH; tried++) {
      let agree = 2;
      while (agree < LONGEST_MATCH && agree < place && ids[place - 1 - agree] === ids[end - 1 - agree]) agree++;
      if (agree > agreed) {
        agreed = agree;
        found = place;
      }
      place = this.#before[place] ?? -1;
    }
    if (found < 0) return nothing;
    const guess = new Int32Array(MOST_GUESSED);
    let count = 0;
    for (; count < MOST_GUESSED; count++) {
      const from = found + count;
      // What repeats itself goes on repeating itself.
      const id = (from < end ? ids[from] : guess[from - end]) ?? -1;
      if (id < 0 || id >= this.#vocabulary) break;
      guess[count] = id;
    }
    return { ids: guess.subarray(0, count), kind: CLASSES.findLastIndex(({ from }) => from <= agreed) };
  }

  /** Indexes the places before `end`. */
  #index(end: number): void {
    for (; this.#indexed < end; this.#indexed++) {
      const key = pair(this.#ids, this.#indexed);
      this.#before[this.#indexed] = this.#last.get(key) ?? -1;
      this.#last.set(key, this.#indexed);
    }
  }

  #learn(kind: number, right: boolean): void {
    // Never certain: the sum of its powers must end.
    this.#chance[kind] = Math.min(0.98, mean(this.#chance[kind] ?? 0, right ? 1 : 0));
  }
}

/** The two ids before a place, as one number. */
function pair(ids: Int32Array, place: number): number {
  return (ids[place - 2] ?? 0) * ID_LIMIT + (ids[place - 1] ?? 0);
}

function mean(old: number, newest: number): number {
  return old + NEWEST * (newest - old);
}

function sizeOf(count: number): number {
  return SIZES.findIndex((size) => count <= size);
}
