/** Plain text: paragraphs between empty lines, pages between form feeds, headings that stand alone in capitals or with a chapter's number. */
import { ContentBuilder } from '../builder.ts';
import type { DocumentContent } from '../content.ts';

/** Longest line that may be a heading. */
const HEADING = 80;
/** A paragraph without an empty line for so long is cut at a line's end. */
const LONGEST = 20_000;

export function readPlain(text: string, name: string): DocumentContent {
  const builder = new ContentBuilder(name);
  const pages = text.split('\f');
  for (const [i, page] of pages.entries()) {
    builder.beginPage(i + 1);
    for (const part of page.split(/\n[^\S\n]*(?:\n[^\S\n]*)+/)) {
      for (const paragraph of cut(part.replace(/^\n+/, '').trimEnd())) {
        if (isHeading(paragraph)) builder.add('heading', paragraph.trim(), { level: 1 });
        else builder.add('paragraph', paragraph);
      }
    }
    builder.endPage();
  }
  return builder.finish();
}

function isHeading(text: string): boolean {
  const line = text.trim();
  if (line.includes('\n') || line.length > HEADING || line.length < 2) return false;
  if (/^(?:chapter|part|book|section|kapitel|teil|abschnitt)\s+[\divxlc]+\b/i.test(line)) return true;
  return /\p{Lu}.*\p{Lu}/u.test(line) && line === line.toUpperCase() && !/[.,;:]$/.test(line);
}

function* cut(text: string): Generator<string> {
  let rest = text;
  while (rest.length > LONGEST) {
    const at = rest.lastIndexOf('\n', LONGEST);
    const end = at > 0 ? at : LONGEST;
    yield rest.slice(0, end);
    rest = rest.slice(at > 0 ? end + 1 : end);
  }
  yield rest;
}
