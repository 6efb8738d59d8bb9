/** Constraints of answers for one model: grammars are compiled once, and what is computed for one answer serves all sessions. Fetched with the first. */
import { InputError } from '../errors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { CompiledGrammar, GrammarConstraint } from './answer.ts';
import { Compiler } from './compile.ts';
import type { Constraint } from './constraint.ts';
import type { Grammar } from './grammar.ts';
import { Library } from './library.ts';
import { Entries } from './masks.ts';
import { Vocabulary } from './vocabulary.ts';
import { wordsOf } from './words.ts';

/** Grammars that are kept compiled, with up to 5 MB of masks each; the one used least recently makes room. */
const MOST_GRAMMARS = 8;
/** Characters of a grammar as JSON. */
const LONGEST_GRAMMAR = 1 << 20;
/** Places of answers that a grammar has met; a grammar with more is compiled anew. */
const MOST_RESTS = 200_000;

export class Constraints {
  readonly #library: Library;
  readonly #entries: Entries;
  readonly #compiled = new Map<string, CompiledGrammar>();

  /** `size`: the ids that the model computes logits for. */
  constructor(tokenizer: Tokenizer, size: number) {
    this.#library = new Library(new Vocabulary(tokenizer, size));
    this.#entries = new Entries(this.#library.vocabulary);
  }

  /** A constraint for one answer, and what a prompt says about it. */
  constrain(grammar: Grammar): { readonly constraint: Constraint; readonly words: string } {
    return { constraint: this.constraint(grammar), words: wordsOf(grammar) };
  }

  /** For one answer. Throws `InputError('argument')` where the grammar says something that cannot be kept to exactly, or that nothing fits. */
  constraint(grammar: Grammar): Constraint {
    try {
      return new GrammarConstraint(this.#compile(grammar));
    } catch (cause) {
      // The stack is full.
      if (!(cause instanceof RangeError)) throw cause;
      throw new InputError('argument', 'responseConstraint is nested too deeply; make it flatter', {}, { cause });
    }
  }

  #compile(grammar: Grammar): CompiledGrammar {
    const key = JSON.stringify(grammar);
    if (key.length > LONGEST_GRAMMAR)
      throw new InputError(
        'argument',
        `responseConstraint has ${key.length} characters as JSON, at most ${LONGEST_GRAMMAR} are read`,
        {
          length: key.length,
          limit: LONGEST_GRAMMAR,
        },
      );
    let compiled = this.#compiled.get(key);
    this.#compiled.delete(key);
    if (compiled === undefined || compiled.rests.size > MOST_RESTS)
      compiled = new CompiledGrammar(this.#entries, new Compiler(this.#library).compile(grammar, 'responseConstraint'));
    this.#compiled.set(key, compiled);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > MOST_GRAMMARS && oldest !== undefined) this.#compiled.delete(oldest);
    return compiled;
  }
}
