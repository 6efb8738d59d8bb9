/** Passages, stems, sentences, and what search finds. */
import { describe, expect, test } from '@jest/globals';
import { passagesOf, roughTokens } from '../../src/document/segment.ts';
import { sentencesOf } from '../../src/document/sentences.ts';
import { stem, stemsOf } from '../../src/document/stems.ts';
import { detectLanguage } from '../../src/document/language.ts';
import { cosine, quantise } from '../../src/document/index/vectors.ts';
import { searchText } from '../../src/document/answer/follow-up.ts';
import { fuse, vectorWeight } from '../../src/document/index/fuse.ts';
import { withoutForm } from '../../src/document/index/form.ts';
import type { Embedder } from '../../src/document/options.ts';
import { readMarkdown } from '../../src/document/formats/markdown.ts';
import { openTest, textFile } from '../support/documents.ts';
import { column, pdf } from '../support/pdf.ts';

test('English words are stemmed as by Porter', () => {
  const pairs = {
    caresses: 'caress',
    ponies: 'poni',
    cats: 'cat',
    agreed: 'agre',
    plastered: 'plaster',
    motoring: 'motor',
    conflated: 'conflat',
    hopping: 'hop',
    falling: 'fall',
    filing: 'file',
    happy: 'happi',
    relational: 'relat',
    vietnamization: 'vietnam',
    formalize: 'formal',
    electrical: 'electr',
    adjustment: 'adjust',
    adoption: 'adopt',
    probate: 'probat',
    controll: 'control',
    roll: 'roll',
    "captain's": 'captain',
  };
  for (const [word, expected] of Object.entries(pairs)) expect([word, stem(word, 'en')]).toEqual([word, expected]);
});

test('German inflections have one stem, and numbers keep their form', () => {
  expect(new Set(['Schiffe', 'Schiffes', 'Schiffen'].map((word) => stem(word, 'de'))).size).toBe(1);
  expect(new Set(['Häuser', 'Häusern'].map((word) => stem(word, 'de'))).size).toBe(1);
  expect(stem('1,200', 'en')).toBe('1200');
  expect(stemsOf('What were the harbours of 1204?', 'en')).toEqual(['harbour', '1204']);
  expect(stemsOf('港の灯台', 'other')).toContain('灯台');
  // What only asks is no word of a question.
  expect(stemsOf('Wie hoch ist die Miete?', 'de', true)).toEqual(stemsOf('Miete', 'de'));
  expect(stemsOf('How old is the old crane?', 'en', true)).toEqual(['old', 'crane']);
  expect(stemsOf('Wie lautet die IBAN?', 'other', true)).toEqual(['lautet', 'iban']);
  expect(stemsOf('twenty-one or fünf', 'en')).toEqual(['21', '5']);
  // The number of a German ordinal is that of too many others.
  expect(stemsOf('fünf am fünften', 'de')).toEqual(['5', 'funf']);
});

test('an address is found by what it is called, and a question for one is not', () => {
  expect(stemsOf('Greta (greta@port.example)', 'en')).toEqual(expect.arrayContaining(['email', 'mail', 'greta']));
  expect(stemsOf('www.port.example, https://port.example', 'en').filter((stem) => stem === 'link')).toHaveLength(1);
  expect(stemsOf('Siehe www.hafen.example', 'de')).toContain(stem('Webseiten', 'de'));
  expect(stemsOf('Who has greta@port.example?', 'en', true)).not.toContain('email');
  expect(stemsOf('It costs 3 @ 5 www.', 'en')).not.toContain('email');
});

test('an exponent is a number of its own however it is written, and the mark of a footnote is no word', () => {
  expect(stemsOf('10² m² 5 × 10⁻⁶', 'en')).toEqual(stemsOf('10^2 m^2 5 × 10^-6', 'en'));
  expect(stemsOf('10²', 'en')).not.toContain('102');
  expect(stemsOf('the harbour¹² of 1204³', 'en')).toEqual(['harbour', '1204', '3']);
  const text = 'It closed.¹ Ships wait.';
  expect(sentencesOf(text, 0, text.length, 'en')).toEqual([
    [0, 11],
    [12, 23],
  ]);
});

