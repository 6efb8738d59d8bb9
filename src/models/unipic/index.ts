/** The picture parts of a UniPic model (Skywork UniPic, Harmon, nano) around its language model: seeing, and the graph that painting runs. */
import type { Backend, Tensor } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import { FullAttention } from '../../layers/full-attention.ts';
import { Held } from '../../layers/held.ts';
import { siluMlp } from '../../layers/linear.ts';
import { atOnce, type Steps } from '../../layers/steps.ts';
import type { LanguageModel } from '../decoder.ts';
import type { Route, UniPicConfig } from './config.ts';
import { DiffusionHead } from './head.ts';
import { KlDecoder, KlEncoder } from './kl-tokenizer.ts';
import { MarDecoder, MarEncoder } from './mar.ts';
import { capabilities, lack, PAINT, SEE, type PartName, type Parts, type PictureCapabilities } from './parts.ts';
import { PatchDecoder, PatchEncoder } from './patch-tokenizer.ts';
import { SiglipTower } from './siglip.ts';
import { standardise, type PictureDecoder, type PictureEncoder, type Standardise } from './tokenizer.ts';

export { uniPicConfig, type Route, type UniPicConfig } from './config.ts';
export { PartsPlan, type PictureCapabilities } from './parts.ts';

export interface PictureOptions {
  /** Most bytes of one tensor of the image tokenizer; larger pictures are computed in bands of rows. */
  readonly bandBytes?: number | undefined;
}

/** WebGPU: the least that every adapter binds. WASM: a pause for aborts and other work after some tenths of a second. */
const BAND_BYTES = { webgpu: 2 ** 27, wasm: 2 ** 25, reference: 2 ** 27 } as const;

/** What seeing computes of a picture, owned by the `Held` it was made with. */
export interface Seen {
  /** The MAR encoder's output, [B + N, W], buffers first. */
  readonly encoded: Tensor;
  /** [N + B, D], image tokens first. */
  readonly visual: Tensor;
}

export interface PictureModel {
  readonly config: UniPicConfig;
  readonly capabilities: PictureCapabilities;
  readonly backend: Backend;
  /** The route taken when none is asked for: the configuration's, or the other where that one's parts are missing. */
  readonly route: Route;
  /** Sides that a route takes, in pixels, ascending. Throws `InputError('argument')` for a route that is not there. */
  sizes(route?: Route): readonly number[];
  /** Tokens that a picture takes in the language model's context: N + B, or the number of SigLIP's patches. */
  visualTokens(size: number, route?: Route): number;
  /** pixels: RGB [size * size * 3] in -1..1 -> [visualTokens, D], image tokens first, buffers last; in the caller's scope. */
  see(pixels: Float32Array, size: number, route?: Route): Tensor;
  /** The same in steps, for long pictures; the tensor is owned by `held`. */
  seeing(pixels: Float32Array, size: number, held: Held, route?: Route): Steps<Tensor>;
  /** By the MAR route, with the encoder's output beside it: what editing begins with. */
  source(pixels: Float32Array, size: number, held: Held): Steps<Seen>;
  /** What painting runs. Throws `InputError('argument')` where the model cannot paint. */
  painting(): Painting;
  /** Frees what these parts made; their weights are the model's. */
  free(): void;
}

export interface Painting {
  readonly encoder: MarEncoder;
  readonly decoder: MarDecoder;
  readonly head: DiffusionHead;
  readonly pictures: PictureDecoder;
  /** The encoder's [B + K, W] -> rows for the language model [K + B, D], image tokens first. */
  toLanguage(x: Tensor): Tensor;
  /** x [B + K, W] plus what the language model made of it: its hidden states [K + B, D], before the final norm. */
  fromLanguage(x: Tensor, hidden: Tensor): Tensor;
}

export async function createPictureModel(
  language: LanguageModel,
  config: UniPicConfig,
  parts: Parts,
  options: PictureOptions = {},
): Promise<PictureModel> {
  const { pictureEncoder } = parts;
  const columns = pictureEncoder?.kind === 'kl' ? 2 * config.channels : config.channels;
  const own = pictureEncoder && (await standardise(language.backend, config.tokenizer, columns));
  return new UniPic(language, config, parts, own, options.bandBytes ?? BAND_BYTES[language.backend.kind]);
}

