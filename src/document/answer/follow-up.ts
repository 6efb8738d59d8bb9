/** What is searched for when a question may lean on the conversation before it. */
import type { Language } from '../content.ts';

/** A question with so few longer words is searched for together with the one before it. */
const FEW_WORDS = 3;

/**
 * Pronouns of English and German that stand for what was named before. Words that do so only sometimes (that, there, es, sein) are left out: a question
 * that can be understood alone loses by being searched for with another one.
 */
const PRONOUN =
  /(?<![\p{L}\p{N}])(?:it|its|he|him|his|she|her|hers|they|them|their|theirs|er|ihm|ihn|ihnen|ihre?|ihre[mnrs]|sie|seine|seine[mnrs]|diese|diese[mnrs]|dort|davon|darin|damit|dazu|daran|darauf|dafür|dabei|daraus)(?![\p{L}\p{N}])/iu;
/** A capital letter behind the first word: a name, except in German. */
const NAME = /\s[^\p{L}]*\p{Lu}/u;

/** Questions that are searched for together at most. */
const MOST = 3;

/**
 * The text that is searched for: the question, and where it cannot be understood alone, the one before it, and so on. `earlier`: the questions of the
 * conversation, the newest last; `language`: of the documents.
 */
export function searchText(question: string, earlier: readonly string[], language: Language): string {
  const together = [question];
  for (let i = earlier.length - 1; i >= 0 && together.length < MOST; i--) {
    const before = earlier[i];
    if (before === undefined || !leans(together.at(-1) ?? '', language)) break;
    together.push(before);
  }
  return together.join(' ');
}

/** Few words, or a pronoun with no name before it in the question that it could stand for. */
function leans(question: string, language: Language): boolean {
  const words = question.match(/\p{L}{4,}|\d+/gu)?.length ?? 0;
  if (words <= FEW_WORDS) return true;
  const pronoun = PRONOUN.exec(question);
  return pronoun !== null && (language === 'de' || !NAME.test(question.slice(0, pronoun.index)));
}
