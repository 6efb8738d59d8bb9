/**
 * The parts for images of a UniPic model (Skywork UniPic, Harmon, nano) around its language model: the vision part with
 * its two routes, and the painter.
 */
import type { Backend, PictureOperations, Tensor } from '../../backend/backend.ts';
import { FullAttention } from '../../layers/full-attention.ts';
import { siluMlp } from '../../layers/linear.ts';
import type { LanguageModel } from '../decoder.ts';
import type { PaintModel } from '../paint-model.ts';
import type { VisionModel } from '../vision/vision-model.ts';
import type { UniPicConfig } from './config.ts';
import { DiffusionHead } from './head.ts';
import { KlDecoder, KlEncoder } from './kl-tokenizer.ts';
import { MarDecoder, MarEncoder } from './mar.ts';
import { abilities, lack, SEE, type PartName, type Parts } from './parts.ts';
import { PatchDecoder, PatchEncoder } from './patch-tokenizer.ts';
import { SiglipTower } from '../vision/siglip.ts';
import { SourceEncoder } from './source.ts';
import { standardise, type PictureDecoder, type PictureEncoder, type Standardise } from './tokenizer.ts';
import { UniPicVision } from './vision.ts';

export { uniPicConfig, type UniPicConfig } from './config.ts';
export { abilities, PartsPlan } from './parts.ts';

export interface UniPicOptions {
  /** Most bytes of one tensor of the image tokenizer; larger pictures are computed in bands of rows. */
  readonly bandBytes?: number | undefined;
}

/**
 * WebGPU: the least size that every adapter can bind. WASM: a pause for aborts and other work after some tenths of a
 * second.
 */
const BAND_BYTES = { webgpu: 2 ** 27, wasm: 2 ** 25, reference: 2 ** 27 } as const;

/** What the file's image parts make. */
export interface UniPic {
  readonly vision: VisionModel | undefined;
  readonly paint: PaintModel | undefined;
  /** Sentences: what the model cannot do, and which parts the file lacks for it. */
  readonly missing: readonly string[];
  /** Frees what was made here; the weights belong to the model. */
  free(): void;
}

export async function createUniPic(
  language: LanguageModel,
  config: UniPicConfig,
  parts: Parts,
  { bandBytes = BAND_BYTES[language.backend.kind] }: UniPicOptions = {},
): Promise<UniPic> {
  const { backend, finalNorm } = language;
  const { mar, diffusion } = config;
  const { present, encoder, decoder, head, projIn, projOut, siglip } = parts;
  const own = parts.pictureEncoder && (await standardiseFor(backend, config, parts));
  const operations = await backend.pictureOperations();
  const attention = new FullAttention(backend, mar.heads, mar.width / mar.heads);
  const marEncoder = encoder && new MarEncoder(backend, mar, encoder, attention);
  const marDecoder = decoder && new MarDecoder(backend, mar, decoder, attention);
  const pictureEncoder = own && createPictureEncoder(backend, operations, config, parts, own, bandBytes);
  const pictureDecoder = createPictureDecoder(backend, operations, config, parts, bandBytes);
  const tower = siglip && config.siglip && new SiglipTower(backend, config.siglip, siglip.tower);
  const toLanguage = projIn && ((x: Tensor): Tensor => rotate(backend, siluMlp(backend, x, projIn), mar.buffers));
  const source =
    marEncoder && pictureEncoder && toLanguage && new SourceEncoder(config, pictureEncoder, marEncoder, toLanguage);
  const lacks = (verb: string, names: readonly PartName[]): string | undefined => lack(present, verb, names);
  const { missing } = abilities(present);
  const vision =
    (source ?? tower) &&
    new UniPicVision(backend, config, source, tower && siglip && { tower, projector: siglip.projector }, (route) =>
      route === 'mar'
        ? lacks('see pictures by the MAR route', SEE)
        : lacks('see pictures by the SigLIP route', ['siglip']),
    );
  const paint: PaintModel | undefined =
    marEncoder && marDecoder && pictureDecoder && head && toLanguage && projOut
      ? {
          backend,
          operations,
          config,
          encoder: marEncoder,
          decoder: marDecoder,
          pictures: pictureDecoder,
          head: new DiffusionHead(backend, diffusion, mar.epsilon, head),
          toLanguage,
          fromLanguage: (x, hidden) =>
            backend.add(x, rotate(backend, siluMlp(backend, hidden, projOut, { norm: finalNorm }), -mar.buffers)),
          source: source?.encode.bind(source),
        }
      : undefined;
  return {
    vision,
    paint,
    missing,
    free: () => {
      for (const part of [attention, marEncoder, marDecoder, tower, own?.weight, own?.bias]) part?.free();
    },
  };
}

function standardiseFor(backend: Backend, { tokenizer, channels }: UniPicConfig, parts: Parts): Promise<Standardise> {
  return standardise(backend, tokenizer, parts.pictureEncoder?.kind === 'kl' ? 2 * channels : channels);
}

function createPictureEncoder(
  backend: Backend,
  operations: PictureOperations,
  { tokenizer, patch }: UniPicConfig,
  { pictureEncoder }: Parts,
  own: Standardise,
  bandBytes: number,
): PictureEncoder | undefined {
  if (pictureEncoder?.kind === 'patch') return new PatchEncoder(backend, patch, pictureEncoder, own);
  if (pictureEncoder === undefined || tokenizer.kind !== 'kl') return undefined;
  return new KlEncoder(backend, operations, tokenizer, pictureEncoder, own, bandBytes);
}

function createPictureDecoder(
  backend: Backend,
  operations: PictureOperations,
  { tokenizer, patch }: UniPicConfig,
  { pictureDecoder }: Parts,
  bandBytes: number,
): PictureDecoder | undefined {
  if (pictureDecoder?.kind === 'patch' && tokenizer.kind === 'patch')
    return new PatchDecoder(backend, operations, patch, tokenizer, pictureDecoder);
  if (pictureDecoder?.kind === 'kl' && tokenizer.kind === 'kl')
    return new KlDecoder(backend, operations, tokenizer, patch, pictureDecoder, bandBytes);
  return undefined;
}

/** Moves the first `by` rows of x to the end, or, for `by` below 0, the last rows to the front. */
function rotate(backend: Backend, x: Tensor, by: number): Tensor {
  const [count = 0] = x.shape;
  return backend.take(
    x,
    Int32Array.from({ length: count }, (_, i) => (i + by + count) % count),
  );
}
