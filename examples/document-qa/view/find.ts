/** Words in a document, wherever they stand, without regard to case. */
import type { OctavoDocument } from 'octavo';

export interface Hit {
  readonly start: number;
  readonly end: number;
  readonly page: number;
  /** What stands around it, with dots where the text goes on. */
  readonly before: string;
  readonly words: string;
  readonly after: string;
}

/** Hits that are listed, and counted. */
const MOST_LISTED = 50;
const MOST_COUNTED = 10_000;
const AROUND = 48;

export function find(
  { text, pages }: OctavoDocument,
  query: string,
): { readonly count: number; readonly hits: readonly Hit[] } {
  const words = query.trim().split(/\s+/);
  if (words[0] === '') return { count: 0, hits: [] };
  // What stands over the end of a line is found, too.
  const pattern = new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s+'), 'giu');
  const hits: Hit[] = [];
  let count = 0;
  for (const { index, 0: found } of text.matchAll(pattern)) {
    count++;
    if (count > MOST_COUNTED) break;
    if (hits.length === MOST_LISTED) continue;
    const [start, end] = [index, index + found.length];
    const page = pages.findLast((one) => one.start <= start)?.number ?? 1;
    hits.push({
      start,
      end,
      page,
      words: found,
      before: (start > AROUND ? '…' : '') + text.slice(Math.max(0, start - AROUND), start),
      after: text.slice(end, end + AROUND) + (end + AROUND < text.trimEnd().length ? '…' : ''),
    });
  }
  return { count, hits };
}
