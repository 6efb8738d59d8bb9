/** Questions to documents: nano, which was trained on such, answers from a PDF with the page and place of what it says; verification of quotes alone. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cite } from '../../src/document/answer/cite.ts';
import type { AnsweringModel } from '../../src/document/answer/model.ts';
import { normalise } from '../../src/document/answer/normalise.ts';
import { packOf, sentencesShown, type Shown } from '../../src/document/answer/pack.ts';
import { readMarkdown } from '../../src/document/formats/markdown.ts';
import { readPlain } from '../../src/document/formats/plain.ts';
import {
  checked,
  claimOf,
  completeRange,
  literal,
  support,
  supportingRange,
  unknownNumbers,
} from '../../src/document/answer/verify.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { FolderShelf } from '../../src/store/folder-shelf.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { openTest, textFile } from '../support/documents.ts';
import { column, pdf } from '../support/pdf.ts';
import { scriptedModel } from '../support/scripted-model.ts';

const root = new URL('../../models/', import.meta.url);
const text = readFileSync(new URL('nano/demo.txt', root), 'utf8');
let model: OctavoModel;
beforeAll(async () => {
  const bytes = readFileSync(fileURLToPath(new URL('nano-text/nano-text.gguf', root)));
  model = await testFace().load(new File([bytes], 'nano-text.gguf'), { device: 'wasm', threads: 1 });
});
afterAll(() => model.destroy());

/** The demo's paragraphs, two a page, broken into lines. */
function demoPdf(): Uint8Array {
  const paragraphs = text.trim().split(/\n\n/).slice(1);
  const lines = (paragraph: string): string[] => paragraph.match(/.{1,80}(?:\s|$)/g)!.map((line) => line.trim());
  const pages = [];
  for (let i = 0; i < paragraphs.length; i += 2) {
    const first = lines(paragraphs[i]!);
    pages.push({
      texts: [
        ...column(60, 760, first),
        ...column(60, 730 - 12 * first.length, paragraphs[i + 1] === undefined ? [] : lines(paragraphs[i + 1]!)),
      ],
    });
  }
  return pdf({ pages });
}

