/**
 * Parses the regular expressions of pretokenisers (Oniguruma's syntax, as in tokenizer.json) to a small tree. Supported
 * are alternation, groups, (?i:...), classes with \p, \s, \d, \w and POSIX names, all quantifiers, `$`, and
 * one-character lookahead. A possessive quantifier is read as greedy: in every published pretokeniser, what follows it
 * cannot match what it took. What an automaton cannot do (backreferences, lookbehind, longer lookahead) throws
 * `ModelError('tokenizer')`.
 */
import { ModelError } from '../errors.ts';

/** A set of characters, as the source of a JavaScript class with flag `u`, and `i` where case is ignored. */
export interface CharacterSet {
  readonly source: string;
  readonly ignoreCase: boolean;
}

export type Pattern =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Pattern[] }
  | {
      readonly kind: 'repeat';
      readonly part: Pattern;
      readonly least: number;
      readonly most: number;
      readonly lazy: boolean;
    }
  /** Holds when the next character is in the set (`negative`: is not in it, which the end of the text is not). */
  | { readonly kind: 'look'; readonly set: CharacterSet; readonly negative: boolean };

/** The longest published one has about 2,000 characters. */
const LONGEST_SOURCE = 16384;
/** Depth of nested groups; published expressions have three. */
const DEEPEST = 32;
/** Counted repetitions `{n,m}` are expanded; jais-2 has {512}. */
const MOST_REPEATS = 1024;

