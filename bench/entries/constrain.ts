/** Answers of a real file with and without a constraint, in this process, with the host's time for the constraint taken apart. */
import type { Grammar } from '../../src/constrain/grammar.ts';
import { Constraints } from '../../src/constrain/index.ts';
import type { Constraint } from '../../src/constrain/constraint.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { createNodePlatform } from '../../src/platform/node-engine.ts';
import { Session } from '../../src/session.ts';

export interface Share {
  readonly tokens: number;
  /** Milliseconds of decoding, and of these for masks and for advancing. */
  readonly decode: number;
  readonly constraint: number;
  readonly slowest: number;
}

class Timed implements Constraint {
  spent = 0;
  slowest = 0;
  readonly #of: Constraint;
  constructor(of: Constraint) {
    this.#of = of;
  }
  get done(): boolean {
    return this.#of.done;
  }
  mask(): Uint32Array {
    return this.#time(() => this.#of.mask());
  }
  accept(id: number): boolean {
    return this.#time(() => this.#of.accept(id));
  }
  #time<T>(body: () => T): T {
    const begun = performance.now();
    const result = body();
    const took = performance.now() - begun;
    this.spent += took;
    this.slowest = Math.max(this.slowest, took);
    return result;
  }
}

export interface Bench {
  /** Milliseconds to read the vocabulary, once a model. */
  readonly vocabulary: number;
  /** Milliseconds to compile a grammar. */
  compile(grammar: Grammar): number;
  free(question: string, maxTokens: number): Promise<Share>;
  constrained(question: string, grammar: Grammar, maxTokens: number): Promise<Share & { readonly text: string }>;
  /** Forgets what was computed for grammars so far. */
  forget(): void;
}

export async function open(path: string, threads: number, builds: URL): Promise<Bench> {
  const model = await EngineModel.load(createNodePlatform(builds), path, { device: 'wasm', threads });
  let constraints: Constraints;
  const renew = (): number => {
    const begun = performance.now();
    constraints = new Constraints(model.tokenizer, model.config.vocabulary);
    return performance.now() - begun;
  };
  renew();
  const answer = async (question: string, maxTokens: number, constraint?: Timed): Promise<Share & { text: string }> => {
    const session = new Session(model, { temperature: 0 });
    const { text, tokens, time } = await session.prompt(question, { maxTokens, loops: 'allow' }, { constraint });
    await session.destroy();
    return {
      text,
      tokens: tokens.generated,
      decode: time.decode,
      constraint: constraint?.spent ?? 0,
      slowest: constraint?.slowest ?? 0,
    };
  };
  return {
    vocabulary: renew(),
    compile: (grammar) => {
      const begun = performance.now();
      constraints.constraint(grammar);
      return performance.now() - begun;
    },
    free: (question, maxTokens) => answer(question, maxTokens),
    constrained: (question, grammar, maxTokens) =>
      answer(question, maxTokens, new Timed(constraints.constraint(grammar))),
    forget: () => void renew(),
  };
}
