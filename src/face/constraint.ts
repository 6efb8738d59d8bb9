/** What an answer may consist of, as pages say it: a JSON Schema or a regular expression. */
import type { Grammar, JsonSchema } from '../constrain/grammar.ts';
import { InputError } from '../errors.ts';

/** A JSON Schema (draft 2020-12): the answer is a JSON text of a value that fits it. A RegExp: it matches the whole answer. */
export type ResponseConstraint = JsonSchema | RegExp;

/** Options of calls whose answer may be constrained. */
export interface Constrainable {
  /** See docs/structured-output.md for what is supported; what is not is refused before anything runs. */
  readonly responseConstraint?: ResponseConstraint | undefined;
}

/** The same as plain data, which crosses to the engine. Throws `InputError('argument')` for a schema that is no JSON. */
export function withGrammar<T extends Constrainable>(
  options: T,
): Omit<T, 'responseConstraint'> & { readonly grammar?: Grammar } {
  const { responseConstraint: given, ...rest } = options;
  return given === undefined ? rest : { ...rest, grammar: grammarOf(given) };
}

/** As `misfit`: undefined, or a promise that rejects for a schema that is no JSON, for calls that throw nothing themselves. */
export function misfitSchema({ responseConstraint }: Constrainable): Promise<never> | undefined {
  try {
    withGrammar({ responseConstraint });
    return undefined;
  } catch (error) {
    return Promise.reject(error);
  }
}

function grammarOf(given: ResponseConstraint): Grammar {
  // Expressions of other realms are no instances of this one's class.
  if (Object.prototype.toString.call(given) === '[object RegExp]') {
    const { source, flags } = given as RegExp;
    return { kind: 'regexp', source, flags };
  }
  try {
    return { kind: 'json', schema: JSON.parse(JSON.stringify(given)) as JsonSchema };
  } catch (cause) {
    throw new InputError('argument', `responseConstraint: the schema is no JSON: ${String(cause)}`, {}, { cause });
  }
}
