/**
 * SentencePiece's precompiled normaliser: a double-array trie (darts-clone) from byte strings to replacements.
 * Layout: u32 bytes of the trie; its u32 units; then the replacements, each ended by a zero byte.
 * A unit: bit 31 value flag, bits 10-30 offset, bit 9 offset is times 256, bit 8 has a value, bits 0-7 label.
 */
import { ModelError } from '../errors.ts';

/** T5's has 240,000 bytes. */
const MOST_BYTES = 1 << 24;

function fail(problem: string): never {
  throw new ModelError('tokenizer', `tokenizer: precompiled_charsmap ${problem}; the file is damaged`, {});
}

export class CharacterMap {
  readonly #units: Uint32Array;
  readonly #texts: Uint8Array;
  /**
   * No key begins with a printable ASCII character that is followed by printable ASCII or by nothing; such text is not
   * changed.
   */
  readonly #plainAscii: boolean;
  readonly #replacements = new Map<number, string>();

  constructor(bytes: Uint8Array) {
    if (bytes.length < 4 || bytes.length > MOST_BYTES) fail(`has ${bytes.length} bytes`);
    const size = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
    if (size % 4 !== 0 || size === 0 || 4 + size > bytes.length)
      fail(`says that its trie has ${size} of ${bytes.length} bytes`);
    this.#units = new Uint32Array(bytes.slice(4, 4 + size).buffer);
    this.#texts = bytes.slice(4 + size);
    let plain = true;
    for (let a = 0x20; a < 0x7f && plain; a++) {
      for (let b = 0x20; b < 0x7f; b++) if (this.#match(Uint8Array.of(a, b), 0, false) > 0) plain = false;
    }
    this.#plainAscii = plain;
  }

  /**
   * `longest` as in SentencePiece: the longest key that is a prefix. Otherwise as in Hugging Face: the shortest key of
   * each grapheme.
   */
  normalize(text: string, longest: boolean): string {
    if (!this.#plainAscii) return longest ? this.#longest(text) : this.#graphemes(text);
    return text.replace(/[ -~]?[^ -~]+/gu, (part) => (longest ? this.#longest(part) : this.#graphemes(part)));
  }

  #longest(text: string): string {
    const bytes = new TextEncoder().encode(text);
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    let out = '';
    let kept = 0;
    for (let at = 0; at < bytes.length;) {
      const length = this.#match(bytes, at, true);
      if (length === 0) {
        const lead = bytes[at] ?? 0;
        at += lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        continue;
      }
      out += decoder.decode(bytes.subarray(kept, at)) + this.#found;
      at += length;
      kept = at;
    }
    return kept === 0 ? text : out + decoder.decode(bytes.subarray(kept));
  }

  #graphemes(text: string): string {
    let out = '';
    for (const grapheme of graphemesOf(text)) {
      const bytes = new TextEncoder().encode(grapheme);
      if (bytes.length < 6 && this.#match(bytes, 0, false) > 0) out += this.#found;
      else
        for (const character of grapheme)
          out += this.#match(new TextEncoder().encode(character), 0, false) > 0 ? this.#found : character;
    }
    return out;
  }

  #found = '';

  /** Bytes of the longest or shortest key at `at`, 0 for none; its replacement is in `#found`. */
  #match(bytes: Uint8Array, at: number, longest: boolean): number {
    const units = this.#units;
    const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
    let node = offset(units[0] ?? 0);
    let length = 0;
    let value = 0;
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0;
      if (byte === 0) break;
      node = (node ^ byte) >>> 0;
      const unit = units[node];
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) break;
      node = (node ^ offset(unit)) >>> 0;
      if ((unit & 0x100) !== 0) {
        length = i + 1 - at;
        value = (units[node] ?? 0) & 0x7fffffff;
        if (!longest) break;
      }
    }
    if (length > 0) this.#found = this.#replacement(value);
    return length;
  }

  #replacement(at: number): string {
    let text = this.#replacements.get(at);
    if (text === undefined) {
      const end = this.#texts.indexOf(0, at);
      if (at >= this.#texts.length || end < 0)
        return fail(`points to a replacement at byte ${at} of ${this.#texts.length}`);
      text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#texts.subarray(at, end));
      this.#replacements.set(at, text);
    }
    return text;
  }
}

let segmenter: Intl.Segmenter | undefined;

function graphemesOf(text: string): Iterable<string> {
  // Engines without Segmenter: a character with its marks.
  if (typeof Intl.Segmenter !== 'function') return text.match(/\r\n|[\s\S]\p{M}*/gu) ?? [];
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return Array.from(segmenter.segment(text), (part) => part.segment);
}
