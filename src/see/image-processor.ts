/** How a loaded model looks at pictures: what is kept of each, and the embeddings that the last ones have on the device. */
import type { IHasher } from 'hash-wasm';
import type { Backend, Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import {
  cannotSee,
  pictureMark,
  Thinned,
  type SeenPicture,
  type Sight,
  type Thinning,
  type VisualOptions,
  type VisualRoute,
} from './pictures.ts';
import { TimeSlice } from '../layers/yield.ts';
import { Held } from '../layers/held.ts';
import { paced } from '../layers/steps.ts';
import type { LanguageModel } from '../models/model.ts';
import type { PictureModel } from '../models/unipic/index.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkPixels, type Rgba } from '../vision/image.ts';
import {
  choiceName,
  keptCount,
  outliers,
  patchesOf,
  pickOne,
  selectTokens,
  type VisualChoice,
} from '../select/visual/index.ts';
import { resizeToSquare, toPixels } from '../vision/square.ts';
import type { Wasm } from '../wasm.ts';

/** Embeddings that stay on the device for another session or another turn: some ten pictures of 1,088 tokens at a width of 1,536. */
const MOST_KEPT_BYTES = 1 << 26;
/** Choices of tokens that are remembered longer than the embeddings: at most 17 KB each. */
const MOST_CHOICES = 256;

/** What choosing among a picture's tokens takes. */
export interface Choosing {
  readonly wasm: Wasm;
  /** A text's tokens as the language model reads them: [tokens, hidden]. */
  readonly embed: (text: string) => Promise<Float32Array>;
}

type Looking = (picture: SeenPicture, signal?: AbortSignal) => Promise<void> | undefined;

export class ModelSight implements Sight {
  readonly #pictures: () => PictureModel;
  readonly #hash: IHasher;
  readonly #nonce: string;
  readonly #look: Looking;

  /** `pictures`: the parts of the model, which are others after it has moved to another device. `hash` names their content. `look`: `VisualCache.look`. */
  constructor(pictures: () => PictureModel, hash: IHasher, look: Looking) {
    this.#pictures = pictures;
    this.#hash = hash;
    this.#look = look;
    this.#nonce = [...crypto.getRandomValues(new Uint8Array(8))]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('');
  }

  get placeholder(): number {
    return this.#pictures().config.imageToken;
  }

  tokens(options?: VisualOptions): number {
    const { size, route } = this.#settle(options);
    return this.#pictures().visualTokens(size, route);
  }

  look(value: unknown, name: string, options?: VisualOptions, thinning?: Thinning): SeenPicture {
    const { size, route } = this.#settle(options);
    if (typeof value !== 'object' || value === null)
      throw new InputError(
        'argument',
        `${name}: the picture is ${value === null ? 'null' : `a ${typeof value}`}, not {data, width, height}`,
      );
    checkPixels(value as Rgba, name);
    const image = resizeToSquare(value as Rgba, size, 'pad');
    const { data } = image;
    const content = this.#digest(new Uint8Array(data.buffer, data.byteOffset, data.length));
    const whole = `${this.#nonce}${content} ${size} ${route}`;
    const tokens = this.#pictures().visualTokens(size, route);
    const seen = { mark: pictureMark(whole), size, route, tokens, image };
    if (thinning === undefined) return seen;
    const { choice } = thinning;
    const question = choice.method === 'cdpruner' ? thinning.question : undefined;
    const known = keptCount(choice, tokens, tokens - freeTokens(this.#pictures(), tokens, route)) ?? thinning.tokens;
    const thinned = new Thinned({ choice, question, tokens: known }, seen.mark, tokens);
    const mark = pictureMark(
      [whole, choiceName(choice), ...(question === undefined ? [] : [this.#digest(question)])].join(' '),
    );
    return {
      ...seen,
      mark,
      thinned,
      get tokens() {
        return thinned.tokens ?? thinned.of;
      },
    };
  }

  outliers(picture: SeenPicture, count: number): SeenPicture {
    const of = picture.thinned?.of ?? picture.tokens;
    const whole = picture.thinned?.whole ?? picture.mark;
    const choice = outliers(count);
    const thinned = new Thinned({ choice, tokens: keptCount(choice, of, 0) }, whole, of);
    return { ...picture, mark: `${whole} ${choiceName(choice)}`, thinned, tokens: thinned.tokens ?? of };
  }

  async settle(picture: SeenPicture, signal?: AbortSignal): Promise<void> {
    if (picture.thinned !== undefined && picture.thinned.tokens === undefined) await this.#look(picture, signal);
  }

  #digest(content: string | Uint8Array): string {
    return this.#hash.init().update(content).digest('hex');
  }

  #settle({ size, route }: VisualOptions = {}): { readonly size: number; readonly route: VisualRoute } {
    const pictures = this.#pictures();
    if (!pictures.capabilities.see) throw cannotSee('image', pictures.capabilities.missing);
    if (route !== undefined && route !== 'mar' && route !== 'siglip') {
      throw new InputError(
        'argument',
        `visual.route: '${String(route satisfies never)}' is unknown; use 'mar' or 'siglip'`,
        { route: String(route) },
      );
    }
    const taken = route ?? pictures.route;
    const sizes = pictures.sizes(taken);
    const { defaultSize } = pictures.config;
    return {
      size: checkSide(
        'visual.size',
        size ?? (sizes.includes(defaultSize) ? defaultSize : (sizes.at(-1) ?? defaultSize)),
        sizes,
      ),
      route: taken,
    };
  }
}

/** Throws `InputError('argument')` for a side that the model was not made for. */
export function checkSide(name: string, side: number, sizes: readonly number[]): number {
  if (!sizes.includes(side))
    throw new InputError('argument', `${name}: ${String(side)} is no size of this model; use ${sizes.join(', ')}`, {
      name,
      size: side,
      sizes,
    });
  return side;
}

/** Tokens of a picture that may go: MAR's buffers, the last ones of that route, never do. */
function freeTokens({ config }: PictureModel, tokens: number, route: VisualRoute | undefined): number {
  return route === 'siglip' ? tokens : tokens - config.mar.buffers;
}

/** Where it was known how many stay, so many stay: the ids have their placeholders, and another device might stop elsewhere. */
function settledChoice({ choice, tokens, of }: Thinned): VisualChoice {
  if (choice.keep !== 'auto' || tokens === undefined) return choice;
  // A keep of 1 would be all of them.
  return { ...choice, keep: tokens > 1 ? tokens : 0.5 / of };
}

/** A text's tokens as the language model reads them: [tokens, hidden]. */
export async function embedText(model: LanguageModel, tokenizer: Tokenizer, text: string): Promise<Float32Array> {
  const { backend } = model;
  const ids = tokenizer.encode(text);
  if (ids.length === 0) return new Float32Array(0);
  const ring = backend.ids(ids.length);
  const held = new Held(backend);
  try {
    backend.writeIds(ring, 0, ids);
    return await backend.download(held.step(() => model.embed(ring, 0, ids.length)));
  } finally {
    held.free();
    backend.free(ring);
  }
}

/** The embeddings of the pictures that were looked at last, on one device. */
export class VisualCache {
  readonly #backend: Backend;
  readonly #pictures: PictureModel;
  readonly #choosing: Choosing | undefined;
  /** By mark; the one used last is last. */
  readonly #kept = new Map<string, Tensor>();
  /** Which tokens stay, by mark; the first is the oldest. */
  readonly #choices = new Map<string, Int32Array>();
  /** What is being chosen from: it stays. */
  readonly #pinned = new Set<Tensor>();
  #bytes = 0;

  /** `choosing`: needed for pictures of which not all tokens are read. */
  constructor(backend: Backend, pictures: PictureModel, choosing?: Choosing) {
    this.#backend = backend;
    this.#pictures = pictures;
    this.#choosing = choosing;
  }

  /** Computes what is not kept, in steps: an abort is heard, and other work is done, between them. */
  async look(picture: SeenPicture, signal?: AbortSignal): Promise<void> {
    const { thinned } = picture;
    const chosen = this.#choices.get(picture.mark);
    if (thinned !== undefined && chosen !== undefined) thinned.kept = chosen;
    if (this.#kept.has(picture.mark) && (thinned === undefined || thinned.kept !== undefined)) return;
    const backend = this.#backend;
    const whole = thinned?.whole ?? picture.mark;
    if (!this.#kept.has(whole)) await this.#compute(picture, whole, signal);
    if (thinned !== undefined) {
      thinned.kept ??= await this.#choose(picture, thinned, whole);
      const { kept } = thinned;
      this.#remember(picture.mark, kept);
      const all = this.#kept.get(whole) ?? this.#whole(picture, whole);
      if (!this.#kept.has(picture.mark))
        this.#keep(picture.mark, backend.keep(backend.scope(() => backend.take(all, kept))));
    }
    backend.flush();
    await backend.idle();
  }

  /** [picture.tokens, hidden], good until the next call. */
  see(picture: SeenPicture): Tensor {
    const { mark, thinned } = picture;
    const backend = this.#backend;
    const known = this.#kept.get(mark);
    if (known !== undefined) {
      this.#kept.delete(mark);
      this.#kept.set(mark, known);
      return known;
    }
    if (thinned === undefined) return this.#whole(picture, mark);
    const { kept } = thinned;
    if (kept === undefined)
      throw new InputError('argument', 'the picture was not looked at: which of its tokens stay is not known');
    const all = this.#kept.get(thinned.whole) ?? this.#whole(picture, thinned.whole);
    return this.#keep(mark, backend.keep(backend.scope(() => backend.take(all, kept))));
  }

  async #compute(picture: SeenPicture, mark: string, signal?: AbortSignal): Promise<void> {
    const backend = this.#backend;
    const slice = new TimeSlice();
    const held = new Held(backend);
    try {
      const tensor = await paced(
        this.#pictures.seeing(pixelsOf(picture), picture.size, held, picture.route),
        async () => {
          signal?.throwIfAborted();
          backend.flush();
          await slice.yield();
          signal?.throwIfAborted();
        },
      );
      if (!this.#kept.has(mark)) this.#keep(mark, held.release(tensor));
    } finally {
      held.free();
    }
  }

  /** At once. */
  #whole(picture: SeenPicture, mark: string): Tensor {
    const backend = this.#backend;
    return this.#keep(
      mark,
      backend.keep(backend.scope(() => this.#pictures.see(pixelsOf(picture), picture.size, picture.route))),
    );
  }

  async #choose(picture: SeenPicture, thinned: Thinned, whole: string): Promise<Int32Array> {
    const { question, of } = thinned;
    const free = freeTokens(this.#pictures, of, picture.route);
    const choice = settledChoice(thinned);
    const choosing = this.#choosing;
    if (choosing === undefined) throw new InputError('argument', 'context.visual: nothing here chooses among tokens');
    const all = this.#kept.get(whole) ?? this.#whole(picture, whole);
    this.#pinned.add(all);
    try {
      const [, width = 0] = all.shape;
      const there = await this.#chooseThere(all, choice, of, free);
      if (there !== undefined) return there;
      const embeddings = await this.#backend.download(all);
      return selectTokens(
        choosing.wasm,
        {
          embeddings,
          count: of,
          width,
          fixed: choice.method === 'outliers' ? [] : [[free, of]],
          ...(question === undefined ? {} : { question: await choosing.embed(question) }),
          ...(choice.method === 'showui'
            ? { patches: patchesOf(pixelsOf(picture), picture.size, Math.sqrt(free)) }
            : {}),
        },
        choice,
      );
    } finally {
      this.#pinned.delete(all);
    }
  }

  /** Where the embeddings are, by the device; undefined where it has no way, or is not sure. The last `of - free` tokens never go. */
  async #chooseThere(all: Tensor, choice: VisualChoice, of: number, free: number): Promise<Int32Array | undefined> {
    const { method, spread, precision, pivot, seed } = choice;
    const wanted = keptCount(choice, of, of - free);
    const k = wanted === undefined ? 0 : wanted - (of - free);
    if (method !== 'todre' || spread !== 'sum' || precision !== 'exact' || k < 1 || k >= free) return undefined;
    const rows = Int32Array.from({ length: free }, (_, i) => i);
    const chosen = await this.#backend.diverse?.(all, rows, k, pivot === 'random' ? pickOne(free, seed) : -1);
    return chosen && Int32Array.of(...chosen.toSorted(), ...Array.from({ length: of - free }, (_, i) => free + i));
  }

  #remember(mark: string, kept: Int32Array): void {
    this.#choices.delete(mark);
    this.#choices.set(mark, kept);
    const [oldest] = this.#choices.keys();
    if (this.#choices.size > MOST_CHOICES && oldest !== undefined) this.#choices.delete(oldest);
  }

  #keep(mark: string, tensor: Tensor): Tensor {
    this.#kept.set(mark, tensor);
    this.#bytes += bytesOf(tensor);
    for (const [name, oldest] of this.#kept) {
      if (this.#bytes <= MOST_KEPT_BYTES || oldest === tensor) break;
      if (this.#pinned.has(oldest)) continue;
      this.#forget(name, oldest);
    }
    return tensor;
  }

  free(): void {
    for (const [mark, tensor] of this.#kept) this.#forget(mark, tensor);
  }

  #forget(mark: string, tensor: Tensor): void {
    this.#kept.delete(mark);
    this.#bytes -= bytesOf(tensor);
    this.#backend.free(tensor);
  }
}

function pixelsOf({ image, size }: SeenPicture): Float32Array {
  return toPixels(image, size, 'pad');
}

function bytesOf({ shape }: Tensor): number {
  return 4 * shape.reduce((product, size) => product * size, 1);
}
