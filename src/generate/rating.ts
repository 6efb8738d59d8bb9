/**
 * How likely the model finds other texts in place of its last answer: token by token, and of each beginning that the answer ends there. A text is read in one call, on
 * a copy of the pages, so that all of its beginnings together cost no more than their longest.
 */
import type { Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import { placedSlots } from '../kv/positions.ts';
import { ListWriter } from '../kv/runs.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Answered } from './attribution.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import { logSum } from './logprobs.ts';
import { prefill } from './prefill.ts';

/** What `session.rate` is asked. */
export interface RatingSettings {
  /** Texts that could stand in place of the last answer. */
  readonly answers: readonly string[];
  /** How many of them are read: those whose first token is likeliest. Default 8. */
  readonly most?: number | undefined;
}

/** A text in place of the last answer, as it was read. */
export interface RatedAnswer {
  /** Its place in `answers`. */
  readonly index: number;
  /** [tokens] where each token ends, in UTF-16 units of the text. */
  readonly ends: Uint32Array;
  /** [tokens] the natural logarithm of each token's probability, given those before it. */
  readonly logProbs: Float32Array;
  /** [tokens] of the probability that the answer, or its sentence, ends behind the token. */
  readonly stops: Float32Array;
}

const MOST_READ = 8;
/** Texts that one call takes, and tokens of each that are read. */
const MOST_ANSWERS = 4096;
const MOST_TOKENS = 64;

export interface RatingModel {
  readonly tokenizer: Tokenizer;
  readonly chunk: number;
}

interface Text {
  readonly index: number;
  readonly ids: Int32Array;
  readonly ends: Uint32Array;
}

/** `copy` is used up by it. The likeliest first tokens first. */
export async function rate(
  { tokenizer, chunk }: RatingModel,
  copy: DeviceSequence,
  { transcript, from }: Answered,
  { answers, most = MOST_READ }: RatingSettings,
  signal: AbortSignal | undefined,
): Promise<RatedAnswer[]> {
  if (answers.length > MOST_ANSWERS)
    throw new InputError('argument', `rate: ${answers.length} answers are more than the ${MOST_ANSWERS} of one call`, {
      answers: answers.length,
      limit: MOST_ANSWERS,
    });
  const { model, sequence } = copy;
  if (sequence.state !== undefined)
    throw new InputError('argument', 'rate: the layers of this model have states, which several texts cannot share');
  // An answer that began with a space would have begun with one in other words, too.
  const space = tokenizer.decode(transcript.ids.subarray(from, from + 1), { start: false }).startsWith(' ') ? 1 : 0;
  const given = answers.map((text, index): Text => {
    const { ids, offsets } = tokenizer.encode(' '.repeat(space) + text, { special: false, offsets: true });
    const count = Math.min(ids.length, MOST_TOKENS);
    const ends = Uint32Array.from({ length: count }, (_, i) => Math.max(0, (offsets[2 * i + 1] ?? 0) - space));
    return { index, ids: ids.subarray(0, count), ends };
  });
  const rows = new LogitRows(copy);
  try {
    const { spans } = transcript;
    const prompt = { ids: transcript.ids.subarray(0, from), spans, cached: cut(copy, from - 1), chunk, signal };
    await prefill(copy, prompt, (hidden, _start, count) => {
      rows.hold(model.backend.keep(model.backend.rows(hidden, count - 1, 1)));
    });
    const begins = await rows.read(0, 1);
    const sum = logSum(begins);
    const first = ({ ids }: Text): number => (begins[ids[0] ?? -1] ?? -Infinity) - sum;
    const best = given
      .filter(({ ids }) => ids.length > 0)
      .toSorted((a, b) => first(b) - first(a))
      .slice(0, most);
    const end = endings(tokenizer, model.config.vocabulary);
    const rated: RatedAnswer[] = [];
    // Layers that see a window of the context count slots: what is read behind other texts would see less of the prompt.
    const windowed = model.layers.some(({ mixer }) => mixer.kind === 'attention' && mixer.window !== undefined);
    for (const group of groups(best, windowed ? 0 : chunk)) {
      signal?.throwIfAborted();
      cut(copy, from);
      const texts = group.map(({ ids }) => ids);
      rows.hold(sideBySide(copy, from, texts));
      let row = 0;
      for (const one of group) {
        const logits = await rows.read(row, one.ids.length);
        row += one.ids.length;
        rated.push({ index: one.index, ends: one.ends, ...likelihoods(one.ids, first(one), logits, end) });
      }
    }
    return rated;
  } finally {
    rows.free();
  }
}

/** In groups of at most so many tokens, or of one text. */
function* groups(texts: readonly Text[], most: number): Generator<readonly Text[]> {
  let group: Text[] = [];
  let held = 0;
  for (const one of texts) {
    if (group.length > 0 && held + one.ids.length > most) {
      yield group;
      group = [];
      held = 0;
    }
    group.push(one);
    held += one.ids.length;
  }
  if (group.length > 0) yield group;
}

/** The logits of one text's rows. `begins`: the log-probability of its first token. */
function likelihoods(
  ids: Int32Array,
  begins: number,
  logits: Float32Array,
  end: readonly number[],
): Pick<RatedAnswer, 'logProbs' | 'stops'> {
  const width = logits.length / ids.length;
  const logProbs = new Float32Array(ids.length).fill(begins);
  const stops = new Float32Array(ids.length);
  for (let row = 0; row < ids.length; row++) {
    const values = logits.subarray(row * width, (row + 1) * width);
    const total = logSum(values);
    if (row + 1 < ids.length) logProbs[row + 1] = (values[ids[row + 1] ?? -1] ?? -Infinity) - total;
    stops[row] = logSum(Float32Array.from(end, (id) => values[id] ?? -Infinity)) - total;
  }
  return { logProbs, stops };
}

/**
 * Reads texts behind position `from` in one call, each as if it alone stood there: they have the same positions, and none sees another. Returns the hidden states of
 * all their tokens, which the caller frees.
 */
function sideBySide(
  { model, sequence, ring, kvBits = 16 }: DeviceSequence,
  from: number,
  texts: readonly Int32Array[],
): Tensor {
  const { backend } = model;
  const total = texts.reduce((sum, { length }) => sum + length, 0);
  sequence.settle(kvBits);
  sequence.ensure(from + total);
  const { axes, values } = placedSlots(sequence, 1);
  const seen = new ListWriter();
  const after = Math.max(
    ...Array.from({ length: axes }, (_, axis) => values[axis * sequence.capacity + from - 1] ?? from - 1),
  );
  let start = from;
  for (const ids of texts) {
    backend.writeIds(ring, start, ids);
    for (let i = 0; i < ids.length; i++) {
      for (let axis = 0; axis < axes; axis++) values[axis * sequence.capacity + start + i] = after + 1 + i;
      seen.push(0, from);
      seen.push(start, start + i + 1);
      seen.next();
    }
    start += ids.length;
  }
  const ranges = seen.build({ queryBlock: 1, shared: true, causal: false });
  return backend.keep(
    backend.scope(() => {
      const x = model.embed(ring, from, total);
      return model.forward(x, { kv: sequence, position: from, ranges, ids: { ring, start: from } });
    }),
  );
}

/** Hidden states of which logits are read some rows at a time: a row of logits is as long as the vocabulary. */
class LogitRows {
  readonly #model: DeviceSequence['model'];
  #hidden: Tensor | undefined;

  constructor({ model }: DeviceSequence) {
    this.#model = model;
  }

  /** Takes kept states over, in place of those before. */
  hold(hidden: Tensor): void {
    this.free();
    this.#hidden = hidden;
  }

  /** [count, vocabulary] */
  async read(start: number, count: number): Promise<Float32Array> {
    const { backend } = this.#model;
    const hidden = this.#hidden;
    if (hidden === undefined) return new Float32Array(0);
    const logits = backend.keep(backend.scope(() => this.#model.logits(backend.rows(hidden, start, count))));
    try {
      return await backend.download(logits);
    } finally {
      backend.free(logits);
    }
  }

  free(): void {
    if (this.#hidden !== undefined) this.#model.backend.free(this.#hidden);
    this.#hidden = undefined;
  }
}

const known = new WeakMap<Tokenizer, readonly number[]>();

/** The ids that end an answer or its first sentence. */
function endings(tokenizer: Tokenizer, size: number): readonly number[] {
  const kept = known.get(tokenizer);
  if (kept !== undefined) return kept;
  const ids = new Set(tokenizer.facts.eos);
  tokenizer.eachToken((id, bytes, special) => {
    const [byte = 0] = bytes;
    if (!special && (byte === 0x2e || byte === 0x0a)) ids.add(id);
  });
  const list = [...ids].filter((id) => id < size);
  known.set(tokenizer, list);
  return list;
}
