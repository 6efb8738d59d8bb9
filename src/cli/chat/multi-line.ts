/** Messages of several lines: a trailing backslash, a block between `"""`, or lines that were pasted together. */

const QUOTES = '"""';
/** A number of backslashes that is odd: the last one is not itself escaped. */
const CONTINUES = /(?<!\\)(?:\\\\)*\\$/;

/** A message, and whether it is one line that was typed: only such a line can be a command. */
export interface Typed {
  readonly text: string;
  readonly line: boolean;
}

export class MultiLine {
  #lines: string[] = [];
  #quoted = false;

  /** Whether a message was begun and is not complete. */
  get pending(): boolean {
    return this.#quoted || this.#lines.length > 0;
  }

  /** Adds a line; returns the message that it completes. A line within a paste completes nothing and is taken as it is. */
  add(line: string, pasted = false): Typed | undefined {
    if (pasted) return void this.#lines.push(line);
    if (this.#quoted) return this.#addQuoted(line);
    // Recalled from the history as a whole.
    if (!this.pending && line.includes('\n')) return { text: line, line: false };
    const begins = line.trimStart();
    if (!this.pending && begins.startsWith(QUOTES)) {
      this.#quoted = true;
      const rest = begins.slice(QUOTES.length);
      return rest === '' ? undefined : this.#addQuoted(rest);
    }
    if (CONTINUES.test(line)) return void this.#lines.push(line.slice(0, -1));
    const typed = this.#lines.length === 0;
    this.#lines.push(line);
    return { text: this.#take(), line: typed };
  }

  /** The message as far as it goes, where the input ends within it. */
  end(): Typed | undefined {
    return this.#lines.length === 0 ? undefined : { text: this.#take(), line: false };
  }

  clear(): void {
    this.#lines = [];
    this.#quoted = false;
  }

  #addQuoted(line: string): Typed | undefined {
    const trimmed = line.trimEnd();
    if (!trimmed.endsWith(QUOTES)) return void this.#lines.push(line);
    const rest = trimmed.slice(0, -QUOTES.length);
    if (rest !== '') this.#lines.push(rest);
    return { text: this.#take(), line: false };
  }

  #take(): string {
    const text = this.#lines.join('\n');
    this.clear();
    return text;
  }
}
