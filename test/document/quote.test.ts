/** Short answers as quotes: the sentence that supports them, and what belongs to a number or a name. */
import { describe, expect, test } from '@jest/globals';
import { cite, nearerTheQuestion } from '../../src/document/answer/cite.ts';
import type { AnsweringModel } from '../../src/document/answer/model.ts';
import { packOf, sentencesShown, type Shown } from '../../src/document/answer/pack.ts';
import { isShort, quoted } from '../../src/document/answer/quote.ts';
import { readCsv } from '../../src/document/formats/csv.ts';
import { readPlain } from '../../src/document/formats/plain.ts';
import { InputError } from '../../src/errors.ts';
import { openTest, textFile } from '../support/documents.ts';

const TEXT =
  'The Middle Rhine flows between Bingen and Bonn, and carries over 14,000 barges a year. Its president is the Rev. Paul T. Stallsworth. ' +
  'Steam of 565 °C drives the 12 turbines of the 3.5 million square kilometre basin.';
const content = readPlain(TEXT, 'a.txt');
const shown: readonly Shown[] = sentencesShown(
  packOf([{ document: 'd', content, start: 0, end: content.text.length, path: [] }]),
);

describe('what belongs to a quote', () => {
  test.each([
    ['14,000', 'How many barges does it carry?', 'over 14,000'],
    ['565', 'How hot is the steam?', '565 °C'],
    ['Paul T. Stallsworth', 'Who is the president?', 'Rev. Paul T. Stallsworth'],
    ['3.5', 'How large is the basin?', '3.5 million square kilometre'],
    // A unit that the question names is not missed; what no unit follows ends there.
    ['3.5', 'How many million square kilometres has the basin?', '3.5'],
    ['12', 'How many turbines are there?', '12'],
  ])('%s', async (said, question, whole) => {
    const citations = cite(said, question, shown, undefined);
    expect(citations).toMatchObject([{ kind: 'exact', quote: whole }]);
    const { text } = quoted(said, citations, 'en');
    expect(text).toBe(whole);
  });

  test('of each part of an answer, and other parts stay', () => {
    const said = '565 and 14,000, and 99 ducks.';
    const question = 'How hot is the steam, and how many barges does it carry, and ducks?';
    const { text, citations } = quoted(said, cite(said, question, shown, undefined), 'en');
    expect(text).toBe('565 °C and over 14,000, and 99 ducks.');
    expect(citations.map(({ answer }) => text.slice(...answer))).toEqual(['565 °C', 'over 14,000']);
  });

  test.each([
    ['565 and 565', '565 °C'],
    ['14,000 and 14,000.', 'over 14,000'],
  ])('of what was said twice, once: %s', (said, whole) => {
    const question = 'How hot is the steam, and how many barges does it carry?';
    const { text, citations } = quoted(said, cite(said, question, shown, undefined), 'en');
    expect(text).toBe(whole);
    expect(citations).toMatchObject([{ kind: 'exact', quote: whole, answer: [0, whole.length] }]);
  });

  test('a whole answer is shown as the model wrote it', async () => {
    const said = 'Bingen AND Bonn.';
    const { text } = quoted(said, cite(said, 'Where?', shown, undefined), 'en');
    expect(text).toBe(said);
  });
});

describe('an answer that stands there in other words', () => {
  const question = 'What flows from Bingen to Bonn?';
  const said = 'The Rhine is flowing between Bonn and Bingen.';
  const citations = cite(said, question, shown, undefined);
  test('is the sentence that supports it, of which the words that were asked for are cited', () => {
    const { text, citations: cited } = quoted(said, citations, 'en');
    expect(text).toBe('The Middle Rhine flows between Bingen and Bonn, and carries over 14,000 barges a year.');
    expect(cited).toMatchObject([{ kind: 'exact', answer: [0, text.length], quote: citations[0]?.quote }]);
  });

  test.each([
    ['yes or no', 'Yes, the Rhine is flowing between Bonn and Bingen.'],
    ['several sentences', 'The Rhine is flowing between Bonn and Bingen. The barges are 14,000.'],
    ['what no sentence supports', 'The Danube is flowing between Bonn and Vienna.'],
    ['a few words that stand together', 'Between Bingen, Bonn.'],
  ])('%s: stays as it was said', async (_, other) => {
    const cited = cite(other, question, shown, undefined);
    expect(quoted(other, cited, 'en')).toEqual({
      text: other,
      citations: cited,
    });
  });

  test('what may become a quote is known from its beginning', () => {
    expect(isShort('No', 'en')).toBe(true);
    expect(isShort('Norman', 'en')).toBe(true);
    expect(isShort('No, ', 'en')).toBe(false);
    expect(isShort('It is Dr. Marsh of the U.S. Navy', 'en')).toBe(true);
    expect(isShort('It is hers. And', 'en')).toBe(false);
    expect(isShort('a '.repeat(200), 'en')).toBe(false);
  });
});

