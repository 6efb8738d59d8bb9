/** The date or the amount that is cited where a question asks for one. */
import { expect, test } from '@jest/globals';
import { narrowedToNumber } from '../../src/document/answer/asked-number.ts';
import { cite } from '../../src/document/answer/cite.ts';
import { packOf, sentencesShown } from '../../src/document/answer/pack.ts';
import { readPlain } from '../../src/document/formats/plain.ts';

const ENGLISH = [
  'In 1943, a decision of the court restored the prior patents of Tesla, Oliver Lodge and John Stone.',
  'Two businessmen founded a firm in May 1886 and sold it in 1890.',
  'The trail crosses 14 valleys north of the border in 1907.',
  'Shares were sold on 5 March 1921 to farmers.',
  'The tower of the old castle fell in the summer of 1521, and nobody was hurt.',
  'Rapid warming of the steppe began about 13,000 BP and changed the plants.',
  'The development of optics in the 17th century changed how ships sailed.',
  'The furnace of the works reaches 565 °C on its first day.',
].join(' ');
const GERMAN =
  'Im Jahr 1788 gründete der Kaufmann die Schule am Hafen. Der Zug fuhr am 3. Oktober 1990 nach Ulm und trug 250 Gäste.';

/** What is cited, before and after. */
function quotes(text: string, question: string, said: string): (string | undefined)[] {
  const content = readPlain(text, 'a.txt');
  const shown = sentencesShown(packOf([{ document: 'd', content, start: 0, end: content.text.length, path: [] }]));
  const [cited] = cite(said, question, shown, undefined);
  if (cited === undefined) return [];
  const narrowed = narrowedToNumber(cited, said, question, shown);
  expect(content.text.slice(narrowed.start, narrowed.end)).toBe(narrowed.quote);
  return [cited.quote, narrowed.quote];
}

test.each([
  [
    ENGLISH,
    'When were the patents restored?',
    'In 1943 a court restored the prior patents of Tesla, Oliver Lodge and John Stone.',
    '1943',
  ],
  [ENGLISH, 'When were shares sold?', 'Shares were sold to the farmers on 5 March 1921.', '5 March 1921'],
  [ENGLISH, 'When did warming begin?', 'Rapid warming of the steppe began about 13,000 BP.', '13,000 BP'],
  [ENGLISH, 'In what century did optics develop?', 'The optics of ships changed in the 17th century.', '17th'],
  [ENGLISH, 'When did the tower fall?', 'Nobody was hurt as it fell in the summer of 1521.', 'summer of 1521'],
  // A year is no amount, and a unit belongs to it.
  [ENGLISH, 'How many valleys are crossed?', 'It crosses 14 valleys north of the border in 1907.', '14'],
  [ENGLISH, 'How hot is it?', 'The furnace of the works reaches 565 °C on day one.', '565 °C'],
  [GERMAN, 'Wann wurde die Schule gegründet?', 'Der Kaufmann gründete 1788 die Schule am Hafen.', '1788'],
  [GERMAN, 'Wann fuhr der Zug?', 'Der Zug fuhr am 3. Oktober 1990 nach Ulm.', '3. Oktober 1990'],
])('alone: %#', (text, question, said, expected) => {
  const [before, after] = quotes(text, question, said);
  expect(before).not.toBe(after);
  expect(after).toBe(expected);
});

test.each([
  // Two dates, two questions, a question that asks for no number, and one that begins with when.
  [ENGLISH, 'When did they have a firm?', 'Two businessmen founded a firm in May 1886 and sold it in 1890.'],
  [ENGLISH, 'When were the patents restored, and who restored them?', 'In 1943 a decision of the court restored them.'],
  [ENGLISH, 'Who restored the patents?', 'In 1943 a decision of the court restored the prior patents.'],
  [ENGLISH, 'When shares were sold, who bought them?', 'Shares were sold on 5 March 1921 to farmers.'],
  // A short answer that stands there as it is.
  [ENGLISH, 'How many valleys are crossed?', '14 valleys north'],
])('the whole stretch stays: %#', (text, question, said) => {
  const [before, after] = quotes(text, question, said);
  expect(before).toBeDefined();
  expect(after).toBe(before);
});
