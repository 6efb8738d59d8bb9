/**
 * CompressKV's semantic retrieval heads (2508.02401): heads that attend to a whole needle, not only to the token that
 * they would copy. In 256 random tokens four spans of 16 are needles; after them the first 4 tokens of each are
 * repeated, one needle after the other. A query head's score is its attention mass on the whole needle from the 4
 * repeated tokens, averaged over tokens and needles.
 */
import { randomIds, readTokens, type ReadableModel } from './reading.ts';
import { denseCausal } from '../../kv/ranges.ts';

const HAY = 256;
const NEEDLES = 4;
const NEEDLE = 16;
const ASKED = 4;
const SEED = 0x6e65656c;

/** [layers * heads] */
export async function semanticScores(model: ReadableModel, signal?: AbortSignal): Promise<Float32Array> {
  const { backend, config, attention } = model;
  const { cacheLayers: layers, heads, vocabulary, contextWindow } = config;
  const hay = Math.max(2 * NEEDLES * ASKED, Math.min(HAY, contextWindow - NEEDLES * ASKED));
  const length = Math.min(NEEDLE, Math.floor(hay / (2 * NEEDLES)));
  const ids = new Int32Array(hay + NEEDLES * ASKED);
  ids.set(randomIds(hay, vocabulary, SEED));
  const needles = Array.from({ length: NEEDLES }, (_, i) => Math.floor(((i + 0.5) * hay) / NEEDLES - length / 2));
  needles.forEach((start, i) => ids.copyWithin(hay + i * ASKED, start, start + ASKED));
  const scores = new Float32Array(layers * heads);
  await readTokens(
    model,
    ids,
    async (layer, q, kv) => {
      const masses = backend.keep(
        backend.scope(() =>
          backend.stack(
            needles.map((start, i) => {
              const position = hay + i * ASKED;
              const spans = Uint32Array.of(start, start + length);
              return backend.probe(
                backend.rows(q, position, ASKED),
                kv,
                layer,
                position,
                denseCausal(ASKED, position + ASKED),
                { ...attention, spans },
              );
            }),
          ),
        ),
      );
      try {
        const values = await backend.download(masses);
        for (let head = 0; head < heads; head++) {
          for (let i = 0; i < NEEDLES; i++)
            scores[layer * heads + head] =
              (scores[layer * heads + head] ?? 0) + (values[i * heads + head] ?? 0) / NEEDLES;
        }
      } finally {
        backend.free(masses);
      }
    },
    signal,
  );
  return scores;
}
