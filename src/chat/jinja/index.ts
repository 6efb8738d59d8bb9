/**
 * Jinja, as chat templates use it: rendering is bounded in time and memory, and every character of the result is known to come from the template or
 * from what it was given. Read `text.ts` first: it defines the strings that remember their origin.
 */
import type { Statement } from './ast.ts';
import { Budget } from './budget.ts';
import { Evaluator, Scope } from './evaluate.ts';
import { globals } from './globals.ts';
import { parse } from './parser.ts';
import type { Text } from './text.ts';
import type { Value } from './values.ts';

export { TemplateError, TemplateRefusal } from './error.ts';

export class JinjaTemplate {
  readonly #body: readonly Statement[];

  /** Throws `TemplateError` for what cannot be parsed. */
  constructor(source: string) {
    this.#body = parse(source);
  }

  /** `input`: characters of the values, which the budget grows with. Throws `TemplateError`, or `TemplateRefusal` where the template raises an exception. */
  render(values: ReadonlyMap<string, Value>, input: number, now = new Date()): Text {
    const budget = new Budget(input);
    const scope = new Scope(globals(budget, now));
    for (const [name, value] of values) scope.set(name, value);
    return new Evaluator(budget).render(this.#body, scope);
  }
}
