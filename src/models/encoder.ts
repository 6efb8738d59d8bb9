/** Models that read whole texts at once: BERT's kin, and decoders that were trained to see both ways. */
import type { Backend, KvView, NormSpec, Ranges, RopeSpec, Tensor, Weight } from '../backend/backend.ts';
import { DecoderBlock, type LayerWeights } from '../layers/decoder-block.ts';
import { Held } from '../layers/held.ts';
import { ropeSpec } from '../layers/rope.ts';
import { ScratchPages } from '../layers/scratch-pages.ts';
import type { Steps } from '../layers/steps.ts';
import { nearby, partsOf, places, wholeTexts, withDistances, type Packed, type Part } from './encoder/packed.ts';
import { pool } from './encoder/pooling.ts';
import type { EncoderConfig, EncoderSpec, Pooling } from './encoder/spec.ts';

/** Texts to one vector each. One call at a time: calls share their pages. */
export interface EncoderModel {
  readonly config: EncoderConfig;
  readonly backend: Backend;
  /** Rows up to which texts may be packed together; a longer text is a call of its own. */
  readonly rows: number;
  /** [texts, hidden]: the last layer's states, pooled. The caller frees it. */
  encode(packed: Packed, pooling: Pooling): Steps<Tensor>;
  /** Frees what calls have left behind; weights are their owner's. */
  free(): void;
}

export interface EncoderWeights {
  readonly word: Weight; // (vocabulary, hidden)
  readonly positions: Weight | undefined; // (rows, hidden)
  readonly segments: Weight | undefined; // (rows, hidden)
  readonly embeddingNorm: NormSpec | undefined;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: NormSpec | undefined;
  readonly relative: Float32Array | undefined; // (buckets, heads)
}

/** Rows of a call, and of the parts that a longer text goes through each layer in: bounds what activations take. */
const ROWS = { wasm: 512, webgpu: 2048, reference: 512 } as const;

export class Encoder implements EncoderModel {
  readonly config: EncoderConfig;
  readonly backend: Backend;
  readonly rows: number;
  readonly #spec: EncoderSpec;
  readonly #weights: EncoderWeights;
  readonly #blocks: readonly DecoderBlock[];
  readonly #pages: ScratchPages;

  /** `rows`: see `EncoderModel`; default: what suits the device. */
  constructor(backend: Backend, spec: EncoderSpec, weights: EncoderWeights, rows: number = ROWS[backend.kind]) {
    const { config, layers } = spec;
    const { kvHeads, headDim } = config;
    this.config = config;
    this.backend = backend;
    this.rows = rows;
    this.#spec = spec;
    this.#weights = weights;
    this.#pages = new ScratchPages(backend, { layers: 1, kvHeads, headDim, format: 'f32' });
    const ropes = new Map<string, RopeSpec>();
    this.#blocks = layers.map((layer, i) => {
      const rotation = layer.mixer.kind === 'attention' ? layer.mixer.rope : undefined;
      const key = JSON.stringify(rotation);
      const rope = rotation === undefined ? undefined : (ropes.get(key) ?? ropeSpec(rotation));
      if (rope !== undefined) ropes.set(key, rope);
      return new DecoderBlock(backend, layer, rope, weights.layers[i] ?? {});
    });
  }

  *encode(packed: Packed, pooling: Pooling): Steps<Tensor> {
    const { backend } = this;
    const held = new Held(backend);
    const rows = packed.ids.length;
    const kv: KvView = { ...this.#pages.view(rows), positions: { axes: 1, values: places(packed, 0) } };
    const ranges = this.#ranges(packed);
    try {
      let states = this.#embed(packed, held);
      for (const [layer, block] of this.#blocks.entries()) {
        yield;
        // All keys of a layer are there before the first query looks at them.
        const asked = states.map(({ part, x }) => {
          const call = { kv, position: part.start };
          return { part, x, call, q: held.step(() => block.project(x, call)) };
        });
        states = asked.map(({ part, x, call, q }) => {
          const next = held.next(x, () => block.finish(x, q, call, ranges(part, layer)));
          held.drop(q);
          return { part, x: next };
        });
        backend.flush();
      }
      const { finalNorm } = this.#weights;
      const last = states.map(({ x }) =>
        finalNorm === undefined ? x : held.next(x, () => backend.norm(x, finalNorm)),
      );
      return held.release(held.step(() => pool(backend, last, packed, pooling)));
    } finally {
      held.free();
    }
  }

  free(): void {
    this.#pages.free();
  }

  /** What the rows of a part see in a layer; layers of one reach share it. */
  #ranges(packed: Packed): (part: Part, layer: number) => Ranges {
    const { relative, reach } = this.#spec;
    const biases = this.#weights.relative;
    const made = new Map<string, Ranges>();
    return (part, layer) => {
      const near = reach[layer];
      const key = `${part.start} ${near}`;
      const found =
        made.get(key) ??
        (relative !== undefined && biases !== undefined
          ? withDistances(packed, part, biases, relative.buckets)
          : near === undefined
            ? wholeTexts(packed, part)
            : nearby(packed, part, near));
      made.set(key, found);
      return found;
    };
  }

  #embed(packed: Packed, held: Held): readonly { readonly part: Part; readonly x: Tensor }[] {
    const { backend } = this;
    const { word, positions, segments, embeddingNorm } = this.#weights;
    const { embeddingScale, positions: placed } = this.#spec;
    const { ids } = packed;
    // RoBERTa has one row for both texts of a pair.
    const sides = (this.#spec.segments?.rows ?? 0) > 1 ? packed.segments : undefined;
    const rings: Tensor[] = [];
    const ringOf = (values: Int32Array): Tensor => {
      const ring = backend.ids(values.length);
      rings.push(ring);
      backend.writeIds(ring, 0, values);
      return ring;
    };
    try {
      const words = ringOf(ids);
      const tables: readonly (readonly [Weight, Tensor])[] = [
        ...(positions === undefined ? [] : [[positions, ringOf(places(packed, placed?.first ?? 0))] as const]),
        ...(segments === undefined ? [] : [[segments, ringOf(sides ?? new Int32Array(ids.length))] as const]),
      ];
      return partsOf(ids.length, this.rows).map((part) => {
        const { start, count } = part;
        const x = held.step(() => {
          const sum = tables.reduce(
            (embedded, [table, ring]) => backend.add(embedded, backend.embed(table, ring, start, count)),
            backend.embed(word, words, start, count, embeddingScale),
          );
          return embeddingNorm === undefined ? sum : backend.norm(sum, embeddingNorm);
        });
        return { part, x };
      });
    } finally {
      for (const ring of rings) backend.free(ring);
    }
  }
}