const SPACE = String.raw`\p{White_Space}`;
/** Oniguruma's \w, which includes only Latin-1's of the other numbers. */
const WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\xb2\xb3\xb9\xbc-\xbe`;
const POSIX: Readonly<Record<string, string>> = {
  alpha: String.raw`\p{Alphabetic}`,
  digit: String.raw`\p{Nd}`,
  alnum: String.raw`\p{Alphabetic}\p{Nd}`,
  upper: String.raw`\p{Uppercase}`,
  lower: String.raw`\p{Lowercase}`,
  space: SPACE,
  punct: String.raw`\p{P}\p{S}`,
  cntrl: String.raw`\p{Cc}`,
  xdigit: '0-9A-Fa-f',
  word: WORD,
  blank: String.raw`\t\p{Zs}`,
};
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27, 0: 0 };

/** The source of exactly this character in a class or outside. */
function literal(code: number): string {
  return `\\u{${code.toString(16)}}`;
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  constructor(text: string) {
    this.#text = text;
  }

  fail(problem: string): never {
    throw new ModelError(
      'tokenizer',
      `tokenizer: the pretokeniser's expression ${JSON.stringify(this.#text.slice(0, 200))} at character ${this.#at}: ${problem}`,
      {
        expression: this.#text.slice(0, 200),
        at: this.#at,
      },
    );
  }

  whole(): Pattern {
    const pattern = this.#choice(false);
    if (this.#at < this.#text.length) this.fail('unmatched )');
    return pattern;
  }

  #take(prefix: string): boolean {
    if (!this.#text.startsWith(prefix, this.#at)) return false;
    this.#at += prefix.length;
    return true;
  }

  #code(): number {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return this.fail('it ends too early');
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #choice(ignoreCase: boolean): Pattern {
    if (++this.#depth > DEEPEST) this.fail(`groups deeper than ${DEEPEST}`);
    const parts: Pattern[] = [];
    let sequence: Pattern[] = [];
    let caseless = ignoreCase;
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      if (this.#take('|')) {
        parts.push({ kind: 'sequence', parts: sequence });
        sequence = [];
      } else if (this.#take('(?i)')) caseless = true;
      else sequence.push(this.#quantified(this.#atom(caseless)));
    }
    parts.push({ kind: 'sequence', parts: sequence });
    this.#depth--;
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'choice', parts };
  }

  #group(ignoreCase: boolean): Pattern {
    const pattern = this.#choice(ignoreCase);
    if (!this.#take(')')) this.fail('a group is not closed');
    return pattern;
  }

  #look(ignoreCase: boolean, negative: boolean): Pattern {
    let inner = this.#group(ignoreCase);
    while (inner.kind === 'sequence' && inner.parts.length === 1 && inner.parts[0] !== undefined)
      inner = inner.parts[0];
    if (inner.kind !== 'set') return this.fail('only lookahead of one character is supported');
    return { kind: 'look', set: inner.set, negative };
  }

  #atom(ignoreCase: boolean): Pattern {
    if (this.#take('(')) {
      if (this.#take('?:')) return this.#group(ignoreCase);
      if (this.#take('?i:')) return this.#group(true);
      if (this.#take('?=')) return this.#look(ignoreCase, false);
      if (this.#take('?!')) return this.#look(ignoreCase, true);
      if (this.#take('?>')) return this.#group(ignoreCase);
      if (this.#text[this.#at] === '?') this.fail('a kind of group that is not supported (lookbehind, names, flags)');
      return this.#group(ignoreCase);
    }
    if (this.#take('[')) return { kind: 'set', set: { source: this.#class(), ignoreCase } };
    if (this.#take('.')) return { kind: 'set', set: { source: String.raw`[^\n]`, ignoreCase: false } };
    if (this.#take('$') || this.#take('\\z'))
      return { kind: 'look', set: { source: String.raw`[\s\S]`, ignoreCase: false }, negative: true };
    if (this.#take('^')) this.fail('^ is not supported');
    if (this.#take('\\')) return { kind: 'set', set: { source: `[${this.#escape()}]`, ignoreCase } };
    if ('*+?'.includes(this.#text[this.#at] ?? '')) this.fail('nothing to repeat');
    return { kind: 'set', set: { source: `[${literal(this.#code())}]`, ignoreCase } };
  }

  #quantified(part: Pattern): Pattern {
    let pattern = part;
    while (this.#at < this.#text.length) {
      let least = 0;
      let most = Number.POSITIVE_INFINITY;
      const counted = /^\{(\d*)(,?)(\d*)\}/.exec(this.#text.slice(this.#at, this.#at + 16));
      if (this.#take('?')) most = 1;
      else if (this.#take('+')) least = 1;
      else if (counted !== null && counted[0].length > 2) {
        this.#at += counted[0].length;
        least = Number(counted[1]);
        if (counted[2] === '') most = least;
        else if (counted[3] !== '') most = Number(counted[3]);
      } else if (!this.#take('*')) break;
      if (least > MOST_REPEATS || (Number.isFinite(most) && (most > MOST_REPEATS || most < least)))
        this.fail(`more than ${MOST_REPEATS} repetitions, or fewer than none`);
      const lazy = this.#take('?');
      if (!lazy) this.#take('+');
      pattern = { kind: 'repeat', part: pattern, least, most, lazy };
    }
    return pattern;
  }

  /** After a backslash: the inside of a JavaScript class. */
  #escape(): string {
    const code = this.#code();
    const name = String.fromCodePoint(code);
    switch (name) {
      case 's':
        return SPACE;
      case 'S':
        return String.raw`\P{White_Space}`;
      case 'd':
        return String.raw`\p{Nd}`;
      case 'D':
        return String.raw`\P{Nd}`;
      case 'w':
        return WORD;
      case 'h':
        return String.raw`\t\p{Zs}`;
      case 'p':
      case 'P':
        return this.#property(name === 'P');
      case 'x':
      case 'u':
        return literal(this.#hex(name === 'x' ? 2 : 4));
      default:
    }
    const control = ESCAPES[name];
    if (control !== undefined) return literal(control);
    if (/[A-Za-z0-9]/.test(name)) this.fail(`\\${name} is not supported`);
    return literal(code);
  }

  #hex(digits: number): number {
    const braced = /^\{([0-9A-Fa-f]{1,6})\}/.exec(this.#text.slice(this.#at, this.#at + 8));
    const plain = braced?.[1] ?? this.#text.slice(this.#at, this.#at + digits);
    const code = Number.parseInt(plain, 16);
    if (!/^[0-9A-Fa-f]+$/.test(plain) || code > 0x10ffff) this.fail('a malformed hexadecimal escape');
    this.#at += braced?.[0].length ?? digits;
    return code;
  }

  #property(negative: boolean): string {
    const found = /^(?:\{(\^?)([A-Za-z_=]{1,40})\}|()([A-Za-z]))/.exec(this.#text.slice(this.#at, this.#at + 44));
    if (found === null) return this.fail('a malformed \\p');
    this.#at += found[0].length;
    const name = found[2] ?? found[4] ?? '';
    const letter = negative === (found[1] === '^') ? 'p' : 'P';
    for (const property of [name, `Script=${name}`]) {
      const source = `\\${letter}{${property}}`;
      try {
        RegExp(source, 'u');
        return source;
      } catch {
        continue;
      }
    }
    return this.fail(`no Unicode property is called ${name}`);
  }

  /** After `[`: the JavaScript class, brackets included. */
  #class(): string {
    let inside = this.#take('^') ? '^' : '';
    for (let first = true; ; first = false) {
      if (this.#take(']')) {
        if (!first) return `[${inside}]`;
        inside += String.raw`\]`;
      } else if (this.#take('&&')) this.fail('intersections of classes are not supported');
      else if (this.#take('[')) {
        const posix = /^:(\^?)([a-z]+):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
        const source = POSIX[posix?.[2] ?? ''];
        if (posix !== null && source !== undefined && posix[1] === '') {
          this.#at += posix[0].length;
          inside += source;
        } else inside += String.raw`\[`;
      } else if (this.#take('\\')) inside += this.#escape();
      else if (this.#take('-')) inside += this.#text[this.#at] === ']' || first ? String.raw`\-` : '-';
      else inside += literal(this.#code());
    }
  }
}

export function parsePattern(source: string): Pattern {
  if (source.length > LONGEST_SOURCE) {
    throw new ModelError(
      'tokenizer',
      `tokenizer: a pretokeniser's expression of ${source.length} characters; at most ${LONGEST_SOURCE} are read`,
      { length: source.length },
    );
  }
  return new Reader(source).whole();
}

/** A pattern that matches exactly one of these strings. */
export function escapePattern(text: string): string {
  return text.replace(/[^A-Za-z0-9]/gu, (c) => `\\x{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}
