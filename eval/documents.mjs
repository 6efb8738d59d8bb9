// npm run eval -- documents [--parts retrieval,pages,fusion,evidence,pdf,xquad,generated,absent,followups,rewriting] [--model FILE] [--modes passages,whole] [--packs 1,8,30] [--budget TOKENS]
//   [--embedder FOLDER] [--folder DIR] [--ocr] [--languages en,de] [--articles odd|even|all] [--prompt NAME] [--replay ROWS] [--n N] [--threads N] [--json FILE]
// Questions about documents: what search finds, whether the answer holds the expected words, and whether its citations stand where they should. XQuAD (en, de) and PDFs of
// ../shared/data/documents, with the questions of documents/written.json, and documents of the project's generator. Every question is written down when it is answered (in
// FILE.rows beside FILE), and a run that was stopped goes on where it was. A run with a larger n contains one with a smaller. --replay takes what a model said from the rows of another run, and does not ask it again.
import { Octavo } from 'octavo';
import { tesseract } from 'octavo/ocr-tesseract';
import { answers } from './documents/answers.mjs';
import { generatedItems, hasData, nested, pdfItems, xquadItems } from './documents/data.mjs';
import { absent, evidence } from './documents/evidence.mjs';
import { followUpRetrieval, rewritten } from './documents/followups.mjs';
import { buildHash, Journal, saidIn } from './documents/journal.mjs';
import { pageRetrieval } from './documents/pages.mjs';
import { prompted } from './documents/prompts.mjs';
import { fusion, pdfRetrieval, retrieval } from './documents/retrieval.mjs';
import { ResultFile } from './record.mjs';

export const DOCUMENT_OPTIONS = {
  parts: { type: 'string' },
  embedder: { type: 'string' },
  folder: { type: 'string' },
  ocr: { type: 'boolean' },
  languages: { type: 'string' },
  modes: { type: 'string' },
  packs: { type: 'string' },
  budget: { type: 'string' },
  articles: { type: 'string' },
  prompt: { type: 'string' },
  replay: { type: 'string' },
};

const GENERATED = ['sparse 512', 'sparse 1000', 'sparse 2000'];

/** The last part of a model's path, which may be a folder's. */
const nameOf = ({ name }) => name.replace(/[\\/]+$/, '').replace(/^.*[\\/]/, '');

export async function run(model, values, machine) {
  if (!hasData()) throw new Error('../shared/data/documents is not there');
  const list = (value, fallback) => (value ?? fallback).split(',');
  const parts = list(values.parts, 'retrieval,pdf,xquad,absent');
  const languages = list(values.languages, 'en,de');
  const modes = list(values.modes, 'auto');
  const packs = list(values.packs, '1,8,30').map(Number);
  const { articles = 'odd', budget } = values;
  const n = Number(values.n);
  const embedder = values.embedder === undefined ? undefined : await Octavo.load(values.embedder, { device: 'wasm' });
  const facts = { model: nameOf(model), fingerprint: model.fingerprint, device: model.device.kind };
  const file = new ResultFile(values.json, facts, machine);
  const build = buildHash(new URL('../dist/', import.meta.url));
  const embedding = embedder && { embedder: embedder.fingerprint };
  const journal = new Journal(values.json && `${values.json}.rows`, { ...facts, ...embedding, build });
  const keep = (part, key) => (result) =>
    file.add(part, key, result, [...new Set([...Object.keys(file.parts[part] ?? {}), key])]);
  const told = (key, result) =>
    console.log(key, JSON.stringify({ ...result, outcomes: undefined, reliability: undefined }));
  const measure = async (part, key, measured) => {
    const result = await measured;
    told(key, result);
    keep(part, key)(result);
  };
  /** One that writes its result after each item. */
  const follow = async (part, key, start) => {
    let last;
    await start((result) => {
      last = result;
      keep(part, key)(result);
    });
    if (last !== undefined) told(key, last);
  };
  const method = embedder ? `, BM25 and ${nameOf(embedder)}` : '';
  const answering = values.prompt === undefined ? model : prompted(model, values.prompt);
  const chosen = articles === 'odd' ? '' : `, ${articles} articles`;
  const replay = values.replay && saidIn(values.replay);
  const ask = async (name, items) => {
    for (const mode of modes) {
      const key = `${name}, ${mode}${budget ? `, ${budget} tokens` : ''}${values.prompt ? `, prompt ${values.prompt}` : ''}${replay ? ', replayed' : ''}${method}`;
      const settings = { mode, ...(budget && { budget: Number(budget) }) };
      await follow('answers', key, (note) =>
        answers(answering, { part: key, items, settings, embedder, n, journal, note, replay }),
      );
    }
  };

  for (const language of languages) {
    if (!parts.includes('retrieval')) continue;
    await measure('retrieval', `XQuAD ${language}, BM25`, retrieval(language));
    if (embedder) await measure('retrieval', `XQuAD ${language}${method}`, retrieval(language, embedder));
  }
  if (parts.includes('retrieval')) {
    await measure('retrieval', 'PDFs, BM25', pdfRetrieval());
    if (embedder) await measure('retrieval', `PDFs${method}`, pdfRetrieval(embedder));
  }
  if (parts.includes('pages')) {
    if (values.folder === undefined)
      throw new Error('--parts pages needs --folder, which has samples.json and documents/ (documents/pages.mjs)');
    const key = `${embedder ? `pages${method}` : 'pages, BM25'}${values.ocr ? ', OCR' : ''}`;
    const ocr = values.ocr ? tesseract() : undefined;
    try {
      await follow('pages', key, (note) =>
        pageRetrieval(values.folder, { embedder, ocr, n, part: key, journal, note }),
      );
    } finally {
      await ocr?.close();
    }
  }
  if (parts.includes('fusion') && embedder)
    for (const language of languages)
      await measure('fusion', `XQuAD ${language}, ${nameOf(embedder)}`, fusion(language, embedder));
  if (parts.includes('evidence')) {
    for (const language of languages)
      for (const pack of [8, 30, 240])
        await measure('evidence', `XQuAD ${language} by ${pack}, removed`, evidence(language, pack, 'removed'));
    for (const pack of [8, 30])
      await measure('evidence', `XQuAD en by ${pack}, exchanged`, evidence('en', pack, 'exchanged'));
  }
  if (parts.includes('pdf')) await ask('PDFs', nested(pdfItems()));
  if (parts.includes('xquad'))
    for (const pack of packs)
      for (const language of languages)
        await ask(`XQuAD ${language} by ${pack}${chosen}`, nested(xquadItems(language, pack, articles)));
  if (parts.includes('generated'))
    for (const kind of GENERATED) await ask(`generated, ${kind}`, nested(await generatedItems(kind)));
  if (parts.includes('absent'))
    for (const language of languages) {
      const key = `XQuAD ${language}`;
      await follow('absent', key, (note) => absent(model, { part: key, language, n, journal, note }));
    }
  if (parts.includes('followups')) await measure('followups', `search${chosen}`, followUpRetrieval(articles));
  if (parts.includes('rewriting')) {
    const key = `rewritten by the model${chosen}`;
    await follow('followups', key, (note) => rewritten(model, { part: key, which: articles, n, journal, note }));
  }
  await embedder?.destroy();
}
