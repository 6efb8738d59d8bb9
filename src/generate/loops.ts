/**
 * Detects when an answer repeats itself: small models that take the likeliest token tend to repeat one passage again
 * and again.
 */

/** The longest period, in tokens, that is detected: a paragraph. */
const LONGEST_PERIOD = 384;
/**
 * Fewer repeated tokens than this are not a loop, however short the period is, since rules, tables and lists of numbers
 * repeat as well.
 */
const LEAST_TOKENS = 96;
/** How often a passage must occur in a row. */
const TIMES = 4;
/** For long passages fewer repetitions suffice, since a text does not repeat them three times on purpose. */
const LONG_PERIOD = 96;
const LONG_TIMES = 3;

export class LoopDetector {
  readonly #ids: number[] = [];
  /** For each period: how many ids at the end equal those one period before. */
  readonly #equal = new Int32Array(LONGEST_PERIOD + 1);

  /**
   * Takes the next id. Returns whether the generated text now ends in a passage that was repeated often enough to be a
   * loop.
   */
  push(id: number): boolean {
    const ids = this.#ids;
    const equal = this.#equal;
    let loops = false;
    for (let period = 1; period <= Math.min(LONGEST_PERIOD, ids.length); period++) {
      if (ids[ids.length - period] !== id) {
        equal[period] = 0;
        continue;
      }
      const run = (equal[period] ?? 0) + 1;
      equal[period] = run;
      const times = period >= LONG_PERIOD ? LONG_TIMES : TIMES;
      if (run + period >= Math.max(LEAST_TOKENS, times * period)) loops = true;
    }
    ids.push(id);
    return loops;
  }
}
