/** The automata of a model's grammars, each made once: grammars that share one share its masks. */
import { Literal, type Atom, type Table } from './atom.ts';
import { charSet, complement, intersection, POINTS, SCALARS, type CharSet } from './charset.ts';
import { clipped, InputError } from '../errors.ts';
import { CountedString } from './counted.ts';
import { ANYTHING, isEmpty, NOTHING, within, type Language } from './language.ts';
import { atom, type Term } from './terms.ts';
import { jsonTable, plainTable } from './utf8.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Tables that are remembered; one has 512 bytes a state. */
const MOST_BYTES = 16 << 20;
/** Languages that are remembered; a state of one takes about 100 bytes. */
const MOST_LANGUAGES = 128;
const MOST_LITERALS = 16384;
const utf8 = new TextEncoder();

export class Library {
  readonly vocabulary: Vocabulary;
  /** The characters that the vocabulary can write anywhere: of most vocabularies all. */
  readonly writable: CharSet;
  /** Whether every character can be written. */
  readonly complete: boolean;
  readonly #tables = new Map<string, Table>();
  readonly #languages = new Map<string, Language>();
  readonly #literals = new Map<string, Atom>();
  #string: CountedString | undefined;
  #bytes = 0;

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.writable = writableBy(vocabulary.single);
    this.complete = this.writable.join() === SCALARS.join();
  }

  /** A language that is made once for the model. */
  language(key: string, make: () => Language): Language {
    let language = this.#languages.get(key);
    if (language === undefined) {
      language = make();
      if (this.#languages.size >= MOST_LANGUAGES) this.#languages.clear();
      this.#languages.set(key, language);
    }
    return language;
  }

  /** The words that the vocabulary can write. */
  writes(language: Language): Language {
    if (this.complete || isEmpty(language)) return language;
    const left = within(language, this.writable);
    return isEmpty(left) ? NOTHING : left;
  }

  bytes(bytes: Uint8Array): Term {
    const key = String.fromCharCode(...bytes);
    let literal = this.#literals.get(key);
    if (literal === undefined) {
      literal = new Literal(bytes);
      if (this.#literals.size >= MOST_LITERALS) this.#literals.clear();
      this.#literals.set(key, literal);
    }
    return atom(literal);
  }

  /** Precondition: not empty. Throws `InputError('argument')` where the model cannot write it. */
  text(text: string): Term {
    const bytes = utf8.encode(text);
    if (!this.complete && bytes.some((byte) => this.vocabulary.single[byte] !== 1))
      throw new InputError(
        'argument',
        `responseConstraint: this model's vocabulary cannot write ${JSON.stringify(clipped(text))}`,
      );
    return this.bytes(bytes);
  }

  /** A part of a JSON text. What the model cannot write is escaped: it stands in strings. */
  json(text: string): Term {
    if (this.complete) return this.text(text);
    const written = [...text].map((character) => {
      const writes = utf8.encode(character).every((byte) => this.vocabulary.single[byte] === 1);
      return writes
        ? character
        : [...Array(character.length).keys()]
            .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
            .join('');
    });
    return this.text(written.join(''));
  }

  /** Words as they are. `key` names the language among all of the model. */
  plain(key: string, language: () => Language): Term {
    return this.table(`plain ${key}`, () => plainTable(language()));
  }

  /** Words as the content of a JSON string, with its closing quote. */
  content(key: string, language: () => Language): Term {
    return this.table(`json ${key}`, () => jsonTable(language()));
  }

  /** The content of any JSON string of a length, with its closing quote. */
  string(least: number, most: number): Term {
    this.#string ??= new CountedString(jsonTable(this.writes(ANYTHING)), this.vocabulary);
    return atom(this.#string, this.#string.state(least, most));
  }

  table(key: string, make: () => Table): Term {
    let table = this.#tables.get(key);
    if (table === undefined) {
      table = make();
      this.#bytes += table.rows.byteLength;
      if (this.#bytes > MOST_BYTES) {
        this.#tables.clear();
        this.#bytes = table.rows.byteLength;
      }
      this.#tables.set(key, table);
    }
    return atom(table, table.start);
  }
}

/** The characters all of whose UTF-8 bytes are tokens. */
function writableBy(single: Uint8Array): CharSet {
  const missing: [number, number][] = [];
  const has = (byte: number): boolean => single[byte] === 1;
  for (let byte = 0; byte < 0x80; byte++) if (!has(byte)) missing.push([byte, byte + 1]);
  const trailing = Array.from({ length: 64 }, (_, i) => has(0x80 + i));
  const lead = (first: number, count: number, bytes: number, least: number): void => {
    const size = 64 ** bytes;
    for (let i = 0; i < count; i++) {
      const from = Math.max(i * size, least);
      const to = Math.min((i + 1) * size, POINTS);
      if (from < to && (!has(first + i) || trailing.includes(false))) missing.push([from, to]);
    }
  };
  lead(0xc0, 32, 1, 0x80);
  lead(0xe0, 16, 2, 0x800);
  lead(0xf0, 5, 3, 0x10000);
  return intersection(complement(charSet(missing), POINTS), SCALARS);
}
