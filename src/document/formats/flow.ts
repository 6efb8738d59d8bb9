/** From nested elements (HTML, Markdown, docx) to blocks: what stands within a line is collected until a block begins or ends. */
import { ContentBuilder } from '../builder.ts';
import type { BlockKind } from '../content.ts';
import { MOST_CELLS } from '../limits.ts';
import { CELLS } from './csv.ts';

export class Flow {
  readonly builder: ContentBuilder;
  #parts: string[] = [];
  #kind: BlockKind = 'paragraph';
  #level = 0;
  /** The cells of the row that is open; blocks within a cell are parts of it. */
  #cells: string[] | undefined;

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
    this.end();
    this.#cells ??= [];
  }

  /** What was collected since the last one is a cell of the open row. */
  endCell(): void {
    if (this.#cells === undefined) return this.end();
    if (this.#cells.length < MOST_CELLS) this.#cells.push(this.#collected());
    this.#parts = [];
  }

  endRow(): void {
    const cells = this.#cells;
    this.#cells = undefined;
    if (cells === undefined) return this.end();
    const rest = this.#collected();
    this.#parts = [];
    this.builder.add('row', [...cells, ...(rest === '' ? [] : [rest])].join(CELLS));
    this.end();
  }

  /** White space outside of code counts as one space, and a line's end that was asked for as one of its own. */
  #collected(): string {
    const text = this.#parts.join('');
    if (this.#kind === 'code') return text.replace(/^\n+/, '').trimEnd();
    return text
      .replace(/[^\S\u2028]+/g, ' ')
      .split('\u2028')
      .map((line) => line.trim())
      .join('\n')
      .trim();
  }

  #flush(): void {
    if (this.#cells !== undefined) {
      this.#parts.push(' ');
      return;
    }
    this.builder.add(this.#kind, this.#collected(), { level: this.#level });
    this.#parts = [];
  }
}

/** A line's end that is to stay. */
export const BREAK = '\u2028';
