/**
 * What a document is after it was read, whatever its format: one text in reading order, the pages it stands on, the blocks it is made of, and where on a
 * page each character is drawn. Everything else (search, answers, citations) counts in UTF-16 units of this text.
 */

import type { FontFamily } from './widths.ts';

/** `[left, top, right, bottom]` in points of the displayed page, whose origin is its upper left corner. */
export type Rectangle = readonly [left: number, top: number, right: number, bottom: number];

/**
 * Why a page has no text, or text of another kind: `text` has letters of its own; `picture` shows something and has none, or a stamp on a scan; `blank` has nothing;
 * `recognised` was read by the OCR adapter; `unmapped` has letters whose fonts do not say which characters they are.
 */
export type PageKind = 'text' | 'picture' | 'blank' | 'recognised' | 'unmapped';

/** A page of a document; formats without pages have one. */
export interface Page {
  /** From 1. */
  readonly number: number;
  /** What is printed on it as its number (`iv`), where the file says so. */
  readonly label?: string | undefined;
  /** Units `[start, end)` of the text. */
  readonly start: number;
  /** Behind the last unit of its text. */
  readonly end: number;
  /** In points, as it is displayed: a page that the file turns by 90 degrees has its sides exchanged. 0 for formats without pages. */
  readonly width: number;
  /** In points, as it is displayed. */
  readonly height: number;
  /** Where its text comes from, or why it has none. */
  readonly kind: PageKind;
}

/** What a block is: a heading, a paragraph, an item of a list, a row of a table, or code. */
export type BlockKind = 'heading' | 'paragraph' | 'item' | 'row' | 'code';

/** One paragraph, heading, item of a list or row of a table. */
export interface Block {
  /** What it is. */
  readonly kind: BlockKind;
  /** Units `[start, end)` of the document's text. */
  readonly start: number;
  /** Behind its last unit. */
  readonly end: number;
  /** Of a heading, from 1; 0 for others. */
  readonly level: number;
}

/** An entry of the outline: the file's own, or a heading. */
export interface OutlineEntry {
  /** The words of the entry. */
  readonly title: string;
  /** From 1. */
  readonly level: number;
  /** From 1. */
  readonly page: number;
  /** Where in the text it begins. */
  readonly start: number;
}

/** A piece of a line as it is drawn: units `[start, end)` from `x, y` along `dx, dy`, `ux, uy` being its height. In points of the displayed page. */
export interface Run {
  readonly start: number;
  readonly end: number;
  readonly page: number;
  /** Where the baseline begins. */
  readonly x: number;
  readonly y: number;
  /** From the first character's beginning to the last one's end. */
  readonly dx: number;
  readonly dy: number;
  /** From the descenders to the ascenders. */
  readonly ux: number;
  readonly uy: number;
  /** The share of the height below the baseline. */
  readonly descent: number;
  /** What its font is like, where that is not a sans-serif. */
  readonly family?: FontFamily;
  /** Where each of its units begins, and the last one ends, in shares of its length that are counted to `WHOLE_RUN`; where that is known. */
  readonly bounds?: Uint16Array;
  /** Whether each part of it stands where all of it does: the description of a picture. */
  readonly whole?: true;
}

/** The end of a run, in its `bounds`. */
export const WHOLE_RUN = 65_535;

/** The language of a document as search knows it: English and German have their own stems. */
export type Language = 'en' | 'de' | 'other';

/** A document that was read. */
export interface DocumentContent {
  readonly title: string | undefined;
  readonly text: string;
  readonly pages: readonly Page[];
  readonly blocks: readonly Block[];
  readonly outline: readonly OutlineEntry[];
  /** Ascending; none for formats that are not drawn on pages. */
  readonly runs: readonly Run[];
  readonly language: Language;
  /** Sentences for the user: what could not be read, and what to do about it. */
  readonly notes: readonly string[];
}

/** The index of the last entry that begins at or before `at`; -1 where there is none. */
export function lastAtOrBefore(entries: readonly { readonly start: number }[], at: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.start ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The number of the page on which the character at `at` stands. */
export function pageAt(pages: readonly Page[], at: number): number {
  return pages[Math.max(0, lastAtOrBefore(pages, at))]?.number ?? 1;
}