test('sentences end neither at abbreviations nor at initials, ordinals and decimals', () => {
  const cut = (text: string, language: 'en' | 'de'): string[] =>
    sentencesOf(text, 0, text.length, language).map(([start, end]) => text.slice(start, end));
  expect(cut('Dr. Smith met J. F. Kennedy at 3.5 miles. It rained, e.g. in May. "Go!" he said.', 'en')).toEqual([
    'Dr. Smith met J. F. Kennedy at 3.5 miles.',
    'It rained, e.g. in May.',
    '"Go!" he said.',
  ]);
  expect(cut('2. The rent is due. It is 5.', 'en')).toEqual(['2. The rent is due.', 'It is 5.']);
  expect(cut('Am 3. Oktober kam z. B. das Schiff. Es fuhr ca. 5 Meilen.', 'de')).toEqual([
    'Am 3. Oktober kam z. B. das Schiff.',
    'Es fuhr ca. 5 Meilen.',
  ]);
});

test('languages', () => {
  expect(detectLanguage('The ship that is in the harbour was built by the king and his men.')).toBe('en');
  expect(detectLanguage('Das Schiff, das im Hafen liegt, wurde von dem König und den Seinen gebaut.')).toBe('de');
  expect(detectLanguage('船は港にある')).toBe('other');
  expect(detectLanguage('Schiff | Liegegebühr\nAnna | 30 Mark\nBerta | 20 Mark\n\nMontag 8 bis 17 Uhr')).toBe('de');
  expect(detectLanguage('Ship | Toll\nAnna | 30 marks\nMüller | 20 marks')).toBe('other');
  expect(detectLanguage('Båt | Avgift\nMåndag | 30 kr\nLördag | 20 kr för två')).toBe('other');
});

test('passages keep within their size, cover all text, and know their headings', () => {
  const long = Array.from(
    { length: 60 },
    (_, i) => `Sentence number ${i} tells of the harbour and of its many ships.`,
  ).join(' ');
  const content = readMarkdown(
    `# Port\n\nShort.\n\n## Dues\n\n${long}\n\n| Ship | Toll |\n|---|---|\n${'| Anna | 30 |\n'.repeat(120)}\n\n${'x'.repeat(3000)}`,
    'a.md',
  );
  const passages = passagesOf(content);
  for (const { start, end } of passages) expect(roughTokens(content.text.slice(start, end))).toBeLessThanOrEqual(256);
  expect(passages[0]).toMatchObject({ path: ['Port'] });
  expect(passages[1]).toMatchObject({ path: ['Port', 'Dues'] });
  // Rows behind the first passage of their table bring the table's first row.
  expect(passages.some(({ path }) => path.includes('Ship | Toll'))).toBe(true);
  const covered = new Uint8Array(content.text.length);
  for (const { start, end } of passages) covered.fill(1, start, end);
  const left = [...content.text].filter((letter, i) => covered[i] === 0 && letter.trim() !== '').join('');
  expect(left).toBe('PortDues');
});

test('the passage that answers comes first, with its page and headings', async () => {
  const filler = Array.from(
    { length: 40 },
    (_, i) =>
      `Paragraph ${i} says that the tower of the castle was painted in the year ${1500 + i} by a master from abroad whose workshop stood at the market, and that the painting was paid for by the guild of bakers, who kept the bill in their chest for many years until it was lost in a fire.`,
  );
  filler[23] =
    'The lighthouse keeper counted forty-two ships on the morning after the storm, and he wrote their names into the book that lies in the customs house, where whoever wants to may read them on working days from eight to noon against a small fee.';
  const document = await openTest(textFile(`# Town\n\n${filler.join('\n\n')}`, 'town.md'));
  const [best, ...rest] = await document.search('How many ships did the keeper of the lighthouse count after storms?', {
    limit: 3,
  });
  expect(best?.text).toContain('forty-two');
  expect(best).toMatchObject({ page: 1, path: ['Town'], rectangles: [] });
  expect(document.text.slice(best?.start, best?.end)).toBe(best?.text);
  expect(rest.every(({ score }) => score < (best?.score ?? 0))).toBe(true);
  expect(await document.search('zzz')).toEqual([]);
  document.close();
  await expect(document.search('ships')).rejects.toMatchObject({ code: 'destroyed' });
});

