/**
 * CompressKV's semantic retrieval heads (2508.02401): heads that attend to a whole needle while its words are written,
 * not only to the token that they would copy. A text of everyday sentences holds four needles; after it each needle is
 * asked for and answered in its own words. A query head's score is its attention mass on the whole needle from the
 * tokens that predict the answer, averaged over tokens and needles. The paper lets the model write the answers, of long
 * texts, and counts those that are right; here the answers are given, and one pass reads all of them.
 */
import { HAY, NEEDLES } from './needles.ts';
import { readTokens, type ReadableModel } from './reading.ts';
import { denseCausal } from '../../kv/ranges.ts';

/** Ids of a text, without control tokens. */
export type Encode = (text: string) => ArrayLike<number>;

/** The ids that are read, and by needle its span in the text and the rows that predict it as an answer. */
export interface NeedleText {
  readonly ids: Int32Array;
  readonly needles: readonly {
    readonly span: readonly [start: number, end: number];
    readonly rows: readonly [start: number, end: number];
  }[];
}

/** Sentences of the hay are left out where the context window is small. */
export function needleText(encode: Encode, window: number): NeedleText {
  const asked = NEEDLES.map(([needle, question]) => ({
    needle: encode(` ${needle}`),
    before: encode(`\n\nQuestion: ${question}\nAnswer:`),
  }));
  const fixed = asked.reduce((sum, { needle, before }) => sum + 2 * needle.length + before.length, 0);
  const hay: ArrayLike<number>[] = [];
  let left = window - fixed;
  for (const sentence of HAY) {
    const ids = encode(` ${sentence}`);
    left -= ids.length;
    if (left >= 0) hay.push(ids);
  }
  const ids: number[] = [];
  const add = (more: ArrayLike<number>): readonly [start: number, end: number] => {
    const start = ids.length;
    ids.push(...Array.from(more));
    return [start, ids.length];
  };
  const spans: (readonly [number, number])[] = [];
  asked.forEach(({ needle }, i) => {
    const part = (index: number): number => Math.round((index * hay.length) / asked.length);
    const middle = Math.round((part(i) + part(i + 1)) / 2);
    hay.slice(part(i), middle).forEach(add);
    spans.push(add(needle));
    hay.slice(middle, part(i + 1)).forEach(add);
  });
  const needles = asked.map(({ needle, before }, i) => {
    add(before);
    const [start, end] = add(needle);
    return { span: spans[i] ?? [0, 0], rows: [start - 1, end - 1] } as const;
  });
  return { ids: Int32Array.from(ids), needles };
}

/** [layers * heads] */
export async function semanticScores(
  model: ReadableModel,
  encode: Encode,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { backend, config, attention } = model;
  const { cacheLayers: layers, heads, contextWindow } = config;
  const { ids, needles } = needleText(encode, contextWindow);
  const scores = new Float32Array(layers * heads);
  await readTokens(
    model,
    ids,
    async (layer, q, kv) => {
      const masses = backend.keep(
        backend.scope(() =>
          backend.stack(
            needles.map(({ span, rows: [from, to] }) =>
              backend.probe(backend.rows(q, from, to - from), kv, layer, from, denseCausal(to - from, to), {
                ...attention,
                spans: Uint32Array.from(span),
              }),
            ),
          ),
        ),
      );
      try {
        const values = await backend.download(masses);
        for (let head = 0; head < heads; head++) {
          for (let i = 0; i < needles.length; i++)
            scores[layer * heads + head] =
              (scores[layer * heads + head] ?? 0) + (values[i * heads + head] ?? 0) / needles.length;
        }
      } finally {
        backend.free(masses);
      }
    },
    signal,
  );
  return scores;
}
