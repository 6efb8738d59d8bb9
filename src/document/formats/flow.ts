/** From nested elements (HTML, Markdown, docx) to blocks: what stands within a line is collected until a block begins or ends. */
import { ContentBuilder } from '../builder.ts';
import type { BlockKind } from '../content.ts';
import { MOST_CELLS } from '../limits.ts';
import { CELLS } from './csv.ts';

/** Tables within tables are read so deep; what is deeper is text of a cell. */
const MOST_NESTED = 4;

interface OpenRow {
  readonly cells: string[];
  /** What was collected of the cell around it. */
  readonly before: string[];
  /** Whether a row within its open cell has ended. */
  nested: boolean;
}

export class Flow {
  readonly builder: ContentBuilder;
  #parts: string[] = [];
  #kind: BlockKind = 'paragraph';
  #level = 0;
  /** The rows that are open, one within a cell of the other; blocks within a cell are parts of it. */
  readonly #rows: OpenRow[] = [];
  /** Rows within rows that are open beyond those. */
  #deeper = 0;

  constructor(name: string) {
    this.builder = new ContentBuilder(name);
    this.builder.beginPage(1);
  }

  text(piece: string): void {
    this.#parts.push(piece);
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

  beginRow(): void {
    if (this.#rows.length >= MOST_NESTED) {
      this.#deeper++;
      return;
    }
    if (this.#rows.length === 0) this.end();
    this.#rows.push({ cells: [], before: this.#parts, nested: false });
    this.#parts = [];
  }

  /** What was collected since the last one is a cell of the open row. */
  endCell(): void {
    const row = this.#rows.at(-1);
    if (row === undefined) return this.end();
    if (this.#deeper > 0) return this.text(' ');
    if (row.cells.length < MOST_CELLS) row.cells.push(this.#cell());
    row.nested = false;
    this.#parts = [];
  }

  /** A row within a cell is a part of the cell's text. */
  endRow(): void {
    if (this.#deeper > 0) {
      this.#deeper--;
      return this.text(' ');
    }
    const row = this.#rows.pop();
    if (row === undefined) return this.end();
    const rest = this.#cell();
    const cells = rest === '' ? row.cells : [...row.cells, rest];
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
