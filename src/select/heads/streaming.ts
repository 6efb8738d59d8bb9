/**
 * Streaming heads (DuoAttention 2410.10819, RazorAttention 2407.15891) keep the first keys, a window of the newest, and
 * one compensation token: the mean key (after RoPE) and value of the N tokens dropped, to whose score ln N is added, so
 * that it weighs as much as N tokens.
 *
 * With `share` the window grows with the context, as RazorAttention's max(S0, N / 5) does.
 *
 * The unit is a page: sinks are rounded up to whole pages, and the window moves by whole pages, so that a query sees up
 * to 31 keys more than requested; within a call of many queries the window is that of the first query. Dropped pages
 * are released to the pool at once. The compensation token is the first key of a separate page, which replaces the
 * first dropped block.
 */
import { PAGE_TOKENS, type Tensor } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Wasm } from '../../wasm.ts';
import type { HeadTable } from './heads.ts';
import type { PlannedCall } from '../../kv/plan.ts';
import type { RunList } from '../../kv/runs.ts';
import { readBack, withScratch } from '../prefill/dhsa-scratch.ts';
import { canThin, type ThinningView } from '../facts.ts';

export interface StreamingSettings {
  readonly sinks: number;
  readonly window: number;
  /** The least share of the context that the window holds; default 0. */
  readonly share?: number;
}

/** DuoAttention's values. */
export const STREAMING_DEFAULTS: StreamingSettings = { sinks: 64, window: 256 };
/** RazorAttention's share. */
export const RAZOR_SHARE = 0.2;

/** What the streaming heads of one layer have dropped. */
interface Dropped {
  /** Blocks `[sinks, end)` were dropped. */
  readonly end: number;
  /** The number of tokens in the means. */
  readonly weight: number;
  /** [kvHeads * headDim] */
  readonly keys: Float64Array;
  readonly values: Float64Array;
}

export class StreamingHeads {
  readonly #wasm: Wasm;
  readonly #table: HeadTable;
  readonly #window: number;
  readonly #share: number;
  /** Blocks that are always kept. */
  readonly #sinks: number;
  /** By layer. */
  #dropped: (Dropped | undefined)[] = [];

  constructor(wasm: Wasm, table: HeadTable, { sinks, window, share = 0 }: StreamingSettings) {
    this.#wasm = wasm;
    this.#table = table;
    this.#sinks = Math.ceil(sinks / PAGE_TOKENS);
    this.#window = window;
    this.#share = share;
  }

  streams(layer: number, head: number): boolean {
    return this.#table.streams[layer * this.#table.kvHeads + head] === 1;
  }

  /** Drops what has left the window of this call's first query. Dropped blocks stay dropped even if the call fails. */
  slide(call: PlannedCall, layer: number): void | Promise<void> {
    const edge = this.#edge(call.position);
    const from = this.#dropped[layer]?.end ?? this.#sinks;
    const heads = this.#heads(layer);
    if (edge > from && heads.length > 0) return this.#drop(call, layer, { from, edge, heads });
  }

