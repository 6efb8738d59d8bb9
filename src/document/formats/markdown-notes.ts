/**
 * Footnotes of Markdown (GitHub's form, Pandoc's): "[^label]" where the text refers to one, "[^label]: text" for its own, which goes on in indented lines. The parser
 * knows the text piece by piece, and would take such a line for the address of a link; so notes are taken out of the source before it is parsed.
 */
import { raisedUnits } from '../raised.ts';

const DEFINITION = /^ {0,3}\[\^([^\]\s^[]{1,100})\]:[ \t]*(.*)$/;
const REFERENCE = /\[\^([^\]\s^[]{1,100})\]/g;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const INDENTED = /^(?: {2,4}|\t)/;
/** What ends a note that goes on in lines that are not indented: another block. */
const BLOCK = /^ {0,3}(?:#{1,6}\s|>|[-*+]\s|\d{1,9}[.)]\s|`{3,}|~{3,}|\||(?:[-*_] ?){3,}$)/;
const MOST_NOTES = 10_000;

export class Notes {
  /** By label, without regard to case. */
  readonly #sources = new Map<string, string>();
  /** The numbers of those that the text has referred to. */
  readonly #numbers = new Map<string, number>();

  /** The text without the notes, which are kept. */
  takenFrom(text: string): string {
    if (!text.includes('[^')) return text;
    const rest: string[] = [];
    let fence: string | undefined;
    let note: { readonly key: string; readonly lines: string[] } | undefined;
    const close = (): void => {
      if (note !== undefined) this.#sources.set(note.key, note.lines.join('\n').trimEnd());
      note = undefined;
    };
    for (const line of text.split(/\r?\n/)) {
      const mark = FENCE.exec(line)?.[1];
      const [, label, own = ''] = (fence === undefined ? DEFINITION.exec(line) : undefined) ?? [];
      if (label !== undefined && this.#sources.size < MOST_NOTES && !this.#sources.has(label.toLowerCase())) {
        close();
        note = { key: label.toLowerCase(), lines: [own] };
        continue;
      }
      if (note !== undefined) {
        const blank = line.trim() === '';
        const behindBlank = note.lines.at(-1) === '';
        if (blank || INDENTED.test(line) || (!behindBlank && !BLOCK.test(line))) {
          note.lines.push(blank ? '' : line.replace(INDENTED, ''));
          continue;
        }
        close();
        // What was a note's last empty line parts the blocks around it.
        rest.push('');
      }
      if (mark !== undefined) fence = fence === undefined ? mark : mark.startsWith(fence) ? undefined : fence;
      rest.push(line);
    }
    close();
    return this.#sources.size === 0 ? text : rest.join('\n');
  }

  /** A text in which references to notes are their raised numbers, counted as they come. */
  marked(text: string): string {
    if (this.#sources.size === 0) return text;
    return text.replace(REFERENCE, (whole, label: string) => {
      const key = label.toLowerCase();
      return this.#sources.has(key) ? this.#mark(key) : whole;
    });
  }

  /** The notes with their marks: those that are referred to, by their numbers, then the others, without one. */
  *inOrder(): Generator<{ readonly mark: string; readonly source: string }> {
    // A note may refer to another one, which is then the next.
    for (const key of this.#numbers.keys()) yield { mark: `${this.#mark(key)} `, source: this.#sources.get(key) ?? '' };
    for (const [key, source] of this.#sources) if (!this.#numbers.has(key)) yield { mark: '', source };
  }

  #mark(key: string): string {
    const number = this.#numbers.get(key) ?? this.#numbers.size + 1;
    this.#numbers.set(key, number);
    return raisedUnits(String(number));
  }
}
