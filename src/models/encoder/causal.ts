/**
 * A causal decoder as an encoder of texts: each token has seen those before it, so that the last one, or all of them together, stand for the text.
 *
 * Token Prepending (Fu et al. 2024, 2412.11556), for models that were not trained to embed: a placeholder before the text has, in the first layers, the
 * last token's state of the layer before, so that the text's tokens see what stands behind them. The vector is the last token's state before the last layer.
 */
import type { Backend, KvView, Tensor } from '../../backend/backend.ts';
import type { SequenceState } from '../../kv/state.ts';
import { Held } from '../../layers/held.ts';
import { ScratchPages } from '../../layers/scratch-pages.ts';
import type { Steps } from '../../layers/steps.ts';
import type { LanguageModel } from '../decoder.ts';
import type { EncoderModel } from '../encoder.ts';
import { partsOf, places, wholeTexts, type Packed, type Part } from './packed.ts';
import { pool } from './pooling.ts';
import type { EncoderConfig, Pooling } from './spec.ts';

export class CausalEncoder implements EncoderModel {
  readonly config: EncoderConfig;
  readonly backend: Backend;
  readonly rows: number;
  readonly #language: LanguageModel;
  readonly #pages: ScratchPages;

  /** `rows`: the number of tokens in a prefill chunk. The weights remain the language model's. */
  constructor(language: LanguageModel, rows: number) {
    const { backend, config } = language;
    const { cacheLayers: layers, kvHeads, headDim } = config;
    this.#language = language;
    this.backend = backend;
    this.config = config;
    this.rows = rows;
    this.#pages = new ScratchPages(backend, { layers, kvHeads, headDim, format: 'f32' });
  }

  encode(packed: Packed, pooling: Pooling): Steps<Tensor> {
    const { backend } = this;
    const { finalNorm } = this.#language;
    const { placeholders } = packed;
    // A state between two layers has no norm yet.
    if (placeholders !== undefined)
      return this.#states(packed, 'last', (state) => state, prepending(packed, placeholders, this.config.layers));
    return this.#states(packed, pooling, (state) => backend.norm(state, finalNorm));
  }

  /** The last token's states before the final norm, as `logits` and `classify` of the language model take them: [texts, hidden]. */
  last(packed: Packed): Steps<Tensor> {
    return this.#states(packed, 'last', (state) => state);
  }

  *#states(packed: Packed, pooling: Pooling, finish: (state: Tensor) => Tensor, prepended?: Prepending): Steps<Tensor> {
    const { backend } = this;
    const language = this.#language;
    const { ids } = packed;
    const held = new Held(backend);
    /** The state of the text that is being read. */
    let own: SequenceState | undefined;
    const ring = backend.ids(ids.length);
    backend.writeIds(ring, 0, ids);
    try {
      const kv: KvView = { ...this.#pages.view(ids.length), positions: { axes: 1, values: places(packed, 0) } };
      const states: Tensor[] = [];
      for (const part of this.#parts(packed)) {
        yield;
        const { start, count } = part;
        const place = start % packed.stride;
        if (place === 0) {
          own?.free();
          own = language.states();
        }
        own?.begin(place, place + count);
        const state = held.step(() =>
          finish(
            language.forward(language.embed(ring, start, count), {
              kv: own === undefined ? kv : { ...kv, state: own },
              position: start,
              ranges: wholeTexts(packed, part, true),
              ids: { ring, start },
              ...(prepended && {
                depth: prepended.depth,
                between: (hidden: Tensor, layer: number) =>
                  layer < prepended.until ? backend.take(hidden, inPart(prepended.rows, part)) : hidden,
              }),
            }),
          ),
        );
        backend.flush();
        states.push(state);
      }
      return held.release(held.step(() => pool(backend, states, packed, pooling)));
    } finally {
      own?.free();
      held.free();
      backend.free(ring);
    }
  }

  /** Layers with a state pass it from token to token, so their parts contain one text each. */
  #parts({ ids, stride }: Packed): readonly Part[] {
    if (this.#language.stateBytes === 0) return partsOf(ids.length, this.rows);
    return Array.from({ length: ids.length / stride }, (_, text) =>
      partsOf(stride, this.rows).map(({ start, count }) => ({ start: text * stride + start, count })),
    ).flat();
  }

  free(): void {
    this.#pages.free();
  }
}

interface Prepending {
  /** Layers below this one begin with the replaced rows. */
  readonly until: number;
  readonly depth: number;
  /** [rows]: each row's own number, and the last row of its text for the placeholder. */
  readonly rows: Int32Array;
}

/** Of Llama 2's 32 layers, those that the paper replaces the placeholder before are 1 to 6. */
const SHARE = 7 / 32;

/** Precondition: the texts are one call, since the placeholder needs the last row. */
function prepending({ ids, stride, lengths }: Packed, placeholders: Int32Array, layers: number): Prepending {
  const rows = Int32Array.from(ids, (_, row) => row);
  placeholders.forEach((place, text) => {
    rows[text * stride + place] = text * stride + (lengths[text] ?? 1) - 1;
  });
  return { rows, until: Math.max(2, Math.round(layers * SHARE)), depth: Math.max(1, layers - 1) };
}

function inPart(rows: Int32Array, { start, count }: Part): Int32Array {
  return rows.subarray(start, start + count).map((row) => row - start);
}
