/**
 * The image processor of a loaded model: registers images by their content, and encodes and selects the tokens that a
 * prompt reads of them.
 */
import type { IHasher } from 'hash-wasm';
import type { Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import {
  tokensOf,
  type EncodedImage,
  type ImageOptions,
  type ImageSettings,
  type PreparedImage,
  type VisionModel,
} from '../models/vision/vision-model.ts';
import { choiceName, outliers, plannedCounts, readSelection } from '../select/visual/index.ts';
import { checkPixels, type Rgba } from '../vision/image.ts';
import type { EncodedImages } from './encoded-images.ts';
import { duringCall } from './during.ts';
import type { ImageCall, ImageProcessor, PromptImage, ShownCall } from './images.ts';
import { TokenSelection, type ChosenTokens, type SelectionRequest } from './token-selection.ts';

export class ModelImages implements ImageProcessor {
  readonly placeholder: number;
  readonly #vision: VisionModel;
  readonly #encoded: EncodedImages;
  readonly #hash: IHasher;

  /** `hash` makes the content keys. `encoded` is freed with this object. */
  constructor(vision: VisionModel, encoded: EncodedImages, hash: IHasher) {
    this.placeholder = vision.placeholder;
    this.#vision = vision;
    this.#encoded = encoded;
    this.#hash = hash;
  }

  settings(options?: ImageOptions): ImageSettings {
    return this.#vision.settings(options);
  }

  register(value: unknown, name: string, options?: ImageOptions, request?: SelectionRequest): PromptImage {
    if (typeof value !== 'object' || value === null)
      throw new InputError(
        'argument',
        `${name}: the image is ${value === null ? 'null' : `a ${typeof value}`}, not {data, width, height}`,
      );
    checkPixels(value as Rgba, name);
    const prepared = this.#vision.prepare(value as Rgba, options);
    const whole = {
      contentKey: this.#keyOf(prepared),
      prepared,
      expansion: this.#vision.expand(prepared),
      positions: this.#vision.positions(prepared),
      bidirectional: this.#vision.bidirectional,
    };
    if (request === undefined) return whole;
    const choice = readSelection(request.choice);
    if (choice === undefined) return whole;
    const { kept } = request;
    const question = choice.method === 'cdpruner' ? request.question : undefined;
    return this.#select(whole, {
      choice,
      question,
      kept,
      counts: plannedCounts(choice, prepared.spans) ?? request.counts,
    });
  }

  outliers(image: PromptImage, count: number): PromptImage {
    const choice = outliers(Math.min(count, tokensOf(image.prepared)));
    return this.#select(
      { ...image, contentKey: image.selection?.wholeKey ?? image.contentKey },
      { choice, counts: plannedCounts(choice, image.prepared.spans) },
    );
  }

  async resolve(image: PromptImage, signal?: AbortSignal): Promise<void> {
    if (image.selection !== undefined && image.selection.counts === undefined) await this.encode(image, signal);
  }

  encode(image: PromptImage, signal?: AbortSignal): Promise<void> {
    return this.#encoded.encode(image, signal);
  }

  during(call: ShownCall, made?: (body: () => Tensor) => Tensor): ImageCall | undefined {
    return duringCall(this.#encoded.backend, call, (image) => this.#encoded.embeddings(image), made);
  }

  embeddings(image: PromptImage): EncodedImage {
    return this.#encoded.embeddings(image);
  }

  free(): void {
    this.#encoded.free();
  }

  #select(whole: PromptImage, request: ChosenTokens): PromptImage {
    const { choice, question } = request;
    const key = [whole.contentKey, choiceName(choice), ...(question === undefined ? [] : [this.#digest(question)])];
    return {
      ...whole,
      contentKey: key.join(' '),
      selection: new TokenSelection(request, whole.contentKey, whole.prepared.spans),
    };
  }

  #keyOf({ image, settings }: PreparedImage): string {
    const { data, width, height } = image;
    const digest = this.#digest(new Uint8Array(data.buffer, data.byteOffset, data.length));
    return `${digest} ${width}x${height} ${settings.size} ${settings.route ?? ''}${settings.unique === true ? ' unique' : ''}`;
  }

  #digest(content: string | Uint8Array): string {
    return this.#hash.init().update(content).digest('hex');
  }
}
