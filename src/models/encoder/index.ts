/** Loads from a model file what computes vectors and scores of texts. */
import type { Backend } from '../../backend/backend.ts';
import { ModelError } from '../../errors.ts';
import type { ModelFile, ReadOptions } from '../../load/model-file.ts';
import { WeightDigest } from '../digest.ts';
import { Encoder, type EncoderModel } from '../encoder.ts';
import { Facts } from '../facts.ts';
import type { HeadLayer } from './head.ts';
import { sentenceFacts, type Prefixes, type SentenceFacts } from './sentence.ts';
import type { EncoderArchitecture, EncoderSpec, Pooling } from './spec.ts';
import type { TensorPlan } from '../weights.ts';
import { planEncoder, takeEncoder, takeHead } from './weights.ts';

/** Converts texts to vectors and pairs of texts to scores. */
export interface Embedder {
  readonly encoder: EncoderModel;
  /** Undefined for cross-encoders, whose states do not represent one text. */
  readonly vectors: VectorSpec | undefined;
  /** Undefined for models that do not score pairs. */
  readonly scores: { readonly pooling: Pooling; readonly layers: readonly HeadLayer[] } | undefined;
  /** The largest number of tokens of a text or of a pair. */
  readonly window: number;
}

export interface LoadedEmbedder extends Embedder {
  /** Differs if the weights differ (digest.ts). */
  readonly digest: string;
  /** Frees all weights. */
  free(): void;
}

export interface VectorFacts {
  readonly pooling: Pooling;
  readonly dimensions: number;
  readonly prefixes: Prefixes;
  /** Whether the model was trained to embed; chat models were not. */
  readonly trained: boolean;
}

export interface VectorSpec extends VectorFacts {
  /** The layers after the pooling. */
  readonly layers: readonly HeadLayer[];
}

/** An encoder's file, checked before anything is read. */
export class EncoderPlan {
  readonly spec: EncoderSpec;
  /** The largest number of tokens of a text. */
  readonly window: number;
  readonly #file: ModelFile;
  readonly #facts: SentenceFacts;
  readonly #plan: TensorPlan;
  readonly #head: readonly HeadLayer[];

  /** Throws `ModelError` for what is missing or inconsistent. */
  constructor(file: ModelFile, name: string, create: EncoderArchitecture) {
    const { metadata, tensors } = file;
    const spec = create(new Facts(metadata, name), tensors);
    const facts = sentenceFacts(file, name);
    const head = spec.score?.layers ?? facts.dense;
    refuseHeadless(file, spec, facts);
    this.spec = spec;
    this.window = Math.min(spec.config.contextWindow, facts.window ?? Infinity);
    this.#file = file;
    this.#facts = facts;
    this.#plan = planEncoder(tensors, metadata.kind, spec, head);
    this.#head = takeHead(this.#plan.take, head, spec.config.hidden);
    const classes = this.#head.at(-1)?.width ?? 1;
    if (spec.score !== undefined && classes !== 1)
      throw new ModelError(
        'architecture',
        `a classifier of ${classes} classes, which neither embeds nor ranks; take a cross-encoder with one output`,
        { classes },
      );
  }

  /** Reads the weights. */
  async load(backend: Backend, options: ReadOptions & { readonly rows?: number } = {}): Promise<LoadedEmbedder> {
    const { spec, window } = this;
    const { pooling = spec.pooling, prefixes } = this.#facts;
    const plan = this.#plan;
    await plan.prepare();
    const digest = new WeightDigest();
    const read = await this.#file.read((info) => digest.watch(info, plan.writer(info, backend)), options);
    const weights = [...read.values()];
    try {
      const take = plan.read();
      const encoder = new Encoder(backend, spec, takeEncoder(take, spec), options.rows);
      const layers = takeHead(take, spec.score?.layers ?? this.#facts.dense, spec.config.hidden);
      const dimensions = layers.at(-1)?.width ?? spec.config.hidden;
      return {
        encoder,
        vectors: spec.score === undefined ? { pooling, layers, dimensions, prefixes, trained: true } : undefined,
        scores: spec.score && { pooling: spec.score.pooling, layers },
        window,
        digest: await digest.value(),
        free: () => {
          encoder.free();
          for (const weight of weights) weight.free();
        },
      };
    } catch (error) {
      for (const weight of weights) weight.free();
      throw error;
    }
  }
}

function refuseHeadless({ name }: ModelFile, { config, score }: EncoderSpec, { dense, ranks }: SentenceFacts): void {
  if (config.architecture === 'gemma-embedding' && dense.length < 2)
    throw new ModelError(
      'tensor-missing',
      `${name}: this EmbeddingGemma has no dense layers behind its pooling (dense_2 and dense_3, or 2_Dense and 3_Dense), without which its vectors are wrong; take a file that was converted with --sentence-transformers-dense-modules, or the whole Hugging Face folder`,
      { file: name },
    );
  if (ranks && score === undefined)
    throw new ModelError(
      'tensor-missing',
      `${name}: the file says that it ranks pairs of texts, and has no classifier (cls.output); take one that was converted with it`,
      { file: name },
    );
}
