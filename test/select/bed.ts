/** One sequence over the reference backend, fed with random queries, keys and values: what planners are tried on without a model. */
import { isPlan, type Plan, type PlannedCall, type Planner } from '../../src/kv/plan.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { checkRanges } from '../../src/backend/page-checks.ts';
import type { Backend, Ranges, RopeSpec } from '../../src/backend/backend.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { rotate } from '../reference/maths.ts';
import { random } from '../support/random.ts';

export const LAYERS = 2;
export const HEADS = 4;
export const KV_HEADS = 2;
export const DIM = 8;
export const GROUP = HEADS / KV_HEADS;
export const SCALE = 1 / Math.sqrt(DIM);
/** One row's vectors of a layer, before RoPE. */
interface Row {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

export interface Seen {
  readonly ranges: Ranges;
  /** [count, HEADS * DIM] of attention over the ranges. */
  readonly output: Float32Array;
}

export class Bed {
  readonly backend: Backend;
  readonly pages: PageAllocator;
  sequence: Sequence;
  readonly rope: RopeSpec = {
    inverseFrequency: Float64Array.from({ length: DIM / 2 }, (_, i) => 100 ** (-i / (DIM / 2))),
    magnitude: 1.5,
    style: 'half',
  };
  readonly ids: Int32Array;
  /** Stands between a planner and who asks it. */
  guard: (asked: Ranges | Plan) => Ranges | Plan = (asked) => asked;
  /** [layer][position] */
  readonly rows: readonly Row[][];

  constructor(
    seed: number,
    length: number,
    {
      format = 'f32',
      change,
      backend = createReferenceBackend(),
    }: { format?: 'f32' | 'f16'; change?: (rows: Row[][]) => void; backend?: Backend } = {},
  ) {
    this.backend = backend;
    const r = random(seed);
    const rows = Array.from({ length: LAYERS }, () =>
      Array.from({ length }, () => ({
        q: r.normals(HEADS * DIM, 1.5),
        k: r.normals(KV_HEADS * DIM, 1.5),
        v: r.normals(KV_HEADS * DIM),
      })),
    );
    change?.(rows);
    this.rows = rows;
    this.ids = Int32Array.from({ length }, () => r.integer(0, 12));
    this.pages = new PageAllocator(this.backend.kvPool({ layers: LAYERS, kvHeads: KV_HEADS, headDim: DIM, format }));
    this.sequence = new Sequence(this.pages, length);
  }

  call(position: number, count: number, more: Partial<PlannedCall> = {}): PlannedCall {
    const { backend, rope } = this;
    const ids = this.ids.subarray(0, position + count);
    return {
      backend,
      kv: this.sequence,
      position,
      count,
      heads: HEADS,
      scale: SCALE,
      rope: () => rope,
      ids,
      phase: 'prefill',
      promptEnd: position + count,
      ...more,
    };
  }

  /** One forward call: what every layer sees, and attention over it. */
  async step(planner: Planner, position: number, count: number, more: Partial<PlannedCall> = {}): Promise<Seen[]> {
    this.sequence.ensure(position + count);
    const asked = this.guard(planner.plan(this.call(position, count, more)));
    let seen = await this.#layers(asked, position, count);
    if (isPlan(asked) && asked.holds !== undefined && !(await asked.holds()))
      seen = await this.#layers(asked, position, count);
    return seen;
  }

  async #layers(asked: Ranges | Plan, position: number, count: number): Promise<Seen[]> {
    const { backend } = this;
    const seen: Seen[] = [];
    for (let layer = 0; layer < LAYERS; layer++) {
      const rows = Array.from({ length: count }, (_, t) => this.rows[layer]![position + t]!);
      const qkv = backend.upload(Float32Array.from(rows.flatMap(({ q, k, v }) => [...q, ...k, ...v])), [
        count,
        (HEADS + 2 * KV_HEADS) * DIM,
      ]);
      const q = backend.ropeAppend(qkv, this.sequence, layer, position, { heads: HEADS, rope: this.rope });
      const ranges = isPlan(asked) ? await asked.ranges(layer, q) : asked;
      checkRanges('test', ranges, { queryCount: count, kvHeads: KV_HEADS, keyCount: position + count });
      const output = backend.attention(q, this.sequence, layer, position, ranges, { heads: HEADS, scale: SCALE });
      seen.push({ ranges, output: await backend.download(output) });
      for (const tensor of [qkv, q, output]) backend.free(tensor);
    }
    return seen;
  }

  /** The prompt's first `end` positions, in calls of `chunk`. */
  async prefill(planner: Planner, end: number, chunk: number): Promise<void> {
    for (let position = this.sequence.length; position < end; position += chunk)
      await this.step(planner, position, Math.min(chunk, end - position), { promptEnd: end });
    await planner.prefilled?.();
  }

  decode(planner: Planner, position: number, promptEnd: number): Promise<Seen[]> {
    return this.step(planner, position, 1, { phase: 'decode', promptEnd });
  }

  /** A query head's query, a KV head's key or value, after RoPE, in f64. */
  vector(layer: number, position: number, part: 'q' | 'k' | 'v', head: number): Float64Array {
    const one = Float64Array.from(this.rows[layer]![position]![part].subarray(head * DIM, (head + 1) * DIM));
    if (part !== 'v') rotate(one, position, this.rope);
    return one;
  }

  /** softmax over `keys` of a query head at `position`: its masses, in the order of `keys`. */
  masses(
    layer: number,
    position: number,
    head: number,
    keys: readonly number[],
    { scale = SCALE, q = this.vector(layer, position, 'q', head) }: { scale?: number; q?: Float64Array } = {},
  ): number[] {
    const scores = keys.map(
      (key) => scale * this.vector(layer, key, 'k', Math.floor(head / GROUP)).reduce((sum, x, i) => sum + x * q[i]!, 0),
    );
    const most = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / total);
  }

  free(): number {
    this.sequence.free();
    return this.pages.used;
  }
}

/** The keys of a list, of the first query block. */
export function keysOf(ranges: Ranges, head: number): number[] {
  const list = ranges.shared ? 0 : head;
  const keys: number[] = [];
  for (let r = ranges.offsets[list]!; r < ranges.offsets[list + 1]!; r++)
    for (let key = ranges.runs[2 * r]!; key < ranges.runs[2 * r + 1]!; key++) keys.push(key);
  return keys;
}

export function span(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}
