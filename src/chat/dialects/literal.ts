/**
 * Reads values as models write them: JSON, Python's literals, Gemma's own notation; with what small models get wrong (single quotes, bare keys, surplus
 * commas, line breaks in strings). Beside it grows the value's JSON: after any beginning of the text, `json` is a beginning of the whole.
 */

/** Text that is no value, whatever follows. */
export class Malformed extends Error {}

/** Objects within one another. */
const DEEPEST = 64;

const NAMES: ReadonlyMap<string, string> = new Map([
  ['true', 'true'],
  ['True', 'true'],
  ['false', 'false'],
  ['False', 'false'],
  ['null', 'null'],
  ['None', 'null'],
]);
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['b', '\b'],
  ['f', '\f'],
]);
const NUMBER = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const WORD = /[\w$+.-]+/y;
const SPACE = /\s*/y;
const PLAIN = /[^\\"']+/y;

/** What an expression matches at a place; the empty string where it does not. */
export function matched(expression: RegExp, text: string, at: number): string {
  expression.lastIndex = at;
  return expression.exec(text)?.[0] ?? '';
}

export class LiteralReader {
  readonly #text: string;
  readonly #quote: string;
  at: number;
  json = '';

  /** `quote`: what begins and ends a string beside quotation marks; nothing is escaped in such a string. */
  constructor(text: string, at = 0, quote = '') {
    this.#text = text;
    this.#quote = quote;
    this.at = at;
  }

  /** The character that comes next; undefined at the end. */
  get next(): string | undefined {
    return this.#text[this.at];
  }

  space(): void {
    this.at += matched(SPACE, this.#text, this.at).length;
  }

  /** Whether the whole value was there; false where the text ends within it. Throws `Malformed`. */
  value(depth = 0): boolean {
    if (depth > DEEPEST) throw new Malformed(`values are more than ${DEEPEST} levels deep`);
    this.space();
    if (this.next === undefined) return false;
    if (this.next === '{') return this.#object(depth);
    if (this.next === '[' || this.next === '(') return this.#list(depth);
    return this.#string() ?? this.#word();
  }

  /** A string, without adding it to `json`; undefined where the text ends within it. */
  string(): string | undefined {
    const { json } = this;
    this.json = '';
    const whole = this.#string();
    const found = this.json;
    this.json = json;
    if (whole === undefined) throw new Malformed('a string was expected');
    return whole ? (JSON.parse(found) as string) : undefined;
  }

  /** A key, in quotation marks or bare; undefined where the text ends within it. */
  key(): string | undefined {
    if (this.#atQuote) return this.string();
    const word = matched(WORD, this.#text, this.at);
    if (word === '') throw new Malformed('a key was expected');
    this.at += word.length;
    return this.next === undefined ? undefined : word;
  }

  get #atQuote(): boolean {
    return this.next === '"' || this.next === "'" || this.#special !== undefined;
  }

  /** Whether the special quote is here, or may be when more text has come. */
  get #special(): 'here' | 'perhaps' | undefined {
    if (this.#quote === '' || this.next === undefined) return undefined;
    if (this.#text.startsWith(this.#quote, this.at)) return 'here';
    return this.#quote.startsWith(this.#text.slice(this.at, this.at + this.#quote.length)) ? 'perhaps' : undefined;
  }

  /** Reads a string: whether it was there whole; undefined where none begins. */
  #string(): boolean | undefined {
    const special = this.#special;
    if (special === 'perhaps') return false;
    if (special === 'here') return this.#verbatim();
    const mark = this.next;
    if (mark !== '"' && mark !== "'") return undefined;
    const text = this.#text;
    this.at++;
    this.json += '"';
    for (;;) {
      const plain = matched(PLAIN, text, this.at);
      this.#write(plain);
      this.at += plain.length;
      const character = this.next;
      if (character === undefined) return false;
      if (character === mark) {
        this.at++;
        this.json += '"';
        return true;
      }
      if (character !== '\\') {
        this.#write(character);
        this.at++;
      } else if (!this.#escape()) return false;
    }
  }

  #verbatim(): boolean {
    this.at += this.#quote.length;
    const end = this.#text.indexOf(this.#quote, this.at);
    this.json += '"';
    if (end < 0) {
      // What may begin the closing quote waits.
      this.#write(this.#text.slice(this.at, this.#text.length - overlap(this.#text, this.#quote)));
      this.at = this.#text.length;
      return false;
    }
    this.#write(this.#text.slice(this.at, end));
    this.json += '"';
    this.at = end + this.#quote.length;
    return true;
  }

  #escape(): boolean {
    const kind = this.#text[this.at + 1];
    if (kind === undefined) return false;
    const digits = kind === 'u' ? 4 : kind === 'x' ? 2 : 0;
    const code = this.#text.slice(this.at + 2, this.at + 2 + digits);
    if (code.length < digits) return false;
    if (digits > 0 && /^[\da-f]+$/i.test(code)) {
      this.#write(String.fromCharCode(Number.parseInt(code, 16)));
      this.at += 2 + digits;
    } else {
      this.#write(ESCAPES.get(kind) ?? kind);
      this.at += 2;
    }
    return true;
  }

  #word(): boolean {
    const word = matched(WORD, this.#text, this.at);
    const end = this.at + word.length;
    if (end === this.#text.length) return false;
    const number = matched(NUMBER, word, 0);
    const json = NAMES.get(word) ?? (number === word && number !== '' ? JSON.stringify(Number(number)) : undefined);
    if (json === undefined) throw new Malformed(`'${word.slice(0, 40)}' is no value`);
    this.json += json;
    this.at = end;
    return true;
  }

  #object(depth: number): boolean {
    this.at++;
    this.json += '{';
    for (let first = true; ; first = false) {
      this.#commas();
      if (this.next === undefined) return false;
      if (this.next === '}') break;
      const key = this.key();
      if (key === undefined) return false;
      this.json += `${first ? '' : ','}${JSON.stringify(key)}`;
      this.space();
      if (this.next === undefined) return false;
      if (this.next !== ':') throw new Malformed('a colon was expected');
      this.at++;
      this.json += ':';
      if (!this.value(depth + 1)) return false;
    }
    this.at++;
    this.json += '}';
    return true;
  }

  #list(depth: number): boolean {
    const end = this.next === '[' ? ']' : ')';
    this.at++;
    this.json += '[';
    for (let first = true; ; first = false) {
      this.#commas();
      if (this.next === undefined) return false;
      if (this.next === end) break;
      const before = this.json;
      this.json += first ? '' : ',';
      const start = this.json.length;
      if (!this.value(depth + 1)) {
        // A comma without anything behind it promises a value that may not come.
        if (this.json.length === start) this.json = before;
        return false;
      }
    }
    this.at++;
    this.json += ']';
    return true;
  }

  #commas(): void {
    this.space();
    while (this.next === ',') {
      this.at++;
      this.space();
    }
  }

  #write(text: string): void {
    this.json += JSON.stringify(text).slice(1, -1);
  }
}

/** Length of the longest end of `text` that begins `mark` but is not the whole of it. */
export function overlap(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}