test('what a question says about the form of its answer is not searched for', () => {
  const short: [string, string][] = [
    ['What was the debt in 2021?Answer in millions.', 'What was the debt in 2021?'],
    ['Which are blue? Please write the answer as a list, e.g., ["a"]', 'Which are blue?'],
    ['Is it old? Directly answer "yes" or "no".', 'Is it old?'],
    ['What is the date? Format it as YYYY-MM-DD.', 'What is the date?'],
    ['Answer briefly. Who is the mayor?', 'Who is the mayor?'],
    ['Wie hoch ist die Miete? Bitte antworte auf Deutsch. Runde auf zwei Nachkommastellen.', 'Wie hoch ist die Miete?'],
  ];
  for (const [question, expected] of short) expect(withoutForm(question)).toBe(expected);
  for (const question of [
    'Answer in one sentence.',
    'Answer the letter of Mr. Smith.',
    'Look at 2019. Give the profit in millions.',
    'The answers differ. Why? List the members.',
  ])
    expect(withoutForm(question)).toBe(question);
});

test('of passages that are alike, that on the page with more of the words comes first', async () => {
  const wheel = 'The wheel was sold in autumn.';
  const lines = (text: string, filler: string): string[] => `${text} ${filler.repeat(14)}`.match(/.{1,80}(?:\s|$)/g)!;
  const [rain, snow] = ['It rained, and the roads were bad. ', 'Snow fell, and all the lanes were white. '];
  const document = await openTest(
    pdf({
      pages: [
        { texts: [...column(60, 720, lines(wheel, rain)), ...column(60, 400, lines('Nobody came.', rain))] },
        { texts: [...column(60, 720, lines(wheel, snow)), ...column(60, 400, lines('The mill ground barley.', snow))] },
      ],
    }),
  );
  const found = await document.search('When was the wheel of the barley mill sold?');
  expect(found.filter(({ text }) => text.includes('autumn')).map(({ page }) => page)).toEqual([2, 1]);
  document.close();
});

test('a heading with nothing under it is found, and each short page by itself', async () => {
  const document = await openTest(
    pdf({
      pages: [
        { texts: [...column(60, 700, ['Report of the Harbour Office'], 28), ...column(60, 600, ['Greta Larsen'], 22)] },
        { texts: column(60, 700, ['Questions and answers'], 22) },
        {
          texts: [
            ...column(60, 700, ['Boats'], 22),
            ...column(60, 600, ['Forty boats came, and three of them stayed.']),
          ],
        },
        { texts: column(60, 700, ['The fountain was dry.']) },
      ],
    }),
  );
  const first = async (question: string): Promise<number | undefined> => (await document.search(question))[0]?.page;
  expect(await first('Who is Greta Larsen?')).toBe(1);
  expect(await first('Which office wrote the report?')).toBe(1);
  expect(await first('Where are the questions?')).toBe(2);
  expect(await first('How many boats came?')).toBe(3);
  expect(await first('Was there water in the fountain?')).toBe(4);
  document.close();
});

