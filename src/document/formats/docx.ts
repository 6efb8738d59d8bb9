/**
 * Word's .docx: paragraphs, headings by their style or outline level, lists with their numbers, tables as rows, footnotes and endnotes at the end; headers once before
 * the text, and footers once behind it. Of a paragraph that was changed with tracking on, what is there after the change is read. A reader of its own: the parts of the
 * format that hold text are few, and a library would bring an XML parser, an unzipper and a renderer without bounds.
 */
import { FileError } from '../../errors.ts';
import type { DocumentContent } from '../content.ts';
import { raisedUnits } from '../raised.ts';
import { BREAK, Flow, ONE_CELL, type Span } from './flow.ts';
import { Numbering, written } from './numbering.ts';
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
  const styles = stylesOf((await part('word/styles.xml')) ?? '');
  const numbering = new Numbering((await part('word/numbering.xml')) ?? '');
  const flow = new Flow(name);
  const core = await part('docProps/core.xml');
  const title = core === undefined ? undefined : textOf(core, 'dc:title');
  if (title !== undefined && title !== '') flow.builder.title = title;
  const sides = await headersAndFooters(body, part, name);
  for (const text of sides.headers) flow.builder.add('paragraph', text);
  const notes: Notes = { marks: new Map(), footnotes: 0, endnotes: 0 };
  readBody(body, flow, styles, numbering, notes);
  for (const kind of ['footnotes', 'endnotes']) {
    const found = await part(`word/${kind}.xml`);
    if (found !== undefined) readBody(found, flow, styles, numbering, notes);
  }
  flow.end();
  for (const text of sides.footers) flow.builder.add('paragraph', text);
  return flow.builder.finish();
}

/** Parts with headers or footers that are read: each section may have three of both. */
const MOST_SIDES = 60;
/** What stands for the number of a page, or of pages, in headers and footers. */
const PAGE_FIELD = '\ue000';
const PAGE_NUMBER = new RegExp(
  `[\\s|–—·-]*(?:(?<!\\p{L})(?:page|seite|p\\.|s\\.)\\s*)?${PAGE_FIELD}(?:\\s*(?:of|von|/)\\s*${PAGE_FIELD})?`,
  'giu',
);

/** What stands at the top and at the foot of the pages: once, however many pages show it, and without their numbers. */
async function headersAndFooters(
  body: string,
  part: (path: string) => Promise<string | undefined>,
  name: string,
): Promise<{ readonly headers: ReadonlySet<string>; readonly footers: ReadonlySet<string> }> {
  const found = { headers: new Set<string>(), footers: new Set<string>() };
  const targets = new Map<string, string>();
  for (const event of xmlEvents((await part('word/_rels/document.xml.rels')) ?? ''))
    if (event.kind === 'open' && event.name === 'Relationship')
      targets.set(event.attributes.get('Id') ?? '', event.attributes.get('Target') ?? '');
  const seen = new Set<string>();
  for (const [, side = '', attributes = ''] of body.matchAll(/<w:(header|footer)Reference\s([^>]{0,500})>/g)) {
    const target = targets.get(/r:id\s*=\s*["']([^"']{1,200})["']/.exec(attributes)?.[1] ?? '');
    if (target === undefined || seen.has(target) || seen.size >= MOST_SIDES) continue;
    seen.add(target);
    const xml = await part(target.startsWith('/') ? target.slice(1) : `word/${target}`);
    if (xml === undefined) continue;
    const flow = new Flow(name);
    readBody(xml, flow, new Map(), new Numbering(''), undefined, PAGE_FIELD);
    flow.end();
    const { text, blocks } = flow.builder.finish();
    for (const { start, end } of blocks) {
      const own = text.slice(start, end).replace(PAGE_NUMBER, '').trim();
      if (/[\p{L}\p{N}]/u.test(own)) found[side === 'header' ? 'headers' : 'footers'].add(own);
    }
  }
  return found;
}

/** What a style says of its paragraphs. */
interface Style {
  readonly heading: number | undefined;
  readonly number: string | undefined;
  readonly level: number | undefined;
}

/** Styles that are based on each other are followed so far. */
const MOST_BASES = 20;

