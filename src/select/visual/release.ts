/**
 * ToDRE's second stage (2505.18757): once for each prompt, at layer 7L/8, it decides whether the text still attends to
 * the images. alpha(t->v) is the attention mass that the text queries after the first image give to visual keys,
 * alpha(v->t) the mass that visual queries give to the text before them, each averaged over heads and queries. If both
 * are below tau, no query attends to visual keys from that layer on, and their pages of those layers are released:
 * whole blocks; for partly visual blocks the ranges leave the visual keys out.
 *
 * - Prefill in chunks: masses are summed from chunk to chunk, and the chunk that ends the prompt decides before its own
 *   queries of that layer attend.
 * - Several images: one decision for all images in the sequence, since the paper's masses are over all visual keys.
 * - Text before an image: the text of a visual query is the keys since the last control token before the image (the
 *   turn that shows it), without the first SINKS of the sequence, which attract attention for being first
 *   (StreamingLLM). What precedes it counts as system text.
 * - A decision to drop holds until a prompt brings another image. Then `keeps` has the sequence computed again from the
 *   first dropped image on, so that the new prompt decides over all of its images with nothing missing; that costs one
 *   more prefill.
 */
import { PAGE_TOKENS, type KvView, type Ranges, type Tensor } from '../../backend/backend.ts';
import { isPlan, type Plan, type PlannedCall, type Planner } from '../../kv/plan.ts';
import { denseCausal } from '../../kv/ranges.ts';
import { intersect, withoutHoles } from '../../kv/runs.ts';
import { readBack } from '../prefill/dhsa-scratch.ts';
import { canThin } from '../facts.ts';

export interface VisualFacts {
  /** The placeholder id of visual tokens. */
  readonly placeholder: number;
  readonly layers: number;
  readonly tau: number;
  /** The first layer without visual keys; below 0: at seven eighths of the layers. */
  readonly layer: number;
  /** Control tokens, which turns begin with. */
  readonly control?: ((id: number) => boolean) | undefined;
}

const SINKS = 4;

type Span = readonly [start: number, end: number];

/**
 * The masses of some queries: from text to images until a prompt is decided; from images to text as long as the images
 * are there, since their queries are run only once.
 */
interface Looked {
  readonly of: 'text' | 'picture';
  /** Position after the last of the queries. */
  readonly end: number;
  /** Summed over the queries, averaged over the heads. */
  readonly mass: number;
  readonly queries: number;
}

export class VisualPlanner implements Planner {
  readonly #facts: VisualFacts;
  readonly #inner: Planner | undefined;
  readonly #layer: number;
  /** Spans to which no query attends from the layer on. */
  #dropped: readonly Span[] = [];
  /** All dropped images were released up to here. */
  #released = 0;
  #looked: readonly Looked[] = [];
  /** The position of the prompt that is being read. */
  #kv: KvView | undefined;

  /** `inner` is the planner that limits the keys otherwise; it is owned. */
  constructor(facts: VisualFacts, inner?: Planner) {
    this.#facts = facts;
    this.#inner = inner;
    this.#layer = Math.min(facts.layers - 1, facts.layer < 0 ? Math.floor((7 * facts.layers) / 8) : facts.layer);
  }

  /** Whether the pictures read so far are dropped; for tests and reports. */
  get dropped(): boolean {
    return this.#dropped.length > 0;
  }

  get ahead(): boolean {
    return this.#inner === undefined || this.#inner.ahead === true;
  }

