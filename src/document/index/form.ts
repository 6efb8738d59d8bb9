/** What a question says about the form of its answer, by which nothing is found: "Answer in one sentence.", "Round to two decimals.", "Antworte auf Deutsch." */

import { sentencesOf } from '../sentences.ts';

/** Behind a question the next sentence may follow without a space, and begin with a small letter. */
const BORDER = /(?<=[?!]["'”’)]?)\s*(?=[\p{L}([])/u;
const FIRST = String.raw`^[\s(]*(?:(?:please|kindly|and|then|directly|just|only|bitte|und)\s+)*`;
/** It speaks of the answer. */
const ANSWER = new RegExp(
  String.raw`${FIRST}(?:answer|respond|reply|antworte|antworten\s+sie|beantworte|(?:(?:the|your)\s+)?answers?\s+(?:should|shall|must|has\s+to|in|as|with|by)|(?:die|deine|ihre)\s+antwort\s+(?:soll|sollte|muss)|(?:write|give|save|list|round|format|express|return|keep|gib|geben\s+sie|schreibe?)(?:\s+\p{L}+){0,2}\s+(?:(?:the|your|die|deine|ihre)\s+)?(?:answers?|antwort))(?!\p{L})`,
  'iu',
);
const HOW = String.raw`integers?|ints?|floats?|decimals?|decimal\s+places?|format|formatted|list\s+form|y{2,4}-mm|nachkommastellen?|ganze\s+zahl`;
const MEASURE = String.raw`(?:in|as|to|with|auf|als|mit)\s+(?:an?\s+|the\s+|no\s+more\s+than\s+|one\s+|two\s+|three\s+|few\s+|\d+\s+|single\s+|short\s+|einem?r?\s+|zwei\s+|drei\s+|wenigen\s+|kurzen\s+)*(?:lists?|words?|sentences?|bullet\s+points?|percent(?:age)?s?|thousands?|[mbt]r?illions?|english|german|listen?|satz|sätzen|worten|wörtern|stichpunkten|stichworten|deutsch|englisch|prozent)`;
/** It speaks of what an answer is written in. */
const FORM = new RegExp(
  String.raw`${FIRST}(?:round|format|express|give|return|write|represent|enumerate|save|list|runde|schreibe?|gib|formuliere|formatiere)(?!\p{L})[^?]*?(?<!\p{L})(?:${HOW}|${MEASURE})(?!\p{L})`,
  'iu',
);
const EXAMPLE = /^[\s(]*(?:e\.?\s?g\.?|for example|z\.\s?b\.|zum beispiel)[\s,:]*["'“„[(]/iu;

/** A question without such sentences; as it is where it has no others. What only speaks of a form may be what is asked for, unless another sentence asks. */
export function withoutForm(question: string): string {
  const sentences = sentencesOf(question, 0, question.length, 'en').flatMap(([from, to]) =>
    question.slice(from, to).split(BORDER),
  );
  if (sentences.length < 2) return question;
  const rest = sentences.filter((sentence) => !ANSWER.test(sentence) && !EXAMPLE.test(sentence));
  const asking = rest.filter((sentence) => sentence.includes('?') || !FORM.test(sentence));
  const kept = asking.some((sentence) => sentence.includes('?')) ? asking : rest;
  return kept.length < sentences.length && kept.some((sentence) => /\p{L}{2}/u.test(sentence))
    ? kept.join(' ')
    : question;
}
