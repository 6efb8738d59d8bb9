/** From nested elements (HTML, Markdown, docx) to blocks: what stands within a line is collected until a block begins or ends. */
import { ContentBuilder } from '../builder.ts';
import type { BlockKind } from '../content.ts';
import { MOST_CELLS } from '../limits.ts';
import { raised } from '../raised.ts';
import { CELLS } from './csv.ts';

/** Tables within tables are read so deep; what is deeper is text of a cell. */
const MOST_NESTED = 4;

/** How many columns and rows a cell takes. */
export interface Span {
  readonly columns: number;
  readonly rows: number;
  /** Whether it is the cell above it, which goes on (.docx). */
  readonly continues?: boolean;
}

/** A cell of one column and one row. */
export const ONE_CELL: Span = { columns: 1, rows: 1 };
/** The text of a cell stands again in every further row and column that it takes, where it is not longer: a name or a number, which the row needs to be understood. */
const MOST_REPEATED = 80;
/** Columns of one cell that count: "colspan=1000" is written for "all of them". */
const MOST_COLUMNS = 24;

interface OpenRow {
  readonly cells: string[];
  /** What was collected of the cell around it. */
  readonly before: string[];
  /** Whether a row within its open cell has ended. */
  nested: boolean;
  /** Whether it has more than one cell, its own or one from above. */
  several: boolean;
}

export class Flow {
  readonly builder: ContentBuilder;
  #parts: string[] = [];
  /** How many parts were collected when a raised text began. */
  #raisedFrom: number | undefined;
  #kind: BlockKind = 'paragraph';
  #level = 0;
  /** The rows that are open, one within a cell of the other; blocks within a cell are parts of it. */
  readonly #rows: OpenRow[] = [];
  /** Rows within rows that are open beyond those. */
  #deeper = 0;
  /** Of each table that is open, by column: what stands there, and in how many further rows. */
  readonly #tables: Map<number, { readonly text: string; left: number }>[] = [new Map()];

  constructor(name: string) {
    this.builder = new ContentBuilder(name);
    this.builder.beginPage(1);
  }

  text(piece: string): void {
    this.#parts.push(piece);
  }

  /** What is collected from here to `endRaised` is raised. */
  beginRaised(): void {
    this.#raisedFrom ??= this.#parts.length;
  }

  endRaised(): void {
    const from = this.#raisedFrom;
    this.#raisedFrom = undefined;
    if (from === undefined) return;
    const own = this.#parts.splice(from).join('');
    this.#parts.push(raised(own) ?? own);
  }

  /** Ends what is open, and begins a block of a kind. */
  begin(kind: BlockKind, level = 0): void {
    this.#flush();
    this.#kind = kind;
    this.#level = level;
  }

  end(): void {
    this.begin('paragraph');
  }

  beginTable(): void {
    this.#tables.push(new Map());
  }

  endTable(): void {
    if (this.#tables.length > 1) this.#tables.pop();
  }

  /** No cell of the open table goes on below. */
  endSpans(): void {
    this.#tables.at(-1)?.clear();
  }

  beginRow(): void {
    this.endRaised();
    if (this.#rows.length >= MOST_NESTED) {
      this.#deeper++;
      return;
    }
    if (this.#rows.length === 0) this.end();
    this.#rows.push({ cells: [], before: this.#parts, nested: false, several: false });
    this.#parts = [];
  }

  /** What was collected since the last one is a cell of the open row. */
  endCell({ columns, rows, continues = false }: Span = ONE_CELL): void {
    this.endRaised();
    const row = this.#rows.at(-1);
    if (row === undefined) return this.end();
    if (this.#deeper > 0) return this.text(' ');
    this.#fill(row);
    row.several ||= row.cells.length > 0;
    const table = this.#tables.at(-1);
    const own = this.#cell();
    const text = continues && own === '' ? (table?.get(row.cells.length)?.text ?? '') : own;
    const again = text.length > MOST_REPEATED ? '' : text;
    for (let i = 0; i < Math.min(columns, MOST_COLUMNS) && row.cells.length < MOST_CELLS; i++) {
      table?.set(row.cells.length, { text: again, left: rows - 1 });
      row.cells.push(i === 0 ? text : again);
    }
    row.nested = false;
    this.#parts = [];
  }

  /** A row within a cell is a part of the cell's text. */
  endRow(): void {
    this.endRaised();
    if (this.#deeper > 0) {
      this.#deeper--;
      return this.text(' ');
    }
    const row = this.#rows.pop();
    if (row === undefined) return this.end();
    const rest = this.#cell();
    this.#fill(row);
    // One cell that takes the whole row is a title.
    const own = row.several ? row.cells : row.cells.slice(0, 1);
    const cells = rest === '' ? own : [...own, rest];
    this.#parts = row.before;
    const around = this.#rows.at(-1);
    if (around === undefined) {
      this.builder.add('row', cells.join(CELLS));
      this.end();
    } else if (cells.some((cell) => cell !== '')) {
      this.text(`${around.nested ? ';' : ''} ${cells.filter((cell) => cell !== '').join(', ')}`);
      around.nested = true;
    }
  }

  /** Puts in what goes on from the rows above, where the row has come to. */
  #fill(row: OpenRow): void {
    const table = this.#tables.at(-1);
    for (let above = table?.get(row.cells.length); above !== undefined && above.left > 0;) {
      if (row.cells.length >= MOST_CELLS) return;
      above.left--;
      row.several = true;
      row.cells.push(above.text);
      above = table?.get(row.cells.length);
    }
  }

  /** A cell is one line. */
  #cell(): string {
    return this.#collected().replace(/\s+/g, ' ');
  }

  /** White space outside of code counts as one space, and a line's end that was asked for as one of its own. */
  #collected(): string {
    const text = this.#parts.join('').replaceAll('\u00ad', '');
    if (this.#kind === 'code') return text.replace(/^\n+/, '').trimEnd();
    return text
      .replace(/[^\S\u2028]+/g, ' ')
      .split('\u2028')
      .map((line) => line.trim())
      .join('\n')
      .trim();
  }

  #flush(): void {
    this.endRaised();
    if (this.#rows.length > 0) {
      this.#parts.push(' ');
      return;
    }
    this.builder.add(this.#kind, this.#collected(), { level: this.#level });
    this.#parts = [];
  }
}

/** A line's end that is to stay. */
export const BREAK = '\u2028';
