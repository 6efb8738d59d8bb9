/**
 * Reads JavaScript's regular expressions into a tree, for answers and for the patterns of schemas. What no automaton over characters can do (lookaround
 * behind the beginning, backreferences, word boundaries) is refused by name. The engine's own parser has the first word: what it refuses is refused in its words.
 */
import { clipped, InputError } from '../errors.ts';
import { charSet, complement, POINTS, single, UNITS, union, type CharSet } from './charset.ts';
import { members } from './members.ts';

export type Expression =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly part: Expression; readonly least: number; readonly most: number }
  /** `^` and `$`. */
  | { readonly kind: 'begin' | 'end' };

/** What must, or must not, follow the beginning of the text. */
export interface Lookahead {
  readonly negative: boolean;
  readonly expression: Expression;
}

export interface Parsed {
  readonly expression: Expression;
  readonly lookaheads: readonly Lookahead[];
  /** Whether sets are of UTF-16 units, for want of the flags u and v. */
  readonly units: boolean;
}

/** Characters of an expression; published ones for addresses have about 6,000. */
const LONGEST = 16384;
/** Groups within groups: the parser calls itself for each. */
const DEEPEST = 100;

const DIGITS: CharSet = [0x30, 0x3a];
const WORDS: CharSet = [0x30, 0x3a, 0x41, 0x5b, 0x5f, 0x60, 0x61, 0x7b];
const SPACES: CharSet = charSet([
  [9, 14],
  [0x20, 0x21],
  [0xa0, 0xa1],
  [0x1680, 0x1681],
  [0x2000, 0x200b],
  [0x2028, 0x202a],
  [0x202f, 0x2030],
  [0x205f, 0x2060],
  [0x3000, 0x3001],
  [0xfeff, 0xff00],
]);
const LINE_ENDS: CharSet = [0x0a, 0x0b, 0x0d, 0x0e, 0x2028, 0x202a];
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };
/** Properties of the flag v that match more than one character. */
const OF_STRINGS = /^\\[pP]\{(?:RGI_|Basic_Emoji|Emoji_Keycap_Sequence)/;

/** `where` names the expression in errors. */
export function parseExpression(source: string, flags: string, where: string): Parsed {
  const shown = `/${clipped(source)}/${clipped(flags)}`;
  if (source.length > LONGEST)
    throw new InputError(
      'argument',
      `${where}: the expression has ${source.length} characters, at most ${LONGEST} are read`,
      {
        length: source.length,
        limit: LONGEST,
      },
    );
  try {
    RegExp(source, flags);
  } catch (cause) {
    throw new InputError('argument', `${where}: ${shown} is no regular expression: ${String(cause)}`, {}, { cause });
  }
  return new Parser(source, flags, `${where}: ${shown}`).parse();
}

class Parser {
  readonly #text: string;
  readonly #where: string;
  readonly #unicode: boolean;
  readonly #sets: boolean;
  readonly #lines: boolean;
  /** The flags that decide what a class matches. */
  #ignoreCase: boolean;
  #dotAll: boolean;
  readonly #lookaheads: Lookahead[] = [];
  #at = 0;
  #depth = 0;

  constructor(text: string, flags: string, where: string) {
    this.#text = text;
    this.#where = where;
    this.#sets = flags.includes('v');
    this.#unicode = flags.includes('u') || this.#sets;
    this.#lines = flags.includes('m');
    this.#ignoreCase = flags.includes('i');
    this.#dotAll = flags.includes('s');
  }

  parse(): Parsed {
    const expression = this.#choice();
    if (this.#lookaheads.length > 0 && expression.kind === 'choice')
      this.#refuse('lookahead in one of several branches');
    return { expression, lookaheads: this.#lookaheads, units: !this.#unicode };
  }

  #refuse(what: string): never {
    throw new InputError('argument', `${this.#where}: ${what} at character ${this.#at} is not supported`, {
      at: this.#at,
    });
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** What `expression` (sticky) matches here. */
  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text);
    if (found !== null) this.#at = expression.lastIndex;
    return found;
  }

  #choice(): Expression {
    if (++this.#depth > DEEPEST) this.#refuse(`a group within more than ${DEEPEST} groups`);
    const choices: Expression[] = [];
    let parts: Expression[] = [];
    const close = (): void => {
      const [only] = parts;
      choices.push(parts.length === 1 && only !== undefined ? only : { kind: 'sequence', parts });
      parts = [];
    };
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      if (this.#take('|')) close();
      else if (
        this.#depth === 1 &&
        parts.length > 0 &&
        parts.every(({ kind }) => kind === 'begin') &&
        this.#lookahead()
      )
        continue;
      else parts.push(this.#quantified(this.#atom()));
    }
    close();
    this.#depth--;
    const [only] = choices;
    return choices.length === 1 && only !== undefined ? only : { kind: 'choice', parts: choices };
  }

  #quantified(part: Expression): Expression {
    const found = this.#match(/(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y);
    if (found === null) return part;
    const [, sign, least = '', comma, most = ''] = found;
    if (sign !== undefined)
      return { kind: 'repeat', part, least: sign === '+' ? 1 : 0, most: sign === '?' ? 1 : Infinity };
    const from = Number(least);
    return {
      kind: 'repeat',
      part,
      least: from,
      most: comma === undefined ? from : most === '' ? Infinity : Number(most),
    };
  }

  #atom(): Expression {
    if (this.#take('(')) return this.#group();
    if (this.#take('^')) return this.#anchor('begin');
    if (this.#take('$')) return this.#anchor('end');
    if (this.#take('.'))
      return { kind: 'set', set: complement(this.#dotAll ? [] : LINE_ENDS, this.#unicode ? POINTS : UNITS) };
    if (this.#text[this.#at] === '[') return { kind: 'set', set: this.#class() };
    if (this.#text[this.#at] === '\\') {
      if (/[bB]/.test(this.#text[this.#at + 1] ?? '')) this.#refuse('a word boundary (\\b, \\B)');
      return this.#escape();
    }
    return this.#character(this.#code());
  }

  #group(): Expression {
    if (this.#match(/\?<?[=!]/y) !== null) this.#refuse('lookahead or lookbehind');
    const before = [this.#ignoreCase, this.#dotAll] as const;
    const modifiers = this.#match(/\?([ims]*)(?:-([ims]*))?:/y);
    if (modifiers !== null) {
      const [, on = '', off = ''] = modifiers;
      if (/m/.test(on + off)) this.#refuse('the modifier m');
      this.#ignoreCase = (this.#ignoreCase || on.includes('i')) && !off.includes('i');
      this.#dotAll = (this.#dotAll || on.includes('s')) && !off.includes('s');
    } else this.#match(/\?<[^>]*>/y);
    const inner = this.#choice();
    this.#take(')');
    [this.#ignoreCase, this.#dotAll] = before;
    return inner;
  }

  /** Lookahead just behind `^` at the beginning of the expression: it is about the whole text. */
  #lookahead(): boolean {
    const negative = this.#match(/\(\?([=!])/y)?.[1];
    if (negative === undefined) return false;
    this.#lookaheads.push({ negative: negative === '!', expression: this.#choice() });
    this.#take(')');
    return true;
  }

  #anchor(kind: 'begin' | 'end'): Expression {
    if (this.#lines) this.#refuse('^ or $ of a line (the flag m)');
    return { kind };
  }

  /** The next code point, or unit. */
  #code(): number {
    const code = this.#text.codePointAt(this.#at) ?? 0;
    this.#at += code >= UNITS ? 2 : 1;
    return code;
  }

  #character(code: number): Expression {
    // Without the flag u a quantifier takes the second half of a pair only.
    if (!this.#unicode && code >= UNITS) {
      const text = String.fromCodePoint(code);
      if (/[*+?{]/.test(this.#text[this.#at] ?? ''))
        this.#refuse('a quantifier after an astral character (without the flag u)');
      return {
        kind: 'sequence',
        parts: [0, 1].map((i): Expression => ({ kind: 'set', set: single(text.charCodeAt(i)) })),
      };
    }
    const set = single(code);
    return { kind: 'set', set: this.#ignoreCase ? this.#engine(literal(code, this.#unicode)) : set };
  }

  /** The members of a class by the engine's own rules. */
  #engine(source: string): CharSet {
    return members(source, `${this.#ignoreCase ? 'i' : ''}${this.#sets ? 'v' : this.#unicode ? 'u' : ''}`);
  }

  /** From a backslash. */
  #escape(): Expression {
    const start = this.#at;
    if (this.#match(/\\(?:k<|[1-9])/y) !== null) {
      this.#at = start;
      this.#refuse('a backreference');
    }
    if (this.#match(/\\0\d/y) !== null) this.#refuse('an octal escape');
    const set = this.#classEscape();
    if (set !== undefined) {
      const source = this.#text.slice(start, this.#at);
      return { kind: 'set', set: this.#ignoreCase || set === 'engine' ? this.#engine(source) : set };
    }
    return this.#character(this.#escapedCode());
  }

  /** `\d` and its like; 'engine' for Unicode properties. Undefined, and nothing read, for the escape of one character. */
  #classEscape(): CharSet | 'engine' | undefined {
    const start = this.#at;
    if (this.#unicode && this.#match(/\\[pP]\{[^}]*\}/y) !== null) {
      if (OF_STRINGS.test(this.#text.slice(start))) this.#refuse('a property of more than one character');
      return 'engine';
    }
    const name = this.#match(/\\([dDsSwW])/y)?.[1];
    if (name === undefined) return undefined;
    const set = { d: DIGITS, s: SPACES, w: WORDS }[name.toLowerCase()] ?? [];
    return name === name.toLowerCase() ? set : complement(set, this.#unicode ? POINTS : UNITS);
  }

  /** From a backslash: one character. */
  #escapedCode(): number {
    const hex = this.#match(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|c([a-zA-Z]))/y);
    if (hex !== null) {
      const [, two, four, control] = hex;
      if (control !== undefined) return control.charCodeAt(0) % 32;
      const code = Number.parseInt(two ?? four ?? '', 16);
      if (!this.#unicode || code < 0xd800 || code >= 0xdc00) return code;
      const low = this.#match(/\\u([dD][c-fC-F][0-9a-fA-F]{2})/y)?.[1];
      return low === undefined ? code : ((code - 0xd800) << 10) + (Number.parseInt(low, 16) - 0xdc00) + UNITS;
    }
    const braced = this.#unicode ? this.#match(/\\u\{([0-9a-fA-F]+)\}/y)?.[1] : undefined;
    if (braced !== undefined) return Number.parseInt(braced, 16);
    if (this.#match(/\\c/y) !== null) this.#refuse('\\c without a letter');
    this.#at++;
    const name = this.#text[this.#at] ?? '';
    return CONTROLS[name] === undefined ? this.#code() : (this.#at++, CONTROLS[name]);
  }

  /** From `[`. */
  #class(): CharSet {
    const start = this.#at;
    this.#at++;
    if (this.#ignoreCase || this.#sets) {
      this.#skipClass();
      return this.#engine(this.#text.slice(start, this.#at));
    }
    const negative = this.#take('^');
    const sets: CharSet[] = [];
    while (!this.#take(']')) {
      const from = this.#classItem();
      if (typeof from !== 'number' || this.#text[this.#at] !== '-' || this.#text[this.#at + 1] === ']') {
        sets.push(typeof from === 'number' ? single(from) : from);
        continue;
      }
      this.#at++;
      const to = this.#classItem();
      // `[a-\d]` without the flag u: three members.
      sets.push(typeof to === 'number' ? [from, to + 1] : union(single(from), single(0x2d), to));
    }
    const set = union(...sets);
    return negative ? complement(set, this.#unicode ? POINTS : UNITS) : set;
  }

  #classItem(): number | CharSet {
    if (this.#text[this.#at] !== '\\') return this.#unicode ? this.#code() : this.#text.charCodeAt(this.#at++);
    const start = this.#at;
    const set = this.#classEscape();
    if (set !== undefined) return set === 'engine' ? this.#engine(this.#text.slice(start, this.#at)) : set;
    if (this.#take('\\b')) return 8;
    if (this.#match(/\\(?:[1-9]|0\d)/y) !== null) this.#refuse('an octal escape');
    if (this.#take('\\-')) return 0x2d;
    return this.#escapedCode();
  }

  /** To behind the bracket that closes the class; classes are nested with the flag v. */
  #skipClass(): void {
    for (let depth = 1; depth > 0;) {
      if (OF_STRINGS.test(this.#text.slice(this.#at, this.#at + 40)) || this.#text.startsWith('\\q', this.#at))
        this.#refuse('a class of more than one character');
      const character = this.#text[this.#at] ?? '';
      this.#at += character === '\\' ? 2 : 1;
      if (character === '[' && this.#sets) depth++;
      if (character === ']') depth--;
    }
  }
}

/** The source of exactly this character. */
function literal(code: number, unicode: boolean): string {
  return unicode ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
