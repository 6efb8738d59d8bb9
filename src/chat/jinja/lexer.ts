/** Cuts a template into text and the tokens of its tags, with the white space control of transformers (trim_blocks and lstrip_blocks are on). */
import { TemplateError } from './error.ts';

export interface Token {
  readonly kind: 'text' | 'open' | 'close' | 'name' | 'string' | 'number' | 'operator' | 'end';
  /** Of `open` and `close`: `{%`, `{{`, `%}`, `}}`. Of strings: what they stand for. */
  readonly text: string;
  readonly line: number;
}

const OPERATORS = ['**', '//', '==', '!=', '<=', '>=', ...'+-*/%~<>=()[]{}.,:|'];
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\x07',
  '0': '\0',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
};

export function tokenize(template: string): readonly Token[] {
  return new Lexer(template.replace(/\r\n?/g, '\n').replace(/\n$/, '')).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** What was read last ends a line, so that white space before a tag may go. */
  #lineStarts = true;

  constructor(source: string) {
    this.#source = source;
  }

  run(): readonly Token[] {
    const tag = /\{[%{#]/g;
    for (;;) {
      tag.lastIndex = this.#at;
      const found = tag.exec(this.#source);
      if (found === null) break;
      this.#open(found.index, found[0]);
    }
    this.#text(this.#source.length, '', false);
    this.#add('end', '');
    return this.#tokens;
  }

  #add(kind: Token['kind'], text: string): void {
    this.#tokens.push({ kind, text, line: this.#line });
  }

  #advance(to: number): void {
    const passed = this.#source.slice(this.#at, to);
    if (passed !== '') this.#lineStarts = passed.endsWith('\n');
    for (const character of passed) if (character === '\n') this.#line++;
    this.#at = to;
  }

  #fail(problem: string): never {
    throw new TemplateError(problem, this.#line);
  }

  /** The text up to `end`, where a tag with this sign (`-`, `+` or none) begins. `block`: a tag before which white space at the start of a line goes. */
  #text(end: number, sign: string, block: boolean): void {
    let text = this.#source.slice(this.#at, end);
    if (sign === '-') text = text.trimEnd();
    else if (sign !== '+' && block) {
      const start = text.lastIndexOf('\n') + 1;
      if ((start > 0 || this.#lineStarts) && text.slice(start).trim() === '') text = text.slice(0, start);
    }
    if (text !== '') this.#add('text', text);
    this.#advance(end);
  }

  #sign(): string {
    const sign = this.#source[this.#at] ?? '';
    if (sign !== '-' && sign !== '+') return '';
    this.#at++;
    return sign;
  }

  #open(at: number, delimiter: string): void {
    const after = this.#source[at + 2] ?? '';
    const sign = after === '-' || after === '+' ? after : '';
    this.#text(at, sign, delimiter !== '{{');
    this.#advance(at + 2);
    this.#sign();
    if (delimiter === '{#') return this.#comment();
    const raw = /\s*raw\s*(-?)%\}/y;
    raw.lastIndex = this.#at;
    const found = delimiter === '{%' ? raw.exec(this.#source) : null;
    if (found !== null) return this.#raw(raw.lastIndex, found[1] === '-');
    this.#add('open', delimiter);
    this.#inside(delimiter === '{%' ? '%}' : '}}');
  }

  /** Passes a tag's end, and what its sign or trim_blocks takes of the white space behind it. */
  #close(to: number, sign: string, block: boolean): void {
    this.#advance(to);
    if (sign === '-') this.#advance(to + (/^\s*/.exec(this.#source.slice(to))?.[0].length ?? 0));
    else if (sign !== '+' && block && this.#source[to] === '\n') this.#advance(to + 1);
  }

  #comment(): void {
    const end = this.#source.indexOf('#}', this.#at);
    if (end < 0) this.#fail("a comment '{#' is not closed");
    const before = this.#source[end - 1] ?? '';
    this.#close(end + 2, before === '-' || before === '+' ? before : '', true);
  }

  #raw(start: number, trims: boolean): void {
    const end = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
    end.lastIndex = start;
    const found = end.exec(this.#source);
    if (found === null) return this.#fail("'{% raw %}' without '{% endraw %}'");
    this.#close(start, trims ? '-' : '', false);
    this.#text(found.index, found[1] ?? '', true);
    this.#close(end.lastIndex, found[2] ?? '', true);
  }

  /** The tokens up to the tag's end. */
  #inside(close: string): void {
    const open: string[] = [];
    for (;;) {
      const space = /\s*/y;
      space.lastIndex = this.#at;
      space.exec(this.#source);
      this.#advance(space.lastIndex);
      const rest = this.#source.slice(this.#at, this.#at + 3);
      if (rest === '') this.#fail(`a tag is not closed by '${close}'`);
      const sign = rest[0] === '-' || (rest[0] === '+' && close === '%}') ? rest[0] : '';
      if (open.length === 0 && rest.startsWith(sign + close)) {
        this.#add('close', close);
        this.#close(this.#at + sign.length + 2, sign, close === '%}');
        return;
      }
      this.#token(open);
    }
  }

  #token(open: string[]): void {
    const quote = this.#source[this.#at];
    if (quote === "'" || quote === '"') return this.#string(quote);
    const word = /(\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)|([\p{L}_][\p{L}\p{N}_]*)/uy;
    word.lastIndex = this.#at;
    const found = word.exec(this.#source);
    if (found !== null) {
      this.#add(found[1] === undefined ? 'name' : 'number', found[0].replace(found[1] === undefined ? '' : /_/g, ''));
      return this.#advance(word.lastIndex);
    }
    const operator = OPERATORS.find((name) => this.#source.startsWith(name, this.#at));
    if (operator === undefined) return this.#fail(`'${this.#source[this.#at] ?? ''}' is not understood`);
    const closing = CLOSING[operator];
    if (closing !== undefined) open.push(closing);
    else if (')]}'.includes(operator) && open.pop() !== operator) this.#fail(`'${operator}' closes nothing`);
    this.#add('operator', operator);
    this.#advance(this.#at + operator.length);
  }

  #string(quote: string): void {
    let text = '';
    let at = this.#at + 1;
    for (;;) {
      const character = this.#source[at++];
      if (character === undefined) return this.#fail('a string is not closed');
      if (character === quote) break;
      if (character !== '\\') {
        text += character;
        continue;
      }
      const name = this.#source[at++] ?? '';
      const digits = { x: 2, u: 4, U: 8 }[name];
      const code = digits === undefined ? '' : this.#source.slice(at, at + digits);
      if (
        digits !== undefined &&
        code.length === digits &&
        /^[0-9a-fA-F]+$/.test(code) &&
        Number.parseInt(code, 16) <= 0x10ffff
      ) {
        text += String.fromCodePoint(Number.parseInt(code, 16));
        at += digits;
      } else text += ESCAPES[name] ?? `\\${name}`;
    }
    this.#add('string', text);
    this.#advance(at);
  }
}
