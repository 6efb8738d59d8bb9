/** Pages, figures and sections that a question names. */
import { describe, expect, test } from '@jest/globals';
import { readMarkdown } from '../../src/document/formats/markdown.ts';
import { namedPages } from '../../src/document/index/named-pages.ts';
import { namedParts } from '../../src/document/index/named-parts.ts';
import { openTest } from '../support/documents.ts';
import { column, pdf } from '../support/pdf.ts';

describe('pages that a question names', () => {
  const pages = Array.from({ length: 30 }, (_, i) => ({ number: i + 1, ...(i >= 2 && { label: String(i - 1) }) }));

  test.each([
    ['What is the chart on page 14 about?', [14, 16]],
    ['How many people are there in pages 3-5, and on page 9?', [3, 4, 5, 6, 7, 9, 11]],
    ['Compare slides 2 and 7', [2, 4, 7, 9]],
    ['Was steht auf S. 12?', [12, 14]],
    ['Was zeigen die Folien 4 bis 6?', [4, 5, 6, 7, 8]],
    ['What date is on the cover page?', [1]],
    ['Is there a signature on the last page?', [30]],
    ['Wer steht auf der zweiten Seite, und wer auf dem Deckblatt?', [1, 2]],
    ["List all pages with a logo like ['Page 2', 'Page 4']", []],
    ['How many U.S. 2010 coins were struck on pages 1 to 5000?', []],
    ['Which pages are about ships?', []],
    // What stands on the first page, of all of the document.
    ['What is the title of the slide?', [1]],
    ['Who are the authors of this paper', [1]],
    ['who is the presenter of this presentation?', [1]],
    ['Who wrote this report?', [1]],
    ['Wer ist die Verfasserin dieser Studie?', [1]],
    ['Wer hat das Handbuch geschrieben?', [1]],
    ['What is the title of the slide about ships?', []],
    ['How many authors of this report come from Rome?', []],
    ['Who wrote the text of the song?', []],
    ['Wie viele Seiten hat das Dokument?', []],
  ])('%s', (question, expected) => {
    expect([...namedPages(question, pages)].sort((a, b) => a - b)).toEqual(expected);
  });

  test('what has no pages has none that are named', () => {
    expect(namedPages('What is on page 1?', [{ number: 1 }]).size).toBe(0);
  });

  test('their passages come first, whatever words they have', async () => {
    // As long as passages of their own.
    const words = ['The mill ground barley.', 'The fountain was dry.', 'The mill was sold.', 'Nobody came.'].map(
      (first) => `${first} ${'It rained, and the roads were bad. '.repeat(14)}`,
    );
    const document = await openTest(
      pdf({ pages: words.map((word) => ({ texts: column(60, 700, word.match(/.{1,80}(?:\s|$)/g)!) })) }),
    );
    const found = async (question: string): Promise<number[]> =>
      (await document.search(question)).map(({ page }) => page);
    expect((await found('What happened to the mill?')).slice(0, 2).toSorted((a, b) => a - b)).toEqual([1, 3]);
    expect((await found('What is on page 4?'))[0]).toBe(4);
    expect((await found('What is said of the mill on page 2?'))[0]).toBe(2);
    expect((await found('What is said of the mill on the third page?'))[0]).toBe(3);
    document.close();
  });
});

describe('parts that a question names', () => {
  const content = readMarkdown(
    [
      '# 1 Boats\n\nBoats are old. Figure 2 shows one.',
      '## 1.1 Oars\n\nOars are long.\n\nFigure 2: An oar.',
      '# Appendix B\n\nTables of dues.\n\nTable II. Dues of the port.\n\n| Ship | Toll |\n|---|---|\n| Anna | 30 |\n\nA harbour.',
      '# Kapitel 3\n\nEnde.',
      '# 2 Boats and Oars\n\nBoth float.',
    ].join('\n\n'),
    'boats.md',
  );

  test.each([
    ['How long is the oar in Figure 2?', ['Oars are long.\n\nFigure 2: An oar.\n\nAppendix B']],
    ['What does fig. 3 show?', []],
    ['Who pays what, by table II?', ['Tables of dues.\n\nTable II. Dues of the port.\n\nShip | Toll']],
    ['What is said in sections 1.1 and 7?', ['1.1 Oars\n\nOars are long.\n\nFigure 2: An oar.']],
    ['What does Appendix B hold?', [expect.stringMatching(/^Appendix B[^]*A harbour\.$/)]],
    ['Was steht in Kapitel 3?', ['Kapitel 3\n\nEnde.']],
    ['What is said in "Oars" of them?', []],
    ['How long are they in the “boats and oars” part?', ['2 Boats and Oars\n\nBoth float.']],
    ['Which part of the boat is a figure of speech?', []],
  ])('%s', (question, expected) => {
    expect(namedParts(question, content).map(([from, to]) => content.text.slice(from, to).trim())).toEqual(expected);
  });

  describe('that stand in paragraphs', () => {
    const manual = readMarkdown(
      [
        'IV. CARE OF THE OARS',
        'Oil them. Care of the oars takes an hour.',
        'UNIT 1: Ropes',
        'Rope is heavy.',
        'Unit 1 Key Assignments:',
        'Unit 1 takes two weeks.',
        'UNIT 2: Sails',
        'Sails are white.',
        '# Index',
        'Oars, 4',
      ].join('\n\n'),
      'manual.md',
    );

    test.each([
      // Up to the next heading.
      ['What does "Care of the Oars" ask for?', [expect.stringMatching(/^IV\. CARE[^]*white\.$/)]],
      // Up to the next unit; a sentence that begins with the name is no title.
      [
        'What is said in Unit 1?',
        ['UNIT 1: Ropes\n\nRope is heavy.', expect.stringMatching(/^Unit 1 Key[^]*weeks\.$/)],
      ],
      ['What is said in units 2 and 3?', ['UNIT 2: Sails\n\nSails are white.']],
      ['What is said of "takes an hour" here?', []],
    ])('%s', (question, expected) => {
      expect(namedParts(question, manual).map(([from, to]) => manual.text.slice(from, to).trim())).toEqual(expected);
    });
  });

  test('the page with the caption comes first, and not the list of captions', async () => {
    const listed = Array.from({ length: 8 }, (_, i) => `Figure ${i + 1}: Drawing of a mill ${'. '.repeat(20)}${i + 2}`);
    const document = await openTest(
      pdf({
        pages: [
          { texts: listed.flatMap((line, i) => column(60, 700 - 40 * i, [line])) },
          { texts: column(60, 700, ['The wheel of the mill in the drawing turns, as figure 3 shows, to the left.']) },
          { texts: column(60, 700, ['Figure 3. Plan']) },
        ],
      }),
    );
    expect((await document.search('Which way does the wheel of the mill turn in Figure 3?'))[0]?.page).toBe(3);
    document.close();
  });
});