  /**
   * Returns what each streaming head of the layer sees of `[0, keys)`; undefined for heads that see all existing keys,
   * or when nothing was dropped.
   */
  lists(layer: number, keys: number): readonly (RunList | undefined)[] | undefined {
    const dropped = this.#dropped[layer];
    if (dropped === undefined) return undefined;
    const compensation = this.#sinks * PAGE_TOKENS;
    const runs = [compensation, compensation + 1, dropped.end * PAGE_TOKENS, keys];
    const bias = [Math.log(dropped.weight), 0];
    const list: RunList =
      compensation === 0
        ? { runs: Uint32Array.from(runs), bias: Float32Array.from(bias) }
        : { runs: Uint32Array.from([0, compensation, ...runs]), bias: Float32Array.from([0, ...bias]) };
    return Array.from({ length: this.#table.kvHeads }, (_, head) => (this.streams(layer, head) ? list : undefined));
  }

  keeps(length: number): number {
    return length >= this.#end() * PAGE_TOKENS ? length : 0;
  }

  /** What was dropped from pages read elsewhere is not known here. */
  adopts(length: number): boolean {
    return this.#edge(length) <= this.#sinks;
  }

  truncated(length: number): void {
    if (this.keeps(length) < length || length === 0) this.#dropped = [];
  }

  fork(): StreamingHeads {
    const copy = new StreamingHeads(this.#wasm, this.#table, {
      sinks: this.#sinks * PAGE_TOKENS,
      window: this.#window,
      share: this.#share,
    });
    // A mean is never modified, only replaced.
    copy.#dropped = [...this.#dropped];
    return copy;
  }

  /** Returns the first block of the window of a query at `position`. */
  #edge(position: number): number {
    const keys = position + 1;
    return Math.floor(Math.max(0, keys - Math.max(this.#window, Math.ceil(this.#share * keys))) / PAGE_TOKENS);
  }

  #end(): number {
    return this.#dropped.reduce((end, dropped) => Math.max(end, dropped?.end ?? 0), 0);
  }

  #heads(layer: number): number[] {
    return Array.from({ length: this.#table.kvHeads }, (_, head) => head).filter((head) => this.streams(layer, head));
  }

  async #drop(
    call: PlannedCall,
    layer: number,
    { from, edge, heads }: { readonly from: number; readonly edge: number; readonly heads: readonly number[] },
  ): Promise<void> {
    const { backend, kv } = call;
    if (!canThin(kv))
      throw new InputError(
        'argument',
        "streaming heads release pages, which this view cannot do; use a Sequence, or heads: 'all'",
        {},
      );
    const spans = heldSpans(kv, layer, heads[0] ?? 0, from, edge);
    const before = this.#dropped[layer];
    const parts = (part: 'keys' | 'values'): Tensor[] =>
      spans.length === 0 ? [] : [backend.spanMeans(kv, layer, part, spans)];
    const [keyMeans = new Float32Array(0), valueMeans = new Float32Array(0)] = await readBack(backend, () => [
      ...parts('keys'),
      ...parts('values'),
    ]);
    const weight = (before?.weight ?? 0) + spans.reduce((sum, at, i) => sum + (i % 2 === 0 ? -at : at), 0);
    const dropped = {
      end: edge,
      weight,
      keys: this.#merged(before?.keys, before?.weight, keyMeans, spans, kv),
      values: this.#merged(before?.values, before?.weight, valueMeans, spans, kv),
    };
    // Nothing is awaited from here on, so that pages and means change together.
    if (weight > 0) this.#write(kv, layer, heads, dropped);
    for (const head of heads) {
      for (let block = Math.max(from, this.#sinks + (weight > 0 ? 1 : 0)); block < edge; block++)
        kv.release(layer, head, block);
    }
    if (weight > 0) this.#dropped[layer] = dropped;
  }

  /** Returns the mean that extends `mean`, of `weight` tokens, by the means of `spans`. */
  #merged(
    mean: Float64Array | undefined,
    weight = 0,
    means: Float32Array,
    spans: Uint32Array,
    { pool }: ThinningView,
  ): Float64Array {
    const width = pool.spec.kvHeads * pool.spec.headDim;
    return withScratch(this.#wasm, [8 * width, 4 * width], (to = 0, added = 0) => {
      const start = mean ?? new Float64Array(width);
      this.#wasm.bytes(to, 8 * width).set(new Uint8Array(start.buffer, start.byteOffset, 8 * width));
      let total = weight;
      for (let i = 0; i < spans.length / 2; i++) {
        const more = (spans[2 * i + 1] ?? 0) - (spans[2 * i] ?? 0);
        this.#wasm.f32(added, width).set(means.subarray(i * width, (i + 1) * width));
        this.#wasm.exports.mergeMeans(to, total, added, more, width);
        total += more;
      }
      return new Float64Array(this.#wasm.bytes(to, 8 * width).slice().buffer);
    });
  }

  /** Puts the compensation token, in every row of its page, in place of the first dropped block. */
  #write(kv: ThinningView, layer: number, heads: readonly number[], { keys, values }: Dropped): void {
    const { headDim, format } = kv.pool.spec;
    const size = 2 * PAGE_TOKENS * headDim;
    const pageBytes = kv.pool.pageBytes(format);
    const bytes = new Uint8Array(heads.length * pageBytes);
    withScratch(this.#wasm, [8 * headDim, 4 * size, 2 * size], (row = 0, floats = 0, halves = 0) => {
      const { repeatRow, narrow } = this.#wasm.exports;
      heads.forEach((head, i) => {
        [keys, values].forEach((mean, half) => {
          this.#wasm
            .bytes(row, 8 * headDim)
            .set(new Uint8Array(mean.buffer, mean.byteOffset + 8 * head * headDim, 8 * headDim));
          repeatRow(floats + 2 * half * size, row, headDim, PAGE_TOKENS);
        });
        if (format === 'f16') narrow(halves, floats, size);
        bytes.set(this.#wasm.bytes(format === 'f16' ? halves : floats, pageBytes), i * pageBytes);
      });
    });
    const pages = kv.pages.allocate(heads.length);
    try {
      kv.pool.write(Int32Array.from(pages), bytes);
    } catch (error) {
      for (const page of pages) kv.pages.release(page);
      throw error;
    }
    heads.forEach((head, i) => kv.replace(layer, head, this.#sinks, pages[i] ?? -1));
  }
}

/** Runs of positions in blocks `[from, edge)` that have pages. */
function heldSpans(
  { pool, table, blocks }: ThinningView,
  layer: number,
  head: number,
  from: number,
  edge: number,
): Uint32Array {
  const row = (layer * pool.spec.kvHeads + head) * blocks;
  const spans: number[] = [];
  for (let block = from; block < edge; block++) {
    if ((table[row + block] ?? -1) < 0) continue;
    const start = block * PAGE_TOKENS;
    if (spans.at(-1) === start) spans[spans.length - 1] = start + PAGE_TOKENS;
    else spans.push(start, start + PAGE_TOKENS);
  }
  return Uint32Array.from(spans);
}
