/**
 * Prompts in the pages of the language model. They are computed once and kept for all rounds and for later calls, and
 * shared as far as they begin alike.
 */
import type { KvPool, Tensor } from '../backend/backend.ts';
import { PageAllocator, Sequence } from '../kv/sequence.ts';
import { denseCausal } from '../kv/ranges.ts';
import { prefillChunk } from '../generate/prefill.ts';
import type { Held } from '../layers/held.ts';
import type { LanguageModel } from '../models/model.ts';

export interface PaintPrompt {
  readonly ids: Int32Array;
  /** The placeholders `[at, at + tokens)` of its picture. */
  readonly picture?: { readonly at: number; readonly tokens: number; readonly key: string } | undefined;
}

interface Entry {
  readonly prompt: PaintPrompt;
  readonly sequence: Sequence;
}

/** Prompts of two calls, each with its unconditional one. */
const KEPT = 4;
/** Ids of a prompt for which every sequence has capacity, so that prompts can share pages. */
const COMMON_ROOM = 1024;
/** Bytes that one painting's pages may take in f32; above that they are f16, which costs speed on WASM. */
const MAX_F32 = { wasm: 2 ** 30, webgpu: 2 ** 28, reference: Infinity } as const;

export class Prompts {
  readonly #language: LanguageModel;
  readonly #chunk: number;
  /** The number of rows that are appended to a prompt. */
  readonly #room: number;
  readonly #pool: KvPool;
  readonly #pages: PageAllocator;
  /** Least recently used first. */
  readonly #entries: Entry[] = [];

  /**
   * `room` is the largest number of rows that are appended to a prompt; `multiplyAdds` is the model's, for one token.
   */
  constructor(language: LanguageModel, room: number, multiplyAdds: number) {
    const { backend, config } = language;
    const { layers, kvHeads, headDim } = config;
    const bytes = 2 * (2 * room + COMMON_ROOM) * layers * kvHeads * headDim * 2 * 4;
    this.#language = language;
    this.#room = room;
    this.#chunk = prefillChunk(backend, multiplyAdds);
    this.#pool = backend.kvPool({ layers, kvHeads, headDim, format: bytes > MAX_F32[backend.kind] ? 'f16' : 'f32' });
    this.#pages = new PageAllocator(this.#pool);
  }

  /**
   * Returns the sequence of the prompt, which the next call may free. `visual` [tokens, D] are the embeddings of its
   * picture.
   */
  async sequence(prompt: PaintPrompt, visual: Tensor | undefined, pause: () => Promise<void>): Promise<Sequence> {
    const { ids } = prompt;
    const needed = ids.length + this.#room;
    const best = this.#entries
      .filter(({ sequence }) => sequence.capacity >= needed)
      .map((entry) => ({ entry, shared: common(entry.prompt, prompt) }))
      .reduce<{ readonly entry: Entry; readonly shared: number } | undefined>(
        (a, b) => (a !== undefined && a.shared >= b.shared ? a : b),
        undefined,
      );
    if (best !== undefined && best.shared === ids.length && best.entry.prompt.ids.length === ids.length) {
      this.#entries.splice(this.#entries.indexOf(best.entry), 1);
      this.#entries.push(best.entry);
      return best.entry.sequence;
    }
    const capacity = Math.min(this.#language.config.contextWindow, Math.max(needed, 2 * this.#room + COMMON_ROOM));
    const sequence =
      best === undefined || best.shared === 0 ? new Sequence(this.#pages, capacity) : best.entry.sequence.fork();
    try {
      sequence.truncate(best?.shared ?? 0);
      await this.#fill(sequence, prompt, visual, pause);
    } catch (error) {
      sequence.free();
      throw error;
    }
    if (this.#entries.length >= KEPT) this.#entries.shift()?.sequence.free();
    this.#entries.push({ prompt, sequence });
    return sequence;
  }

  /**
   * Appends x [T, D] to the prompt in chunks and returns its states [T, D] before the final norm, owned by `held`.
   * Afterwards it restores the sequence.
   */
  async behind(sequence: Sequence, x: Tensor, held: Held, pause: () => Promise<void>): Promise<Tensor> {
    const { backend } = this.#language;
    const [total = 0] = x.shape;
    const prompt = sequence.length;
    try {
      const parts: Tensor[] = [];
      for (let start = 0; start < total; start += this.#chunk) {
        const count = Math.min(this.#chunk, total - start);
        parts.push(held.step(() => this.#forward(sequence, count === total ? x : backend.rows(x, start, count))));
        await pause();
      }
      const [only] = parts;
      if (only !== undefined && parts.length === 1) return only;
      const states = held.step(() => backend.stack(parts));
      for (const part of parts) held.drop(part);
      return states;
    } finally {
      sequence.truncate(prompt);
    }
  }

  free(): void {
    for (const { sequence } of this.#entries) sequence.free();
    this.#entries.length = 0;
    this.#pool.free();
  }

  async #fill(
    sequence: Sequence,
    { ids, picture }: PaintPrompt,
    visual: Tensor | undefined,
    pause: () => Promise<void>,
  ): Promise<void> {
    const { backend } = this.#language;
    const ring = backend.ids(ids.length);
    try {
      backend.writeIds(ring, 0, ids);
      const end = picture === undefined ? 0 : picture.at + picture.tokens;
      while (sequence.length < ids.length) {
        const start = sequence.length;
        const inside = picture !== undefined && visual !== undefined && start >= picture.at && start < end;
        const border = inside ? end : picture !== undefined && start < picture.at ? picture.at : ids.length;
        const count = Math.min(this.#chunk, border - start);
        backend.scope(
          () =>
            void this.#forward(
              sequence,
              inside ? backend.rows(visual, start - picture.at, count) : this.#language.embed(ring, start, count),
            ),
        );
        await pause();
      }
    } finally {
      backend.free(ring);
    }
  }

  /** Runs x at the end of the sequence. */
  #forward(sequence: Sequence, x: Tensor): Tensor {
    const [count = 0] = x.shape;
    const start = sequence.length;
    sequence.ensure(start + count);
    return this.#language.forward(x, { kv: sequence, position: start, ranges: denseCausal(count, start + count) });
  }
}

/** Returns the number of ids with which both begin; a picture counts if both have it at the same place. */
function common(a: PaintPrompt, b: PaintPrompt): number {
  const least = Math.min(a.ids.length, b.ids.length);
  let same = 0;
  while (same < least && a.ids[same] === b.ids[same]) same++;
  if (a.picture?.key === b.picture?.key && a.picture?.at === b.picture?.at) return same;
  return Math.min(same, a.picture?.at ?? Infinity, b.picture?.at ?? Infinity);
}
