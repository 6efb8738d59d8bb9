/** How a model is asked about a text, and how much of it. */
import type { AnsweringModel } from './model.ts';
import { asksForAll } from './overview.ts';

/**
 * Behind the text, so that what is common to all questions about it comes first and is read once. Nothing is said of answers that are not there: small
 * models then refuse what is (docs/documents.md); `absent` is told from the search.
 */
const INSTRUCTION = 'Answer with words from the text, as briefly as possible.';
const SUM_UP = 'Answer in two or three sentences of your own.';

/**
 * nano was trained on a document, an empty line and a question, and on nothing else; other models of its size follow no instruction, either. A model on a
 * server, whose size is not known here, is known by its name.
 */
const LEAST_PARAMETERS = 30_000_000;
export const followsNone = ({ name, parameters = 0 }: AnsweringModel): boolean =>
  (parameters > 0 && parameters < LEAST_PARAMETERS) || /(?:^|[\\/])nano\.gguf$/.test(name);

/** Where an answer ends that goes on with the prompt's own form: small models ask and answer further questions. */
export const NEXT_QUESTION = '\nQuestion:';

export function promptOf(model: AnsweringModel, text: string, question: string): string {
  return followsNone(model)
    ? `${text}\n\n${question}`
    : `${text}\n\nQuestion: ${question}\n${asksForAll(question) ? SUM_UP : INSTRUCTION}`;
}

/** Tokens of passages that a model is shown, where the caller names no number. */
const BUDGET = 640;
/**
 * A model that follows instructions and has fewer parameters finds as many answers, and 1.8 times as soon, among fewer passages: Qwen2.5-Coder-0.5B on XQuAD
 * (docs/documents.md). nano reads many as well as few.
 */
const SMALL_BUDGET = 320;
const SMALL_PARAMETERS = 1_000_000_000;

export function budgetOf(model: AnsweringModel): number {
  const { parameters = 0 } = model;
  return parameters > 0 && parameters < SMALL_PARAMETERS && !followsNone(model) ? SMALL_BUDGET : BUDGET;
}
