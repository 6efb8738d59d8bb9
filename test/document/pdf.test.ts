/** PDFs to text in reading order with places: layouts, faults, and real files of ../shared/data/documents where they are. */
import { describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { column, pdf, type PdfText } from '../support/pdf.ts';
import type { PdfTextItem } from '../../src/document/pdf/library.ts';
import { pageLines } from '../../src/document/pdf/page-lines.ts';
import type { Recogniser } from '../../src/document/options.ts';
import { openTest } from '../support/documents.ts';

const LEFT = [
  'The harbour master keeps a list of all ships',
  'that enter at night and of the lights they',
  'carry, since the pilots cannot see their',
  'names. Every captain signs the list with his',
  'own hand before the ship is made fast, and',
  'the copy goes to the customs house.',
];
const RIGHT = [
  'In winter the harbour is closed when the ice',
  'reaches the outer mole. The keeper of the',
  'lighthouse then fires two shots, and ships',
  'turn back to the roadstead, where they wait',
  'until the channel has been opened again by',
  'the ice breaker from the naval yard.',
];

const open = (texts: readonly PdfText[], more: object = {}): ReturnType<typeof openTest> =>
  openTest(pdf({ pages: [{ texts, ...more }] }));

describe('reading order', () => {
  test('two columns under a title that spans them, in any order of the file', async () => {
    const texts = [
      ...column(310, 700, RIGHT),
      { x: 150, y: 760, text: 'Rules of the port for foreign ships and pilots', size: 18 },
      ...column(60, 700, LEFT),
    ];
    const { text, outline } = await open(texts);
    expect(text).toBe(`Rules of the port for foreign ships and pilots\n\n${LEFT.join(' ')}\n\n${RIGHT.join(' ')}`);
    expect(outline).toEqual([{ title: 'Rules of the port for foreign ships and pilots', level: 1, page: 1, start: 0 }]);
  });

  test('words that are parted at a line end are joined, compounds that are known are not', async () => {
    const lines = [
      'The well-known light on the northern mole is well-',
      'known to sailors, and its light is guar-',
      'ded by two keepers.',
    ];
    expect((await open(column(60, 700, lines))).text).toBe(
      'The well-known light on the northern mole is well-known to sailors, and its light is guarded by two keepers.',
    );
  });

  test('a space of the file stays one in a line that was set tightly', () => {
    const at = (x: number, str: string, width: number): PdfTextItem => ({
      ...{ str, width, height: 10, dir: 'ltr', fontName: 'F' },
      transform: [10, 0, 0, 10, x, 596],
    });
    const read = (space: number): readonly string[] =>
      pageLines(
        { items: [at(72, 'representing', 160.8), at(232.8, ' ', space), at(234.3, 'the fiber', 37)], styles: {} },
        { width: 600, height: 800, transform: [1, 0, 0, -1, 0, 800] },
        9,
      ).map(({ text }) => text);
    expect(read(0.15)).toEqual(['representing the fiber']);
    // As wide as its gap, it is what pdf.js makes of letters that stand apart.
    expect(read(1.5)).toEqual(['representingthe fiber']);
  });

  test('a soft hyphen that is drawn at the end of a line parts a word', async () => {
    const { text } = await open([
      { x: 60, y: 700, text: 'The dues of the har\u00ad', font: 'F4' },
      { x: 60, y: 688, text: 'bour are paid.', font: 'F4' },
    ]);
    expect(text).toBe('The dues of the harbour are paid.');
  });

  test('pieces of one word are one word, and rows of a table are lines', async () => {
    const texts = [
      { x: 60, y: 700, text: 'Har' },
      { x: 76.7, y: 700, text: 'bour dues' },
      ...[
        ['Ship', 'Crew', 'Toll'],
        ['Anna', '12', '30'],
        ['Berta', '8', '20'],
      ].flatMap((cells, row) => cells.map((text, i) => ({ x: 60 + 120 * i, y: 660 - 14 * row, text }))),
    ];
    expect((await open(texts)).text).toBe('Harbour dues\n\nShip | Crew | Toll\nAnna | 12 | 30\nBerta | 8 | 20');
  });

  test('a paragraph goes on over the page, and a header is read once, without the numbers of pages', async () => {
    const page = (number: number, lines: readonly string[]): { texts: PdfText[] } => ({
      texts: [
        { x: 60, y: 800, text: 'Annals of the harbour' },
        ...column(60, 700, lines),
        { x: 290, y: 40, text: `Page ${number}` },
      ],
    });
    const { text, pages } = await openTest(
      pdf({
        pages: [
          page(1, ['The first ship of the year was the Anna, which', 'had been three weeks on her way and lost her']),
          page(2, ['mast in a storm.']),
          page(3, ['Nothing else was seen until April.']),
        ],
      }),
    );
    expect(text).toBe(
      'Annals of the harbour\n\nThe first ship of the year was the Anna, which had been three weeks on her way and lost her mast in a storm.\n\nNothing else was seen until April.',
    );
    expect(pages.map(({ start, end }) => text.slice(start, end).trim())).toEqual([
      'Annals of the harbour\n\nThe first ship of the year was the Anna, which had been three weeks on her way and lost her',
      'mast in a storm.',
      'Nothing else was seen until April.',
    ]);
  });
});

describe('tables, justified lines and forms', () => {
  const cells = (y: number, texts: readonly string[]): PdfText[] =>
    texts.flatMap((text, i) => (text === '' ? [] : [{ x: 60 + 130 * i, y, text }]));

  test('the further lines of a cell belong to its row, and names of columns stay where they stand first', async () => {
    const page = (first: number): { texts: PdfText[] } => ({
      texts: [
        ...cells(780, ['Part', 'Use', 'Price']),
        ...[0, 1, 2].flatMap((i) => [
          ...cells(750 - 30 * i, [`P-${first + i}`, 'for the upper', `${first}.${i}0`]),
          ...cells(740 - 30 * i, ['', 'housing only', '']),
        ]),
      ],
    });
    const { text } = await openTest(pdf({ pages: [page(1), page(4), page(7)] }));
    const row = (i: number): string => `P-${i} | for the upper housing only | ${i - ((i - 1) % 3)}.${(i - 1) % 3}0`;
    expect(text).toBe(['Part | Use | Price', ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map(row)].join('\n'));
  });

  test('where cells of a row are empty, the others stay in their columns', async () => {
    const row = (y: number, cells: readonly (string | undefined)[]): PdfText[] =>
      cells.flatMap((text, i) =>
        text === undefined ? [] : [{ x: [60, 120, 250, 320, 390][i] ?? 0, y, text, font: 'F4' as const }],
      );
    const { text } = await open([
      ...row(700, ['Date', 'Details', 'Out', 'In', 'Balance']),
      ...row(684, ['1 May', 'Brought forward', undefined, undefined, '90.00']),
      ...row(668, ['2 May', 'Dues of the har\u2010', '30.00', undefined, '60.00']),
      ...row(657, [undefined, 'bour and the quay']),
      ...row(641, ['3 May', 'Salary', undefined, '50.00', '110.00']),
      ...row(625, [undefined, undefined, 'Sum', undefined, '110.00']),
    ]);
    expect(text).toBe(
      'Date | Details | Out | In | Balance\n1 May | Brought forward |  |  | 90.00\n2 May | Dues of the harbour and the quay | 30.00 |  | 60.00\n3 May | Salary |  | 50.00 | 110.00\nSum |  | 110.00',
    );
  });

  test('two lists side by side are read one after the other, and numbers of clauses at the edge are no cells', async () => {
    const { text } = await open([
      { x: 60, y: 720, text: 'Two ways for the harbour', font: 'F2' },
      { x: 60, y: 700, text: 'To make it deeper' },
      { x: 250, y: 700, text: 'To make it longer' },
      ...[684, 668].flatMap((y, i) => [
        { x: 66, y, text: `\u2022 ${['12 M', 'in 2027'][i] ?? ''}`, font: 'F4' as const },
        { x: 256, y, text: `\u2022 ${['19 M', 'in 2029'][i] ?? ''}`, font: 'F4' as const },
      ]),
      { x: 60, y: 620, text: '1.1' },
      ...column(100, 620, ['The dues of the harbour are paid on the first day of each month', 'to the master.'], 10),
      { x: 60, y: 590, text: '1.2' },
      ...column(100, 590, ['No ship is let out of the harbour that has not paid what it owes.'], 10),
    ]);
    expect(text).toBe(
      'Two ways for the harbour\n\nTo make it deeper\n\n\u2022 12 M\n\n\u2022 in 2027\n\nTo make it longer\n\n\u2022 19 M\n\n\u2022 in 2029\n\n' +
        '1.1 The dues of the harbour are paid on the first day of each month to the master.\n\n1.2 No ship is let out of the harbour that has not paid what it owes.',
    );
  });

  test('cells in the middle of their row, and of two rows, are cells of it', async () => {
    const at = (x: number, y: number, text: string) => ({ x, y, text, size: 10 });
    const two = [1, 2, 3].flatMap((i) => {
      const y = 700 - 36 * i;
      return [
        at(60, y, `P-${i}`),
        at(120, y, `${10 + i}`),
        at(200, y + 6, `Serviced by team ${i}; its seal must`),
        at(200, y - 6, `be changed every ${i} months.`),
      ];
    });
    expect((await openTest(pdf({ pages: [{ texts: two }] }))).text).toBe(
      [1, 2, 3]
        .map((i) => `P-${i} | ${10 + i} | Serviced by team ${i}; its seal must be changed every ${i} months.`)
        .join('\n'),
    );
    const three = [1, 2, 3].flatMap((i) => {
      const y = 700 - 50 * i;
      const lines = [`first ${i},`, `second ${i},`, `third ${i}`].map((text, k) => at(200, y + 12 - 12 * k, text));
      return [at(60, y, `P-${i}`), at(120, y, `${10 + i}`), ...lines];
    });
    expect((await openTest(pdf({ pages: [{ texts: three }] }))).text).toBe(
      [1, 2, 3].map((i) => `P-${i} | ${10 + i} | first ${i}, second ${i}, third ${i}`).join('\n'),
    );
    const spanned = [
      ...[at(60, 700, 'Model'), at(120, 700, 'low'), at(200, 700, 'high')],
      ...[at(120, 680, '1.2'), at(200, 680, '3.4'), at(60, 670, 'B100'), at(120, 660, '1.3'), at(200, 660, '3.9')],
      ...[at(60, 640, 'B200'), at(120, 640, '2.2'), at(200, 640, '5.4')],
    ];
    expect((await openTest(pdf({ pages: [{ texts: spanned }] }))).text).toBe(
      'Model | low | high\nB100 | 1.2 | 3.4\n1.3 | 3.9\nB200 | 2.2 | 5.4',
    );
  });

  test('raised and lowered letters are on the line of the letters beside them', async () => {
    const texts = [
      { x: 60, y: 700, text: 'H', size: 12 },
      { x: 68.7, y: 695, text: '2', size: 8 },
      { x: 73.2, y: 700, text: 'O is water', size: 12 },
      { x: 127.3, y: 706, text: '3', size: 8 },
      { x: 60, y: 684, text: 'and nothing else is.', size: 12 },
    ];
    expect((await openTest(pdf({ pages: [{ texts }] }))).text).toBe('H2O is water³ and nothing else is.');
  });

  test('a justified line with wide spaces is no row of a table, and its column stays whole', async () => {
    // Widths of Helvetica: of each word, so that the gaps between them are equal.
    const wide = [
      ['ships', 22.79],
      ['a', 5.56],
      ['harbour', 35.57],
      ['may', 18.89],
    ] as const;
    let x = 60;
    const spread = wide.map(([text, width]) => {
      const piece = { x, y: 700 - 12 * LEFT.length, text };
      x += width + 22;
      return piece;
    });
    const below = column(60, 700 - 12 * (LEFT.length + 1), LEFT);
    const { text } = await open([
      ...column(60, 700, LEFT),
      ...spread,
      ...below,
      ...column(310, 706, [...RIGHT, ...RIGHT.slice(0, 5)]),
    ]);
    expect(text.replace(/\s+/g, ' ')).toBe(
      [...LEFT, 'ships a harbour may', ...LEFT, ...RIGHT, ...RIGHT.slice(0, 5)].join(' '),
    );
  });

  test('spaces of a justified line may be of any width where lines of its column show that it is one; cells stay', async () => {
    // Letters of F4 are half as wide as high.
    const spread = (x: number, y: number, width: number, words: readonly string[]): PdfText[] => {
      const gap = (width - 5 * words.join('').length) / (words.length - 1);
      let at = x;
      return words.map((text) => {
        const piece = { x: at, y, text, font: 'F4' as const };
        at += 5 * text.length + gap;
        return piece;
      });
    };
    const lines = [
      'Shipping regulations notwithstanding',
      'the harbourmaster',
      'requires acknowledgement now',
      'before disembarkation',
    ];
    const texts = lines.flatMap((line, i) => spread(60, 700 - 12 * i, 190, line.split(' ')));
    const { text } = await open([...texts, { x: 60, y: 652, text: 'of all.', font: 'F4' }]);
    expect(text).toBe(`${lines.join(' ')} of all.`);
    // Cells of columns that are flush at both edges.
    const rows = ['Anna two 30', 'Bertha ten 5', 'Carl sixteen 120'].map((row) => row.split(' '));
    const cells = rows.flatMap(([name = '', crew = '', fee = ''], i) => [
      { x: 60, y: 700 - 12 * i, text: name, font: 'F4' as const },
      { x: 160 - 2.5 * crew.length, y: 700 - 12 * i, text: crew, font: 'F4' as const },
      { x: 260 - 5 * fee.length, y: 700 - 12 * i, text: fee, font: 'F4' as const },
    ]);
    expect((await open(cells)).text).toBe('Anna | two | 30\nBertha | ten | 5\nCarl | sixteen | 120');
  });

  test('an address beside the facts of an invoice is read by itself, and its items have columns of their own', async () => {
    const line = (y: number, cells: readonly (readonly [x: number, text: string])[]): PdfText[] =>
      cells.map(([x, text]) => ({ x, y, text, font: 'F4' }));
    const texts = [
      ...line(730, [
        [60, 'Bill to'],
        [360, 'Invoice no.'],
        [480, '2024-117'],
      ]),
      ...line(716, [
        [60, 'Victor Weber'],
        [360, 'Date'],
        [470, '3 May 2024'],
      ]),
      ...line(702, [
        [60, 'Harbour Road 7'],
        [360, 'Due'],
        [465, '2 June 2024'],
      ]),
      ...line(688, [[60, '2100 Lund']]),
      ...line(640, [
        [60, 'Item'],
        [300, 'Quantity'],
        [420, 'Price'],
        [505, 'Total'],
      ]),
      ...line(622, [
        [60, 'Rope'],
        [335, '4'],
        [420, '12.50'],
        [505, '50.00'],
      ]),
      ...line(604, [
        [60, 'Paint'],
        [335, '1'],
        [420, '79.00'],
        [505, '79.00'],
      ]),
    ];
    expect((await open(texts)).text.replace(/\n+/g, '\n')).toBe(
      'Bill to Victor Weber Harbour Road 7 2100 Lund\nInvoice no. | 2024-117\nDate | 3 May 2024\nDue | 2 June 2024\n' +
        'Item | Quantity | Price | Total\nRope | 4 | 12.50 | 50.00\nPaint | 1 | 79.00 | 79.00',
    );
  });

  test('so is one whose lines stand at heights of their own, between those of its facts', async () => {
    const at = (x: number, y: number, text: string): PdfText => ({ x, y, text, font: 'F4' });
    const texts = [
      at(60, 743, 'Gemeinde Fehn'),
      at(60, 729, 'Bauamt'),
      at(60, 715, 'Kanalstraße 54'),
      at(60, 701, '26629 Fehn'),
      at(360, 741, 'Rechnungsnummer'),
      at(480, 741, 'R-381'),
      at(360, 724, 'Rechnungsdatum'),
      at(480, 724, '14.10.2026'),
      at(360, 706, 'Sachbearbeiter'),
      at(480, 706, 'Enno Tjaden'),
    ];
    expect((await open(texts)).text.replace(/\n+/g, '\n')).toBe(
      'Gemeinde Fehn Bauamt Kanalstraße 54 26629 Fehn\nRechnungsnummer | R-381\nRechnungsdatum | 14.10.2026\nSachbearbeiter | Enno Tjaden',
    );
  });

  test('lines that their writer has ended stay lines, and those of prose do not', async () => {
    const listed = [
      'Multibeam sonar',
      'QGIS, Python, R',
      'Drone pilot A2',
      'Offshore survival course,',
      'valid until 06/2028',
    ];
    const { text } = await open([...column(60, 700, listed), ...column(60, 600, LEFT)]);
    expect(text).toBe(
      `Multibeam sonar\nQGIS, Python, R\nDrone pilot A2\nOffshore survival course, valid until 06/2028\n\n${LEFT.join(' ')}`,
    );
  });

  test('a word whose letters stand apart is one word', () => {
    /** A letter of half a font size, and a gap between two of them; `/` is the gap of two words. */
    const read = (spelt: string, gap: number, words = 5): string => {
      const bounds: number[] = [];
      let at = 0;
      for (const letter of spelt) {
        bounds.push(at);
        at += letter === ' ' ? gap : letter === '/' ? words : 5;
      }
      const str = spelt.replaceAll('/', ' ');
      const item: PdfTextItem = {
        ...{ str, width: at, height: 10, dir: 'ltr', fontName: 'F', bounds: [...bounds, at].map((one) => one / at) },
        transform: [10, 0, 0, 10, 60, 596],
      };
      const page = { transform: [1, 0, 0, -1, 0, 842], width: 595, height: 842 };
      return pageLines({ items: [item], styles: {} }, page, 10)[0]?.text ?? '';
    };
    expect(read('C O N TA C T', 1)).toBe('CONTACT');
    expect(read('W O R K/A B R OA D', 1)).toBe('WORK ABROAD');
    expect(read('E d u c a t i o n', 4)).toBe('Education');
    // Letters and formulas that stand apart stay so.
    expect(read('A B C D E', 3)).toBe('A B C D E');
    expect(read('x y z w', 3)).toBe('x y z w');
  });

  test('a header of some pages is read once, if its number goes on as they do', async () => {
    const names = [
      'moles',
      'lamps',
      'pilots',
      'ships',
      'ropes',
      'tides',
      'ducks',
      'cranes',
      'winds',
      'locks',
      'maps',
      'rules',
    ];
    const page = (i: number): { texts: PdfText[] } => ({
      texts: [
        { x: 60, y: 800, text: `Chapter ${1 + Math.floor(i / 3)}: The ${i < 3 ? 'harbour' : 'town'} ${i + 7}` },
        ...column(60, 700, [
          `Of ${names[i]} nobody in this town had ever`,
          `heard before the ${names[i]} of Marston were`,
          `seen at the port, where ${names[i]} are few.`,
        ]),
      ],
    });
    const { text } = await openTest(pdf({ pages: names.map((_, i) => page(i)) }));
    expect(text.split('\n\n').filter((line) => line.startsWith('Chapter'))).toEqual([
      'Chapter 1: The harbour',
      'Chapter 2: The town',
      'Chapter 3: The town',
      'Chapter 4: The town',
    ]);
    expect(text).toContain('Of lamps nobody');
  });

  test('the header and footer of two pages are read once, and lines that differ in numbers alone are not', async () => {
    const page = (number: number): { texts: PdfText[] } => ({
      texts: [
        { x: 60, y: 800, text: `Acme Report ${number}` },
        ...column(60, 700, [`The fare to zone ${number} is ${10 * number} marks and it has been so for years`]),
        ...column(60, 660, [number === 1 ? 'which nobody in this town would ever have' : 'foreseen.']),
      ],
    });
    expect((await openTest(pdf({ pages: [page(1), page(2)] }))).text.split('Acme')).toHaveLength(2);
    const three = (await openTest(pdf({ pages: [page(1), page(2), page(3)] }))).text;
    for (const number of [1, 2, 3]) expect(three).toContain(`zone ${number} is ${10 * number} marks`);
    // A row that says the same is none.
    const named = [1, 2, 3].map((number) => ({
      texts: [
        { x: 60, y: 800, text: 'Ship Toll' },
        ...(number === 2
          ? column(60, 700, ['Ship', 'Anna', 'Berta'])
          : column(60, 700, [`Prose of page ${number} tells more.`])),
        ...(number === 2 ? column(200, 700, ['Toll', '30', '20']) : []),
      ],
    }));
    expect((await openTest(pdf({ pages: named }))).text).toContain('Ship | Toll\nAnna | 30');
  });

  test.each([2, 3])('of %i pages that are alike, nothing is taken for a header', async (count) => {
    const page = { texts: column(60, 700, ['Ship: Aurora', 'Port: Marston']) };
    const { pages, text } = await openTest(pdf({ pages: Array.from({ length: count }, () => page) }));
    expect(text.match(/Aurora/g)).toHaveLength(count);
    expect(text.match(/Marston/g)).toHaveLength(count);
    expect(pages.map(({ kind }) => kind)).toEqual(Array.from({ length: count }, () => 'text'));
  });

  test('two copies of a form keep what they have in common', async () => {
    const page = (name: string): { texts: PdfText[] } => ({
      texts: column(60, 700, ['Register of captains', `Name: ${name}`, 'Port: Marston', 'Oath: taken']),
    });
    const { text } = await openTest(pdf({ pages: [page('Grace Hopper'), page('Anna Brown')] }));
    for (const words of ['Register of captains', 'Port: Marston', 'Oath: taken'])
      expect(text.split(words)).toHaveLength(3);
  });

  test('text that is drawn twice is read once, and layers that are not shown are not read', async () => {
    const twice = [
      { x: 60, y: 700, text: 'The Aurora' },
      { x: 60.4, y: 699.8, text: 'The Aurora sails today.' },
      { x: 60, y: 680, text: 'The ball is all but full.' },
    ];
    const hidden = [{ x: 60, y: 660, text: 'Draft of 1904.', hidden: true }];
    const document = await openTest(pdf({ pages: [{ texts: [...twice, ...hidden] }] }));
    expect(document.text).toBe('The Aurora sails today. The ball is all but full.');
  });

  test('comments stand behind their page, texts over it in their place, and attached files are named', async () => {
    const notes = [
      { x: 60, y: 660, subtype: 'FreeText', text: 'Paid on 5 May.' },
      { x: 300, y: 700, subtype: 'Text', text: 'The fee will rise to 15 euros.', by: 'Ada' },
      { x: 60, y: 695, subtype: 'Highlight', text: 'fee is 12' },
      { x: 60, y: 695, subtype: 'Link', text: 'a link' },
    ];
    const texts = [
      { x: 60, y: 700, text: 'The fee is 12 euros.' },
      { x: 60, y: 640, text: 'It is due in June.' },
    ];
    const document = await openTest(pdf({ pages: [{ texts, notes }, { texts }], attached: 'fees.csv' }));
    expect(document.text.split('\n\n')).toEqual([
      'The fee is 12 euros. Paid on 5 May. It is due in June.',
      'Comment by Ada: The fee will rise to 15 euros.',
      'The fee is 12 euros. It is due in June.',
    ]);
    expect(document.pages[0]?.end).toBe(document.text.indexOf('15 euros.') + '15 euros.'.length);
    expect(document.notes).toEqual(['a file is attached to it and not read (fees.csv); open such files themselves']);
  });

  test('marked points of slides are items, and their footer is read without the number of a page', async () => {
    const slide = (title: string, points: readonly string[], number: number) => ({
      texts: [
        { x: 50, y: 330, text: title, size: 28 },
        ...points.map((text, i) => ({ x: 60, y: 270 - 30 * i, text: `- ${text}`, size: 18 })),
        { x: 50, y: 20, text: `Port of Marston 2024 | Strategy of all harbours, quays and cranes | ${number}` },
      ],
      height: 400,
    });
    const points = [['Raise calls', 'Cut times'], ['Quay'], ['Crane']];
    const document = await openTest(pdf({ pages: points.map((own, i) => slide(`Goals of ${'abc'[i]}`, own, i + 1)) }));
    expect(document.outline.map(({ title }) => title)).toEqual(['Goals of a', 'Goals of b', 'Goals of c']);
    expect(document.text.split('\n\n').slice(1, 3)).toEqual(['- Raise calls', '- Cut times']);
    expect(document.text).toMatch(/Port of Marston 2024 \| Strategy of all harbours, quays and cranes$/u);
  });

  test('what was written into a form is read beside its labels', async () => {
    const page = { texts: [{ x: 60, y: 700, text: 'Captain:' }], fields: [{ x: 120, y: 695, value: 'Grace Hopper' }] };
    expect((await openTest(pdf({ pages: [page] }))).text).toMatch(/^Captain: (?:\| )?Grace Hopper$/);
  });

  test('a glyph for lam and alef is read as these, beside an article of alef and lam', async () => {
    // As they are drawn, from the left: as-salam, which has both, and a number.
    const text = [{ x: 60, y: 700, text: '12 \u0645\ue000\u0633\u0644\u0627', font: 'F4' as const }];
    expect((await open(text)).text).toBe('\u0627\u0644\u0633\u0644\u0627\u0645 12');
  });

  test('marks that fonts turn for lines written downwards are plain marks', async () => {
    const text = ['\u6e2f\ufe11\u8239\ufe12', '\u706f\ufe35\u5854\ufe36'];
    const texts = text.map((one, i) => ({ x: 60, y: 700 - 12 * i, text: one, font: 'F4' as const }));
    expect((await open(texts)).text).toBe('\u6e2f\u3001\u8239\u3002\u706f(\u5854)');
  });

  test('brackets of text from right to left that files give by their looks', async () => {
    // From the left: (Oslo), then two words, as they are seen; F4 says of each letter what it looks like.
    const text = [
      { x: 60, y: 700, text: '(Oslo)', font: 'F4' as const },
      { x: 95, y: 700, text: '\u05dc\u05d0\u05e8\u05e9\u05d9 \u05dd\u05d5\u05dc\u05e9', font: 'F4' as const },
    ];
    expect((await open(text)).text).toMatch(/ \(Oslo\)$/);
  });
});

describe('places', () => {
  test("words stand where a font's own widths put them", async () => {
    const document = await open([{ x: 60, y: 700, text: 'iiii WWWW', font: 'F4' }]);
    const at = document.text.indexOf('WWWW');
    const [place] = document.rectangles(at, at + 4);
    expect(place?.rectangle[0]).toBeCloseTo(60 + 5 * 5, 1);
    expect(place?.rectangle[2]).toBeCloseTo(60 + 9 * 5, 1);
  });

  /** Helvetica's own widths: S .667, e .556, a .556, space .278; "the" .278 .556 .556. */
  test('a word has its rectangle on the displayed page', async () => {
    const document = await open([{ x: 100, y: 700, text: 'Sea the sea', size: 20 }]);
    const at = document.text.indexOf('the');
    const [place] = document.rectangles(at, at + 3);
    expect(place?.page).toBe(1);
    const [left = 0, top = 0, right = 0, bottom = 0] = place?.rectangle ?? [];
    const begin = 100 + 20 * (0.667 + 0.556 + 0.556 + 0.278);
    expect(Math.abs(left - begin)).toBeLessThan(4);
    expect(Math.abs(right - (begin + 20 * (0.278 + 0.556 + 0.556)))).toBeLessThan(4);
    expect(top).toBeLessThan(842 - 700 - 13);
    expect(bottom).toBeGreaterThan(842 - 700);
    expect(bottom - top).toBeLessThan(28);
  });

  test.each([
    [90, [0, 0]],
    [180, [0, 0]],
    [270, [30, 50]],
    [0, [100, -40]],
  ] as const)('on a page turned by %d degrees with its corner at %p', async (rotate, origin) => {
    const [ox, oy] = origin;
    const document = await open([{ x: ox + 100, y: oy + 700, text: 'Harbour', size: 20 }], { rotate, origin });
    const [page] = document.pages;
    expect([page?.width, page?.height]).toEqual(rotate % 180 === 0 ? [595, 842] : [842, 595]);
    const [{ rectangle } = { rectangle: [0, 0, 0, 0] }] = document.rectangles(0, document.text.length);
    // The middle of the word on the unturned page is about (137, 135) from the upper left corner.
    const middle = [137, 842 - 707];
    const [x = 0, y = 0] = middle;
    const expected = { 0: [x, y], 90: [842 - y, x], 180: [595 - x, 842 - y], 270: [y, 595 - x] }[rotate];
    expect(Math.abs((rectangle[0] + rectangle[2]) / 2 - (expected[0] ?? 0))).toBeLessThan(5);
    expect(Math.abs((rectangle[1] + rectangle[3]) / 2 - (expected[1] ?? 0))).toBeLessThan(5);
  });
});

test.each([0, 90, 180, 270])(
  'on a page turned by %d degrees a sentence of three lines has three rectangles',
  async (rotate) => {
    const document = await open(column(60, 700, LEFT), { rotate });
    const from = document.text.indexOf('Every captain');
    const found = document.rectangles(from, document.text.length);
    expect(found).toHaveLength(3);
    for (const { rectangle } of found) {
      const [width, height] = [rectangle[2] - rectangle[0], rectangle[3] - rectangle[1]];
      expect(Math.min(width, height)).toBeLessThan(12);
    }
  },
);

describe('what cannot be read', () => {
  test('an encrypted file asks for its password, and opens with it', async () => {
    const locked = pdf({ pages: [{ texts: [{ x: 60, y: 700, text: 'The code is 4711.' }] }], password: 'anchor' });
    await expect(openTest(locked)).rejects.toMatchObject({
      name: 'FileError',
      code: 'password',
      message: expect.stringContaining('give its `password`'),
    });
    await expect(openTest(locked, { password: 'rope' })).rejects.toMatchObject({
      code: 'password',
      message: expect.stringContaining('not its password'),
    });
    expect((await openTest(locked, { password: 'anchor' })).text).toBe('The code is 4711.');
  });

  test('damage, no pages, and other files by another name are FileErrors', async () => {
    const whole = pdf({ pages: [{ texts: [{ x: 60, y: 700, text: 'Hello' }] }] });
    await expect(openTest(new TextEncoder().encode('%PDF-1.4 and nothing else'))).rejects.toMatchObject({
      code: 'malformed',
    });
    await expect(openTest(pdf({ pages: [] }))).rejects.toMatchObject({ name: 'FileError', code: 'malformed' });
    await expect(openTest(new Uint8Array(0))).rejects.toMatchObject({ code: 'malformed' });
    await expect(openTest(new File(['hello'], 'a.pdf'))).rejects.toMatchObject({ code: 'unsupported' });
    // The end, with the table of objects, is lost: they are looked for.
    const text = new TextDecoder('latin1').decode(whole);
    const trailer = text.slice(text.indexOf('trailer'), text.indexOf('startxref'));
    const cut = `${text.slice(0, text.indexOf('xref'))}${trailer}`;
    expect((await openTest(Buffer.from(cut, 'latin1'))).text).toBe('Hello');
  });

  test('pages that are pictures, and fonts without characters, are named, and OCR is offered', async () => {
    const document = await openTest(
      pdf({
        pages: [
          { texts: [{ x: 60, y: 700, text: 'The only page with text of its own here.' }] },
          { picture: true },
          { picture: true },
          { texts: [{ x: 60, y: 700, text: '\x01\x02\x03\x04\x05\x06\x07', font: 'F3' }] },
        ],
      }),
    );
    expect(document.pages.map(({ kind }) => kind)).toEqual(['text', 'picture', 'picture', 'unmapped']);
    expect(document.notes).toEqual([
      '2 of 4 pages (2 to 3) are pictures without text; give `ocr` to have them read',
      '1 of 4 pages (4) use fonts that do not say which characters they show; give `ocr` to have them read',
    ]);
  });

  test('a scan with a stamp on it is a picture, and its stamp is read once', async () => {
    const stamp = { x: 60, y: 800, text: 'Case 2:18-cv-12857 ECF No. 1 filed 09/13/18 Page 1 of 16' };
    const bytes = pdf({
      pages: [
        { texts: [stamp], picture: true },
        { texts: column(60, 700, [...LEFT, ...LEFT]), picture: true },
        { texts: [{ ...stamp, text: 'A page with few words.' }] },
      ],
    });
    const document = await openTest(bytes);
    expect(document.pages.map(({ kind }) => kind)).toEqual(['picture', 'text', 'text']);
    expect(document.text).toContain('Case 2:18');
    expect(document.notes).toEqual([
      '1 of 3 pages (1) are pictures without text but for a stamp; give `ocr` to have them read',
    ]);
    const ocr: Recogniser = {
      async recognise(_, { width }) {
        const scale = width / 595;
        const line = (
          text: string,
          y: number,
        ): { words: { text: string; box: [number, number, number, number] }[] } => ({
          words: [{ text, box: [60 * scale, (842 - y - 9) * scale, 330 * scale, (842 - y + 2) * scale] }],
        });
        return { lines: [line('Case 2:18-cv-l2857', 800), line('Kept by Anna.', 600)] };
      },
    };
    const read = await openTest(bytes, { ocr });
    expect(read.pages.map(({ kind }) => kind)).toEqual(['recognised', 'text', 'text']);
    expect(read.text).toMatch(/^Case 2:18-cv-12857 ECF No\. 1 filed 09\/13\/18 Page 1 of 16\n\nKept by Anna\.\n/);
    expect(read.notes).toEqual([]);
  });

  test('with an OCR adapter pages that are pictures have text, with places', async () => {
    const seen: number[][] = [];
    const ocr: Recogniser = {
      async recognise(picture, { width, height }) {
        const bytes = new Uint8Array(await picture.arrayBuffer());
        seen.push([width, height, bytes[1] ?? 0]);
        const word = (
          text: string,
          left: number,
          top: number,
        ): { text: string; box: [number, number, number, number] } => ({
          text,
          box: [left, top, left + 30 * text.length, top + 50],
        });
        return { lines: [{ words: [word('Kept', 200, 300), word('by', 350, 300), word('Anna.', 440, 300)] }] };
      },
    };
    const document = await openTest(pdf({ pages: [{ picture: true }] }), { ocr });
    expect(document.pages).toMatchObject([{ kind: 'recognised' }]);
    expect(document.text).toBe('Kept by Anna.');
    expect(document.notes).toEqual([]);
    // 595 x 842 points at 200 dots an inch, as a PNG.
    expect(seen).toEqual([[1653, 2339, 0x50]]);
    const [{ rectangle } = { rectangle: [0, 0, 0, 0] }] = document.rectangles(8, 12);
    expect(Math.abs(rectangle[0] - 440 * 0.36)).toBeLessThan(2);
    expect(Math.abs(rectangle[1] - 300 * 0.36)).toBeLessThan(2);
  });

  test('five thousand pages are read in order, and what they say has its page', async () => {
    const pages = Array.from({ length: 5000 }, (_, i) => ({
      texts: [{ x: 60, y: 700, text: `Ship number ${i + 1} was built of ${i === 4321 ? 'amber' : 'oak'}.` }],
    }));
    const document = await openTest(pdf({ pages }));
    expect(document.pages).toHaveLength(5000);
    const [found] = await document.search('Which ship was built of amber?');
    expect(found?.text).toContain('amber');
    const at = document.text.indexOf('amber');
    expect(document.rectangles(at, at + 5)).toMatchObject([{ page: 4322 }]);
  }, 240_000);

  test('an abort ends it with its reason', async () => {
    const stop = new AbortController();
    const many = pdf({ pages: Array.from({ length: 40 }, () => ({ texts: column(60, 700, LEFT) })) });
    const seen: number[] = [];
    const opening = openTest(many, {
      signal: stop.signal,
      onProgress: ({ done, total }) => {
        seen.push(total);
        if (done === 5) stop.abort(new Error('enough'));
      },
    });
    await expect(opening).rejects.toThrow('enough');
    expect(seen).toEqual([40, 40, 40, 40, 40]);
  });
});

test("the file's own outline and title are kept, each entry at its words", async () => {
  const document = await openTest(
    pdf({
      title: 'Harbour rules',
      outline: [
        ['Arrival', 1],
        ['Departure', 2],
      ],
      pages: [
        { texts: [{ x: 60, y: 700, text: 'Arrival', size: 16 }, ...column(60, 660, LEFT)] },
        {
          texts: [
            { x: 60, y: 700, text: 'Before. ' },
            { x: 60, y: 640, text: 'Departure', size: 16 },
            ...column(60, 600, RIGHT),
          ],
        },
      ],
    }),
  );
  expect(document.title).toBe('Harbour rules');
  // Names that programs give by themselves.
  for (const title of ['0000909832-21-000014', 'Microsoft Word - Rules', 'rules.docx'])
    expect([title, (await openTest(pdf({ title, pages: [{ texts: column(60, 700, LEFT) }] }))).title]).toEqual([
      title,
      undefined,
    ]);
  expect(
    document.outline.map(({ title, page, start }) => [title, page, document.text.slice(start, start + 7)]),
  ).toEqual([
    ['Arrival', 1, 'Arrival'],
    ['Departure', 2, 'Departu'],
  ]);
});

const real = (name: string): string =>
  fileURLToPath(new URL(`../../../shared/data/documents/${name}`, import.meta.url));

(existsSync(real('tracemonkey.pdf')) ? test : test.skip)(
  'tracemonkey.pdf: columns, headings, search with places',
  async () => {
    const document = await openTest(real('tracemonkey.pdf'));
    expect(document.pages).toHaveLength(14);
    expect(document.language).toBe('en');
    // Two sentences of the abstract's column, which pieces of the right column stand beside.
    expect(document.text).toContain(
      'Dynamic languages such as JavaScript are more difficult to compile than statically typed ones.',
    );
    expect(document.text).toContain(
      'Hence, recording and compiling a trace speculates that the path and typing will be exactly as they were during recording',
    );
    // Two columns below figures that go across both.
    expect(document.text).toContain(
      'In recording mode, TraceMonkey records the code along the trace in a low-level compiler intermediate representation we call LIR.',
    );
    expect(document.outline.map(({ title }) => title).join('\n')).toMatch(/Introduction/);
    const [best] = await document.search('Which languages are used for the interactive web applications?');
    expect(best?.rectangles.length).toBeGreaterThan(0);
    for (const [left, top, right, bottom] of best?.rectangles ?? []) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(612);
      expect(bottom).toBeLessThanOrEqual(792);
    }
  },
);

