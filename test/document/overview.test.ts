/** Questions about documents as a whole: which they are, what is shown for them, and what is quoted where a model cannot sum up. */
import { expect, test } from '@jest/globals';
import { asksForAll, leadingSentences, overviewOf } from '../../src/document/answer/overview.ts';
import type { AnsweringModel } from '../../src/document/answer/model.ts';
import { promptOf } from '../../src/document/answer/prompt.ts';
import { readMarkdown } from '../../src/document/formats/markdown.ts';
import { readPlain } from '../../src/document/formats/plain.ts';

test.each([
  'Summarize this document.',
  'Summarise it in three sentences, please',
  'What is this paper about?',
  'Give me a short overview of the text',
  'What are the main points?',
  'tl;dr',
  'Fasse das Dokument zusammen.',
  'Summarise this agreement.',
  'What is this contract about?',
  'Worum geht es in dem Vertrag?',
  'Worum geht es in diesem Bericht?',
  'Was sind die wichtigsten Punkte und Hauptaussagen?',
])('asks for everything: %s', (question) => expect(asksForAll(question)).toBe(true));

test.each([
  'What is the chapter about whales about?',
  'Summarize the methods of the study',
  'What is this?',
  'How many pages does the document have?',
  'Who wrote the summary?',
  'What does Table 3 show?',
  'Fasse das Kapitel über Wale zusammen',
  'Wovon lebt der Wal?',
  '',
])('asks for something: %s', (question) => expect(asksForAll(question)).toBe(false));

const REPORT = `# Harbour report

The harbour of Ilmar was deepened so that ships of a greater draught reach its quays.

Copyright 2024 by the harbour of Ilmar, all rights reserved, no part may be printed.

## Dredging

Two dredgers worked on the channel from March to May, mostly at night.

## Costs

This was paid by the county and by the port, half each, out of their reserves.

The county of Ilmar paid 4 million euros for the deeper harbour and its quays.

## Summary

The deeper harbour of Ilmar brings ships with a greater draught to the county.

## References

The harbour of Ilmar and its ships: a history of the quays of the county, 1990.
`;

const document = { document: 'report', content: readMarkdown(REPORT, 'report.md') };
const words = ({ start, end }: { start: number; end: number }): string => document.content.text.slice(start, end);

test('shows the beginning first, then sections that speak of the others, then the beginnings of parts', () => {
  const [first, second] = overviewOf([document], 3).map(words);
  expect(first).toContain('was deepened');
  expect(second).toContain('brings ships');
  expect(overviewOf([document], 3)).toHaveLength(3);
  expect(overviewOf([document, { ...document, document: 'copy' }], 2).map((piece) => piece.document)).toEqual([
    'report',
    'copy',
  ]);
});

test('quotes whole sentences of the text in their order, none that lean on others, none of references and rights', () => {
  const quoted = leadingSentences([document]).map(words);
  expect(quoted).toEqual([
    'The harbour of Ilmar was deepened so that ships of a greater draught reach its quays.',
    'Two dredgers worked on the channel from March to May, mostly at night.',
    'The county of Ilmar paid 4 million euros for the deeper harbour and its quays.',
    'The deeper harbour of Ilmar brings ships with a greater draught to the county.',
  ]);
  expect(leadingSentences([{ document: 'empty', content: readMarkdown('# Title only', 'title.md') }])).toEqual([]);
});

test('quotes nothing that points elsewhere, no steps, captions, lists of names, and no sentences without their icons or half of a bracket', () => {
  const said = [
    'The watch of Ilmar (the second of its kind) measures the tide and the wind at sea.',
    'We found that the watch shows the tide of all harbours of the county.',
  ];
  const unsaid = [
    'For more details on the watch and the tide of Ilmar, ask the harbour master.',
    'See the watch of Ilmar and the tide that it measures at sea in the harbour.',
    'The tide that the watch of Ilmar measures is shown in Figure 5 of the harbour.',
    'Find the watch of Ilmar with the tide and the wind at www.watch.example today.',
    '3 Press the button of the watch of Ilmar until the tide is measured at sea.',
    'Figure 5: The watch of Ilmar measures the tide and the wind at sea.',
    'The watch of Ilmar (see the tide of Ilmar and the wind at sea of cir.',
    'The watch of Ilmar measures the tide, and the icon ( ) flashes at sea.',
    'Press the button of the watch of Ilmar until the tide is there again, then .',
    'Watch, Ilmar, Tide, Wind, Sea, Harbour of Ilmar, County of Ilmar, 12 March, Ida Marsh.',
  ];
  const text = [...said, ...unsaid].map((sentence) => `${sentence}\n\n`).join('');
  const quoted = leadingSentences([{ document: 'watch', content: readPlain(text, 'watch.txt') }]);
  expect(quoted.map(({ start, end }) => text.slice(start, end))).toEqual(said);
});

test('a model that follows instructions is asked for sentences of its own', () => {
  const model = { name: 'chat', parameters: 500_000_000 } as AnsweringModel;
  expect(promptOf(model, 'Text.', 'Summarize this.')).toMatch(/sentences of your own/);
  expect(promptOf(model, 'Text.', 'Who is Ida?')).toMatch(/words from the text/);
});
