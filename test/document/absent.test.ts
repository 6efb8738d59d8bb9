/** Whether the text says it, told from the search alone: what stands there, what stands nowhere, and what is said of somebody else. */
import { expect, test } from '@jest/globals';
import { absentProbability, isRefusal } from '../../src/document/answer/absent.ts';
import { Searcher } from '../../src/document/index/searcher.ts';
import { stemsOf } from '../../src/document/stems.ts';
import { readMarkdown } from '../../src/document/formats/markdown.ts';

const text = [
  '# Port of Marston',
  'The call sign of the Aurora is KX-417. Her captain is Thelmira Olsen, who has commanded her since 1904.',
  'The harbour closes in winter when the ice reaches the outer mole. Ships wait in the roadstead.',
  'The lighthouse burns oil. Its keeper fires two shots when a ship is in distress.',
].join('\n\n');

async function asked(question: string, given = text): Promise<number> {
  const searcher = new Searcher();
  searcher.add('d', readMarkdown(given, 'port.md'));
  return absentProbability(searcher.evidence(question, await searcher.find(question, 8)), false);
}

test('questions that the text answers are likely to be answered, others are not', async () => {
  expect(await asked('What is the call sign of the Aurora?')).toBeLessThan(0.2);
  expect(await asked('When does the harbour close?')).toBeLessThan(0.5);
  expect(await asked('How many people live in the valley behind the mountains?')).toBeGreaterThan(0.8);
});

test('a name or a number that stands nowhere counts', async () => {
  const right = await asked('Who has commanded the Aurora since 1904?');
  expect(await asked('Who has commanded the Albatross since 1904?')).toBeGreaterThan(right + 0.2);
  expect(await asked('Who has commanded the Aurora since 1931?')).toBeGreaterThan(right + 0.2);
});

test('a time, a date or a unit is the same in whichever way the question writes it', async () => {
  const pool =
    'The baths of Marston were built on 03.04.1931 for 1.2 million marks.\n\nThe pool closes at 22:45. Children leave at 8 pm. A ticket costs € 4, and 30 % less on Mondays.\n\n' +
    'The lockers are in the cellar. Towels can be borrowed at the desk. The desk closes at a quarter past nine. The keeper is Thelmira Olsen.';
  for (const question of [
    'Does the pool close at a quarter to eleven at night?',
    'Does the pool close at 10:45 p.m.?',
    'Does the pool close at quarter to eleven?',
    'What is the closing time of the pool?',
    'Do children leave at 20:00?',
    'Do children leave at eight in the evening?',
    'Is the desk closed at 21:15?',
    'How many euros does a ticket cost?',
    'How many percent less is it on Mondays?',
    'Were the baths built on 3 April 1931?',
    'Were the baths built for 1,200,000 marks?',
  ])
    expect([question, (await asked(question, pool)) < 0.3]).toEqual([question, true]);
  expect(await asked('Does the pool close at a quarter past eleven at night?', pool)).toBeGreaterThan(0.3);
  const bad =
    'Das Bad wurde am 5. Mai 1931 eröffnet.\n\nDas Schwimmbad schließt um 22:45 Uhr. Zimmer 10 am Hafen ist frei.';
  expect(await asked('Schließt das Schwimmbad um Viertel vor elf abends?', bad)).toBeLessThan(0.3);
  expect(await asked('Wurde das Bad am 05.05.1931 eröffnet?', bad)).toBeLessThan(0.3);
  expect(stemsOf('Zimmer 10 am Hafen', 'de')).toContain('10');
  expect(stemsOf('from ten to eleven', 'en')).toEqual(['10', '11']);
});

test('each of the facts is a share, also of questions without words', () => {
  const searcher = new Searcher();
  expect(searcher.evidence('?', [])).toEqual({ covered: 0, sentence: 0, pairs: 0, unnamed: 0 });
  expect(absentProbability({ covered: 0, sentence: 0, pairs: 0, unnamed: 1 }, false)).toBeGreaterThan(0.99);
  expect(absentProbability({ covered: 1, sentence: 1, pairs: 1, unnamed: 0 }, false)).toBeLessThan(0.01);
});

test('a refusal in words is one', () => {
  expect(absentProbability({ covered: 1, sentence: 1, pairs: 1, unnamed: 0 }, true)).toBe(0.99);
  expect(
    ['The text does not say it.', 'Das steht nicht im Text.', 'It is not mentioned in the passage.'].map(isRefusal),
  ).toEqual([true, true, true]);
  expect(isRefusal('The harbour is not in the north.')).toBe(false);
});
