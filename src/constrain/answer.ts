/** A grammar's constraint of one answer. */
import type { Constraint } from './constraint.ts';
import { Masks, type Entries } from './masks.ts';
import { Rests, type Term, type Threads } from './terms.ts';

/** A grammar for one model's vocabulary; its masks are shared by all answers under it. */
export class CompiledGrammar {
  readonly rests = new Rests();
  readonly masks: Masks;
  readonly entries: Entries;
  readonly start: Threads;

  constructor(entries: Entries, term: Term) {
    this.entries = entries;
    this.masks = new Masks(entries, this.rests);
    this.start = this.rests.start(term);
  }
}

export class GrammarConstraint implements Constraint {
  readonly #grammar: CompiledGrammar;
  #at: Threads;

  constructor(grammar: CompiledGrammar) {
    this.#grammar = grammar;
    this.#at = grammar.start;
  }

  mask(): Uint32Array {
    return this.#grammar.masks.of(this.#at);
  }

  accept(id: number): boolean {
    const { entries, rests } = this.#grammar;
    const { vocabulary } = entries;
    if (vocabulary.stopIds.includes(id)) return this.#at.ends;
    const bytes = vocabulary.written(id);
    if (bytes === undefined) return false;
    let at = this.#at;
    for (const byte of bytes) {
      at = rests.step(at, byte);
      if (at.threads.length === 0 && !at.ends) return false;
    }
    this.#at = at;
    return true;
  }

  get done(): boolean {
    return this.#at.ends && this.#at.threads.length === 0;
  }
}
