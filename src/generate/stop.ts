/** Stop strings: text is held back as long as it may be the beginning of one, so that none is ever shown in part. */
import { InputError } from '../errors.ts';

/** More or longer ones are a mistake: every piece of text is compared with all of them. */
const MAX_STOPS = 64;
const MAX_STOP_LENGTH = 1024;

export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  /** The stop string that was met. */
  met: string | undefined;

  constructor(stops: readonly string[]) {
    if (stops.length > MAX_STOPS)
      throw new InputError('argument', `stop: ${stops.length} strings, at most ${MAX_STOPS} are allowed`);
    for (const stop of stops) {
      if (typeof stop !== 'string' || stop.length === 0 || stop.length > MAX_STOP_LENGTH) {
        throw new InputError('argument', `stop: every entry must be a string of 1 to ${MAX_STOP_LENGTH} characters`);
      }
    }
    this.#stops = stops;
  }

  /** Takes new text and returns what may be shown. After `met` is set nothing more is shown. */
  push(text: string): string {
    if (this.met !== undefined) return '';
    if (this.#stops.length === 0) return text;
    const all = this.#held + text;
    let first = -1;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) {
        first = at;
        this.met = stop;
      }
    }
    if (first >= 0) {
      this.#held = '';
      return all.slice(0, first);
    }
    const keep = this.#beginning(all);
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** What was held back and turned out to be no stop string. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #beginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
