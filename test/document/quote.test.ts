/** Short answers as quotes: the sentence that supports them, and what belongs to a number or a name. */
import { describe, expect, test } from '@jest/globals';
import { cite } from '../../src/document/answer/cite.ts';
import type { AnsweringModel } from '../../src/document/answer/model.ts';
import { packOf, sentencesShown, type Shown } from '../../src/document/answer/pack.ts';
import { isShort, quoted } from '../../src/document/answer/quote.ts';
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
        attribute: refuses,
        destroy: () => undefined,
      }),
    };
  };

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