  plan(call: PlannedCall): Ranges | Plan {
    const inner = this.#inner?.plan(call) ?? denseCausal(call.count, call.position + call.count);
    const spans = call.phase === 'prefill' ? this.#pictures(call) : [];
    if (spans.length === 0 && this.#dropped.length === 0) return inner;
    const visible = (ranges: Ranges, layer: number): Ranges =>
      layer < this.#layer || this.#dropped.length === 0 ? ranges : without(ranges, this.#dropped, call);
    const ranges = (layer: number, q: Tensor): Ranges | Promise<Ranges> => {
      const found = isPlan(inner) ? inner.ranges(layer, q) : inner;
      return found instanceof Promise ? found.then((waited) => visible(waited, layer)) : visible(found, layer);
    };
    const holds = isPlan(inner) ? inner.holds : undefined;
    if (spans.length === 0) return { ranges, ...(holds && { holds }) };
    this.#kv = call.kv;
    return {
      ranges: async (layer, q) => {
        if (layer === this.#layer && this.#dropped.length === 0) await this.#look(call, layer, q, spans);
        return ranges(layer, q);
      },
    };
  }

  get asked(): ((start: number, end: number) => void) | undefined {
    const inner = this.#inner;
    return inner?.asked === undefined ? undefined : (start, end) => inner.asked?.(start, end);
  }

  async prefilled(): Promise<void> {
    await this.#inner?.prefilled?.();
    const kv = this.#kv;
    this.#kv = undefined;
    if (kv === undefined || !canThin(kv)) return;
    for (const [start, end] of this.#dropped) {
      if (end <= this.#released) continue;
      for (let block = Math.ceil(start / PAGE_TOKENS); block < Math.floor(end / PAGE_TOKENS); block++) {
        for (let layer = this.#layer; layer < this.#facts.layers; layer++) {
          for (let head = 0; head < kv.pool.spec.kvHeads; head++) kv.release(layer, head, block);
        }
      }
      this.#released = end;
    }
  }

  keeps(length: number, next?: Int32Array): number {
    const kept = this.#inner?.keeps?.(length, next) ?? length;
    const [first] = this.#dropped;
    if (first === undefined || next === undefined || !this.#bringsPicture(next, kept)) return kept;
    return Math.min(kept, first[0]);
  }

  truncated(length: number): void {
    this.#inner?.truncated?.(length);
    this.#dropped = this.#dropped.flatMap(([start, end]): Span[] =>
      start < length ? [[start, Math.min(end, length)]] : [],
    );
    this.#released = Math.min(this.#released, length);
    this.#looked = this.#looked.filter(({ end }) => end <= length);
  }

  fork(): VisualPlanner {
    const copy = new VisualPlanner(this.#facts, this.#inner?.fork());
    copy.#dropped = this.#dropped;
    copy.#released = this.#released;
    copy.#looked = this.#looked;
    return copy;
  }

  free(): void {
    this.#inner?.free();
  }

  /** Runs of placeholders up to the call's end. */
  #pictures({ ids, position, count }: PlannedCall): Span[] {
    const spans: [number, number][] = [];
    for (let i = 0; i < position + count; i++) {
      if (ids[i] !== this.#facts.placeholder) continue;
      const last = spans.at(-1);
      if (last !== undefined && last[1] === i) last[1] = i + 1;
      else spans.push([i, i + 1]);
    }
    return spans;
  }

  /** Tells whether an image that was not dropped follows position `length`. */
  #bringsPicture(ids: Int32Array, length: number): boolean {
    const end = this.#dropped.at(-1)?.[1] ?? 0;
    return ids.includes(this.#facts.placeholder, Math.max(length, end));
  }

  /** Measures the attention of the call's queries, and decides if the call ends the prompt. */
  async #look(call: PlannedCall, layer: number, q: Tensor, spans: readonly Span[]): Promise<void> {
    const { position, count, promptEnd } = call;
    const end = position + count;
    let done = Math.max(position, spans[0]?.[0] ?? end);
    for (const [start, stop] of [...spans, [end, end] as const]) {
      if (done < start) await this.#ask(call, layer, q, { of: 'text', from: done, to: start, spans });
      const from = Math.max(done, start);
      if (from < stop)
        await this.#ask(call, layer, q, {
          of: 'picture',
          from,
          to: stop,
          spans: this.#textBefore(call.ids, start, spans),
        });
      done = Math.max(done, stop);
    }
    if (end < promptEnd) return;
    const text = this.#average('text');
    if (text !== undefined && text < this.#facts.tau && (this.#average('picture') ?? 0) < this.#facts.tau)
      this.#dropped = spans;
    this.#looked = this.#looked.filter(({ of }) => of === 'picture');
  }

  /** Keys of the turn before a picture at `start`, less its control tokens, the sequence's first keys, and other pictures. */
  #textBefore(ids: Int32Array, start: number, pictures: readonly Span[]): Span[] {
    const { control } = this.#facts;
    let begin = start;
    while (begin > SINKS && !(control?.(ids[begin - 1] ?? -1) ?? false)) begin--;
    const text: Span[] = [];
    for (const [from, to] of [...pictures, [start, start] as const]) {
      if (begin < Math.min(from, start)) text.push([begin, Math.min(from, start)]);
      begin = Math.max(begin, to);
    }
    return text;
  }

  /** Adds up the masses that queries `[from, to)` give to `spans`. */
  async #ask(
    { backend, kv, position, heads, scale }: PlannedCall,
    layer: number,
    q: Tensor,
    {
      of,
      from,
      to,
      spans,
    }: { readonly of: Looked['of']; readonly from: number; readonly to: number; readonly spans: readonly Span[] },
  ): Promise<void> {
    const queries = to - from;
    const keys = Uint32Array.from(
      spans.filter(([start]) => start < to).flatMap(([start, end]) => [start, Math.min(end, to)]),
    );
    let mass = 0;
    if (keys.length > 0) {
      const ranges = withoutHoles(denseCausal(queries, to), kv, layer, to);
      const [masses = new Float32Array(0)] = await readBack(backend, () => [
        backend.probe(backend.rows(q, from - position, queries), kv, layer, from, ranges, {
          heads,
          scale,
          spans: keys,
        }),
      ]);
      mass = (queries * masses.reduce((sum, value) => sum + value, 0)) / heads;
    }
    this.#looked = [...this.#looked, { of, end: to, mass, queries }];
  }

  /** Mean mass of a query; undefined where none was measured. */
  #average(of: Looked['of']): number | undefined {
    const [mass, queries] = this.#looked.reduce(
      ([sum, count], one) => (one.of === of ? [sum + one.mass, count + one.queries] : [sum, count]),
      [0, 0],
    );
    return queries === 0 ? undefined : mass / queries;
  }
}

/** `ranges` of a call without the keys of `spans`. */
function without(ranges: Ranges, spans: readonly Span[], { position, count }: PlannedCall): Ranges {
  const runs: number[] = [];
  let from = 0;
  for (const [start, end] of spans) {
    if (from < start) runs.push(from, start);
    from = end;
  }
  if (from < position + count) runs.push(from, position + count);
  return intersect(ranges, [{ runs: Uint32Array.from(runs) }]);
}