describe('a sentence that says far less of the question than another one', () => {
  const question = 'Who built the iron crane of the harbour?';
  const crane = 'The iron crane of the harbour was built by Adam Weber.';
  const mill = 'The mill was sold to Max Planck in 1904.';
  const between = 'Ships come in spring.';
  const answered = (text: string, said: string): { text: string; quotes: readonly string[] } => {
    const own = readPlain(text, 'a.md');
    const all = sentencesShown(packOf([{ document: 'd', content: own, start: 0, end: own.text.length, path: [] }]));
    const byWords = cite(said, question, all, undefined);
    expect(byWords).toMatchObject([{ kind: 'supported' }]);
    const { text: answer, citations } = quoted(said, byWords, 'en', (one) => nearerTheQuestion(one, question, all));
    return { text: answer, quotes: citations.map(({ quote }) => quote) };
  };
  const said = 'The crane was sold by Max Planck in 1904.';
  test.each([
    ['is passed over for it', `${crane} ${between} ${mill}`, crane],
    ['stands behind it: both are quoted', `${between} ${crane} ${mill}`, `${crane} ${mill}`],
    ['stays where that one is a question', `${question} ${between} ${mill}`, mill],
    [
      'stays where it says more than half of it',
      `${crane} ${between} The iron crane of the harbour was sold to Max Planck in 1904.`,
    ],
  ])('%s', (_, text, whole = text.slice(text.indexOf(between) + between.length + 1)) => {
    const { text: answer, quotes } = answered(text, said);
    expect(answer).toBe(whole);
    expect(text).toContain(quotes[0]);
    if (whole.includes(crane)) expect(quotes).toEqual([whole]);
  });
});

describe('of an answer from the wrong row of a table', () => {
  const table = 'country,shop,units\nNetherlands,Delft,6120\nGermany,Celle,5240\nBelgium,Ghent,2190';
  const own = readCsv(table, 'a.csv');
  const all = sentencesShown(packOf([{ document: 'd', content: own, start: 0, end: own.text.length, path: [] }]));
  const answered = (said: string, question: string): string =>
    quoted(said, cite(said, question, all, undefined), 'en', (one) => nearerTheQuestion(one, question, all)).text;
  test.each([
    [
      'the row that the question names is shown',
      '6120',
      'How many units were sold in Germany?',
      'Germany | Celle | 5240',
    ],
    ['a right one stays', '5240', 'How many units were sold in Germany?', '5240'],
    ['a row that is named by comparing it stays', 'Belgium', 'Which country sold fewer units than Germany?', 'Belgium'],
    ['it stays where the question names no row', '6120', 'What is the largest number of units?', '6120'],
  ])('%s', (_, said, question, shownAs) => expect(answered(said, question)).toBe(shownAs));
});

test('a row is one sentence, whatever its cells end with', () => {
  const own = readCsv('Pos.,Arbeit,Menge,Preis\n14,Montage,46 Std.,2691 Euro', 'a.csv');
  const all = sentencesShown(packOf([{ document: 'd', content: own, start: 0, end: own.text.length, path: [] }]));
  expect(all.map(({ start, end }) => own.text.slice(start, end))).toEqual([
    'Pos. | Arbeit | Menge | Preis',
    '14 | Montage | 46 Std. | 2691 Euro',
  ]);
});

