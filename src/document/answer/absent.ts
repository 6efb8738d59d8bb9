/** How likely it is that documents do not say what was asked: a logistic function of how much of the question stands in what was found. */
import type { Evidence } from '../index/evidence.ts';

/**
 * Fitted to XQuAD's articles with even numbers (English and German, documents of 8, 30 and 240 paragraphs): each question of a document with the paragraph that
 * answers it, and of the same one without it, or with one of the question's names or numbers exchanged. Half of the questions have no answer, so the
 * probability is calibrated for readers of whom half ask for what is not there. `npm run eval -- documents --parts evidence` measures it on the other articles.
 * The model's log-probabilities, its attention and its own yes or no separate the two less well (docs/documents.md) and are not used.
 */
const WEIGHTS = { constant: 2.72, covered: -2.9, sentence: -3.88, pairs: -1.55, unnamed: 3.6 };

/** Of an answer that says so in words. */
const REFUSED = 0.99;

export function absentProbability({ covered, sentence, pairs, unnamed }: Evidence, refused: boolean): number {
  if (refused) return REFUSED;
  const sum =
    WEIGHTS.constant +
    WEIGHTS.covered * covered +
    WEIGHTS.sentence * sentence +
    WEIGHTS.pairs * pairs +
    WEIGHTS.unnamed * unnamed;
  return 1 / (1 + Math.exp(-sum));
}

const REFUSAL =
  /\b(?:not (?:in|mentioned in|stated in|found in|specified in|provided in) the (?:document|text|passage)|(?:document|text|passage)s? (?:does|do) not (?:say|mention|state|specify|provide|contain))\b|steht nicht im (?:dokument|text)|(?:dokument|text) (?:sagt|nennt|erwähnt) (?:es |das |dies )?nicht/i;

export function isRefusal(answer: string): boolean {
  return answer.length < 200 && REFUSAL.test(answer);
}
