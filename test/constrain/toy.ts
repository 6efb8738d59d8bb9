/** A vocabulary made up for tests: all bytes, pieces of JSON and of words, tokens across their borders, and special tokens. */
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { random, type Random } from '../support/random.ts';

export const END = '<|end|>';
export const CALL = '[CALL]';

const PIECES =
  ' |  |    |\n|\n  |{"|{ "|{\n  "|"}|"]|"},|],|}]|}}|":|": |": "|":"|","|", "|",\n|[{"|[]|{}|""|,"|, |: |true|false|null|e+|e-|-|.|0.|00|12|123|1234|2020-|-01|T|:00|Z|' +
  'name|age|id|type|the|and|hello| world|é|ü|日本|語|🙂|\\n|\\"|\\\\|\\u00|<tool_call>|</tool_call>|<tool|_call>|a|b|c|ab|abc|bc|http|://|@|.com|foo|bar|tags|x|y|kind|value';

/** `without`: bytes that are no tokens. */
export function toyTokenizer(extra: readonly string[] = [], without: readonly number[] = []): Tokenizer {
  const utf8 = new TextEncoder();
  const left = new Set(without);
  const tokens: (Uint8Array | string)[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)).filter(
    ([byte]) => !left.has(byte!),
  );
  for (const piece of new Set([...PIECES.split('|'), ...extra])) if (piece.length > 0) tokens.push(utf8.encode(piece));
  // A token that ends within a character, and one that begins within one.
  tokens.push(Uint8Array.of(0x22, 0xf0, 0x9f), Uint8Array.of(0x99, 0x82, 0x22));
  tokens.push(END, CALL);
  const eos = tokens.indexOf(END);
  const bytes = (id: number): Uint8Array => {
    const token = tokens[id]!;
    return typeof token === 'string' ? utf8.encode(token) : token;
  };
  return {
    facts: { vocabulary: tokens.length, eos: [eos], addBos: false, addEos: false },
    tokenBytes: bytes,
    eachToken: (visit) => tokens.forEach((token, id) => visit(id, bytes(id), typeof token === 'string')),
    idOf: (token) => {
      const id = tokens.indexOf(token);
      return id < 0 ? undefined : id;
    },
    decode: (ids) =>
      new TextDecoder().decode(
        Buffer.concat(Array.from(ids).flatMap((id) => (typeof tokens[id] === 'string' ? [] : [bytes(id)]))),
      ),
  } as Partial<Tokenizer> as Tokenizer;
}

/** Random ways to cut bytes into tokens. */
export class Cutter {
  readonly #ids = new Map<string, number>();
  #longest = 1;

  constructor(tokenizer: Tokenizer) {
    tokenizer.eachToken((id, bytes, special) => {
      if (special || bytes.length === 0) return;
      this.#ids.set(bytes.join(), id);
      this.#longest = Math.max(this.#longest, bytes.length);
    });
  }

  /** Precondition: every byte of the text is a token. */
  cut(text: string, r: Random = random(1)): number[] {
    const bytes = new TextEncoder().encode(text);
    const out: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const fits: [number, number][] = [];
      for (let length = 1; length <= Math.min(this.#longest, bytes.length - at); length++) {
        const id = this.#ids.get(bytes.subarray(at, at + length).join());
        if (id !== undefined) fits.push([id, length]);
      }
      const [id, length] = fits[r.integer(0, fits.length)]!;
      out.push(id);
      at += length;
    }
    return out;
  }
}

export function allows(mask: Uint32Array, id: number): boolean {
  return ((mask[id >> 5] ?? 0) & (1 << (id & 31))) !== 0;
}