describe('notes and exponents', () => {
  test('a note at the foot of a column, or of a page, does not stand in the middle of a sentence', async () => {
    const open = [...LEFT.slice(0, 5), 'the copy goes to the customs'];
    const rest = ['house at the upper quay.', ...RIGHT.slice(0, 5)];
    const note = column(60, 560, ['1 The list of the year 1904 was lost in a fire.', 'Its copy was found.'], 7);
    const [columns] = [
      await openTest(pdf({ pages: [{ texts: [...column(60, 700, open), ...note, ...column(310, 700, rest)] }] })),
    ];
    expect(columns.text).toContain('the copy goes to the customs house at the upper quay.');
    expect(columns.text).toMatch(/^1 The list of the year 1904 was lost in a fire\.\n\nIts copy was found\.\n\n/);
    const { text, pages } = await openTest(
      pdf({
        pages: [
          {
            texts: [
              ...column(60, 760, ['Rules.']),
              ...column(60, 700, [...open.slice(0, 5), 'the copy goes to the cus-']),
              ...note,
            ],
          },
          { texts: column(60, 700, ['toms house at the upper quay.', ...RIGHT]) },
        ],
      }),
    );
    expect(text).toContain('the copy goes to the customs house at the upper quay.');
    expect(text).toMatch(/^Rules\.\n\n1 The list/);
    expect(text.slice(pages[1]?.start, pages[1]?.end)).toMatch(/^toms house/);
  });

  test('raised digits are exponents or marks, and no part of the number or word before them', async () => {
    const { text } = await open([
      { x: 60, y: 700, text: 'It holds 10' },
      { x: 106.2, y: 704, text: '6', size: 6 },
      { x: 112, y: 700, text: 'litres.' },
      { x: 136, y: 704, text: '1', size: 6 },
      { x: 142, y: 700, text: 'The 1' },
      { x: 167.7, y: 704, text: 'st', size: 6 },
      { x: 175, y: 700, text: 'tank is full of' },
      { x: 240, y: 704, text: '1', size: 6 },
      { x: 243.4, y: 700, text: '/' },
      { x: 246.2, y: 698, text: '4', size: 6 },
      { x: 253, y: 700, text: 'or 2' },
      { x: 270, y: 704, text: '1', size: 6 },
      { x: 273.4, y: 700, text: '/' },
      { x: 276.2, y: 698, text: '2', size: 6 },
      { x: 282, y: 700, text: 'or 10' },
      { x: 304.4, y: 704, text: '2', size: 6 },
      { x: 307.8, y: 700, text: '/3' },
      { x: 60, y: 680, text: 'of 2' },
      { x: 76.2, y: 684, text: 'n', size: 6 },
      { x: 84, y: 680, text: 'and x' },
      { x: 109, y: 684, text: 'q', size: 6 },
      { x: 117, y: 680, text: 'casks of wine.' },
    ]);
    expect(text).toBe(
      'It holds 10⁶ litres.¹ The 1st tank is full of 1/4 or 2 1/2 or 10²/3 of 2ⁿ and x^q casks of wine.',
    );
  });
});

