/** PDFs that say by tags what their text is: what is believed of them, and what is not. */
import { describe, expect, test } from '@jest/globals';
import { column, pdf, type PdfElement, type PdfPageSpec, type PdfText } from '../support/pdf.ts';
import { openTest } from '../support/documents.ts';

const read = async (texts: readonly PdfText[], tags: readonly PdfElement[]): Promise<string> =>
  (await openTest(pdf({ pages: [{ texts, tags }] }))).text;

describe('tags that are believed', () => {
  test('narrow columns of a table without lines are cells, and empty cells keep their place', async () => {
    const cells = [
      ['Ship', 'Crew of it', 'Fee'],
      ['Anna', 'twelve men', '30'],
      ['Berta', '', '20'],
    ];
    const texts: PdfText[] = [];
    const rows = cells.map((row, i): PdfElement => {
      const own = row.flatMap((text, k): PdfElement[] => {
        if (text === '') return [];
        texts.push({ x: [60, 88, 141][k]!, y: 700 - 12 * i, text });
        return [['TD', texts.length - 1]];
      });
      return ['TR', ...own];
    });
    // A cell of two lines.
    texts.push(
      { x: 88, y: 652, text: 'eight men and' },
      { x: 88, y: 640, text: 'a cook' },
      { x: 60, y: 652, text: 'Carl' },
    );
    rows.push(['TR', ['TD', texts.length - 1], ['TD', ['P', texts.length - 3], ['P', texts.length - 2]]]);
    expect(await read(texts, [['Table', ['TBody', ...rows]]])).toBe(
      'Ship | Crew of it | Fee\nAnna | twelve men | 30\nBerta |  | 20\nCarl | eight men and a cook',
    );
  });

  test('headings with their levels, items with theirs, and paragraphs that layout cannot tell apart', async () => {
    const texts = [
      ...column(60, 700, ['Rules of the port', 'Winter', 'The port is shut.', 'Nobody sails.']),
      { x: 46, y: 652, text: '1.' },
      ...column(60, 652, ['Ships pay', 'at noon.', 'Boats wait.']),
    ];
    const tags: PdfElement[] = [
      ['H1', ['P', 0]],
      ['H3', ['Span', 1]],
      ['P', 2],
      ['P', 3],
      ['L', ['LI', ['Lbl', 4], ['LBody', ['P', 5, 6], ['L', ['LI', ['LBody', 7]]]]]],
    ];
    const { text, outline } = await openTest(pdf({ pages: [{ texts, tags }] }));
    expect(text).toBe(
      'Rules of the port\n\nWinter\n\nThe port is shut.\n\nNobody sails.\n\n1. Ships pay at noon.\n\nBoats wait.',
    );
    expect(outline.map(({ title, level }) => [title, level])).toEqual([
      ['Rules of the port', 1],
      ['Winter', 3],
    ]);
  });

  test('a paragraph goes on in the next column, and a side bar stands where the file has it', async () => {
    const texts = [
      { x: 60, y: 600, text: 'The keeper lights the lamp' },
      { x: 60, y: 588, text: 'at dusk, and he puts it' },
      { x: 200, y: 720, text: 'out again at the first ray of the' },
      { x: 200, y: 708, text: 'sun.' },
      { x: 185, y: 600, text: 'Harbour office' },
    ];
    expect(
      await read(texts, [
        ['Sect', ['P', 0, 1, 2, 3]],
        ['Aside', ['P', 4]],
      ]),
    ).toBe(
      'The keeper lights the lamp at dusk, and he puts it out again at the first ray of the sun.\n\nHarbour office',
    );
  });

  test("a picture's description is read in its place, found, and cited with the picture's rectangle", async () => {
    const texts = column(60, 700, ['The tides are these.', 'They are measured daily.']);
    const alt = 'Chart of the tides at the mole, highest in March';
    const figure: PdfElement = [{ role: 'Figure', alt, box: [60, 500, 260, 600] }];
    const tags: PdfElement[] = [['P', 0, [{ role: 'Figure', alt: 'Picture 3' }]], figure, ['P', 1]];
    const document = await openTest(pdf({ pages: [{ texts, tags, origin: [0, 0] }] }));
    // pdf.js knows an element by the text that it holds.
    expect(document.text).not.toContain('Picture 3');
    const held: PdfElement[] = [
      ['P', 0],
      [{ role: 'Figure', alt, box: [60, 500, 260, 600] }, 2],
      ['P', 1],
    ];
    const shown = await openTest(pdf({ pages: [{ texts: [...texts, { x: 70, y: 550, text: 'March' }], tags: held }] }));
    expect(shown.text).toBe(`The tides are these.\n\n${alt}\n\nMarch\n\nThey are measured daily.`);
    const [found] = await shown.search('tides highest in March');
    const start = shown.text.indexOf('highest');
    expect(found?.text).toContain(alt);
    expect(shown.rectangles(start, start + 7)).toEqual([{ page: 1, rectangle: [60, 242, 260, 342] }]);
  });

  test('headers and footers are read once, and not where they repeat the names of columns', async () => {
    const page = (number: number): PdfPageSpec => ({
      texts: [
        { x: 60, y: 800, text: 'Port of Marston', artifact: true },
        { x: 60, y: 700, text: `The year ${1900 + number} was calm` },
        { x: 60, y: 400, text: 'Ship', ...(number > 1 && { artifact: true }) },
        { x: 160, y: 400, text: 'Fee', ...(number > 1 && { artifact: true }) },
        { x: 60, y: 388, text: `Anna ${number}` },
        { x: 160, y: 388, text: `${number}0` },
        { x: 290, y: 40, text: `${number}`, artifact: true },
      ],
      tags: [
        ['P', 1],
        ['Table', ...(number > 1 ? [] : [['TR', ['TH', 2], ['TH', 3]] as const]), ['TR', ['TD', 4], ['TD', 5]]],
      ],
    });
    const { text } = await openTest(pdf({ pages: [page(1), page(2)] }));
    expect(text).toBe(
      'Port of Marston\n\nThe year 1901 was calm\n\nShip | Fee\nAnna 1 | 10\n\nThe year 1902 was calm\n\nAnna 2 | 20',
    );
  });

  test('cells that are called paragraphs are cells, and what has no tag stands beside what has', async () => {
    const texts = [
      ...['Keeper', 'Since', 'Ada Brown', '1904', 'Carl Dorn', '1911'].map((text, i) => ({
        x: 60 + 140 * (i % 2),
        y: 700 - 14 * (i >> 1),
        text,
      })),
      { x: 60, y: 640, text: 'All of them live in the tower of the northern mole of the harbour' },
      { x: 60, y: 690 + 30, text: 'Staff', size: 9 },
    ];
    expect(
      await read(
        texts,
        texts.slice(0, -1).map((_, i) => ['P', i] as const),
      ),
    ).toBe(
      'Staff\n\nKeeper | Since\nAda Brown | 1904\nCarl Dorn | 1911\n\nAll of them live in the tower of the northern mole of the harbour',
    );
  });
});

