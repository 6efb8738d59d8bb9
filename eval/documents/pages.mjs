// The page that a question about a real PDF is answered on, in the form of MMLongBench-Doc (arXiv 2407.01523): a folder with samples.json
// [{ doc_id, question, evidence_pages: "[5, 6]", evidence_sources: "['Chart']" }, ...] and documents/<doc_id>. Files that are not there, or that are refused, are counted and
// left out. Documents come in a seeded order and are written down one by one, so that a run that was stopped is a fair sample, and goes on where it was.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Octavo } from 'octavo';
import { importTypeScript } from '../../tools/import-typescript.mjs';
import { difference, share } from '../statistics.mjs';

const MOST = 5;
/** Passages that are looked at for so many different pages. */
const PASSAGES = 40;
const TEXT = "['Pure-text (Plain-text)']";

/** "['Chart', 'Table']" or "[5, 6]", as Python prints lists. */
const listed = (text) => JSON.parse(text.replaceAll("'", '"'));
const seeded = (name) => createHash('sha256').update(`27${name}`).digest('hex');
const ordered = (names, key) => names.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));

/** By the first, three and five different pages found; `ranks` has a digit a question, 5 for none. With `base`, ranks of the same questions, the differences. */
function told(ranks, base) {
  const within = (limit) => {
    const right = [...ranks].map((rank) => (Number(rank) < limit ? '1' : '0')).join('');
    const own = share(right.replaceAll('0', '').length, ranks.length);
    if (base === undefined) return own;
    const before = [...base].map((rank) => (Number(rank) < limit ? '1' : '0')).join('');
    return { ...own, against: difference(right, before) };
  };
  return { n: ranks.length, first: within(1), three: within(3), five: within(MOST), ranks };
}

/**
 * Questions with pages of evidence: those whose evidence is text alone, and all, those about charts, tables, figures and layout among them; by BM25, and with an embedder also
 * by vectors alone and by both, against BM25. Apart from these, files whose pages all are pictures without text (but for stamps), which `ocr` reads. `n`: the most
 * documents. `note` is told what there is after each document.
 */
export async function pageRetrieval(folder, { embedder, ocr, n, part, journal, note }) {
  const { Searcher } = await importTypeScript(new URL('../../src/document/index/searcher.ts', import.meta.url));
  const samples = JSON.parse(readFileSync(join(folder, 'samples.json'), 'utf8'));
  const names = [...new Set(samples.map((sample) => sample.doc_id))];
  const there = names.filter((name) => existsSync(join(folder, 'documents', name)));
  const measured = [];
  for (const name of ordered(there, seeded).slice(0, n)) {
    const asked = samples.filter((sample) => sample.doc_id === name && listed(sample.evidence_pages).length > 0);
    if (journal.row(part, name) === undefined)
      journal.add(part, name, await measure(Searcher, join(folder, 'documents', name), asked, { embedder, ocr }));
    measured.push({ name, asked, row: journal.row(part, name) });
    note(summary(measured, { documents: there.length, missing: names.length - there.length }));
    console.error(`${measured.length} of ${Math.min(n, there.length)} files`);
  }
}

/** Of one document: its pages, and for each way of searching a digit a question. */
async function measure(Searcher, path, asked, { embedder, ocr }) {
  let document;
  try {
    document = await Octavo.openDocument(path, ocr && { ocr });
  } catch (error) {
    return { refused: String(error) };
  }
  const { text, blocks, pages, language, outline, title, notes } = document;
  const content = { text, blocks, pages, language, outline, title, notes, runs: [] };
  const searchers = { words: new Searcher() };
  if (embedder) Object.assign(searchers, { vectors: new Searcher(embedder, Infinity), both: new Searcher(embedder) });
  const known = new Map();
  const ranks = {};
  for (const [way, searcher] of Object.entries(searchers)) {
    searcher.add(path, content);
    await searcher.embed({
      known: async (passage) => known.get(passage),
      keep: async (made) => made.forEach(([passage, vector]) => known.set(passage, vector)),
    });
    ranks[way] = '';
    for (const { question, evidence_pages: right } of asked) {
      const found = await searcher.find(question, PASSAGES);
      const pageOf = ({ passage }) => pages.findLast(({ start }) => start <= passage.start)?.number ?? 1;
      const rank = [...new Set(found.map(pageOf))].slice(0, MOST).findIndex((page) => listed(right).includes(page));
      ranks[way] += rank < 0 ? MOST : rank;
    }
  }
  document.close();
  const pictures = pages.filter(({ kind }) => kind === 'picture' || kind === 'recognised').length;
  return { pages: pages.length, pictures, ranks };
}

function summary(measured, counts) {
  const read = ordered(measured, ({ name }) => name).filter(({ row }) => row.refused === undefined);
  const refused = measured.filter(({ row }) => row.refused !== undefined).map(({ name, row }) => [name, row.refused]);
  const ways = Object.keys(read[0]?.row.ranks ?? {});
  const of = (way, wanted) =>
    read.flatMap(({ asked, row }) => asked.flatMap((one, i) => (wanted(one, row) ? [row.ranks[way][i]] : []))).join('');
  const ofText = ({ evidence_sources: sources }) => sources === TEXT;
  const pictured = ({ pages, pictures }) => pictures === pages;
  const groups = {
    text: ofText,
    all: () => true,
    'text, files with text': (one, row) => ofText(one) && !pictured(row),
    'all, files with text': (_, row) => !pictured(row),
    'all, files of pictures': (_, row) => pictured(row),
  };
  const results = Object.entries(groups).map(([group, wanted]) => [
    group,
    Object.fromEntries(
      ways.map((way) => [way, told(of(way, wanted), way === 'words' ? undefined : of('words', wanted))]),
    ),
  ]);
  return {
    files: read.length,
    ...counts,
    pages: read.reduce((sum, { row }) => sum + row.pages, 0),
    filesOfPictures: read.filter(({ row }) => pictured(row)).length,
    pagesOfPictures: read.reduce((sum, { row }) => sum + (pictured(row) ? row.pages : 0), 0),
    refused: Object.fromEntries(refused),
    ...Object.fromEntries(results),
  };
}
