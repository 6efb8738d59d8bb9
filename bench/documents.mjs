// How long somebody waits who asks a document, with the built package in Node: a PDF of 100 pages until it can be asked, a question until the first token of its answer, and the
// first token when a document that was read whole is opened again after the model was loaded anew: asked at once, asked after `document.prepare` has read what was kept, and asked
// after it has also read the question while that was written.
//   npm run bench -- documents [--model FILE.gguf] [--threads 2] [--runs 3] [--text FILE] [--tokens 8192] [--only first,reopened] [--json FILE]
// Default: nano. The text is ../shared/data/documents/moby-dick.txt; tokens: of the document that is read whole, at most .7 of the window.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Octavo } from '../dist/node.js';
import { importTypeScript } from '../tools/import-typescript.mjs';
import { median, table } from './statistics.mjs';

const PAGES = 100;
const LINES = 44;
const QUESTIONS = [
  'Who is the captain of the Pequod?',
  'What is the name of the inn where Ishmael stays?',
  'Which leg did the captain lose?',
  'What coin was nailed to the mast?',
  'Who preached about Jonah?',
];

/** Lines of at most 88 characters, which Helvetica has. */
function linesOf(text) {
  const plain = text.normalize('NFKD').replace(/[^\n\x20-\x7e]/g, '');
  return plain
    .split(/\n\s*\n/)
    .flatMap((paragraph) => [...(paragraph.replace(/\s+/g, ' ').match(/.{1,88}(?:\s|$)/g) ?? []), '']);
}

async function paged(lines) {
  const { pdf, column } = await importTypeScript(new URL('../test/support/pdf.ts', import.meta.url));
  const pages = Array.from({ length: PAGES }, (_, page) => ({
    texts: column(
      50,
      790,
      lines.slice(page * LINES, (page + 1) * LINES).map((line) => line.trim()),
      11,
    ).filter(({ text }) => text !== ''),
  }));
  if (pages.at(-1).texts.length === 0) throw new Error(`the text fills fewer than ${PAGES} pages`);
  return pdf({ pages, title: 'A hundred pages' });
}

/** Milliseconds to the first token that can be seen, to the first text that stays, and to the end; and what the answer's report says. */
async function asked(document, question, options) {
  const begun = performance.now();
  let first;
  let shown;
  const onProgress = ({ draft = '' }) => {
    if (draft !== '') first ??= performance.now() - begun;
  };
  const stream = document.ask(question, { maxTokens: 32, onProgress, ...options });
  for await (const piece of stream) if (piece !== '') shown ??= performance.now() - begun;
  const { time, read, mode, text } = await stream.finished;
  const all = performance.now() - begun;
  shown ??= all;
  return { first: Math.min(first ?? shown, shown), shown, all, time, read, mode, text };
}

async function firstTokens(path, threads, bytes, runs) {
  const opened = [];
  const answers = [];
  const model = await Octavo.load(path, { device: 'wasm', threads });
  const { description } = model.device;
  for (let turn = 0; turn < runs; turn++) {
    const begun = performance.now();
    const document = await Octavo.openDocument(bytes, { name: 'hundred.pdf', model });
    // It can be asked when its words can be searched.
    await document.search(QUESTIONS[0]);
    opened.push(performance.now() - begun);
    if (turn === 0)
      for (const question of QUESTIONS) answers.push(await asked(document, question, { mode: 'passages' }));
    document.close();
  }
  await model.destroy();
  return {
    device: description,
    openedMs: opened.map(Math.round),
    first: answers.map(({ first, shown, all, time, read, text }) => ({
      firstMs: Math.round(first),
      shownMs: Math.round(shown),
      allMs: Math.round(all),
      searchMs: Math.round(time.search),
      prefillMs: Math.round(time.prefill),
      citeMs: Math.round(time.cite),
      tokens: read.tokens,
      text,
    })),
  };
}