describe('tags that are not believed', () => {
  test('what was written into a form stays beside its names', async () => {
    const texts = [
      { x: 60, y: 700, text: 'Name of the ship:' },
      { x: 60, y: 670, text: 'Port of the ship:' },
    ];
    const fields = [
      { x: 160, y: 696, value: 'Aurora' },
      { x: 160, y: 666, value: 'Marston' },
    ];
    const tags: PdfElement[] = [
      ['P', 0],
      ['P', 1],
    ];
    const { text } = await openTest(pdf({ pages: [{ texts, fields, tags }] }));
    expect(text.replace(/[\s|]+/g, ' ')).toBe('Name of the ship: Aurora Port of the ship: Marston');
  });

  const LINES = [
    'The harbour master keeps a list of all ships',
    'that enter at night and of the lights they',
    'carry, since the pilots cannot see their',
    'names. Every captain signs the list with his',
    'own hand before the ship is made fast, and',
    'the copy goes to the customs house.',
  ];
  const texts = column(60, 700, LINES);
  const all = LINES.map((_, i) => i);

  test.each<[string, PdfElement[]]>([
    ['name a small part of the page', [['H1', 0]]],
    ['have the order from below', all.toReversed().map((i) => ['P', i] as const)],
    ['take lines for paragraphs', all.map((i) => ['P', i] as const)],
    ['take all for headings', all.map((i) => ['H1', i] as const)],
    ['say nothing', [['Document']]],
  ])('tags that %s', async (_, tags) => {
    const { text, outline } = await openTest(pdf({ pages: [{ texts, tags }] }));
    expect(text).toBe(LINES.join(' '));
    expect(outline).toEqual([]);
  });

  test('a page of which all is called a header, or that has one paragraph for all', async () => {
    const hidden = texts.map((one, i) => (i === 0 ? one : { ...one, artifact: true }));
    expect(
      await read([...hidden, ...column(60, 600, LINES).map((one) => ({ ...one, artifact: true }))], [['P', 0]]),
    ).toBe(`${LINES.join(' ')}\n\n${LINES.join(' ')}`);
    const apart = [...texts, ...column(60, 580, LINES), { x: 60, y: 740, text: 'Winter in the port', size: 18 }];
    const { text, outline } = await openTest(
      pdf({ pages: [{ texts: apart, tags: [['P', 12, ...apart.keys()] as unknown as PdfElement] }] }),
    );
    expect(text).toBe(`Winter in the port\n\n${LINES.join(' ')}\n\n${LINES.join(' ')}`);
    expect(outline).toHaveLength(1);
  });
});
