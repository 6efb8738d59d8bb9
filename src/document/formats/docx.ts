/**
 * Word's .docx: paragraphs, headings by their style or outline level, lists, tables as rows, footnotes and endnotes at the end. Of a paragraph that was changed with
 * tracking on, what is there after the change is read. A reader of its own: the parts of the format that hold text are few, and a library would bring an XML
 * parser, an unzipper and a renderer without bounds.
 */
import { FileError } from '../../errors.ts';
import type { DocumentContent } from '../content.ts';
import { BREAK, Flow, ONE_CELL, type Span } from './flow.ts';
import { xmlEvents } from './xml.ts';
import { openZip } from './zip.ts';

/** What holds no text of the document: deleted text, commands of fields, and the second way of drawing one thing. */
const SKIPPED = new Set([
  'w:del',
  'w:moveFrom',
  'w:instrText',
  'w:delText',
  'mc:Fallback',
  'w:pPrChange',
  'w:rPrChange',
]);

export async function readDocx(bytes: Uint8Array, name: string): Promise<DocumentContent> {
  const archive = openZip(bytes, name);
  const utf8 = new TextDecoder();
  const part = async (path: string): Promise<string | undefined> => {
    const found = await archive.read(path);
    return found && utf8.decode(found);
  };
  const body = await part('word/document.xml');
  if (body === undefined)
    throw new FileError(
      'unsupported',
      { file: name, field: 'word/document.xml' },
      'it is missing: this archive is no Word document',
    );
  const levels = headingLevels((await part('word/styles.xml')) ?? '');
  const flow = new Flow(name);
  const core = await part('docProps/core.xml');
  const title = core === undefined ? undefined : textOf(core, 'dc:title');
  if (title !== undefined && title !== '') flow.builder.title = title;
  readBody(body, flow, levels);
  for (const kind of ['footnotes', 'endnotes']) {
    const notes = await part(`word/${kind}.xml`);
    if (notes !== undefined) readBody(notes, flow, levels);
  }
  flow.end();
  return flow.builder.finish();
}

/** The heading level of each style that has one: by its outline level, or by its name. */
function headingLevels(xml: string): ReadonlyMap<string, number> {
  const levels = new Map<string, number>();
  let id: string | undefined;
  for (const event of xmlEvents(xml)) {
    if (event.kind !== 'open') continue;
    const { name, attributes } = event;
    if (name === 'w:style') id = attributes.get('w:styleId');
    if (id === undefined) continue;
    const value = attributes.get('w:val') ?? '';
    if (name === 'w:name') {
      const level = /^heading (\d)/i.exec(value)?.[1];
      if (level !== undefined) levels.set(id, Number(level));
      else if (/^title$/i.test(value)) levels.set(id, 1);
    } else if (name === 'w:outlineLvl' && /^[0-8]$/.test(value)) levels.set(id, Number(value) + 1);
  }
  return levels;
}

function readBody(xml: string, flow: Flow, levels: ReadonlyMap<string, number>): void {
  let skipped = 0;
  let reading = false;
  let properties = false;
  /** Whether the mark that ends the paragraph was deleted: what follows belongs to it. */
  let joined = false;
  /** The cells that are open, one within the other. */
  const cells: Span[] = [];
  const widen = (change: Partial<Span>): void => {
    const cell = cells.pop();
    if (cell !== undefined) cells.push({ ...cell, ...change });
  };
  for (const event of xmlEvents(xml)) {
    if (event.kind === 'text') {
      if (reading && skipped === 0) flow.text(event.text);
      continue;
    }
    const { name } = event;
    if (name === 'w:pPr') properties = event.kind === 'open';
    if (properties && name === 'w:del' && skipped === 0) joined = true;
    if (SKIPPED.has(name)) skipped = Math.max(0, skipped + (event.kind === 'open' ? 1 : -1));
    if (skipped > 0) continue;
    if (event.kind === 'open') {
      const value = event.attributes.get('w:val') ?? '';
      if (name === 'w:t') reading = true;
      else if (name === 'w:p') {
        if (!joined) flow.begin('paragraph');
        joined = false;
      } else if (name === 'w:pStyle' && levels.has(value)) flow.begin('heading', levels.get(value) ?? 1);
      else if (name === 'w:outlineLvl' && /^[0-8]$/.test(value)) flow.begin('heading', Number(value) + 1);
      else if (name === 'w:numPr') flow.begin('item');
      else if (name === 'w:tab' || name === 'w:noBreakHyphen') flow.text(name === 'w:tab' ? ' ' : '-');
      else if (name === 'w:br' || name === 'w:cr') flow.text(BREAK);
      else if (name === 'w:tbl') flow.beginTable();
      else if (name === 'w:tr') flow.beginRow();
      else if (name === 'w:tc') cells.push(ONE_CELL);
      else if (name === 'w:gridSpan' && /^\d{1,3}$/.test(value)) widen({ columns: Math.max(1, Number(value)) });
      else if (name === 'w:vMerge' && value !== 'restart') widen({ continues: true });
    } else if (name === 'w:t') reading = false;
    else if (name === 'w:p') {
      if (!joined) flow.end();
    } else if (name === 'w:tc') flow.endCell(cells.pop());
    else if (name === 'w:tbl') flow.endTable();
    else if (name === 'w:tr') flow.endRow();
  }
}

function textOf(xml: string, element: string): string | undefined {
  let inside = false;
  for (const event of xmlEvents(xml)) {
    if (event.kind === 'text') {
      if (inside) return event.text.trim();
    } else inside = event.kind === 'open' && event.name === element;
  }
  return undefined;
}