test('of two sentences in which an answer stands, the one that says what was asked is cited, whatever the attention', () => {
  const text = 'In 1904 the mill was sold. The crane of the harbour was built in 1904.';
  const own = readPlain(text, 'a.txt');
  const all = sentencesShown(packOf([{ document: 'd', content: own, start: 0, end: text.length, path: [] }]));
  const looked = { tokens: ['1904'], masses: Float32Array.of(0.7, 0.3) };
  expect(cite('1904', 'When was the crane built?', all, looked)).toMatchObject([{ start: text.lastIndexOf('1904') }]);
  // Where both say as much of the question, attention decides.
  expect(cite('1904', 'Which year?', all, looked)).toMatchObject([{ start: text.indexOf('1904') }]);
});

describe('document.ask', () => {
  /** A model that says these pieces and cannot be asked how it came to them. */
  const saying = (
    pieces: readonly string[],
    asked = async (): Promise<void> => undefined,
    shown: (input: string) => void = () => undefined,
  ): AnsweringModel => {
    const refuses = async (): Promise<never> => {
      await asked();
      throw new InputError('argument', 'it cannot tell');
    };
    return {
      name: 'said',
      parameters: 500_000_000,
      contextWindow: 2048,
      tokenize: async (text) => new Int32Array(Math.ceil(text.length / 4)),
      createSession: async () => ({
        promptStreaming: (input) => {
          shown(input);
          return {
            finished: Promise.resolve({
              finishReason: 'stop' as const,
              ids: [],
              tokens: { prompt: 9, cached: 0, generated: pieces.length },
              time: { prefill: 0, decode: 0 },
              rate: { prefill: 0, decode: 0 },
            }),
            async *[Symbol.asyncIterator]() {
              yield* pieces;
            },
          };
        },
        prefill: () => Promise.resolve(),
        attribute: refuses,
        destroy: () => undefined,
      }),
    };
  };

  describe('a model that can only copy', () => {
    const english = 'The crane was built by Adam Weber in 1904. The mill of the town has three wheels and a red roof.';
    const german = 'Der Kran wurde 1904 von Adam Weber gebaut. Die Mühle der Stadt hat drei Räder und ein rotes Dach.';
    const asked = async (
      text: string,
      question: string,
      said: string,
      history?: { question: string; answer: string }[],
    ): Promise<{ text: string; kinds: readonly string[]; absent: number }> => {
      const model = { ...saying([said]), parameters: 14_000_000 };
      const document = await openTest(textFile(text, 'a.txt'));
      const answer = await document.ask(question, { model, ...(history && { history }) });
      return { text: answer.text, kinds: answer.citations.map(({ kind }) => kind), absent: answer.absent.probability };
    };

    test('what it says that stands nowhere is a quote of what says most of the question', async () => {
      expect(await asked(english, 'How many wheels does the mill have?', 'fiftsfions')).toMatchObject({
        text: 'The mill of the town has three wheels and a red roof.',
        kinds: ['exact'],
      });
      const before = [{ question: 'How many wheels does the mill have?', answer: 'three' }];
      expect((await asked(english, 'And its roof?', 'a flal', before)).text).toMatch(/^The mill/);
    });

    test('it quotes a row under the names of its columns, not these', async () => {
      const model = { ...saying(['a flal']), parameters: 14_000_000 };
      const document = await openTest(textFile('year,highest tide\n1976,5.16\n2006,5.02', 'a.csv'));
      expect((await document.ask('How high was the highest tide of the year 1976?', { model })).text).toBe(
        '1976 | 5.16',
      );
    });

    test('what it copies from a sentence that says little of the question gives way to what says most', async () => {
      const text = 'An item is a line of the plot. The four states of an item are open, begun, failed and done.';
      expect((await asked(text, 'What are the four states of an item?', 'a line')).text).toBe(
        'The four states of an item are open, begun, failed and done.',
      );
    });

    test('what it copies stays, and so does a refusal', async () => {
      expect((await asked(english, 'How many wheels does the mill have?', 'three')).text).toBe('three');
      const refusal = 'The document does not say.';
      expect(await asked(english, 'How many wheels does the mill have?', refusal)).toMatchObject({
        text: refusal,
        kinds: [],
      });
    });

    test('what it copies for a short question gives way to no sentence about the question before', async () => {
      const before = [{ question: 'Who built the crane in 1904?', answer: 'Adam Weber' }];
      expect((await asked(english, 'How many wheels?', 'three', before)).text).toBe('three');
    });

    test('nothing is quoted where the words of the question stand nowhere', async () => {
      const answer = await asked(english, 'Which airline flies to Brisbane?', 'fiftsfions');
      expect(answer).toMatchObject({ text: 'The document does not say.', kinds: [] });
      expect(answer.absent).toBeGreaterThan(0.9);
    });

    test('a German text, which it cannot read, is quoted', async () => {
      expect(await asked(german, 'Wie viele Räder hat die Mühle?', 'Adam Weber')).toMatchObject({
        text: 'Die Mühle der Stadt hat drei Räder und ein rotes Dach.',
        kinds: ['exact'],
      });
    });
  });

  test('what is read beforehand is what a question begins with', async () => {
    const inputs: string[] = [];
    const model = saying(['x'], undefined, (input) => inputs.push(input));
    const document = await openTest(textFile(TEXT, 'a.txt'));
    await document.ask('Where?', { model });
    await document.prepare({ mode: 'whole', model });
    await document.prepare({ mode: 'passages', model });
    const [asked = '', prepared = '', ...more] = inputs;
    expect(more).toEqual([]);
    const beginning = asked.slice(0, asked.indexOf('Where?'));
    expect(beginning).toContain('The Middle Rhine');
    expect(prepared.slice(0, beginning.length)).toBe(beginning);
  });

  test.each(['The mill was sold by the town in 1904 again', 'In 1904 the mill was sold by the town.'])(
    'of a sentence that says when, the date is cited: %s',
    async (said) => {
      const text = 'In 1904 the mill of the poor miller was sold by the town.';
      const document = await openTest(textFile(text, 'a.txt'));
      const answer = await document.ask('When was the mill sold?', { model: saying([said]) });
      expect(answer.citations).toMatchObject([{ quote: '1904', start: 3, end: 7, sentence: text }]);
    },
  );

  test.each([
    {
      pieces: [' The Rhine', ' is flowing between', ' Bonn and Bingen.'],
      told: ['The Middle Rhine flows between Bingen and Bonn, and carries over 14,000 barges a year.'],
      said: 'The Rhine is flowing between Bonn and Bingen.',
    },
    {
      // From where it is no short answer any more, it is shown as it comes.
      pieces: ['It is', ' a river.', ' It carries', ' barges', ' a year.'],
      told: ['It is a river. It carries', ' barges', ' a year.'],
      said: 'It is a river. It carries barges a year.',
    },
  ])('streams what is shown, and tells what was said: $said', async ({ pieces, told, said }) => {
    const document = await openTest(textFile(TEXT, 'a.txt'));
    const stream = document.ask('What flows from Bingen to Bonn?', { model: saying(pieces) });
    const heard: string[] = [];
    for await (const piece of stream) heard.push(piece);
    expect(heard).toEqual(told);
    const answer = await stream.finished;
    expect(answer.text).toBe(told.join(''));
    expect(answer.said).toBe(said);
    for (const { quote, start, end } of answer.citations) expect(document.text.slice(start, end)).toBe(quote);
  });

  test.each([
    ['a quote is its own citation', [' The Rhine is flowing between Bonn and Bingen.'], 0],
    ['an answer as it was said is shown before the attention to it is known', [' Bingen and Bonn.'], 1],
  ])('%s', async (_, pieces, times) => {
    const document = await openTest(textFile(TEXT, 'a.txt'));
    let hear = (): void => undefined;
    const heard = new Promise<void>((resolve) => (hear = resolve));
    let asked = 0;
    // The attention is not known before the answer was heard.
    const model = saying(pieces, () => {
      asked++;
      return heard;
    });
    const stream = document.ask('What flows from Bingen to Bonn?', { model });
    for await (const piece of stream) if (piece !== '') hear();
    expect((await stream.finished).citations).toHaveLength(1);
    expect(asked).toBe(times);
  });
});
