/**
 * Keys at 7 bits beside the pages of a session, from which a WASM backend scores them for a choice
 * (assembly/kernels/coarse.ts): 68 bytes for each token and KV head with 64 channels, where a page of f32 has 512. The
 * backend codes what a probe needs and finds not coded yet, so that sessions that were resumed, forked or truncated
 * code their keys at their next choice.
 */
import {
  PAGE_TOKENS,
  type Backend,
  type CoarseKeys as Coarse,
  type KvView,
  type Tensor,
} from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';

/** Blocks of room for what follows: 1,024 tokens, after which all are coded again. */
const ROOM = 32;

interface Layer {
  readonly backend: Backend;
  readonly keys: Tensor;
  /** Blocks for which there is room. */
  readonly blocks: number;
  coded: number;
}

export class CoarseKeys {
  readonly #wasm: Wasm;
  readonly #layers = new Map<number, Layer>();

  constructor(wasm: Wasm) {
    this.#wasm = wasm;
  }

  /**
   * Returns what a probe of the keys `[0, end)` of `layer` is given. Undefined where this build of the backend scores
   * pages only.
   */
  of(backend: Backend, { pool }: KvView, layer: number, end: number): Coarse | undefined {
    const { kvHeads, headDim } = pool.spec;
    const needed = Math.floor(end / PAGE_TOKENS);
    let known = this.#layers.get(layer);
    if (known === undefined || known.blocks < needed) {
      const blocks = needed + ROOM;
      const bytes = backend.kind === 'wasm' ? this.#wasm.exports.coarseBytes(kvHeads, headDim, blocks) >>> 0 : 0;
      if (bytes === 0) return undefined;
      if (known !== undefined) backend.free(known.keys);
      this.#layers.delete(layer);
      const room = new Float32Array(bytes / 4);
      const keys = backend.keep(backend.scope(() => backend.upload(room, [1, room.length])));
      known = { backend, keys, blocks, coded: 0 };
      this.#layers.set(layer, known);
    }
    return { keys: known.keys, coded: known.coded };
  }

  /** Tells that a probe of the keys `[0, end)` was made. */
  probed(layer: number, end: number): void {
    const known = this.#layers.get(layer);
    if (known !== undefined) known.coded = Math.max(known.coded, Math.floor(end / PAGE_TOKENS));
  }

  /** Keys from `length` on will be others. */
  truncate(length: number): void {
    for (const layer of this.#layers.values()) layer.coded = Math.min(layer.coded, Math.floor(length / PAGE_TOKENS));
  }

  free(): void {
    try {
      for (const { backend, keys } of this.#layers.values()) backend.free(keys);
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
    this.#layers.clear();
  }
}
