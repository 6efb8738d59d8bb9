/** The embeddings of recently read images on one device, by content key, and the tokens that were selected of them. */
import type { Backend, Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import { Held } from '../layers/held.ts';
import { atOnce, paced } from '../layers/steps.ts';
import { TimeSlice } from '../layers/yield.ts';
import type { LanguageModel } from '../models/model.ts';
import { tokensOf, type EncodedImage, type PreparedImage, type VisionModel } from '../models/vision/vision-model.ts';
import {
  fixedTokens,
  keptCount,
  patchesOf,
  pickOne,
  pinnedChoice,
  selectTokens,
  type Patches,
  type VisualChoice,
} from '../select/visual/index.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Wasm } from '../wasm.ts';
import type { PromptImage } from './images.ts';
import type { TokenSelection } from './token-selection.ts';

/**
 * Bytes of embeddings that are kept for other sessions or turns: about ten images of 1,088 tokens at a width of 1,536.
 */
const MOST_KEPT_BYTES = 1 << 26;
/** Selections are kept longer than embeddings; each takes at most 17 KB. */
const MOST_SELECTIONS = 256;

/** What computing embeddings and selecting among them needs. */
export interface EncodingModel {
  readonly vision: VisionModel;
  readonly language: LanguageModel;
  readonly tokenizer: Tokenizer;
  /** May be any instance. */
  readonly wasm: Wasm;
}

export class EncodedImages {
  readonly #model: EncodingModel;
  readonly backend: Backend;
  /** By content key; the most recently used is last. */
  readonly #kept = new Map<string, EncodedImage>();
  /** The kept tokens, by content key; the oldest is first. */
  readonly #selections = new Map<string, Int32Array>();
  /** Embeddings from which tokens are being selected. They are not evicted. */
  readonly #pinned = new Set<EncodedImage>();
  #bytes = 0;

  constructor(model: EncodingModel) {
    this.#model = model;
    this.backend = model.language.backend;
  }

  async encode(image: PromptImage, signal?: AbortSignal): Promise<void> {
    const { selection, contentKey } = image;
    if (selection !== undefined) selection.kept = this.#selections.get(contentKey) ?? selection.kept;
    if (this.#kept.has(contentKey) && (selection === undefined || selection.kept !== undefined)) return;
    const backend = this.backend;
    const wholeKey = selection?.wholeKey ?? contentKey;
    if (!this.#kept.has(wholeKey)) await this.#compute(image, wholeKey, signal);
    if (selection !== undefined) {
      selection.kept ??= await this.#select(image, selection);
      this.#remember(contentKey, selection.kept);
      if (!this.#kept.has(contentKey)) this.#take(image, selection, selection.kept);
    }
    backend.flush();
    await backend.idle();
  }

  embeddings(image: PromptImage): EncodedImage {
    const { contentKey, selection } = image;
    const known = this.#kept.get(contentKey);
    if (known !== undefined) {
      this.#kept.delete(contentKey);
      this.#kept.set(contentKey, known);
      return known;
    }
    if (selection === undefined) return this.#whole(image, contentKey);
    if (selection.kept === undefined)
      throw new InputError(
        'argument',
        'the image was not encoded yet, so it is not known which of its tokens are kept',
      );
    return this.#take(image, selection, selection.kept);
  }

  free(): void {
    for (const [key, encoded] of this.#kept) this.#forget(key, encoded);
  }

  async #compute({ prepared }: PromptImage, key: string, signal?: AbortSignal): Promise<void> {
    const backend = this.backend;
    const slice = new TimeSlice();
    const held = new Held(backend);
    try {
      const encoded = await paced(this.#model.vision.encode(prepared, held), async () => {
        signal?.throwIfAborted();
        backend.flush();
        await slice.yield();
        signal?.throwIfAborted();
      });
      if (!this.#kept.has(key)) this.#keep(key, released(encoded, held));
    } finally {
      held.free();
    }
  }

  /** Returns all tokens, at once. */
  #whole({ prepared }: PromptImage, key: string): EncodedImage {
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const held = new Held(this.backend);
    try {
      return this.#keep(key, released(atOnce(this.#model.vision.encode(prepared, held)), held));
    } finally {
      held.free();
    }
  }

  /** Returns the kept tokens. */
  #take(image: PromptImage, { wholeKey }: TokenSelection, kept: Int32Array): EncodedImage {
    const backend = this.backend;
    const { embeddings, perLayer } = this.#whole(image, wholeKey);
    const take = (rows: Tensor): Tensor => backend.keep(backend.scope(() => backend.take(rows, kept)));
    return this.#keep(image.contentKey, {
      embeddings: take(embeddings),
      ...(perLayer && { perLayer: perLayer.map(take) }),
    });
  }

  async #select(image: PromptImage, selection: TokenSelection): Promise<Int32Array> {
    const { wasm } = this.#model;
    const { prepared } = image;
    const { question } = selection;
    const choice = pinnedChoice(selection.choice, selection.counts, prepared.spans);
    const whole = this.#whole(image, selection.wholeKey);
    this.#pinned.add(whole);
    try {
      const { embeddings } = whole;
      const count = tokensOf(prepared);
      const fixed = fixedTokens(prepared.spans);
      const onDevice = await this.#selectOnDevice(embeddings, choice, count, fixed);
      if (onDevice !== undefined) return onDevice;
      return selectTokens(
        wasm,
        {
          embeddings: await this.backend.download(embeddings),
          count,
          width: embeddings.shape[1] ?? 0,
          fixed,
          ...(question === undefined ? {} : { question: await this.#embed(question) }),
          ...(choice.method === 'showui' ? { patches: this.#patches(prepared) } : {}),
        },
        choice,
      );
    } finally {
      this.#pinned.delete(whole);
    }
  }

  /** Returns undefined when the device does not support this method, or when rounding leaves the choice open. */
  async #selectOnDevice(
    embeddings: Tensor,
    choice: VisualChoice,
    count: number,
    fixed: readonly (readonly [start: number, end: number])[],
  ): Promise<Int32Array | undefined> {
    const { method, spread, precision, pivot, seed } = choice;
    const kept = new Uint8Array(count);
    for (const [start, end] of fixed) kept.fill(1, start, end);
    const free = Int32Array.from(kept.keys()).filter((token) => kept[token] === 0);
    const k = (keptCount(choice, count, count - free.length) ?? 0) - (count - free.length);
    if (method !== 'todre' || precision !== 'exact' || k < 1 || k >= free.length) return undefined;
    const places = await this.backend.diverse?.(
      embeddings,
      free,
      k,
      pivot === 'random' ? pickOne(free.length, seed) : -1,
      spread,
    );
    if (places === undefined) return undefined;
    for (const place of places) kept[free[place] ?? 0] = 1;
    return Int32Array.from(kept.keys()).filter((token) => kept[token] === 1);
  }

  #patches(prepared: PreparedImage): readonly Patches[] {
    let start = 0;
    return prepared.spans.map(({ tokens, rows, columns, cells }, i) => {
      if (cells !== undefined)
        throw new InputError(
          'argument',
          "visual.unique: 'showui' needs all cells of a picture, to find those that are alike; take another method, or leave visual.unique out",
          { name: 'visual.unique' },
        );
      const patches = { start, ...patchesOf(this.#model.vision.tile(prepared, i), rows, columns) };
      start += tokens;
      return patches;
    });
  }

  /** The tokens of a text as the language model's embeddings: [tokens, hidden]. */
  async #embed(text: string): Promise<Float32Array> {
    const { language, tokenizer } = this.#model;
    const backend = this.backend;
    const ids = tokenizer.encode(text);
    if (ids.length === 0) return new Float32Array(0);
    const ring = backend.ids(ids.length);
    const held = new Held(backend);
    try {
      backend.writeIds(ring, 0, ids);
      return await backend.download(held.step(() => language.embed(ring, 0, ids.length)));
    } finally {
      held.free();
      backend.free(ring);
    }
  }

  #remember(key: string, kept: Int32Array): void {
    this.#selections.delete(key);
    this.#selections.set(key, kept);
    const [oldest] = this.#selections.keys();
    if (this.#selections.size > MOST_SELECTIONS && oldest !== undefined) this.#selections.delete(oldest);
  }

  #keep(key: string, encoded: EncodedImage): EncodedImage {
    this.#kept.set(key, encoded);
    this.#bytes += bytesOf(encoded);
    for (const [name, oldest] of this.#kept) {
      if (this.#bytes <= MOST_KEPT_BYTES || oldest === encoded) break;
      if (this.#pinned.has(oldest)) continue;
      this.#forget(name, oldest);
    }
    return encoded;
  }

  #forget(key: string, encoded: EncodedImage): void {
    this.#kept.delete(key);
    this.#bytes -= bytesOf(encoded);
    for (const tensor of tensorsOf(encoded)) this.backend.free(tensor);
  }
}

function tensorsOf({ embeddings, perLayer = [] }: EncodedImage): readonly Tensor[] {
  return [embeddings, ...perLayer];
}

function released(encoded: EncodedImage, held: Held): EncodedImage {
  for (const tensor of tensorsOf(encoded)) held.release(tensor);
  return encoded;
}

function bytesOf(encoded: EncodedImage): number {
  return tensorsOf(encoded).reduce((sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1), 0);
}
