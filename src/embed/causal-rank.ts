/** Ranking by a causal model that answers whether a passage answers a query, yes or no: Qwen3-Reranker (Zhang et al. 2025). */
import { ModelError } from '../errors.ts';
import { paced } from '../layers/steps.ts';
import { TimeSlice } from '../layers/yield.ts';
import { CausalEncoder } from '../models/encoder/causal.ts';
import type { Packed } from '../models/encoder/packed.ts';
import type { LanguageModel } from '../models/model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { CausalModel } from './causal.ts';
import type { EmbedListener } from './model.ts';
import type { RerankResult } from './options.ts';
import { rankBy, refuseEmptyPassages } from './rerank.ts';
import { idsOf, type Read } from './texts.ts';

const BEFORE =
  '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n';
const INSTRUCT = 'Given a web search query, retrieve relevant passages that answer the query';
const AFTER = '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n';

export async function rerankWith(
  { language, tokenizer, gate, rows, window }: Omit<CausalModel, 'embedding'> & { readonly window: number },
  query: string,
  passages: readonly string[],
  listener: EmbedListener,
): Promise<RerankResult> {
  refuseEmptyPassages(query, passages);
  const answers = answersOf(language, tokenizer);
  const before = tokenizer.encode(BEFORE);
  const after = tokenizer.encode(AFTER);
  const room = Math.max(0, window - before.length - after.length);
  const read = (index: number): Read => {
    const ids = idsOf(tokenizer, `<Instruct>: ${INSTRUCT}\n<Query>: ${query}\n<Document>: ${passages[index] ?? ''}`);
    return {
      ids: Int32Array.from([...before, ...ids.subarray(0, room), ...after]),
      truncated: ids.length > room,
    };
  };
  const encoder = new CausalEncoder(language, rows);
  try {
    const score = (packed: Packed): Promise<Float32Array> =>
      gate.share(listener.signal, () => scoresOf(encoder, language, packed, answers, listener.signal));
    return await rankBy({ encoder, count: passages.length, read, score }, listener);
  } finally {
    encoder.free();
  }
}

/** Ids of the two answers. */
export interface Answers {
  readonly yes: number;
  readonly no: number;
}

function answersOf({ classes }: LanguageModel, tokenizer: Tokenizer): Answers {
  const [yes, no] = [tokenizer.idOf('yes'), tokenizer.idOf('no')];
  if (yes !== undefined && no !== undefined) return { yes, no };
  if (classes > 0) return { yes: 0, no: 0 };
  throw new ModelError(
    'tokenizer',
    "the vocabulary has no tokens 'yes' and 'no', by which this model ranks; take the model with its own tokenizer",
  );
}

/** [texts]: the logit of yes above that of no, behind each text. */
export async function scoresOf(
  encoder: CausalEncoder,
  language: LanguageModel,
  packed: Packed,
  { yes, no }: Answers,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { backend, classes } = language;
  const slice = new TimeSlice();
  const pause = async (): Promise<void> => {
    await slice.yield();
    signal?.throwIfAborted();
  };
  const states = await paced(encoder.last(packed), pause);
  let logits;
  try {
    logits = backend.keep(backend.scope(() => (classes > 0 ? language.classify(states) : language.logits(states))));
    const values = await backend.download(logits);
    const width = values.length / packed.lengths.length;
    const difference = (row: Float32Array): number => {
      if (classes === 1) return row[0] ?? NaN;
      return classes === 2 ? (row[0] ?? NaN) - (row[1] ?? NaN) : (row[yes] ?? NaN) - (row[no] ?? NaN);
    };
    return Float32Array.from(packed.lengths, (_, i) => difference(values.subarray(i * width, (i + 1) * width)));
  } finally {
    backend.free(states);
    if (logits !== undefined) backend.free(logits);
  }
}
