/** Grammars to terms. What cannot be compiled is refused with `InputError`, by the place where it stands. */
import { clipped, InputError } from '../errors.ts';
import { compileExpression } from './compile-expression.ts';
import { parseExpression } from './expression.ts';
import { freeTable } from './free.ts';
import type { Grammar } from './grammar.ts';
import { jsonTerm } from './json/terms.ts';
import { isEmpty, TooLarge } from './language.ts';
import type { Library } from './library.ts';
import { choice, EMPTY, later, sequence, type Term } from './terms.ts';

/** Grammars within grammars: the compiler calls itself for each. */
const DEEPEST = 64;
/** Parts of one grammar. */
const MOST_PARTS = 4096;

const utf8 = new TextEncoder();

export class Compiler {
  readonly #library: Library;
  #parts = 0;

  constructor(library: Library) {
    this.#library = library;
  }

  /** `where` names the grammar in errors. */
  compile(grammar: Grammar, where: string, depth = 0): Term {
    if (depth > DEEPEST || ++this.#parts > MOST_PARTS)
      throw new InputError(
        'argument',
        `${where}: more than ${DEEPEST} grammars within one another, or ${MOST_PARTS} in all`,
      );
    const part = (one: Grammar, name: string | number): Term => this.compile(one, `${where}.${name}`, depth + 1);
    switch (grammar.kind) {
      case 'text':
        return grammar.text === '' ? EMPTY : this.#library.text(grammar.text);
      case 'token':
        return this.#library.bytes(this.#special(grammar.token, where));
      case 'json':
        return jsonTerm(grammar.schema, this.#library);
      case 'regexp':
        return this.#expression(grammar.source, grammar.flags, where);
      case 'sequence':
        return sequence(...grammar.parts.map(part));
      case 'choice':
        if (grammar.parts.length === 0) throw new InputError('argument', `${where}: a choice of nothing`);
        return choice(grammar.parts.map(part));
      case 'repeat':
        return repeat(part(grammar.part, 'part'), grammar.least, grammar.most ?? Infinity);
      case 'until':
        return this.#texts([this.#mark(grammar.end, where)], 0, where);
      case 'free':
        return this.#free(grammar.triggers, where, part);
      default:
        grammar satisfies never;
        throw new InputError('argument', `${where}: there is no grammar of this kind`);
    }
  }

  #special(name: string, where: string): Uint8Array {
    const bytes = this.#library.vocabulary.special(name);
    if (bytes === undefined)
      throw new InputError('argument', `${where}: the model has no special token ${JSON.stringify(clipped(name))}`, {
        name,
      });
    return bytes;
  }

  #expression(source: string, flags: string, where: string): Term {
    const parsed = parseExpression(source, flags, where);
    return this.#library.plain(`/${source}/${flags}`, () => {
      const language = bounded(where, () => this.#library.writes(compileExpression(parsed, false)));
      if (isEmpty(language))
        throw new InputError(
          'argument',
          `${where}: no text that this model can write matches /${clipped(source)}/${flags}`,
        );
      return language;
    });
  }

  #mark(mark: Extract<Grammar, { readonly kind: 'text' | 'token' }>, where: string): Uint8Array {
    const bytes = mark.kind === 'token' ? this.#special(mark.token, where) : utf8.encode(mark.text);
    if (bytes.length === 0) throw new InputError('argument', `${where}: a mark without text`);
    return bytes;
  }

  /** Texts up to and with the first of these marks, which is the one `wanted`; undefined: texts without any. */
  #texts(marks: readonly Uint8Array[], wanted: number | undefined, where: string): Term {
    const key = marks.map((bytes) => bytes.join(' ')).join();
    return this.#library.table(`free ${wanted} ${key}`, () => bounded(where, () => freeTable(marks, wanted)));
  }

  #free(
    triggers: Extract<Grammar, { kind: 'free' }>['triggers'],
    where: string,
    part: (one: Grammar, name: string) => Term,
  ): Term {
    const begins = triggers.map(({ begin }, i) => this.#mark(begin, `${where}.${i}`));
    const table = (wanted: number | undefined): Term => this.#texts(begins, wanted, where);
    const bodies = triggers.map(({ body }, i) => part(body, String(i)));
    const text: Term = later(() =>
      choice([table(undefined), ...bodies.map((body, i) => sequence(table(i), body, text))]),
    );
    return text;
  }
}

export function repeat(part: Term, least: number, most: number): Term {
  const from = new Map<number, Term>();
  /** What may follow `count` of them. */
  const after = (count: number): Term => {
    if (count === most) return EMPTY;
    const known = from.get(count);
    if (known !== undefined) return known;
    const more = sequence(
      part,
      later(() => after(most === Infinity ? Math.min(count + 1, least) : count + 1)),
    );
    const term = count < least ? more : choice([EMPTY, more]);
    from.set(count, term);
    return term;
  };
  return after(0);
}

/** Runs a construction; what is too large is refused by `where`. */
export function bounded<T>(where: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof TooLarge)) throw cause;
    throw new InputError('argument', `${where} needs ${cause.message}; make it simpler`, {}, { cause });
  }
}
