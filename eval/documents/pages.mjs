// The page that a question about a real PDF is answered on, in the form of MMLongBench-Doc (arXiv 2407.01523): a folder with samples.json
// [{ doc_id, question, evidence_pages: "[5, 6]", evidence_sources: "['Chart']" }, ...] and documents/<doc_id>. Files that are not there, or that are refused, are counted and left out.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Octavo } from 'octavo';
import { share } from '../statistics.mjs';

const MOST = 5;
/** Passages that are looked at for so many different pages. */
const PASSAGES = 40;
const TEXT = 'Pure-text (Plain-text)';

/** "['Chart', 'Table']" or "[5, 6]", as Python prints lists. */
const listed = (text) => JSON.parse(text.replaceAll("'", '"'));

/** By the first, three and five different pages found; `ranks` has a digit a question, 5 for none. */
function told(ranks) {
  const within = (limit) => share(ranks.filter((rank) => rank < limit).length, ranks.length);
  return { n: ranks.length, first: within(1), three: within(3), five: within(MOST), ranks: ranks.join('') };
}

/** Questions with pages of evidence: those whose evidence is text alone, and all, those about charts, tables, figures and layout among them. */
export async function pageRetrieval(folder, embedder) {
  const samples = JSON.parse(readFileSync(join(folder, 'samples.json'), 'utf8'));
  const found = { text: [], all: [] };
  const refused = {};
  const seen = { files: 0, missing: 0, pages: 0 };
  for (const name of [...new Set(samples.map((sample) => sample.doc_id))].sort((a, b) => (a < b ? -1 : 1))) {
    const path = join(folder, 'documents', name);
    if (!existsSync(path)) {
      seen.missing += 1;
      continue;
    }
    let document;
    try {
      document = await Octavo.openDocument(path, { ...(embedder && { embedder }) });
    } catch (error) {
      refused[name] = String(error);
      continue;
    }
    seen.files += 1;
    seen.pages += document.pages.length;
    for (const { doc_id: own, question, evidence_pages: pages, evidence_sources: sources } of samples) {
      const right = listed(pages);
      if (own !== name || right.length === 0) continue;
      const results = await document.search(question, { limit: PASSAGES });
      const different = [...new Set(results.map(({ page }) => page))].slice(0, MOST);
      const at = different.findIndex((page) => right.includes(page));
      const rank = at < 0 ? MOST : at;
      found.all.push(rank);
      if (sources === `['${TEXT}']`) found.text.push(rank);
    }
    document.close();
    console.error(`${seen.files} files, ${seen.pages} pages, ${found.all.length} questions`);
  }
  return { ...seen, refused, text: told(found.text), all: told(found.all) };
}