describe('nano-text about a PDF', () => {
  test('the answer comes as text, and its citation stands on the right page at the right place', async () => {
    const document = await openTest(demoPdf(), { model, name: 'demo.pdf' });
    const stream = document.ask('What is the call sign of the Aurora?', { mode: 'whole' });
    let streamed = '';
    for await (const piece of stream) streamed += piece;
    const answer = await stream.finished;
    expect(answer.text).toBe('KX-417');
    expect(streamed).toBe('KX-417');
    expect(answer).toMatchObject({ mode: 'whole', read: { description: 'all 4 pages' }, unverified: [] });
    const [citation] = answer.citations;
    expect(citation).toMatchObject({ page: 1, quote: 'KX-417', kind: 'exact', name: 'demo.pdf', answer: [0, 6] });
    expect(document.text.slice(citation!.start, citation!.end)).toBe(citation!.quote);
    expect(citation!.rectangles).toHaveLength(1);
    const [left, top, right, bottom] = citation!.rectangles[0]!;
    expect(right - left).toBeGreaterThan(20);
    expect(right - left).toBeLessThan(60);
    expect(bottom - top).toBeLessThan(16);
    expect(answer.absent.nearest[0]).toMatchObject({ name: 'demo.pdf', document: citation!.document });
  });

  test('an answer ends where the model goes on with questions of its own', async () => {
    const script = ['The code is', ' 4711.', '\nQuestion: Why', ' is it so?'];
    const own = await testFace().load(new File([scriptedModel({ '\n': script })], 'scripted.gguf'), {
      device: 'wasm',
      threads: 1,
    });
    const document = await openTest(textFile('The code of the north gate is 4711.', 'gate.txt'), { model: own });
    const { said, text: shown } = await document.ask('What is the code?');
    expect(said).toBe('The code is 4711.');
    expect(shown).not.toContain('Why');
    await own.destroy();
  });

  test('of a document that was kept, another engine reads only the question', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octavo-kept-document-'));
    try {
      const face = testFace(undefined, { ...testPlatform, sessions: () => new FolderShelf(folder) });
      const asked = async (question: string): Promise<{ text: string; left: number; read: number }> => {
        const bytes = readFileSync(fileURLToPath(new URL('nano-text/nano-text.gguf', root)));
        const own = await face.load(new File([bytes], 'nano-text.gguf'), { device: 'wasm', threads: 1 });
        const document = await openTest(demoPdf(), { model: own });
        const { text: said, read } = await document.ask(question, { mode: 'whole', keep: true });
        await own.destroy();
        return { text: said, left: read.tokens - read.cached, read: read.tokens };
      };
      const first = await asked('What is the call sign of the Aurora?');
      expect(first).toEqual({ text: 'KX-417', left: first.read, read: expect.any(Number) });
      const second = await asked('What is the fare for the train to Vienna?');
      expect(second.text).toBe('64 euros');
      expect(second.left).toBeLessThan(24);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('passages are chosen, read and named; await gives the whole answer', async () => {
    const document = await openTest(demoPdf(), { model });
    const seen: string[] = [];
    const drafts: string[] = [];
    const answer = await document.ask('What is the fare for the train to Vienna?', {
      mode: 'passages',
      budget: 150,
      onProgress: ({ phase, draft }) => {
        seen.push(phase);
        if (draft !== undefined) drafts.push(draft);
      },
    });
    expect(answer.text).toBe('64 euros');
    expect(answer.citations[0]).toMatchObject({ page: 3, quote: '64 euros', kind: 'exact' });
    expect(answer.read.description).toMatch(/^\d of \d passages$/);
    expect(answer.read.passages).toBeLessThan(answer.read.of);
    expect([...new Set(seen)]).toEqual(['reading', 'answering', 'citing']);
    // A short answer is told as it grows, though the stream holds it back.
    expect(drafts.length).toBeGreaterThan(1);
    expect(drafts.at(-1)?.trim()).toBe(answer.said);
    expect(drafts.every((draft) => answer.said.startsWith(draft.trim()))).toBe(true);
  });

  test('a question about everything is answered by sentences of the document where the model cannot sum up', async () => {
    const document = await openTest(demoPdf(), { model });
    const told: string[] = [];
    const asked = document.ask('Please summarize this document', { mode: 'passages' });
    for await (const piece of asked) told.push(piece);
    const answer = await asked;
    expect(answer.text).toBe(told.join(''));
    expect(answer.read).toMatchObject({ description: 'all 4 pages', tokens: 0 });
    expect(answer.absent).toEqual({ probability: 0, nearest: [] });
    expect(answer.unverified).toEqual([]);
    expect(answer.citations.length).toBeGreaterThan(1);
    for (const { kind, quote, answer: span, rectangles } of answer.citations) {
      expect([kind, quote.replaceAll(/\s+/g, ' ')]).toEqual(['exact', answer.text.slice(...span)]);
      expect(rectangles.length).toBeGreaterThan(0);
    }
  });

  test.each([
    ['nano', 2_000_000, 640],
    ['a small model', 500_000_000, 320],
    ['a large model', 3_000_000_000, 640],
    ['a model on a server', 0, 640],
  ])('%s is shown as many passages as it reads well', async (name, parameters, most) => {
    const document = await openTest(textFile(text.replace(/^.*\n\n/, '').repeat(3), 'demo.txt'));
    const sized: AnsweringModel = {
      name,
      parameters,
      contextWindow: model.contextWindow,
      tokenize: (...given) => model.tokenize(...given),
      createSession: (options) => model.createSession(options),
    };
    const shown = async (budget?: number): Promise<number> => {
      const settings = { model: sized, mode: 'passages', budget, maxTokens: 1 } as const;
      return (await document.ask('What is the call sign of the Aurora?', settings)).read.passages;
    };
    const few = await shown(320);
    const many = await shown(640);
    expect(few).toBeLessThan(many);
    expect(await shown()).toBe(most === 320 ? few : many);
  });

  test('a document that was prepared is not read again by its first question', async () => {
    const document = await openTest(textFile(`Papers of the prepared.\n\n${text}`, 'prepared.txt'), { model });
    await document.prepare({ mode: 'whole' });
    const { read } = await document.ask('What is the call sign of the Aurora?', { mode: 'whole' });
    expect(read.tokens).toBeGreaterThan(200);
    // Whole blocks of 16 tokens, and the question.
    expect(read.tokens - read.cached).toBeLessThan(48);
    document.close();
    await expect(document.prepare()).rejects.toThrow(/closed/);
  });

  test('a question that is read while it is written is not read again when it is asked', async () => {
    const question = 'What is the call sign of the Aurora?';
    const ahead = async (mode: 'whole' | 'passages', keep: boolean, ...drafts: readonly string[]) => {
      const document = await openTest(textFile(`Papers of the ${mode}.\n\n${text}`, 'ahead.txt'), { model });
      for (const draft of drafts) await document.prepare({ mode, keep, question: draft });
      const { read, text: said } = await document.ask(question, { mode, keep });
      document.close();
      return [read.tokens - read.cached, said] as const;
    };
    for (const keep of [false, true]) {
      expect(await ahead('whole', keep, 'What is the call', question)).toEqual([1, 'KX-417']);
      // Of another question what both begin with; it differs in its last word.
      expect((await ahead('whole', keep, 'What is the call sign of the Pelican?'))[0]).toBeLessThan(12);
    }
    expect(await ahead('passages', false, question)).toEqual([1, 'KX-417']);
    // Other passages may be found for the rest of a question.
    const [unread, said] = await ahead('passages', false, 'What is the call sign of the');
    expect([unread > 20, said]).toEqual([true, 'KX-417']);
  });

  test('what is read ahead ends with the document, and gives way to what is asked', async () => {
    const document = await openTest(textFile(`Papers of the ending.\n\n${text}`, 'ending.txt'), { model });
    const question = 'What is the call sign of the Aurora?';
    const reading = document.prepare({ mode: 'whole', question: 'Who is the captain of the Pelican?' });
    const { text: said } = await document.ask(question, { mode: 'whole' });
    await reading;
    expect(said).toBe('KX-417');
    const abort = new AbortController();
    const given = document.prepare({ mode: 'whole', question, signal: abort.signal });
    abort.abort();
    await expect(given).rejects.toMatchObject({ name: 'AbortError' });
    const last = document.prepare({ mode: 'whole', question: 'Who is Ida?' });
    document.close();
    await expect(last).rejects.toThrow(/closed/);
  });

  test('what is not there is refused, without citations', async () => {
    const document = await openTest(demoPdf(), { model });
    const {
      text: said,
      absent,
      citations,
    } = await document.ask('Who is the captain of the Albatross?', { mode: 'whole' });
    if (/does not say/.test(said)) expect([citations, absent.probability > 0.9]).toEqual([[], true]);
    else for (const { quote, start, end } of citations) expect(document.text.slice(start, end)).toBe(quote);
  });

  test('a conversation that leaves no room for the document is not shown to the model', async () => {
    const document = await openTest(demoPdf(), { model });
    const history = [{ question: 'What is it about?', answer: 'It is about ships. '.repeat(1500) }];
    const { text: said, read } = await document.ask('What is the call sign of the Aurora?', { history });
    expect(said).toBe('KX-417');
    expect(read.tokens).toBeLessThan(2000);
  });

  test('bad questions and options are refused in words', async () => {
    const document = await openTest(textFile(text, 'demo.txt'), { model });
    await expect(document.ask('  ')).rejects.toMatchObject({ code: 'empty' });
    await expect(document.ask('Who?', { mode: 'all' as 'whole' })).rejects.toMatchObject({ code: 'argument' });
    for (const mode of ['auto', 'passages', 'whole', 'windows'] as const)
      await expect(document.ask(`Who ${'was it '.repeat(4000)}`, { mode })).rejects.toThrow(
        /^the question has \d+ tokens/,
      );
    await expect((await openTest(textFile(text, 'demo.txt'))).ask('Who?')).rejects.toThrow('no model was given');
    const stop = new AbortController();
    const asked = document.ask('Who is the mayor of Marston?', { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    const scanned = await openTest(pdf({ pages: [{ picture: true }] }), { model });
    await expect(scanned.ask('Who?')).rejects.toThrow('`ocr`');
    document.close();
    await expect(document.ask('Who is the mayor of Marston?')).rejects.toMatchObject({ code: 'destroyed' });
  });

  test('a document outlives its model: search goes on, a question says why it cannot be answered, and another model answers', async () => {
    const bytes = readFileSync(fileURLToPath(new URL('nano-text/nano-text.gguf', root)));
    const first = await testFace().load(new File([bytes], 'nano-text.gguf'), { device: 'wasm', threads: 1 });
    const document = await openTest(demoPdf(), { model: first });
    await first.destroy();
    expect((await document.search('call sign of the Aurora'))[0]?.page).toBe(1);
    await expect(document.ask('What is the call sign of the Aurora?')).rejects.toMatchObject({ code: 'destroyed' });
    const answer = await document.ask('What is the call sign of the Aurora?', { model, mode: 'whole' });
    expect(answer.text).toBe('KX-417');
  });

  test('two questions at once are both answered', async () => {
    const document = await openTest(demoPdf(), { model });
    const answers = await Promise.all(
      ['What is the call sign of the Aurora?', 'What is the fare for the train to Vienna?'].map((question) =>
        document.ask(question, { mode: 'passages', budget: 150 }),
      ),
    );
    expect(answers.map(({ text: said }) => said)).toEqual(['KX-417', '64 euros']);
    expect(answers.map(({ citations }) => citations[0]?.page)).toEqual([1, 3]);
  });

  test('windows reads everything in parts', async () => {
    const filler = Array.from({ length: 12 }, (_, i) =>
      text
        .trim()
        .split('\n\n')
        .slice(1)
        .map((one) => one.replaceAll('Marston', `Town${i}`).replaceAll('KX-417', `AB-${100 + i}`))
        .join('\n\n'),
    );
    const document = await openTest(textFile(filler.slice(0, 3).join('\n\n'), 'long.txt'), { model });
    const parts: string[] = [];
    const answer = await document.ask('What is the call sign of the Aurora?', {
      mode: 'windows',
      onProgress: ({ phase, done, total }) => phase === 'parts' && parts.push(`${done} of ${total}`),
    });
    expect(answer.read.description).toBe(`everything, in ${parts.length - 1} parts`);
    expect(parts.slice(0, 2)).toEqual([`0 of ${parts.length - 1}`, `1 of ${parts.length - 1}`]);
    expect(answer.text).toMatch(/^AB-10[0-2]$/);
    for (const { quote, start, end } of answer.citations) expect(document.text.slice(start, end)).toBe(quote);
  });
});

describe('verification', () => {
  const content = readMarkdown(
    '# Ships\n\nThe *Anna* carried 38 sailors. The Berta carried 38 sailors, too, and “tea”. She sank in May 1904.\n\nNobody was lost.',
    'a.md',
  );
  const shown = (): Shown[] =>
    sentencesShown(packOf([{ document: 'd', content, start: 0, end: content.text.length, path: [] }]));

  test('normalised text knows where it comes from', () => {
    const given = 'A\u00adna\u2013B\u00a0\u00a0 C’s ﬁve';
    const { text: plain, places } = normalise(given);
    expect(plain).toBe("ana-b c's five");
    expect(places).toHaveLength(plain.length + 1);
    expect(given[places[plain.indexOf('c')]!]).toBe('C');
  });

  test('an exponent is the same however it is written, and its digits are no number that stands there', () => {
    const sentence = normalise('It holds 10² or 2·10⁻⁶ of 3,400 km².');
    expect(sentence.text).toBe('it holds 10^2 or 2·10^-6 of 3,400 km^2.');
    const place = (answer: string): unknown => literal(claimOf(answer, 'How much?', 'en'), sentence);
    expect(place('10^2')).toEqual([9, 12]);
    expect(place('10²')).toEqual([9, 12]);
    expect(place('102')).toBeUndefined();
    expect(place('6')).toBeUndefined();
    const claim = claimOf('3,400', 'How large?', 'en');
    const text = 'It holds 3,400 km² of ice.';
    expect(completeRange(claim, text, [9, 14])).toEqual([9, 18]);
  });

  test.each(['2½', '2 1/2', '2¹⁄₂', '2 ½', '2¹/₂'])('a fraction is the same however it is written: %s', (half) => {
    const sentence = `The crane lifts ${half} tons and 10²/3 men.`;
    for (const said of ['2½ tons', '2 1/2 tons'])
      expect(literal(claimOf(said, 'How much?', 'en'), normalise(sentence))).toEqual([16, 21 + half.length]);
    expect(unknownNumbers('2½ or 2 1/2 tons', sentence, 'en')).toEqual([]);
    expect(normalise(sentence).text).toContain('10^2/3 men');
  });

  test('a time is supported in whichever way it is written, and another one is not', () => {
    const claim = claimOf('It closes at 10:45 pm', 'When does it close?', 'en');
    expect(support(claim, checked('The pool closes at 22:45 each day.', 'en')).supported).toBe(true);
    expect(support(claim, checked('The pool closes at 10:45 each day.', 'en')).supported).toBe(false);
    expect(unknownNumbers('10:45 pm', 'It closes at 22:45.', 'en')).toEqual([]);
    expect(unknownNumbers('11 pm', 'It closes at 22:45.', 'en')).toEqual(['11 pm']);
  });

  test('a claim is literal within word borders only', () => {
    const sentence = normalise('The count is 138, then 38.');
    expect(literal(claimOf('38', 'How many?', 'en'), sentence)).toEqual([23, 25]);
    expect(literal(claimOf('“the Count”', 'Who?', 'en'), sentence)).toEqual([0, 9]);
    expect(literal(claimOf('coun', 'Who?', 'en'), sentence)).toBeUndefined();
  });

  test('numbers and names have to be there', () => {
    expect(
      support(claimOf('She was lost in 1904', 'When?', 'en'), checked('The ship was lost in 1904.', 'en')).supported,
    ).toBe(true);
    expect(
      support(claimOf('She was lost in 1905', 'When?', 'en'), checked('The ship was lost in 1904.', 'en')).supported,
    ).toBe(false);
    expect(unknownNumbers('38 of 39 in 1,904', 'There were 38 in 1904.', 'en')).toEqual(['39']);
    // Items that are counted say nothing of the text; a day of a month does.
    expect(unknownNumbers('1. Press it.\n2. Wait 30 s.\n3. Let go.', 'Press it, wait and let go.', 'en')).toEqual([
      '30',
    ]);
    expect(unknownNumbers('12. März', 'Am 13. März.', 'de')).toEqual(['12']);
  });

  const citedOf = (said: string, question: string, text: string): string[] => {
    const content = { ...readPlain(text, 'a.txt'), language: 'en' as const };
    const shown = sentencesShown(packOf([{ document: 'd', content, start: 0, end: text.length, path: [] }]));
    return cite(said, question, shown, undefined).map(({ kind, sentence }) => `${kind} ${sentence}`);
  };

  test('of two names that are asked for together, each has its citation where no sentence says it of both', () => {
    const [ada, max] = ['Economist Ada Byron wrote in 2001.', 'Economist Max Planck wrote in 2009.'];
    const question = 'What are both Max Planck and Ada Byron?';
    expect(citedOf('Economist', question, `${ada} ${max}`).sort()).toEqual([`exact ${ada}`, `exact ${max}`]);
    const sentence = 'Max Planck and Ada Byron were economists.';
    expect(citedOf(sentence, question, `${ada} ${max}`).sort()).toEqual([`supported ${ada}`, `supported ${max}`]);
    const both = 'Ada Byron and Max Planck met as an economist each.';
    expect(citedOf('economist', question, `${ada} ${both}`)).toEqual([`exact ${both}`]);
    expect(citedOf('Economist', 'What is Max Planck?', `${ada} ${max}`)).toEqual([`exact ${max}`]);
    expect(citedOf('Economist', question, `${max} Nobody else was an economist.`)).toEqual([`exact ${max}`]);
  });

  test.each([
    ['several facts', '43 metres and KX-417', 'exact 43 metres | exact KX-417'],
    ['a longer list', '43 metres, 1904 and KX-417.', 'exact 43 metres | exact 1904 | exact KX-417'],
    ['a name with "and" in it', 'Romeo and Juliet, and 43 metres', 'exact Romeo and Juliet | exact 43 metres'],
    ['what one sentence says in another order', 'Juliet and Romeo', 'supported Romeo and Juliet'],
    ['sentences', 'The lighthouse has 43 metres and the sign is KX-417.', 'supported 43 metres | supported KX-417'],
    [
      'a part that stands nowhere',
      '43 metres and KX-500',
      'exact 43 metres | weak The call sign of the Aurora is KX-417.',
    ],
    ['what is no fact of its own', 'In 1904, Ada Byron sold Berta', 'weak The Berta sank in 1904.', 'Who sold it?'],
  ])('each part of an answer is cited where it stands: %s', (_, said, wanted, asked = '') => {
    const text =
      'The lighthouse of Lund is 43 metres tall. The call sign of the Aurora is KX-417. They play Romeo and Juliet. The Berta sank in 1904.';
    const question = asked || 'How tall is the lighthouse, and what is the call sign of the Aurora?';
    const content = readPlain(text, 'a.txt');
    const shown = sentencesShown(packOf([{ document: 'd', content, start: 0, end: text.length, path: [] }]));
    const citations = cite(said, question, shown, undefined);
    expect(citations.map(({ kind, quote }) => `${kind} ${quote}`).join(' | ')).toBe(wanted);
    for (const { quote, answer, start } of citations) {
      expect(text.slice(start, start + quote.length)).toBe(quote);
      expect(said.slice(...answer)).not.toMatch(/^\s|[\s,]$|^and/u);
    }
  });

  test('what is negated is not said', () => {
    const [not, it] = ['Non-violent action is the obedience of few.', 'Violent action is the work of many.'];
    expect(citedOf('Violent action', 'Which obedience is larger?', `${not} ${it}`)).toEqual([`exact ${it}`]);
  });

  test('between equal places the rarer words of the question decide', () => {
    const text =
      'The ship in the harbour of Lund lost its mast, says Berta. The keel of the boat was laid by Berta. A ship lay in the harbour of Lund. A second ship left the harbour of Lund.';
    expect(citedOf('Berta', 'Who laid a keel for the ship in the harbour?', text)).toEqual([
      'exact The keel of the boat was laid by Berta.',
    ]);
  });

  test.each([
    // What was said, its question, the text, and what of it is cited.
    ['5', 'How many sailors?', 'The crew of the Anna has five sailors.', 'en', 'five'],
    ['Five sailors', 'How many are there?', 'The crew of the Anna is 5 sailors.', 'en', '5 sailors'],
    ['5', 'Wie viele Matrosen?', 'Die Anna hat fünf Matrosen.', 'de', 'fünf'],
    ['fünf', 'Wie viele Matrosen?', 'Die Anna hat 5 Matrosen.', 'de', '5'],
    ['five', 'How many sailors?', 'Die Anna hat fünf Matrosen.', 'de', 'fünf'],
    ['fünf', 'Wie viele?', 'The crew of the Anna has five sailors.', 'en', 'five'],
    ['205', 'How many barrels?', 'They load two hundred and five barrels.', 'en', 'two hundred and five'],
    ['twenty-one thousand', 'How many barrels?', 'They load 21,000 barrels.', 'en', '21,000'],
    ['1250', 'Wie viele?', 'Sie trägt tausendzweihundertfünfzig Fässer.', 'de', 'tausendzweihundertfünfzig'],
    ['1250', 'Wie viele?', 'Sie trägt 1.250 Fässer.', 'de', '1.250'],
    ['the 5th of May', 'When?', 'She sails on the fifth of May.', 'en', 'fifth of May'],
    ['am 5. Mai', 'Wann?', 'Sie segelt am fünften Mai.', 'de', 'fünften Mai'],
    ['May 5', 'When?', 'She sails on May 5th.', 'en', 'May 5th'],
  ] as const)('a number is the same in letters and in digits: %s', (said, question, text, language, quote) => {
    const content = { ...readPlain(text, 'a.txt'), language };
    const shown = sentencesShown(packOf([{ document: 'd', content, start: 0, end: text.length, path: [] }]));
    const [citation] = cite(said, question, shown, undefined);
    expect(citation).toMatchObject({ quote });
    expect(citation?.kind).not.toBe('weak');
    expect(unknownNumbers(said, text, language)).toEqual([]);
  });

  test.each([
    ['6', 'The crew has five sailors.', 'en'],
    ['4', 'He was fourth.', 'en'],
    ['25', 'There were twenty, five of them new.', 'en'],
    ['1', 'Die Anna ist ein Schiff.', 'de'],
    ['11', 'The elf was small.', 'en'],
  ] as const)('another number is none: %s', (said, text, language) => {
    expect(support(claimOf(said, 'How many?', language), checked(text, language)).supported).toBe(false);
    expect(unknownNumbers(said, text, language)).toEqual([said]);
  });

  test.each([
    // The words that the question does not have are what was asked for.
    ['The basin covers 5,500,000 square kilometers.', 'How many square kilometers does the basin cover?', '5,500,000'],
    // Of several places the shortest, and a name with the words that it shares with the question.
    ['It was the Court of Justice in Luxembourg.', 'Which court decided in 1904?', 'Court of Justice in Luxembourg'],
    ['Gandhi was the one who was famous.', 'Who was the famous one?', 'Gandhi'],
    ['It was the sea.', 'What was it?', undefined],
  ])('the words that support: %s', (answer, question, found) => {
    const sentence =
      'Gandhi’s lawyers told the Court, in Luxembourg, that the basin of 5,500,000 square kilometers is for the Court of Justice in Luxembourg.';
    const range = supportingRange(claimOf(answer, question, 'en'), sentence, 'en');
    expect(range && sentence.slice(...range)).toBe(found);
  });

  test('of an answer that says the question again, the words are cited that it adds', () => {
    const quote = (answer: string, question: string): string | undefined =>
      cite(answer, question, shown(), undefined)[0]?.quote;
    expect(quote('The Anna carried 38 sailors', 'Which ship carried 38 sailors?')).toBe('The Anna carried 38 sailors');
    const question = 'Who carried 38 sailors, too, and “tea”?';
    expect(cite('The Berta carried 38 sailors, too, and “tea”.', question, shown(), undefined)).toMatchObject([
      { quote: 'Berta', sentence: 'The Berta carried 38 sailors, too, and “tea”.' },
    ]);
  });

  test('what stands in two places is cited where the attention went', () => {
    const sentences = shown();
    const at = (index: number): Float32Array => Float32Array.from(sentences, (_, i) => (i === index ? 0.4 : 0.05));
    const of = (index: number): string | undefined => {
      const [citation] = cite('38 sailors', 'How many?', sentences, {
        tokens: ['38', ' sailors'],
        masses: Float32Array.from([...at(index), ...at(index)]),
      });
      expect(citation).toMatchObject({ kind: 'exact', quote: '38 sailors' });
      return content.text.slice(citation!.start - 8, citation!.start);
    };
    const anna = sentences.findIndex(({ start, end }) => content.text.slice(start, end).includes('Anna'));
    expect(of(anna)).toBe('carried ');
    expect(
      cite('38 sailors', 'How many?', sentences, {
        tokens: ['38', ' sailors'],
        masses: Float32Array.from([...at(anna), ...at(anna)]),
      })[0]!.start,
    ).toBeLessThan(
      cite('38 sailors', 'How many?', sentences, {
        tokens: ['38', ' sailors'],
        masses: Float32Array.from([...at(anna + 1), ...at(anna + 1)]),
      })[0]!.start,
    );
  });

  test('where attention is not known, the sentence is cited that says more of what was asked', () => {
    const [citation] = cite('38 sailors', 'How many did the Berta carry?', shown(), undefined);
    expect(citation).toMatchObject({ kind: 'exact', quote: '38 sailors' });
    expect(citation!.sentence).toMatch(/^The Berta/);
  });

  test('a sentence of its own words is supported, another is weak, and quotes are always the document’s', () => {
    const sentences = shown();
    const [supported] = cite('The ship sank in May of 1904.', 'What became of the ship?', sentences, undefined);
    expect(supported).toMatchObject({ kind: 'supported', quote: 'sank in May 1904' });
    // Both ships carried something; only one sentence is cited for what none says.
    const weak = cite('Sailors carried gold bars and silver coins.', 'What?', sentences, undefined);
    expect(weak).toMatchObject([{ kind: 'weak' }]);
    for (const one of weak) expect(content.text.slice(one.start, one.end)).toBe(one.quote);
  });
});
