/** How a loaded model looks at pictures: what is kept of each, and the embeddings that the last ones have on the device. */
import type { IHasher } from 'hash-wasm';
import type { Backend, Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import { cannotSee, pictureMark, type SeenPicture, type Sight, type VisualOptions, type VisualRoute } from '../generate/pictures.ts';
import { TimeSlice } from '../generate/yield.ts';
import { Held } from '../layers/held.ts';
import { paced } from '../layers/steps.ts';
import type { PictureModel } from '../models/unipic/index.ts';
import { checkPixels, type Rgba } from '../vision/image.ts';
import { resizeToSquare, toPixels } from '../vision/square.ts';

/** Embeddings that stay on the device for another session or another turn: some ten pictures of 1,088 tokens at a width of 1,536. */
const MOST_KEPT_BYTES = 1 << 26;

export class ModelSight implements Sight {
  readonly #pictures: () => PictureModel;
  readonly #hash: IHasher;
  readonly #nonce: string;

  /** `pictures`: the parts of the model, which are others after it has moved to another device. `hash` names their content. */
  constructor(pictures: () => PictureModel, hash: IHasher) {
    this.#pictures = pictures;
    this.#hash = hash;
    this.#nonce = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  get placeholder(): number {
    return this.#pictures().config.imageToken;
  }

  tokens(options?: VisualOptions): number {
    const { size, route } = this.#settle(options);
    return this.#pictures().visualTokens(size, route);
  }

  look(value: unknown, name: string, options?: VisualOptions): SeenPicture {
    const { size, route } = this.#settle(options);
    if (typeof value !== 'object' || value === null) throw new InputError('argument', `${name}: the picture is ${value === null ? 'null' : `a ${typeof value}`}, not {data, width, height}`);
    checkPixels(value as Rgba, name);
    const image = resizeToSquare(value as Rgba, size, 'pad');
    const { data } = image;
    const content = this.#hash.init().update(new Uint8Array(data.buffer, data.byteOffset, data.length)).digest('hex');
    return { mark: pictureMark(`${this.#nonce}${content} ${size} ${route}`), size, route, tokens: this.#pictures().visualTokens(size, route), image };
  }

  #settle({ size, route }: VisualOptions = {}): { readonly size: number; readonly route: VisualRoute } {
    const pictures = this.#pictures();
    if (!pictures.capabilities.see) throw cannotSee('image', pictures.capabilities.missing);
    if (route !== undefined && route !== 'mar' && route !== 'siglip') {
      throw new InputError('argument', `visual.route: '${String(route satisfies never)}' is unknown; use 'mar' or 'siglip'`, { route: String(route) });
    }
    const taken = route ?? pictures.route;
    const sizes = pictures.sizes(taken);
    const { defaultSize } = pictures.config;
    return { size: checkSide('visual.size', size ?? (sizes.includes(defaultSize) ? defaultSize : (sizes.at(-1) ?? defaultSize)), sizes), route: taken };
  }
}

/** Throws `InputError('argument')` for a side that the model was not made for. */
export function checkSide(name: string, side: number, sizes: readonly number[]): number {
  if (!sizes.includes(side)) throw new InputError('argument', `${name}: ${String(side)} is no size of this model; use ${sizes.join(', ')}`, { name, size: side, sizes });
  return side;
}

/** The embeddings of the pictures that were looked at last, on one device. */
export class VisualCache {
  readonly #backend: Backend;
  readonly #pictures: PictureModel;
  /** By mark; the one used last is last. */
  readonly #kept = new Map<string, Tensor>();
  #bytes = 0;

  constructor(backend: Backend, pictures: PictureModel) {
    this.#backend = backend;
    this.#pictures = pictures;
  }

  /** Computes what is not kept, in steps: an abort is heard, and other work is done, between them. */
  async look(picture: SeenPicture, signal?: AbortSignal): Promise<void> {
    if (this.#kept.has(picture.mark)) return;
    const backend = this.#backend;
    const slice = new TimeSlice();
    const held = new Held(backend);
    try {
      const tensor = await paced(this.#pictures.seeing(pixelsOf(picture), picture.size, held, picture.route), async () => {
        signal?.throwIfAborted();
        backend.flush();
        await slice.yield();
        signal?.throwIfAborted();
      });
      if (!this.#kept.has(picture.mark)) this.#keep(picture.mark, held.release(tensor));
    } finally {
      held.free();
    }
    backend.flush();
    await backend.idle();
  }

  /** [picture.tokens, hidden], good until the next call. */
  see(picture: SeenPicture): Tensor {
    const { mark, size, route } = picture;
    const backend = this.#backend;
    const known = this.#kept.get(mark);
    this.#kept.delete(mark);
    if (known === undefined) return this.#keep(mark, backend.keep(backend.scope(() => this.#pictures.see(pixelsOf(picture), size, route))));
    this.#kept.set(mark, known);
    return known;
  }

  #keep(mark: string, tensor: Tensor): Tensor {
    this.#kept.set(mark, tensor);
    this.#bytes += bytesOf(tensor);
    for (const [name, oldest] of this.#kept) {
      if (this.#bytes <= MOST_KEPT_BYTES || oldest === tensor) break;
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
