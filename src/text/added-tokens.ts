/** Finds added tokens in a text: the leftmost, and of those that begin at one place the longest, as Hugging Face's Aho-Corasick does. */
import type { AddedToken } from './description.ts';

interface Node {
  token: AddedToken | undefined;
  readonly next: Map<number, Node>;
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u;

/** Whether a word character ends right before `at`, or begins at `at`. */
function isWord(text: string, at: number, before: boolean): boolean {
  let start = before ? at - 1 : at;
  if (before && (text.charCodeAt(start) & 0xfc00) === 0xdc00) start--;
  const code = text.codePointAt(start);
  return start >= 0 && code !== undefined && WORD.test(String.fromCodePoint(code));
}

function isSpace(text: string, at: number): boolean {
  return /\p{White_Space}/u.test(text[at] ?? '');
}

export class AddedTokens {
  readonly #root: Node = { token: undefined, next: new Map() };
  /** 1 where a token may begin, for codes below 256; all others are looked up. */
  readonly #starts = new Uint8Array(256);
  readonly empty: boolean;

  constructor(tokens: readonly AddedToken[]) {
    let none = true;
    for (const token of tokens) {
      if (token.content === '') continue;
      none = false;
      let node = this.#root;
      for (let i = 0; i < token.content.length; i++) {
        const code = token.content.charCodeAt(i);
        let next = node.next.get(code);
        if (next === undefined) {
          next = { token: undefined, next: new Map() };
          node.next.set(code, next);
        }
        node = next;
      }
      node.token ??= token;
      const first = token.content.charCodeAt(0);
      if (first < 256) this.#starts[first] = 1;
    }
    this.empty = none;
  }

  /** Calls `segment` and `token` for the parts of `text` in order. `special`: also special tokens. */
  split(text: string, special: boolean, segment: (text: string) => void, found: (token: AddedToken) => void): void {
    let done = 0;
    for (let at = 0; !this.empty && at < text.length;) {
      const token = this.#at(text, at, special);
      if (token === undefined) {
        at++;
        continue;
      }
      let start = at;
      let end = at + token.content.length;
      if (token.lstrip) while (start > done && isSpace(text, start - 1)) start--;
      if (token.rstrip) while (end < text.length && isSpace(text, end)) end++;
      if (start > done) segment(text.slice(done, start));
      found(token);
      done = end;
      at = end;
    }
    if (done < text.length) segment(done === 0 ? text : text.slice(done));
  }

  #at(text: string, at: number, special: boolean): AddedToken | undefined {
    const first = text.charCodeAt(at);
    if (first < 256 && this.#starts[first] === 0) return undefined;
    let best: AddedToken | undefined;
    let node = this.#root.next.get(first);
    for (let i = at + 1; node !== undefined; i++) {
      const { token } = node;
      if (
        token !== undefined &&
        (special || !token.special) &&
        !(token.singleWord && (isWord(text, at, true) || isWord(text, i, false)))
      )
        best = token;
      node = i < text.length ? node.next.get(text.charCodeAt(i)) : undefined;
    }
    return best;
  }
}
