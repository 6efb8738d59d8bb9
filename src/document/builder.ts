/** Puts a document's text together, block by block and page by page. */
import { FileError } from '../errors.ts';
import type { Block, BlockKind, DocumentContent, OutlineEntry, Page, PageKind, Run } from './content.ts';
import { detectLanguage } from './language.ts';
import { MOST_CHARACTERS } from './limits.ts';

/** A piece of a line, placed relative to its block's text. */
export type PlacedRun = Omit<Run, 'page'>;

/** So many characters say whether a text goes on; all of it would be copied for each page that a paragraph goes on over. */
const ENDING = 100;

export class ContentBuilder {
  readonly #name: string;
  readonly #parts: string[] = [];
  #length = 0;
  /** The last characters of the last block. */
  #ending = '';
  readonly #pages: Page[] = [];
  readonly #blocks: Block[] = [];
  readonly #outline: OutlineEntry[] = [];
  readonly #runs: Run[] = [];
  readonly #notes: string[] = [];
  #page: { number: number; start: number; width: number; height: number; label: string | undefined } | undefined;
  title: string | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  get length(): number {
    return this.#length;
  }

  beginPage(number: number, width = 0, height = 0, label?: string): void {
    this.#page = { number, start: this.#length, width, height, label };
  }

  /** Pages follow each other without a gap: the blank line before a page's first block is the page's. */
  endPage(kind: PageKind = 'text'): void {
    const page = this.#page;
    if (page === undefined) return;
    this.#pages.push({ ...page, end: this.#length, kind });
    this.#page = undefined;
  }

  /**
   * Adds a block behind an empty line (rows of a table: behind a line's end), or joined to the block before it by what `joined` says. Runs count from the
   * block's own beginning. Blocks without a visible character are left out.
   */
  add(
    kind: BlockKind,
    text: string,
    { level = 0, runs = [], joined }: { level?: number; runs?: readonly PlacedRun[]; joined?: ' ' | '' } = {},
  ): void {
    if (text.trim() === '') return;
    const before = this.#blocks.at(-1);
    const goesOn = joined !== undefined && before !== undefined && before.kind === kind;
    const between = goesOn ? joined : kind === 'row' && before?.kind === 'row' ? '\n' : '\n\n';
    if (this.#length > 0) this.#push(between);
    const start = this.#length;
    if (start + text.length > MOST_CHARACTERS)
      throw new FileError(
        'limit',
        { file: this.#name, field: 'text' },
        `it has more than ${MOST_CHARACTERS} characters; split it into several documents`,
      );
    this.#push(text);
    this.#ending = `${goesOn ? this.#ending : ''}${between}${text}`.slice(-ENDING);
    const page = this.#page?.number ?? 1;
    for (const run of runs) this.#runs.push({ ...run, start: run.start + start, end: run.end + start, page });
    const end = this.#length;
    if (goesOn) this.#blocks[this.#blocks.length - 1] = { ...before, end };
    else this.#blocks.push({ kind, start, end, level });
    if (kind === 'heading') this.#outline.push({ title: text.replace(/\s+/g, ' ').trim(), level, page, start });
  }

  /** The last block's kind and last characters, for those who decide whether the next goes on with it. */
  get last(): { readonly kind: BlockKind; readonly ending: string } | undefined {
    const block = this.#blocks.at(-1);
    return block && { kind: block.kind, ending: this.#ending };
  }

  note(sentence: string): void {
    this.#notes.push(sentence);
  }

  /** `outline`: the file's own, in place of the headings that were found. */
  finish(outline?: readonly OutlineEntry[]): DocumentContent {
    if (this.#page !== undefined) this.endPage();
    if (this.#pages.length === 0)
      this.#pages.push({ number: 1, start: 0, end: this.#length, width: 0, height: 0, kind: 'text' });
    const text = this.#parts.join('');
    return {
      title: this.title,
      text,
      pages: this.#pages,
      blocks: this.#blocks,
      outline: outline !== undefined && outline.length > 0 ? outline : this.#outline,
      runs: this.#runs,
      language: detectLanguage(text),
      notes: this.#notes,
    };
  }

  #push(text: string): void {
    this.#parts.push(text);
    this.#length += text.length;
  }
}
