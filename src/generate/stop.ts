/**
 * Stop strings. Text is held back as long as it may be the beginning of one, so that no stop string is ever shown in
 * part. Control tokens are not part of an answer's text, but a stop string may name them, alone or with text around
 * them (`'<|im_start|>user'`): they are matched and never shown.
 */
import { InputError } from '../errors.ts';

/** More or longer strings are probably mistakes: every piece of text is compared with all of them. */
const MAX_STOPS = 64;
const MAX_STOP_LENGTH = 1024;

/** Text that is held back; the name of a control token is not `shown`. */
interface Held {
  readonly text: string;
  readonly shown: boolean;
}

export class StopStrings {
  readonly #stops: readonly string[];
  #held: readonly Held[] = [];
  /** The stop string that was found. */
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

  /**
   * Takes new text, or the name of a control token with `shown` false. Returns what may be shown. After `met` is set,
   * nothing more is shown.
   */
  push(text: string, shown = true): string {
    if (this.met !== undefined) return '';
    if (this.#stops.length === 0) return shown ? text : '';
    const held = text === '' ? this.#held : [...this.#held, { text, shown }];
    const all = held.map((part) => part.text).join('');
    let first = -1;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) {
        first = at;
        this.met = stop;
      }
    }
    if (first >= 0) {
      this.#held = [];
      return visible(held, first);
    }
    const free = all.length - this.#beginning(all);
    this.#held = after(held, free);
    return visible(held, free);
  }

  /** Returns the held back text, which turned out not to be a stop string. */
  flush(): string {
    const rest = visible(this.#held, Infinity);
    this.#held = [];
    return rest;
  }

  /** Returns the length of the longest end of `text` that begins a stop string. */
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

/** Returns what is shown of the first `length` characters. */
function visible(held: readonly Held[], length: number): string {
  let text = '';
  let at = 0;
  for (const part of held) {
    if (part.shown) text += part.text.slice(0, Math.max(0, length - at));
    at += part.text.length;
  }
  return text;
}

/** Returns the text without the first `length` characters. */
function after(held: readonly Held[], length: number): Held[] {
  let at = 0;
  return held.flatMap((part) => {
    const rest = part.text.slice(Math.max(0, length - at));
    at += part.text.length;
    return rest === '' ? [] : [{ ...part, text: rest }];
  });
}
