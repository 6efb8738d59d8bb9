/**
 * A tiny llama that says what a test wants: its layers add nothing, and its head knows one successor of every token. A script is a list of pieces, each a
 * token of the vocabulary; it follows its key, which is the last character of a prompt, and ends the answer.
 */
import { byteLetters } from './byte-letters.ts';
import { IM_END, SPECIALS, TINY_VOCABULARY, tinyModel, type TinyOptions } from './tiny-model.ts';

export interface ScriptOptions extends TinyOptions {
  /** Pieces that are control tokens. */
  readonly control?: readonly string[];
}

/** Pieces are all different, and longer than a character. */
export function scriptedModel(
  scripts: Readonly<Record<string, readonly string[]>>,
  { control = [], ...options }: ScriptOptions = {},
): Uint8Array<ArrayBuffer> {
  const letters = byteLetters();
  const token = (piece: string): string =>
    control.includes(piece) ? piece : [...new TextEncoder().encode(piece)].map((byte) => letters[byte]!).join('');
  const pieces = Object.values(scripts).flat();
  if (new Set(pieces).size < pieces.length) throw new Error('two pieces are equal');
  const rows = TINY_VOCABULARY + pieces.length;
  const hidden = Math.ceil(rows / 32) * 32;
  const next = new Map<number, number>();
  let id = TINY_VOCABULARY;
  for (const [key, script] of Object.entries(scripts)) {
    let before = key.charCodeAt(0);
    for (const _ of script) {
      next.set(before, id);
      before = id++;
    }
  }
  const type = (index: number): number => {
    const special = index >= 256 && index < TINY_VOCABULARY;
    return special || control.includes(pieces[index - TINY_VOCABULARY] ?? '') ? 3 : 1;
  };
  return tinyModel({
    layers: 1,
    window: 2048,
    ...options,
    hidden,
    padding: pieces.length,
    metadata: {
      'tokenizer.ggml.tokens': [...letters, ...SPECIALS, ...pieces.map(token)],
      'tokenizer.ggml.token_type': { type: 'i32', value: Array.from({ length: rows }, (_, index) => type(index)) },
      ...options.metadata,
    },
    damage: (name, values) => {
      if (name.endsWith('attn_output.weight') || name.endsWith('ffn_down.weight')) values.fill(0);
      if (name !== 'token_embd.weight' && name !== 'output.weight') return;
      values.fill(0);
      for (let at = 0; at < rows; at++)
        values[name === 'output.weight' ? (next.get(at) ?? IM_END) * hidden + at : at * hidden + at] = 1;
    },
  });
}
