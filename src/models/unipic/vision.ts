/**
 * The vision of UniPic models: by the MAR encoder, which painting uses too, or by a SigLIP tower. Both take squares; an
 * image is one span.
 */
import type { Backend } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Held } from '../../layers/held.ts';
import { siluMlp, type Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { resizeToSquare, toSigned } from '../../vision/square.ts';
import {
  consecutive,
  type EncodedImage,
  type ExpandedPart,
  type ImageOptions,
  type ImageSettings,
  type PreparedImage,
  type SpanPositions,
  type VisionModel,
} from '../vision/vision-model.ts';
import type { Route, UniPicConfig } from './config.ts';
import type { SiglipTower } from '../vision/siglip.ts';
import { refuseUnique } from '../vision/square.ts';
import type { SourceEncoder } from './source.ts';

/**
 * The side at which images are seen where the model has it, as in UniPic's own script for understanding. Painting
 * keeps the model's default.
 */
const SEEN = 512;

interface Siglip {
  readonly tower: SiglipTower;
  readonly projector: readonly Linear[];
}

export class UniPicVision implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: UniPicConfig;
  readonly #mar: SourceEncoder | undefined;
  readonly #siglip: Siglip | undefined;
  readonly #lack: (route: Route) => string | undefined;

  /** At least one of `mar` and `siglip`; `lack` returns a sentence that says why a route is missing. */
  constructor(
    backend: Backend,
    config: UniPicConfig,
    mar: SourceEncoder | undefined,
    siglip: Siglip | undefined,
    lack: (route: Route) => string | undefined,
  ) {
    this.placeholder = config.imageToken;
    this.#backend = backend;
    this.#config = config;
    this.#mar = mar;
    this.#siglip = siglip;
    this.#lack = lack;
  }

  /** `image`: what is to be shown; without it, the settings of an image that is larger than all sizes. */
  settings({ size, route, unique }: ImageOptions = {}, image?: Rgba): ImageSettings & { readonly route: Route } {
    refuseUnique(unique);
    const taken = route ?? this.#route(size ?? (image && Math.max(image.width, image.height)));
    if (taken !== 'mar' && taken !== 'siglip')
      throw new InputError('argument', `visual.route: '${taken}' is unknown; use 'mar' or 'siglip'`, { route });
    if (this.#by(taken) === undefined)
      throw new InputError('argument', `${this.#lack(taken) ?? `no ${taken}`}; take a file that has it`);
    const { sizes: painted, defaultSize, siglip } = this.#config;
    const sizes = taken === 'siglip' && siglip ? [siglip.size] : painted;
    const usual = sizes.includes(SEEN) ? SEEN : defaultSize;
    const side = size ?? (sizes.includes(usual) ? usual : (sizes.at(-1) ?? usual));
    if (!sizes.includes(side))
      throw new InputError('argument', `visual.size: ${side} is not a size of this model; use ${sizes.join(', ')}`, {
        name: 'visual.size',
        size: side,
        sizes,
      });
    return { size: side, route: taken };
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options, image);
    const { size, route } = settings;
    const side = size / (route === 'siglip' ? (this.#config.siglip?.patch ?? 1) : this.#config.patch);
    const selectable = side * side;
    // The buffers of the MAR encoder follow the tokens of the image.
    const tokens = route === 'siglip' ? selectable : selectable + this.#config.mar.buffers;
    return {
      image: resizeToSquare(image, size, 'pad'),
      settings,
      spans: [{ tokens, rows: side, columns: side, selectable }],
    };
  }

  expand({ spans }: PreparedImage): readonly ExpandedPart[] {
    return spans;
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile({ image }: PreparedImage): Rgba {
    return image;
  }

  encode({ image, settings }: PreparedImage, held: Held): Steps<EncodedImage> {
    return this.encodePixels(toSigned(image), settings, held);
  }

  /** The same for numbers in -1..1, which bytes represent only approximately: [size * size * 3]. */
  *encodePixels(pixels: Float32Array, { size, route }: ImageSettings, held: Held): Steps<EncodedImage> {
    const mar = this.#mar;
    const siglip = this.#siglip;
    if (route === 'mar' && mar !== undefined) {
      const { encoded, visual } = yield* mar.encode(pixels, size, held);
      held.drop(encoded);
      return { embeddings: visual };
    }
    if (siglip === undefined) throw new InputError('argument', 'the image was prepared for another model');
    const x = yield* siglip.tower.forward(pixels, held);
    return { embeddings: held.next(x, (before) => siluMlp(this.#backend, before, siglip.projector)) };
  }

  /** The route of the configuration for an image of so many pixels a side, or the other one if its parts are missing. */
  #route(side = Infinity): Route {
    const { understanding, sizes } = this.#config;
    const wanted = understanding !== 'size' ? understanding : side <= (sizes.at(-1) ?? 0) ? 'mar' : 'siglip';
    if (this.#by(wanted) !== undefined) return wanted;
    return this.#siglip === undefined ? 'mar' : 'siglip';
  }

  #by(route: Route): SourceEncoder | Siglip | undefined {
    return route === 'mar' ? this.#mar : this.#siglip;
  }
}