describe('layouts of letters, contracts and leaflets', () => {
  /** About as wide as Helvetica draws it. */
  const wide = (text: string, size = 10): number => 0.5 * size * text.length;

  test('a column at the side whose lines are short is read apart from the prose beside it', async () => {
    const side = ['Contact', 'Storgata 11', 'Bergen', 'Skills', 'Navigation', 'Radar', 'Python'];
    const { text } = await open([...column(60, 703, side, 11), ...column(230, 700, [...LEFT, ...RIGHT], 11)]);
    expect(text.replaceAll('\n\n', ' ')).toBe([...side, ...LEFT, ...RIGHT].join(' '));
  });

  test('columns that stand as near as the words of a loose line are columns, and a loose line is no row', async () => {
    const left = LEFT.flatMap((line, i) => (i === 2 ? ['carry,', 'since', 'their'] : [line]));
    const texts = [
      ...[...LEFT, ...LEFT].map((text, i) => ({ x: 60, y: 700 - 12 * i, text })),
      ...[...RIGHT, ...RIGHT].map((text, i) => ({ x: 278, y: 700 - 12 * i, text })),
    ].filter(({ x, y }) => x !== 60 || y !== 676);
    // Three words with two gaps of 20 points.
    const words = [
      { x: 60, y: 676, text: 'the' },
      { x: 93.9, y: 676, text: 'environmental' },
      { x: 173.4, y: 676, text: 'commission' },
    ];
    const { text } = await open([...texts, ...words]);
    expect(left).toHaveLength(8);
    expect(text).not.toContain('|');
    expect(text).toContain(
      'that enter at night and of the lights they the environmental commission names. Every captain',
    );
    expect(text).toContain('In winter the harbour is closed when the ice reaches the outer mole.');
  });

  test('clauses with numbers go on at their own edge, and words of two fonts have a tight space between them', async () => {
    const { text, outline } = await open([
      { x: 60, y: 724, text: '§ 2 Dues', font: 'F2' },
      ...column(60, 700, [
        '(1) The dues of the harbour are paid on the first day of each cal-',
        'endar month to the master.',
      ]),
      ...column(60, 672, ['(2) No ship is let out that has not paid what it owes, and none is', 'let in.']),
      { x: 60, y: 620, text: 'A RE-' },
      { x: 60, y: 608, text: 'FUND is no REFUND unless it' },
      { x: 60 + 135.6 + 1.5, y: 608, text: 'is', font: 'F2' },
    ]);
    expect(text).toBe(
      '§ 2 Dues\n\n(1) The dues of the harbour are paid on the first day of each calendar month to the master.\n\n' +
        '(2) No ship is let out that has not paid what it owes, and none is let in.\n\nA REFUND is no REFUND unless it is',
    );
    expect(outline.map(({ title }) => title)).toEqual(['§ 2 Dues']);
  });

  test('each line of a table of contents is a line, and a cell with lines to the right is one cell', async () => {
    const right = (x: number, y: number, text: string): PdfText => ({ x: x - wide(text), y, text, font: 'F4' });
    const { text } = await open([
      ...column(60, 740, [`1 Aim ${'.'.repeat(60)} 1`, `2 Method ${'.'.repeat(60)} 12`]),
      { x: 60, y: 660, text: 'Post' },
      right(300, 666, 'Unit'),
      right(300, 654, 'price'),
      right(400, 660, 'Sum'),
      { x: 60, y: 636, text: 'Screws' },
      right(300, 636, '8.20'),
      right(400, 636, '24.60'),
    ]);
    expect(text.replaceAll(/\.{60}/g, '...')).toBe(
      '1 Aim ... 1\n2 Method ... 12\nPost | Unit price | Sum\nScrews | 8.20 | 24.60',
    );
  });
});
