import { ModelError } from '../errors.ts';
import type { ErrorFacts } from '../errors.ts';

/** Refuses a tokenizer: `problem` names the field, what was found, and the limit or remedy. */
export function failTokenizer(problem: string, facts: ErrorFacts = {}): never {
  throw new ModelError('tokenizer', `tokenizer: ${problem}`, facts);
}
