/** Conversations as Markdown, with quotes as footnotes. What documents and models say is text: nothing of it may be read as markup. */
import { date } from '../common/format.ts';
import { readText, t } from './messages.ts';
import type { Evidence, Exchange, Nearest } from './state/exchanges.ts';
import { isAbsent, numbersOf, pageOf, placeOf } from './view/answer.ts';

/** Marks that Markdown would read, HTML included. */
const escaped = (text: string): string => text.replace(/[\\`*_{}[\]<>#|~]/g, '\\$&');
const flat = (text: string): string => escaped(text.replace(/\s+/g, ' '));
const oneLine = (text: string): string => flat(text).trim();

const placeName = (one: Evidence | Nearest): string =>
  [oneLine(one.name), pageOf(one)].filter((part) => part !== '').join(', ');

export function asMarkdown(exchanges: readonly Exchange[], title?: string): string {
  const notes: string[] = [];
  const parts = exchanges.map(({ scope, question, answer }) => {
    const head = `## ${oneLine(question)}`;
    if (answer === undefined) return `${head}\n\n*${t('interrupted')}*`;
    const foot = `*${t('readWhat', { what: readText(answer.read) })} · ${oneLine(answer.model)}*`;
    if (isAbsent(answer)) {
      const near = answer.nearest.map((near) => `> ${oneLine(near.text)}\n> — ${placeName(near)}`);
      return [head, t(scope === '' ? 'absentAllTitle' : 'absentTitle'), ...near, foot].join('\n\n');
    }
    const first = notes.length;
    const numbers = numbersOf(answer.evidence);
    for (const { evidence } of numbers.values()) {
      const { before, quote, after, kind } = evidence;
      const place = placeName(evidence);
      // Spaces around the quote stay: it may end before a comma.
      const words = `${flat(before)}**${oneLine(quote)}**${flat(after)}`.trim();
      notes.push(`[^${notes.length + 1}]: ${words} — ${place} (${t(kind)})`);
    }
    let text = '';
    let from = 0;
    for (const one of answer.evidence.toSorted((a, b) => a.answer[1] - b.answer[1])) {
      const to = Math.max(from, one.answer[1]);
      text += `${escaped(answer.text.slice(from, to).trimEnd())}[^${first + (numbers.get(placeOf(one))?.n ?? 0)}]`;
      from = to;
    }
    return [head, text + escaped(answer.text.slice(from)), foot].join('\n\n');
  });
  return [
    ...(title === undefined ? [] : [`# ${oneLine(title)}`, t('exported', { date: date(Date.now()) })]),
    ...parts,
    notes.join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n');
}

/** Offers a text as a file. */
export function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/markdown' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
