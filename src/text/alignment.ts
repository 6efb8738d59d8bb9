/**
 * Determines which characters of a text each character of its normalised form comes from, for any normaliser. A cut of
 * the text is valid if the parts, normalised separately, make up the whole. Between two valid cuts that cannot be
 * divided further, every character comes from all characters.
 */

/** For each UTF-16 unit of the changed text, the units `[starts[i], ends[i])` of the text that it comes from. */
export interface Alignment {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Changes a text; `first` says that it begins the whole text. */
type Change = (text: string, first: boolean) => string;

/** A part of at most this many characters is tried at every cut, a longer one at this many cuts around its middle. */
const TRIES = 48;
/**
 * Later parts are changed with this text before them, so that they are not treated as the beginning of a text: the
 * first one that does not change together with them.
 */
const BEFORE = ['a', '0', '\u4e00'];

/** `changed` is `change(text, first)`. */
export function align(text: string, changed: string, change: Change, first: boolean): Alignment {
  const starts = new Uint32Array(changed.length);
  const ends = new Uint32Array(changed.length);
  const contexts = BEFORE.map((before) => ({ before, own: change(before, false) }));
  /** Changes a part that follows another; undefined if that changes the text before it. */
  const later = (part: string): string | undefined => {
    for (const { before, own } of contexts) {
      const both = change(before + part, false);
      if (both.startsWith(own)) return both.slice(own.length);
    }
    return undefined;
  };
  const fill = (from: number, to: number, start: number, end: number): void => {
    starts.fill(start, from, to);
    ends.fill(end, from, to);
  };
  /** The units `[start, end)` of the text became `[from, to)` of the changed text. */
  const visit = (start: number, end: number, from: number, to: number, begins: boolean): void => {
    if (from === to) return;
    const part = text.slice(start, end);
    const out = changed.slice(from, to);
    if (part === out) {
      for (let i = 0; i < part.length; i++) {
        starts[from + i] = start + i;
        ends[from + i] = start + i + 1;
      }
      return;
    }
    const units = end - start;
    const middle = start + (units >> 1);
    for (let i = 1; i <= Math.min(units, TRIES); i++) {
      const cut = middle + (i % 2 === 1 ? (i - 1) / 2 : -i / 2);
      if (cut <= start || cut >= end || isInside(text, cut)) continue;
      const left = begins ? change(text.slice(start, cut), first) : later(text.slice(start, cut));
      if (left === undefined || !out.startsWith(left)) continue;
      if (later(text.slice(cut, end)) !== out.slice(left.length)) continue;
      visit(start, cut, from, from + left.length, begins);
      visit(cut, end, from + left.length, to, false);
      return;
    }
    // Text that was inserted before the text comes from nothing.
    const own = begins ? later(part) : undefined;
    if (own !== undefined && own.length < out.length && out.endsWith(own)) {
      fill(from, to - own.length, start, start);
      visit(start, end, to - own.length, to, false);
      return;
    }
    // Equal ends correspond to each other.
    let head = 0;
    while (head < Math.min(part.length, out.length) && part[head] === out[head]) head++;
    let tail = 0;
    while (tail < Math.min(part.length, out.length) - head && part.at(-1 - tail) === out.at(-1 - tail)) tail++;
    for (let i = 0; i < head; i++) fill(from + i, from + i + 1, start + i, start + i + 1);
    for (let i = 1; i <= tail; i++) fill(to - i, to - i + 1, end - i, end - i + 1);
    fill(from + head, to - tail, start + head, end - tail);
  };
  visit(0, text.length, 0, changed.length, true);
  return { starts, ends };
}

/** Returns the units of the text from which `[start, end)` of the changed text comes; an empty span is a position. */
export function sourceOf({ starts, ends }: Alignment, start: number, end: number): [number, number] {
  if (start < end) {
    const from = starts[start] ?? 0;
    return [from, Math.max(from, ends[end - 1] ?? 0)];
  }
  const at = start < starts.length ? (starts[start] ?? 0) : (ends.at(-1) ?? 0);
  return [at, at];
}

/** Tells whether a position is between the halves of a character. */
function isInside(text: string, at: number): boolean {
  return (text.charCodeAt(at - 1) & 0xfc00) === 0xd800 && (text.charCodeAt(at) & 0xfc00) === 0xdc00;
}

/**
 * For each byte of a text's UTF-8 (and of its end), the UTF-16 unit at which its character starts, and at which it
 * ends.
 */
export interface ByteMap {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Lone surrogates count as the three bytes of U+FFFD, as a TextEncoder writes them. */
export function byteMap(text: string): ByteMap {
  const starts = new Uint32Array(3 * text.length + 1);
  const ends = new Uint32Array(3 * text.length + 1);
  let byte = 0;
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at) ?? 0;
    const units = point > 0xffff ? 2 : 1;
    const bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    // A byte offset within a character starts at the character's start and ends at its end.
    starts.fill(at, byte, byte + bytes);
    ends.fill(at + units, byte + 1, byte + bytes + 1);
    byte += bytes;
    at += units;
  }
  starts[byte] = text.length;
  return { starts: starts.subarray(0, byte + 1), ends: ends.subarray(0, byte + 1) };
}
