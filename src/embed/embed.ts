/** Texts to vectors of length 1. */
import { InputError, ModelError } from '../errors.ts';
import type { VectorSpec } from '../models/encoder/index.ts';
import { run, type EmbedListener, type EmbedModel } from './model.ts';
import type { EmbedResult, EmbedSettings } from './options.ts';
import { batchesOf, framed, idsOf, pack, readAll } from './texts.ts';

/** Throws `InputError` for empty texts, for widths that the model does not have, and for a model that only ranks. */
export async function embed(
  model: EmbedModel,
  texts: readonly string[],
  { kind = 'document', prefix, dimensions: wanted, prepend = false }: EmbedSettings,
  { signal, onProgress }: EmbedListener = {},
): Promise<EmbedResult> {
  const { embedder, tokenizer, affixes, frame } = model;
  const { vectors, encoder, window } = embedder;
  if (vectors === undefined)
    throw new InputError(
      'argument',
      'this model scores pairs of texts and gives no vectors; use model.rerank, or load a model that embeds',
    );
  if (prepend && vectors.trained)
    throw new InputError(
      'argument',
      'prepend: this model was trained to embed, and its vectors are better without it; leave it out',
      { name: 'prepend' },
    );
  const dimensions = width(wanted, vectors);
  const before = prefix ?? vectors.prefixes[kind];
  texts.forEach(refuseEmpty('text', texts.length));
  const read = await readAll(
    texts.length,
    (i) => {
      const text = before + (texts[i] ?? '');
      return frame?.(text) ?? framed(idsOf(tokenizer, text), affixes, window);
    },
    signal,
  );
  const out = new Float32Array(texts.length * dimensions);
  let done = 0;
  for (const batch of batchesOf(
    read.map(({ ids }) => ids.length),
    encoder.rows,
  )) {
    const packed = pack(
      batch.flatMap((index) => read[index] ?? []),
      encoder.config.vocabulary,
    );
    const states = await run(model, packed, vectors, signal);
    batch.forEach((index, i) => {
      const row = states.subarray(i * vectors.dimensions, i * vectors.dimensions + dimensions);
      out.set(normalised(row, index), index * dimensions);
    });
    done += batch.length;
    onProgress?.(done, texts.length);
  }
  return {
    vectors: out,
    dimensions,
    tokens: read.reduce((sum, { ids }) => sum + ids.length, 0),
    truncated: read.flatMap(({ truncated }, i) => (truncated ? [i] : [])),
  };
}

function width(wanted: number | undefined, { dimensions }: VectorSpec): number {
  if (wanted === undefined) return dimensions;
  if (Number.isInteger(wanted) && wanted >= 1 && wanted <= dimensions) return wanted;
  throw new InputError(
    'argument',
    `dimensions: ${wanted}; this model's vectors have ${dimensions} values, of which 1 to ${dimensions} can be kept`,
    { name: 'dimensions', dimensions },
  );
}

/** For `forEach`. */
export function refuseEmpty(what: string, total: number): (text: string, index: number) => void {
  return (text, index) => {
    if (text.trim() !== '') return;
    throw new InputError('empty', `${what} ${index} of ${total} (counted from 0) is empty; leave it out`, { index });
  };
}

function normalised(row: Float32Array, index: number): Float32Array {
  let sum = 0;
  for (const value of row) sum += value * value;
  const length = Math.sqrt(sum);
  if (length > 0 && length < Infinity) return row.map((value) => value / length);
  throw new ModelError(
    'non-finite',
    `the vector of text ${index} has the length ${length}; the weights are damaged, or too large for this device`,
    { index },
  );
}
