/** Finds added tokens in a text: the leftmost, and of those that begin at one place the longest, as Hugging Face's Aho-Corasick does. */
import type { AddedToken } from './description.ts';
import { failTokenizer } from './failure.ts';

interface Node {
  token: AddedToken | undefined;
  readonly next: Map<number, Node>;
}

/** The most characters of all added tokens; those of models that draw pictures token by token have 800,000. */
const MOST_CHARACTERS = 1 << 22;
/** The most nodes in the tree of their beginnings, of some 200 bytes each. */
const MOST_NODES = 1 << 18;
/** The longest published one has about 30 characters; runs of white space up to 512. */
export const LONGEST_ADDED_TOKEN = 1024;
/**
 * Comparisons for each character of a text: tokens that are prefixes of each other make the search compare every
 * character many times.
 */
const STEPS_PER_UNIT = 32;
/** Testing a neighbouring character costs as much as this many comparisons. */
const WORD_STEPS = 16;

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u;

/** Tells whether the character before `at` (`before`), or the one at `at`, is a word character. */
function isWord(text: string, at: number, before: boolean): boolean {
  let start = before ? at - 1 : at;
  if (before && (text.charCodeAt(start) & 0xfc00) === 0xdc00) start--;
  const code = text.codePointAt(start);
  return start >= 0 && code !== undefined && WORD.test(String.fromCodePoint(code));
}

function isSpace(text: string, at: number): boolean {
  return /\p{White_Space}/u.test(text[at] ?? '');
}

/** Tells whether a special token may be read at the characters `[start, end)`. */
export type Allowed = (start: number, end: number) => boolean;

export class AddedTokens {
  readonly #root: Node = { token: undefined, next: new Map() };
  /** 1 for character codes below 256 with which a token begins; other codes are looked up in the tree. */
  readonly #starts = new Uint8Array(256);
  readonly empty: boolean;
  #fuel = 0;

  constructor(tokens: readonly AddedToken[]) {
    let none = true;
    let characters = 0;
    let nodes = 0;
    for (const token of tokens) {
      if (token.content === '') continue;
      characters += token.content.length;
      if (token.content.length > LONGEST_ADDED_TOKEN || characters > MOST_CHARACTERS || nodes > MOST_NODES) {
        failTokenizer(
          `added tokens of ${token.content.length} characters, ${characters} in all so far; at most ${LONGEST_ADDED_TOKEN} each, ${MOST_CHARACTERS} in all and ${MOST_NODES} different beginnings are supported`,
          { characters },
        );
      }
      none = false;
      let node = this.#root;
      for (let i = 0; i < token.content.length; i++) {
        const code = token.content.charCodeAt(i);
        let next = node.next.get(code);
        if (next === undefined) {
          next = { token: undefined, next: new Map() };
          nodes++;
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

  /**
   * Calls `segment` and `token` for the parts of `text` in order, with their positions. `allowed`: whether a special
   * token may occur there.
   */
  split(
    text: string,
    allowed: Allowed,
    segment: (text: string, start: number) => void,
    found: (token: AddedToken, start: number, end: number) => void,
  ): void {
    let done = 0;
    this.#fuel = 65536 + text.length * STEPS_PER_UNIT;
    for (let at = 0; !this.empty && at < text.length;) {
      const token = this.#at(text, at, allowed);
      if (token === undefined) {
        at++;
        continue;
      }
      let start = at;
      let end = at + token.content.length;
      if (token.lstrip) while (start > done && isSpace(text, start - 1)) start--;
      if (token.rstrip) while (end < text.length && isSpace(text, end)) end++;
      if (start > done) segment(text.slice(done, start), done);
      found(token, start, end);
      done = end;
      at = end;
    }
    if (done < text.length) segment(done === 0 ? text : text.slice(done), done);
  }

  #at(text: string, at: number, allowed: Allowed): AddedToken | undefined {
    const first = text.charCodeAt(at);
    if (first < 256 && this.#starts[first] === 0) return undefined;
    let best: AddedToken | undefined;
    let node = this.#root.next.get(first);
    for (let i = at + 1; node !== undefined; i++) {
      const { token } = node;
      this.#fuel -= token?.singleWord === true ? WORD_STEPS : 1;
      if (
        token !== undefined &&
        (!token.special || allowed(at, i)) &&
        !(token.singleWord && (isWord(text, at, true) || isWord(text, i, false)))
      )
        best = token;
      node = i < text.length ? node.next.get(text.charCodeAt(i)) : undefined;
    }
    if (this.#fuel < 0) {
      failTokenizer(
        `the added tokens take more than ${STEPS_PER_UNIT} steps for each character of this text; it is refused to keep the page alive`,
      );
    }
    return best;
  }
}