class UniPic implements PictureModel {
  readonly config: UniPicConfig;
  readonly capabilities: PictureCapabilities;
  readonly backend: Backend;
  readonly #language: LanguageModel;
  readonly #parts: Parts;
  readonly #own: Standardise | undefined;
  readonly #attention: FullAttention;
  readonly #encoder: MarEncoder | undefined;
  readonly #decoder: MarDecoder | undefined;
  readonly #pictureEncoder: PictureEncoder | undefined;
  readonly #pictureDecoder: PictureDecoder | undefined;
  readonly #siglip: SiglipTower | undefined;

  constructor(
    language: LanguageModel,
    config: UniPicConfig,
    parts: Parts,
    own: Standardise | undefined,
    bandBytes: number,
  ) {
    const { backend } = language;
    const { mar, tokenizer, patch } = config;
    const { encoder, decoder, pictureEncoder, pictureDecoder, siglip } = parts;
    this.config = config;
    this.capabilities = capabilities(parts.present);
    this.backend = backend;
    this.#language = language;
    this.#parts = parts;
    this.#own = own;
    this.#attention = new FullAttention(backend, mar.heads, mar.width / mar.heads);
    this.#encoder = encoder && new MarEncoder(backend, mar, encoder, this.#attention);
    this.#decoder = decoder && new MarDecoder(backend, mar, decoder, this.#attention);
    if (pictureEncoder && own) {
      this.#pictureEncoder =
        pictureEncoder.kind === 'patch'
          ? new PatchEncoder(backend, patch, pictureEncoder, own)
          : tokenizer.kind === 'kl'
            ? new KlEncoder(backend, tokenizer, pictureEncoder, own, bandBytes)
            : undefined;
    }
    if (pictureDecoder) {
      this.#pictureDecoder =
        pictureDecoder.kind === 'patch' && tokenizer.kind === 'patch'
          ? new PatchDecoder(backend, patch, tokenizer, pictureDecoder)
          : pictureDecoder.kind === 'kl' && tokenizer.kind === 'kl'
            ? new KlDecoder(backend, tokenizer, patch, pictureDecoder, bandBytes)
            : undefined;
    }
    this.#siglip = siglip && config.siglip && new SiglipTower(backend, config.siglip, siglip.tower);
  }

