/** What a prompt says about the grammar of its answer. */
import type { Grammar } from './grammar.ts';

/** Empty for grammars whose author tells the model, such as those of tool calls. */
export function wordsOf(grammar: Grammar): string {
  switch (grammar.kind) {
    case 'json':
      return grammar.schema === true
        ? 'Answer with JSON only.'
        : `Answer with JSON only, which must fit this JSON Schema:\n${JSON.stringify(grammar.schema)}`;
    case 'regexp':
      return `Answer with text only that this regular expression matches as a whole:\n/${grammar.source}/${grammar.flags}`;
    default:
      return '';
  }
}
