/** Vectors from a model that generates: one that was trained for it (Qwen3-Embedding), or a chat model, as second best. */
import { InputError } from '../errors.ts';
import { Queue, type Gate } from '../generate/queue.ts';
import { CausalEncoder } from '../models/encoder/causal.ts';
import type { LanguageModel } from '../models/model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { VectorFacts } from '../models/encoder/index.ts';
import { embed } from './embed.ts';
import type { EmbedListener } from './model.ts';
import type { EmbedResult, EmbedSettings } from './options.ts';
import { idsOf, type Read } from './texts.ts';

export interface CausalModel {
  readonly language: LanguageModel;
  readonly tokenizer: Tokenizer;
  readonly gate: Gate;
  /** Tokens of a prefill chunk. */
  readonly rows: number;
  /** Undefined: it gives no vectors. */
  readonly embedding: (VectorFacts & { readonly window: number }) | undefined;
}

/** Qwen3-Embedding's vector is the state of this token, which its tokenizer puts behind a text; GGUF files may not say so. */
const END = '<|endoftext|>';

export async function embedWith(
  { language, tokenizer, gate, rows, embedding }: CausalModel,
  texts: readonly string[],
  settings: EmbedSettings,
  listener: EmbedListener,
): Promise<EmbedResult> {
  if (embedding === undefined)
    throw new InputError('argument', 'this model gives no vectors; load a model that embeds beside it');
  const { before, between, after } = tokenizer.affixes;
  const end = embedding.trained && embedding.pooling === 'last' && after.length === 0 ? tokenizer.idOf(END) : undefined;
  const encoder = new CausalEncoder(language, rows);
  try {
    const embedder = { encoder, vectors: { ...embedding, layers: [] }, scores: undefined, window: embedding.window };
    const affixes = { before, between, after: end === undefined ? after : [end] };
    const frame = settings.prepend === true ? inOneWord(tokenizer, Math.min(embedding.window, rows)) : undefined;
    return await embed({ embedder, tokenizer, affixes, frame, gate, queue: new Queue() }, texts, settings, listener);
  } finally {
    encoder.free();
  }
}

/** PromptEOL's words (Jiang et al. 2023) with a placeholder before the text, whose own embedding matters to the first layer only. At most `window` ids. */
function inOneWord(tokenizer: Tokenizer, window: number): (text: string) => Read {
  const { before } = tokenizer.affixes;
  const { eos } = tokenizer.facts;
  const front = [...before, ...idsOf(tokenizer, 'This sentence : ')];
  const opening = idsOf(tokenizer, ' "');
  const ending = idsOf(tokenizer, '" means in one word:"');
  const room = Math.max(0, window - front.length - 1 - opening.length - ending.length);
  return (text) => {
    const ids = idsOf(tokenizer, text);
    return {
      ids: Int32Array.from([...front, eos[0] ?? 0, ...opening, ...ids.subarray(0, room), ...ending]),
      placeholder: front.length,
      truncated: ids.length > room,
    };
  };
}
