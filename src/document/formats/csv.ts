/** Tables as text: RFC 4180 with the separators that are in use, a row a line. */
import { ContentBuilder } from '../builder.ts';
import type { DocumentContent } from '../content.ts';
import { MOST_CELLS } from '../limits.ts';

/** What stands between the cells of a row in a document's text, in every format. */
export const CELLS = ' | ';

const SEPARATORS = [',', ';', '\t', '|', '^', '~', '\u001f'] as const;
/** Characters by which the separator is found. */
const SAMPLE = 20_000;

export function readCsv(text: string, name: string): DocumentContent {
  const builder = new ContentBuilder(name);
  builder.beginPage(1);
  // Excel's own first line, which names the separator.
  const [line, named] = /^sep=([^\r\n])\r?\n/i.exec(text) ?? [''];
  for (const cells of rowsOf(text.slice(line.length), named ?? separatorOf(text.slice(0, SAMPLE)))) {
    builder.add(
      'row',
      cells
        .slice(0, MOST_CELLS)
        .map((cell) => cell.replace(/\s+/g, ' ').trim())
        .join(CELLS),
    );
  }
  return builder.finish();
}

/** The one that parts most lines into the same number of cells, more than one. */
function separatorOf(sample: string): string {
  const score = (separator: string): number => {
    const counts = new Map<number, number>();
    for (const row of rowsOf(sample, separator)) counts.set(row.length, (counts.get(row.length) ?? 0) + 1);
    return Math.max(0, ...[...counts].map(([cells, rows]) => (cells > 1 ? rows * Math.min(cells, 4) : 0)));
  };
  return SEPARATORS.reduce((best, next) => (score(next) > score(best) ? next : best));
}

function* rowsOf(text: string, separator: string): Generator<string[]> {
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell: string;
    if (text[at] === '"') {
      const parts: string[] = [];
      let from = at + 1;
      for (;;) {
        const quote = text.indexOf('"', from);
        const end = quote < 0 ? text.length : quote;
        parts.push(text.slice(from, end));
        at = end + 1;
        if (text[at] !== '"' || quote < 0) break;
        parts.push('"');
        from = at + 1;
      }
      cell = parts.join('');
    } else cell = '';
    // What follows a closing quote belongs to the cell, as spreadsheets read it.
    const newline = text.indexOf('\n', at);
    const stop = newline < 0 ? text.length : newline;
    const line = text.slice(at, stop);
    const next = line.indexOf(separator);
    const end = next >= 0 ? at + next : stop;
    row.push(cell + text.slice(at, end));
    at = end + 1;
    if (end === stop) {
      if (row.some((one) => one.trim() !== '')) yield row;
      row = [];
    }
  }
  if (row.some((one) => one.trim() !== '')) yield row;
}