  get route(): Route {
    const able = { mar: lack(this.#parts.present, '', SEE) === undefined, siglip: this.#siglip !== undefined };
    const { understanding } = this.config;
    if (able[understanding]) return understanding;
    return able.siglip ? 'siglip' : 'mar';
  }

  sizes(route = this.route): readonly number[] {
    const { siglip, sizes } = this.config;
    if (route === 'mar') {
      if (lack(this.#parts.present, '', SEE) !== undefined) throw this.#cannot('see pictures by the MAR route', SEE);
      return sizes;
    }
    if (this.#siglip === undefined || siglip === undefined)
      throw this.#cannot('see pictures by the SigLIP route', ['siglip']);
    return [siglip.size];
  }

  visualTokens(size: number, route = this.route): number {
    this.#checkSize(size, route);
    if (route === 'siglip') return (size / (this.config.siglip?.patch ?? 1)) ** 2;
    return (size / this.config.patch) ** 2 + this.config.mar.buffers;
  }

  see(pixels: Float32Array, size: number, route = this.route): Tensor {
    const held = new Held(this.backend);
    try {
      const visual = atOnce(this.seeing(pixels, size, held, route));
      // A copy that belongs to the caller's scope.
      return this.backend.rows(visual, 0, visual.shape[0] ?? 0);
    } finally {
      held.free();
    }
  }

  *seeing(pixels: Float32Array, size: number, held: Held, route = this.route): Steps<Tensor> {
    this.#checkPixels(pixels, size, route);
    const { siglip } = this.#parts;
    if (route === 'mar') {
      const { encoded, visual } = yield* this.source(pixels, size, held);
      held.drop(encoded);
      return visual;
    }
    if (this.#siglip === undefined || siglip === undefined)
      throw this.#cannot('see pictures by the SigLIP route', ['siglip']);
    const x = yield* this.#siglip.forward(pixels, held);
    return held.next(x, (before) => siluMlp(this.backend, before, siglip.projector));
  }

  *source(pixels: Float32Array, size: number, held: Held): Steps<Seen> {
    this.#checkPixels(pixels, size, 'mar');
    const encoder = this.#encoder;
    const pictures = this.#pictureEncoder;
    if (encoder === undefined || pictures === undefined) throw this.#cannot('see pictures by the MAR route', SEE);
    const grid = size / this.config.patch;
    const tokens = yield* pictures.encode(pixels, size, held);
    const encoded = yield* encoder.forward(
      tokens,
      Int32Array.from({ length: grid * grid }, (_, i) => i),
      grid,
      held,
    );
    held.drop(tokens);
    yield;
    return { encoded, visual: held.step(() => this.#toLanguage(encoded)) };
  }

  painting(): Painting {
    const { head, projOut } = this.#parts;
    const [encoder, decoder, pictures] = [this.#encoder, this.#decoder, this.#pictureDecoder];
    if (
      !this.capabilities.paint ||
      encoder === undefined ||
      decoder === undefined ||
      pictures === undefined ||
      head === undefined ||
      projOut === undefined
    )
      throw this.#cannot('paint', PAINT);
    const { backend, config } = this;
    const { diffusion, mar } = config;
    const { finalNorm } = this.#language;
    return {
      encoder,
      decoder,
      pictures,
      head: new DiffusionHead(backend, diffusion, mar.epsilon, head),
      toLanguage: (x) => this.#toLanguage(x),
      fromLanguage: (x, hidden) =>
        backend.add(x, rotate(backend, siluMlp(backend, hidden, projOut, { norm: finalNorm }), -mar.buffers)),
    };
  }

  free(): void {
    this.#attention.free();
    this.#encoder?.free();
    this.#decoder?.free();
    this.#siglip?.free();
    this.#own?.weight.free();
    this.#own?.bias.free();
  }

  #toLanguage(x: Tensor): Tensor {
    const { projIn } = this.#parts;
    if (projIn === undefined) throw this.#cannot('use pictures', ['projIn']);
    return rotate(this.backend, siluMlp(this.backend, x, projIn), this.config.mar.buffers);
  }

  #checkSize(size: number, route: Route): void {
    const known = this.sizes(route);
    if (known.includes(size)) return;
    throw new InputError(
      'argument',
      `size: ${size} pixels; this model sees pictures of ${known.join(', ')} pixels a side${route === 'siglip' ? ' by SigLIP' : ''}`,
      { size, known },
    );
  }

  #checkPixels(pixels: Float32Array, size: number, route: Route): void {
    this.#checkSize(size, route);
    if (pixels.length !== size * size * 3)
      throw new InputError(
        'argument',
        `pixels: ${pixels.length} values; a picture of ${size} x ${size} has ${size * size * 3}`,
        { values: pixels.length },
      );
    if (!pixels.every((value) => value >= -1.0001 && value <= 1.0001))
      throw new InputError('argument', 'pixels: some are not numbers from -1 to 1; give 2 x / 255 - 1 of each byte');
  }

  #cannot(verb: string, parts: readonly PartName[]): InputError {
    return new InputError(
      'argument',
      `${lack(this.#parts.present, verb, parts) ?? `this model cannot ${verb}`}; take a file that has it`,
    );
  }
}

/** The first `by` rows of x go behind the others; the last, for `by` below 0, before them. */
function rotate(backend: Backend, x: Tensor, by: number): Tensor {
  const [count = 0] = x.shape;
  return backend.take(
    x,
    Int32Array.from({ length: count }, (_, i) => (i + by + count) % count),
  );
}
