/** Keeps the strings of a vocabulary in compact form for the lifetime of a tokenizer. */
import { packEntries } from './vocabulary.ts';

const utf8 = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Tokens by id as UTF-8, one after the other: 1.7 MB where 152,000 strings and a map of them take 10. */
export class TokenTable {
  readonly #bytes: Uint8Array;
  readonly #offsets: Uint32Array;

  /** A missing token counts as an empty one. */
  constructor(tokens: readonly (string | undefined)[]) {
    const { bytes, offsets } = packEntries(tokens, false);
    this.#bytes = bytes;
    this.#offsets = offsets;
  }

  /** '' for ids outside the vocabulary. */
  text(id: number): string {
    return decoder.decode(this.#bytes.subarray(this.#offsets[id] ?? 0, this.#offsets[id + 1] ?? 0));
  }

  /** The last id of `token`, found by a linear search that takes less than a millisecond and is rarely needed. */
  find(token: string): number | undefined {
    const wanted = utf8.encode(token);
    const bytes = this.#bytes;
    const offsets = this.#offsets;
    if (wanted.length === 0) return undefined;
    for (let id = offsets.length - 2; id >= 0; id--) {
      const start = offsets[id] ?? 0;
      if ((offsets[id + 1] ?? 0) - start !== wanted.length) continue;
      let same = 0;
      while (same < wanted.length && bytes[start + same] === wanted[same]) same++;
      if (same === wanted.length) return id;
    }
    return undefined;
  }
}