/** Heading levels by outline level or by name, and places in lists; what a style does not say, the one that it is based on does. */
function stylesOf(xml: string): ReadonlyMap<string, Style> {
  interface Own {
    named?: number;
    outline?: number;
    number?: string;
    level?: number;
    base?: string;
  }
  const own = new Map<string, Own>();
  let style: Own | undefined;
  for (const event of xmlEvents(xml)) {
    if (event.kind !== 'open') continue;
    const { name, attributes } = event;
    const value = attributes.get('w:val') ?? '';
    if (name === 'w:style') {
      style = {};
      own.set(attributes.get('w:styleId') ?? '', style);
    }
    if (style === undefined) continue;
    if (name === 'w:name') {
      const level = /^heading (\d)/i.exec(value)?.[1];
      if (level !== undefined) style.named = Number(level);
      else if (/^title$/i.test(value)) style.named = 1;
    } else if (name === 'w:outlineLvl' && /^[0-9]$/.test(value)) style.outline = Number(value) + 1;
    else if (name === 'w:numId') style.number = value;
    else if (name === 'w:ilvl' && /^[0-8]$/.test(value)) style.level = Number(value);
    else if (name === 'w:basedOn') style.base = value;
  }
  const styles = new Map<string, Style>();
  for (const id of own.keys()) {
    let [heading, number, level]: (number | string | undefined)[] = [];
    let at = own.get(id);
    for (let depth = 0; at !== undefined && depth < MOST_BASES; depth++) {
      heading ??= at.outline ?? at.named;
      number ??= at.number;
      level ??= at.level;
      at = at.base === undefined ? undefined : own.get(at.base);
    }
    styles.set(id, {
      heading: typeof heading === 'number' && heading <= 9 ? heading : undefined,
      number: typeof number === 'string' ? number : undefined,
      level: typeof level === 'number' ? level : undefined,
    });
  }
  return styles;
}

/** What a paragraph says of itself, before its text. */
interface Properties {
  style?: Style | undefined;
  heading?: number;
  number?: string;
  level?: number;
}

/** The marks of footnotes and endnotes by kind and identifier, and how many of each the text has referred to. */
interface Notes {
  readonly marks: Map<string, string>;
  footnotes: number;
  endnotes: number;
}

/** The mark of a note where the text refers to it: Word counts footnotes in digits, endnotes in small Roman numbers. A mark of the author's own is text. */
function referred(
  name: string,
  { attributes }: { readonly attributes: ReadonlyMap<string, string> },
  notes: Notes,
): string {
  if (/^(?:1|true|on)$/.test(attributes.get('w:customMarkFollows') ?? '')) return '';
  const foot = name === 'w:footnoteReference';
  const mark = raisedUnits(foot ? String(++notes.footnotes) : written(++notes.endnotes, 'lowerRoman'));
  notes.marks.set(`${foot ? 'w:footnote' : 'w:endnote'} ${attributes.get('w:id') ?? ''}`, mark);
  return mark;
}