/** A document that was read whole, asked again after the model was loaded anew. */
async function reopened(path, threads, text, wanted, runs) {
  const cache = mkdtempSync(join(tmpdir(), 'octavo-documents-'));
  const before = process.env.OCTAVO_CACHE;
  process.env.OCTAVO_CACHE = cache;
  try {
    const load = () => Octavo.load(path, { device: 'wasm', threads });
    let model = await load();
    const most = Math.min(wanted, Math.floor(0.7 * model.contextWindow));
    const ids = await model.tokenize(text.slice(0, 8 * most), { special: false });
    const part = text.slice(0, Math.floor((8 * most * most) / Math.max(most, ids.length)));
    const open = () => Octavo.openDocument(new File([part], 'whole.txt'), { model });
    let document = await open();
    const read = await asked(document, QUESTIONS[0], { mode: 'whole', keep: true });
    const again = [];
    const prepared = [];
    const written = [];
    for (let turn = 0; turn < 3 * runs; turn++) {
      document.close();
      // Until what was kept is on the disk.
      await model.destroy();
      model = await load();
      document = await open();
      const question = QUESTIONS[(Math.floor(turn / 3) + 1) % QUESTIONS.length];
      const begun = performance.now();
      if (turn % 3 > 0) await document.prepare({ mode: 'whole', keep: true });
      if (turn % 3 > 1) await document.prepare({ mode: 'whole', keep: true, question });
      const prepareMs = Math.round(performance.now() - begun);
      const {
        first,
        shown,
        read: { tokens: count, cached },
      } = await asked(document, question, { mode: 'whole', keep: true });
      const row = { firstMs: Math.round(first), shownMs: Math.round(shown), tokens: count, cached };
      if (turn % 3 === 0) again.push(row);
      else (turn % 3 === 1 ? prepared : written).push({ prepareMs, ...row });
    }
    document.close();
    await model.destroy();
    return { tokens: read.read.tokens, firstReadMs: Math.round(read.first), reopened: again, prepared, written };
  } finally {
    if (before === undefined) delete process.env.OCTAVO_CACHE;
    else process.env.OCTAVO_CACHE = before;
    rmSync(cache, { recursive: true, force: true });
  }
}

export async function run({
  model = 'nano',
  threads = '2',
  runs,
  text: file,
  tokens = '8192',
  only = 'first,reopened',
}) {
  const source = file ?? fileURLToPath(new URL('../../shared/data/documents/moby-dick.txt', import.meta.url));
  if (!existsSync(source))
    throw new Error(`${source} is not there; give --text FILE of at least ${PAGES * LINES} lines`);
  const text = readFileSync(source, 'utf8');
  const load = loadavg()[0];
  const parts = only.split(',');
  const result = { model: basename(model), threads: Number(threads), load };
  const rows = [['what', 'goal s', 'median s', 'all']];
  const seconds = (ms) => (ms / 1000).toFixed(2);
  const tell = (what, goal, values) => rows.push([what, goal, seconds(median(values)), values.map(seconds).join(' ')]);
  const tellBoth = (what, goal, answers) => {
    tell(
      `first token${what}`,
      goal,
      answers.map(({ firstMs }) => firstMs),
    );
    // A short answer is held back until it ends, since it may be shown as a quote.
    tell(
      `first text that stays${what}`,
      '',
      answers.map(({ shownMs }) => shownMs),
    );
  };
  if (parts.includes('first')) {
    const bytes = await paged(linesOf(text));
    Object.assign(result, await firstTokens(model, Number(threads), bytes, Number(runs)));
    tell(`${PAGES} pages opened until they can be asked`, '6', result.openedMs);
    tellBoth(' of an answer from passages', '8', result.first);
  }
  if (parts.includes('reopened')) {
    result.whole = await reopened(model, Number(threads), text, Number(tokens), Number(runs));
    tell(`${result.whole.tokens} tokens read for the first time`, '', [result.whole.firstReadMs]);
    tellBoth(', opened again', '0.6', result.whole.reopened);
    tellBoth(', opened again and prepared', '0.6', result.whole.prepared);
    tellBoth(', its question read while it was written', '0.6', result.whole.written);
  }
  console.log(`${result.model}, ${threads} threads, load average at the beginning ${load.toFixed(1)}\n${table(rows)}`);
  return result;
}
