/**
 * Strings that remember which of their characters come from a message. Whatever a template does to a message (trim, split, replace, tojson), the
 * characters that came from it stay marked, so that they are never read as control tokens afterwards.
 */

import type { Budget } from './budget.ts';

/** `[start, end)` of characters (UTF-16 units) by turns: ascending, disjoint, not adjacent. */
export type Spans = readonly number[];

const NO_SPANS: Spans = [];

export class Text {
  readonly text: string;
  /** Characters that come from a message. */
  readonly spans: Spans;

  constructor(text: string, spans: Spans = NO_SPANS) {
    this.text = text;
    this.spans = spans;
  }

  /** A string of which every character comes from a message. */
  static content(text: string): Text {
    return text === '' ? EMPTY : new Text(text, [0, text.length]);
  }

  get length(): number {
    return this.text.length;
  }

  slice(start: number, end = this.text.length): Text {
    if (start >= end) return EMPTY;
    if (start <= 0 && end >= this.text.length) return this;
    const spans: number[] = [];
    for (let i = 0; i < this.spans.length; i += 2) {
      const from = Math.max(start, this.spans[i] ?? 0);
      const to = Math.min(end, this.spans[i + 1] ?? 0);
      if (from < to) spans.push(from - start, to - start);
    }
    return new Text(this.text.slice(start, end), spans);
  }

  /** The runs of characters with one origin, in order. */
  *runs(): Generator<{ readonly text: string; readonly content: boolean }> {
    let done = 0;
    for (let i = 0; i < this.spans.length; i += 2) {
      const start = this.spans[i] ?? 0;
      const end = this.spans[i + 1] ?? 0;
      if (start > done) yield { text: this.text.slice(done, start), content: false };
      yield { text: this.text.slice(start, end), content: true };
      done = end;
    }
    if (done < this.text.length) yield { text: this.text.slice(done), content: false };
  }

  /** Each run changed by itself. */
  map(change: (text: string) => string): Text {
    if (this.spans.length === 0) return new Text(change(this.text));
    return concat(
      [...this.runs()].map(({ text, content }) => (content ? Text.content(change(text)) : new Text(change(text)))),
    );
  }

  /** Changed as a whole by a function that keeps the number of characters; where it does not, all of the result counts as a message's. */
  mapWhole(change: (text: string) => string): Text {
    const changed = change(this.text);
    if (this.spans.length === 0) return new Text(changed);
    return changed.length === this.text.length ? new Text(changed, this.spans) : Text.content(changed);
  }

  /** Cut at each of `separator`, which is not empty; at most `most` cuts, each of which is a step. */
  split(separator: string, budget: Budget, most = Infinity): Text[] {
    const parts: Text[] = [];
    let done = 0;
    while (parts.length < most) {
      const at = this.text.indexOf(separator, done);
      if (at < 0) break;
      budget.spend();
      parts.push(this.slice(done, at));
      done = at + separator.length;
    }
    parts.push(this.slice(done));
    return parts;
  }

  /** Without characters at the ends for which `drop` holds. */
  trim(drop: (character: string) => boolean, left = true, right = true): Text {
    let start = 0;
    let end = this.text.length;
    while (left && start < end && drop(this.text[start] ?? '')) start++;
    while (right && end > start && drop(this.text[end - 1] ?? '')) end--;
    return this.slice(start, end);
  }
}

export const EMPTY = new Text('');

export function concat(parts: readonly Text[]): Text {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  const spans: number[] = [];
  let length = 0;
  for (const part of parts) {
    for (let i = 0; i < part.spans.length; i += 2) {
      const start = length + (part.spans[i] ?? 0);
      const end = length + (part.spans[i + 1] ?? 0);
      if (spans.at(-1) === start) spans[spans.length - 1] = end;
      else spans.push(start, end);
    }
    length += part.length;
  }
  return new Text(parts.map(({ text }) => text).join(''), spans);
}

export function join(parts: readonly Text[], separator: Text): Text {
  return concat(separator.length === 0 ? parts : parts.flatMap((part, i) => (i === 0 ? [part] : [separator, part])));
}
