/** How a model is asked about a text. */
import type { AnsweringModel } from './model.ts';

/** Behind the text, so that what is common to all questions about it comes first and is read once. */
const INSTRUCTION =
  'Answer the question with words from the text, as briefly as possible. If the text does not say it, answer: Not in the document.';

/** nano was trained on a document, an empty line and a question, and on nothing else. */
const isNano = ({ name }: AnsweringModel): boolean => /(?:^|[\\/])nano\.gguf$/.test(name);

export function promptOf(model: AnsweringModel, text: string, question: string): string {
  return isNano(model) ? `${text}\n\n${question}` : `${text}\n\n${INSTRUCTION}\nQuestion: ${question}`;
}