/** `pageField`: what the numbers of pages are read as; where it is not given they are text. */
function readBody(
  xml: string,
  flow: Flow,
  styles: ReadonlyMap<string, Style>,
  numbering: Numbering,
  notes: Notes | undefined,
  pageField?: string,
): void {
  let skipped = 0;
  let reading = false;
  /** Of the paragraph whose properties are open. */
  let properties: Properties | undefined;
  /** Whether the mark that ends the paragraph was deleted: what follows belongs to it. */
  let joined = false;
  /** Whether the paragraph that is open goes on with the one before it. */
  let goesOn = false;
  /** Fields that are open, one within the other: whether each is the number of a page. */
  const fields: { page: boolean }[] = [];
  let command = false;
  /** Whether the run that is open is hidden. */
  let hidden = false;
  /** The mark of the note that is open. */
  let mark = '';
  /** The cells that are open, one within the other. */
  const cells: Span[] = [];
  const widen = (change: Partial<Span>): void => {
    const cell = cells.pop();
    if (cell !== undefined) cells.push({ ...cell, ...change });
  };
  const text = (piece: string): void => {
    if (pageField === undefined || !fields.at(-1)?.page) flow.text(piece);
  };
  for (const event of xmlEvents(xml)) {
    if (event.kind === 'text') {
      if (reading && skipped === 0 && !hidden) text(event.text);
      const field = fields.at(-1);
      if (command && field !== undefined) field.page ||= PAGE_COMMAND.test(event.text);
      continue;
    }
    const { name } = event;
    if (name === 'w:pPr') {
      if (event.kind === 'close' && properties !== undefined && !goesOn) beginParagraph(properties, flow, numbering);
      properties = event.kind === 'open' && skipped === 0 ? {} : undefined;
    }
    if (properties !== undefined && name === 'w:del' && skipped === 0) joined = true;
    if (name === 'w:instrText') command = event.kind === 'open';
    if (SKIPPED.has(name)) skipped = Math.max(0, skipped + (event.kind === 'open' ? 1 : -1));
    if (skipped > 0) continue;
    if (event.kind === 'open') {
      const value = event.attributes.get('w:val') ?? '';
      if (name === 'w:t' || name === 'm:t') reading = true;
      else if (name === 'w:vanish' && properties === undefined) hidden ||= !/^(?:0|false|off)$/.test(value);
      else if (name === 'm:sup') flow.beginRaised();
      else if (name === 'm:den') text('/');
      else if (name === 'w:p') {
        goesOn = joined;
        joined = false;
        if (!goesOn) flow.begin('paragraph');
      } else if (name === 'w:pStyle' && properties !== undefined) properties.style = styles.get(value);
      else if (name === 'w:outlineLvl' && properties !== undefined && /^[0-8]$/.test(value))
        properties.heading = Number(value) + 1;
      else if (name === 'w:numPr' && properties !== undefined) properties.number ??= '';
      else if (name === 'w:numId' && properties !== undefined) properties.number = value;
      else if (name === 'w:ilvl' && properties !== undefined && /^[0-8]$/.test(value)) properties.level = Number(value);
      else if (name === 'w:vertAlign' && properties === undefined && value === 'superscript') flow.beginRaised();
      else if (name === 'w:footnote' || name === 'w:endnote')
        mark = notes?.marks.get(`${name} ${event.attributes.get('w:id') ?? ''}`) ?? '';
      else if (name === 'w:footnoteRef' || name === 'w:endnoteRef') text(mark);
      else if ((name === 'w:footnoteReference' || name === 'w:endnoteReference') && notes !== undefined)
        text(referred(name, event, notes));
      else if (name === 'w:fldChar') {
        const kind = event.attributes.get('w:fldCharType');
        if (kind === 'begin') fields.push({ page: false });
        else if (kind === 'end' && fields.pop()?.page && pageField !== undefined) text(pageField);
      } else if (name === 'w:fldSimple') {
        fields.push({ page: PAGE_COMMAND.test(event.attributes.get('w:instr') ?? '') });
      } else if (name === 'w:tab' || name === 'w:noBreakHyphen') text(name === 'w:tab' ? ' ' : '-');
      else if (name === 'w:br' || name === 'w:cr') text(BREAK);
      else if (name === 'w:tbl') flow.beginTable();
      else if (name === 'w:tr') flow.beginRow();
      else if (name === 'w:tc') cells.push(ONE_CELL);
      else if (name === 'w:gridSpan' && /^\d{1,3}$/.test(value)) widen({ columns: Math.max(1, Number(value)) });
      else if (name === 'w:vMerge' && value !== 'restart') widen({ continues: true });
    } else if (name === 'w:t' || name === 'm:t') reading = false;
    else if (name === 'm:sup') flow.endRaised();
    else if (name === 'w:r') {
      hidden = false;
      flow.endRaised();
    } else if (name === 'w:fldSimple') {
      if (fields.pop()?.page && pageField !== undefined) text(pageField);
    } else if (name === 'w:p') {
      if (!joined) flow.end();
    } else if (name === 'w:tc') flow.endCell(cells.pop());
    else if (name === 'w:tbl') flow.endTable();
    else if (name === 'w:tr') flow.endRow();
  }
}

/** Fields that show the number of a page, or how many there are. */
const PAGE_COMMAND = /^\s*(?:PAGE|NUMPAGES|SECTIONPAGES)\b/;

/** A heading by its own level or its style's, or an item; with the number that it has in its list. */
function beginParagraph({ style, heading, number, level }: Properties, flow: Flow, numbering: Numbering): void {
  const depth = heading ?? style?.heading;
  const list = number ?? style?.number;
  // The number 0 takes a paragraph out of its style's list.
  const listed = list !== undefined && list !== '0';
  if (depth !== undefined) flow.begin('heading', depth);
  else if (listed) flow.begin('item');
  const label = listed ? numbering.next({ number: list, level: level ?? style?.level ?? 0 }) : '';
  if (label !== '') flow.text(`${label} `);
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
