/** What embedding and re-ranking need of a loaded model, and how its calls take turns. */
import type { Gate, Queue } from '../generate/queue.ts';
import { paced } from '../layers/steps.ts';
import { TimeSlice } from '../layers/yield.ts';
import { throughHead, type HeadLayer } from '../models/encoder/head.ts';
import type { Embedder } from '../models/encoder/index.ts';
import type { Packed } from '../models/encoder/packed.ts';
import type { Pooling } from '../models/encoder/spec.ts';
import type { Affixes, Tokenizer } from '../text/tokenizer.ts';
import type { Read } from './texts.ts';

export interface EmbedModel {
  readonly embedder: Embedder;
  readonly tokenizer: Tokenizer;
  /** What stands around a text, and between two: mostly the tokenizer's own. */
  readonly affixes: Affixes;
  /** How a text is read, where it is not put between the affixes. */
  readonly frame?: ((text: string) => Read) | undefined;
  /** Passed by whatever computes. */
  readonly gate: Gate;
  /** Calls of the encoder share its pages: one at a time. */
  readonly queue: Queue;
}

export interface EmbedListener {
  readonly signal?: AbortSignal | undefined;
  /** Texts that are done, and of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** [texts * width]: the packed texts through the encoder, its pooling, and the layers behind it. */
export function run(
  { embedder: { encoder }, gate, queue }: Pick<EmbedModel, 'embedder' | 'gate' | 'queue'>,
  packed: Packed,
  { pooling, layers }: { readonly pooling: Pooling; readonly layers: readonly HeadLayer[] },
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  return gate.share(signal, () =>
    queue.run(signal, async () => {
      const slice = new TimeSlice();
      const pause = async (): Promise<void> => {
        await slice.yield();
        signal?.throwIfAborted();
      };
      return throughHead(encoder.backend, await paced(encoder.encode(packed, pooling), pause), layers);
    }),
  );
}
