/** How likely it is that a document does not say what was asked: a logistic function of what retrieval and the answer tell. */
import type { Attribution } from '../../generate/attribution.ts';
import type { CitationKind } from './cite.ts';

/** Each from 0 to 1, but for the logarithms. */
export interface AbsentFacts {
  /** The share of the question's weighted words that the best passage has. */
  readonly covered: number;
  /** How far the best passage's score is above the second's, as a share of it. */
  readonly margin: number;
  /** The mean share of its attention that an answer's token gave to the document. */
  readonly attended: number;
  /** Mean and least logarithm of the tokens' probabilities. */
  readonly meanLog: number;
  readonly leastLog: number;
  /** The best kind of citation. */
  readonly kind: CitationKind | 'none';
  /** The model itself said that it is not there. */
  readonly refused: boolean;
}

/**
 * Set by hand, each by the direction in which its fact points, and not fitted to data yet: the probability puts answers in an order and is not calibrated.
 * `npm run eval -- documents --parts absent` measures it; docs/documents.md tells how far it is to be trusted.
 */
const WEIGHTS = {
  constant: 0.4,
  covered: -1.6,
  margin: -0.8,
  attended: -1.5,
  meanLog: -1.2,
  leastLog: -0.25,
  exact: -0.9,
  supported: -0.3,
};

export function absentProbability({
  covered,
  margin,
  attended,
  meanLog,
  leastLog,
  kind,
  refused,
}: AbsentFacts): number {
  if (refused) return 0.99;
  const sum =
    WEIGHTS.constant +
    WEIGHTS.covered * covered +
    WEIGHTS.margin * margin +
    WEIGHTS.attended * attended +
    WEIGHTS.meanLog * Math.max(-5, meanLog) +
    WEIGHTS.leastLog * Math.max(-10, leastLog) +
    (kind === 'exact' ? WEIGHTS.exact : kind === 'supported' ? WEIGHTS.supported : 0);
  return 1 / (1 + Math.exp(-sum));
}

/** The mean over the answer's tokens of the attention that went to the document. */
export function attendedShare({ tokens, masses }: Attribution): number {
  return tokens.length === 0 ? 0 : masses.reduce((sum, value) => sum + value, 0) / tokens.length;
}

const REFUSAL =
  /\b(?:not (?:in|mentioned in|stated in|found in|specified in|provided in) the (?:document|text|passage)|(?:document|text|passage)s? (?:does|do) not (?:say|mention|state|specify|provide|contain))\b|steht nicht im (?:dokument|text)|(?:dokument|text) (?:sagt|nennt|erwähnt) (?:es |das |dies )?nicht/i;

export function isRefusal(answer: string): boolean {
  return answer.length < 200 && REFUSAL.test(answer);
}