describe('vectors', () => {
  test('int8 keeps the cosine', () => {
    const random = (seed: number): Float32Array =>
      Float32Array.from({ length: 384 }, (_, i) => Math.sin(seed * 7919 + i * i * 0.37 + i));
    const exact = (a: Float32Array, b: Float32Array): number => {
      const dot = (x: Float32Array, y: Float32Array): number =>
        x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
      return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    };
    for (let i = 0; i < 20; i++) {
      const [a, b] = [random(i), random(i + 0.3)];
      expect(Math.abs(cosine(quantise(a), quantise(b)) - exact(a, b))).toBeLessThan(0.005);
    }
    expect(cosine(quantise(new Float32Array(4)), quantise(random(1)))).toBe(0);
  });

  test('scores are added in deviations from their mean', () => {
    const words = new Map([
      [0, 10],
      [1, 9],
    ]);
    const meaning = new Map([
      [0, 0.1],
      [1, 0.9],
      [2, 0.2],
    ]);
    const order = (weight: number): number[] =>
      [...fuse([0, 1, 2], words, meaning, weight)].sort((a, b) => b[1] - a[1]).map(([id]) => id);
    expect(order(0.01)).toEqual([0, 1, 2]);
    expect(order(1)).toEqual([1, 0, 2]);
    expect(order(0)).toEqual([0, 1, 2]);
  });

  test('meaning counts more in other languages where the embedder knows many', async () => {
    const english = { trained: true, vocabulary: 30_522 };
    const many = { trained: true, vocabulary: 250_037 };
    expect(vectorWeight('de', many)).toBeGreaterThan(vectorWeight('de', english));
    expect(vectorWeight('de', { ...many, trained: false })).toBe(vectorWeight('de', english));
    expect(vectorWeight('de', undefined)).toBe(vectorWeight('de', english));
    // The first text has two of the question's words, the second its meaning.
    const german = [
      'Der Hund des Nachbarn bellte gestern laut im Garten.',
      'Ein Dackel schlief dort.',
      'Die Vögel sangen.',
    ];
    const embed = async (texts: readonly string[]): Promise<Float32Array[]> =>
      texts.map((text) => Float32Array.of(/Dackel|Haustier/.test(text) ? 1 : 0, /Vögel/.test(text) ? 1 : 0.4));
    const first = async (embedding: Embedder['embedding']): Promise<string | undefined> => {
      const filler = 'Und so ging es noch lange weiter, mit vielen Worten und ohne ein Ende. '.repeat(8);
      const file = textFile(german.map((one) => `${one} ${filler}`).join('\n\n'), 'a.txt');
      const document = await openTest(file, { embedder: { fingerprint: 'test', embedding, embed } });
      return (await document.search('Welches Haustier bellte im Garten?'))[0]?.text;
    };
    expect(await first(english)).toContain('Hund');
    expect(await first(many)).toContain('Dackel');
  });

  test('a document with an embedder finds what shares no word with the question', async () => {
    const about = (text: string): number => (/dog|hound/i.test(text) ? 1 : 0);
    const asked: string[][] = [];
    const embedder: Embedder = {
      fingerprint: 'test',
      embed: async (texts) => {
        asked.push([...texts]);
        return texts.map((text) => Float32Array.of(about(text), 1 - about(text), 0.1));
      },
    };
    const long = (text: string): string =>
      `${text} ${'And so it went on for a long time with many words. '.repeat(12)}`;
    const text = [long('The cat slept.'), long('A hound barked.'), long('Birds sang.')].join('\n\n');
    const document = await openTest(textFile(text, 'a.txt'), { embedder });
    expect(asked.flat()).toHaveLength(3);
    const [best] = await document.search('dog');
    expect(best?.text).toContain('hound');
  });
});

describe('scripts', () => {
  test('Chinese, Japanese and Arabic are cut at their sentences and found', async () => {
    const chinese = '港口有九台起重机。灯塔燃烧三十八桶油。市长住在山谷里。';
    expect(sentencesOf(chinese, 0, chinese.length, 'other').map(([from, to]) => chinese.slice(from, to))).toEqual([
      '港口有九台起重机。',
      '灯塔燃烧三十八桶油。',
      '市长住在山谷里。',
    ]);
    const arabic = 'يقع الميناء في الشمال. هل تحترق المنارة ليلا؟ نعم، كل ليلة.';
    expect(sentencesOf(arabic, 0, arabic.length, 'other')).toHaveLength(3);
    const filler = '他们说了很多别的事情。'.repeat(30);
    const text = [chinese, filler, arabic, '港の灯台は毎晩三十八樽の油を燃やす。'].join('\n\n');
    const document = await openTest(textFile(text, 'scripts.txt'));
    const found = async (question: string): Promise<string> => (await document.search(question))[0]?.text ?? '';
    expect(await found('起重机有几台')).toContain('九台起重机');
    expect(await found('هل تحترق المنارة؟')).toContain('المنارة');
    expect(await found('灯台の油')).toContain('三十八樽');
  });
});

test('a question that leans on the conversation is searched for together with what it leans on', () => {
  const earlier = ['Who planned the lighthouse of Marston?', 'And when was it built?'];
  expect(searchText('Which engineer planned its second tower?', earlier.slice(0, 1), 'en')).toBe(
    'Which engineer planned its second tower? Who planned the lighthouse of Marston?',
  );
  // The question before leans, too.
  expect(searchText('Why?', earlier, 'en')).toBe(`Why? ${earlier[1]} ${earlier[0]}`);
  // The name that the pronoun stands for is there.
  const alone = 'In which year did Erik Larsen sell his boat to the harbour master?';
  expect(searchText(alone, earlier, 'en')).toBe(alone);
  expect(
    searchText('Wie viele Einwohner hatte sie im Mittelalter ungefähr?', ['Wo liegt die Stadt Marston?'], 'de'),
  ).toBe('Wie viele Einwohner hatte sie im Mittelalter ungefähr? Wo liegt die Stadt Marston?');
  expect(searchText(alone, [], 'en')).toBe(alone);
});
