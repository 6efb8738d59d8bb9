/**
 * What an answer was drawn from: the attention of the positions that predict its tokens to spans of the prompt. The answer's tokens are read once more, on a copy of
 * the pages, while the probe looks at a band of layers; a position's row is the one whose logits the next token was drawn from.
 */
import type { Backend, Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { Plan, PlannedCall, Planner } from '../kv/plan.ts';
import { slidingWindow, denseCausal } from '../kv/ranges.ts';
import type { AttentionMixer } from '../layers/layer-spec.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import { prefill } from './prefill.ts';
import type { Transcript } from '../chat/prompt.ts';

/** What `session.attribute` is asked. */
export interface AttributionSettings {
  /** A text that stands in the conversation as it is; the last place where it does counts. */
  readonly text: string;
  /** Start and end of each span, in UTF-16 units of `text`. */
  readonly spans: readonly number[];
  /** Layers `[from, to)` that are asked; default: from .45 to .85 of the depth. */
  readonly layers?: readonly [from: number, to: number] | undefined;
}

/** The attention with which an answer's tokens were predicted, span by span. */
export interface Attribution {
  /** What each of the answer's tokens adds to its text. */
  readonly tokens: readonly string[];
  /** [tokens, spans]: the share of its attention that the position which predicts a token gives to a span, the mean over heads and layers. */
  readonly masses: Float32Array;
}

/** An answer as the pages hold it. */
export interface Answered {
  readonly transcript: Transcript;
  /** The answer's ids are those from here on. */
  readonly from: number;
}

/** Spans and tokens that one call takes: their product is what crosses from the engine. */
const MOST_SPANS = 4096;
const MOST_TOKENS = 512;
/** Layers that are asked, by their depth. */
const BAND = [0.45, 0.85] as const;

export interface AttributionModel {
  readonly tokenizer: Tokenizer;
  readonly chunk: number;
}

/** `copy` is used up by it. Throws `InputError('argument')` where the text is not in the conversation. */
export async function attribute(
  { tokenizer, chunk }: AttributionModel,
  copy: DeviceSequence,
  { transcript, from }: Answered,
  settings: AttributionSettings,
  signal: AbortSignal | undefined,
): Promise<Attribution> {
  const { text, spans } = settings;
  if (typeof text !== 'string' || spans === undefined)
    throw new InputError('argument', 'attribute: give text, as it stands in a message, and spans of it', {
      name: text === undefined ? 'text' : 'spans',
    });
  const { model } = copy;
  const count = spans.length / 2;
  if (!Number.isInteger(count) || count > MOST_SPANS)
    throw new InputError(
      'argument',
      `attribute: ${spans.length} numbers are not the starts and ends of at most ${MOST_SPANS} spans`,
      {
        spans: spans.length,
      },
    );
  const end = Math.min(transcript.ids.length, from + MOST_TOKENS);
  const tokens = pieces(tokenizer, transcript.ids.subarray(0, from), transcript.ids.subarray(from, end));
  const places = tokenSpans(tokenizer, transcript.ids.subarray(0, from), text, spans);
  const rows = end - from;
  const masses = new Float32Array(rows * count);
  if (rows === 0 || count === 0) return { tokens, masses };
  // Plans are asked for the layers of the KV pool.
  const specs = model.layers.flatMap(({ mixer }) => (mixer.kind === 'attention' ? [mixer] : []));
  const layers = asked(specs, settings.layers);
  // The position before a token predicts it.
  const probing = new Probing(masses, { layers, specs, spans: places, first: from - 1, rows });
  const cached = cut(copy, from - 1);
  await prefill(
    { ...copy, planner: probing },
    { ids: transcript.ids.subarray(0, end - 1), spans: transcript.spans, cached, chunk, signal },
  );
  return { tokens, masses };
}

function asked(layers: readonly AttentionMixer[], given: AttributionSettings['layers']): ReadonlySet<number> {
  const [from, to] = given ?? [Math.floor(BAND[0] * layers.length), Math.ceil(BAND[1] * layers.length)];
  const band = layers.flatMap((_, layer) => (layer >= from && layer < to ? [layer] : []));
  // Layers that see a window of the context only say nothing of the rest.
  const far = band.filter((layer) => layers[layer]?.window === undefined);
  return new Set(far.length > 0 ? far : band);
}

function pieces(tokenizer: Tokenizer, before: Int32Array, ids: Int32Array): string[] {
  const stream = tokenizer.stream({ after: before });
  return Array.from(ids, (id) => stream.push(id));
}

/** The spans in tokens: a token belongs to the span in which its last character stands. */
function tokenSpans(tokenizer: Tokenizer, ids: Int32Array, text: string, spans: readonly number[]): Uint32Array {
  const stream = tokenizer.stream({ special: true });
  const ends = new Uint32Array(ids.length);
  let whole = '';
  ids.forEach((id, i) => {
    whole += stream.push(id);
    ends[i] = whole.length;
  });
  const at = whole.lastIndexOf(text);
  if (text === '' || at < 0)
    throw new InputError(
      'argument',
      `attribute: the text (${text.length} characters) does not stand in the conversation as it is; give it as it was in a message`,
      { characters: text.length },
    );
  /** The first token that ends behind a place. */
  const behind = (place: number): number => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) > place) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return Uint32Array.from(spans, (place) => behind(at + place));
}

interface Look {
  readonly layers: ReadonlySet<number>;
  readonly specs: readonly AttentionMixer[];
  readonly spans: Uint32Array;
  /** The position of the first row. */
  readonly first: number;
  readonly rows: number;
}

/** A planner that changes nothing: it looks at the queries that pass. */
class Probing implements Planner {
  readonly #masses: Float32Array;
  readonly #look: Look;

  constructor(masses: Float32Array, look: Look) {
    this.#masses = masses;
    this.#look = look;
  }

  plan(call: PlannedCall): Plan {
    const { position, count } = call;
    const all = denseCausal(count, position + count);
    return {
      ranges: (layer, q) => (this.#look.layers.has(layer) ? this.#probe(call, layer, q).then(() => all) : all),
    };
  }

  async #probe({ backend, kv, position, count, heads }: PlannedCall, layer: number, q: Tensor): Promise<void> {
    const { layers, specs, spans, first, rows } = this.#look;
    const from = Math.max(first, position);
    const to = Math.min(first + rows, position + count);
    if (from >= to) return;
    const { scale, window } = specs[layer] ?? { scale: 1, window: undefined };
    const values = await download(backend, () =>
      backend.stack(
        Array.from({ length: to - from }, (_, i) => {
          const row = from + i;
          const ranges = window === undefined ? denseCausal(1, row + 1) : slidingWindow(1, row, window);
          return backend.probe(backend.rows(q, row - position, 1), kv, layer, row, ranges, { heads, scale, spans });
        }),
      ),
    );
    const each = spans.length / 2;
    for (let row = from; row < to; row++) {
      for (let head = 0; head < heads; head++) {
        for (let span = 0; span < each; span++) {
          const at = (row - first) * each + span;
          const value = values[((row - from) * heads + head) * each + span] ?? 0;
          this.#masses[at] = (this.#masses[at] ?? 0) + value / heads / layers.size;
        }
      }
    }
  }

  fork(): Planner {
    return this;
  }
  free(): void {}
}

async function download(backend: Backend, make: () => Tensor): Promise<Float32Array> {
  const made = backend.keep(backend.scope(make));
  try {
    return await backend.download(made);
  } finally {
    backend.free(made);
  }
}
