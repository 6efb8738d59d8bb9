/** Determines which parts for images a file has, and what a model can do with them. */
import type { Backend, WeightWriter } from '../../backend/backend.ts';
import type { TensorInfo } from '../../load/model-file.ts';
import type { UniPicConfig } from './config.ts';
import { headWeights } from './head-weights.ts';
import { decoderWeights, encoderWeights, projector } from './mar-weights.ts';
import { klDecoderWeights, klEncoderWeights, patchDecoderWeights, patchEncoderWeights } from './vae-weights.ts';
import { siglipNames, siglipWeights } from '../vision/siglip.ts';
import { TensorPlan, type Take } from '../weights.ts';

export type PartName =
  | 'encoder'
  | 'decoder'
  | 'head'
  | 'projIn'
  | 'projOut'
  | 'pictureEncoder'
  | 'pictureDecoder'
  | 'siglip';

/** What each part is called in messages, and the names of its tensors. */
const PARTS: Readonly<Record<PartName, { readonly title: string; readonly names: RegExp }>> = {
  encoder: {
    title: 'the MAR encoder (mar.encoder_blocks and what goes before them)',
    names: /^mar\.(fake_latent$|z_proj|encoder_)/,
  },
  decoder: {
    title: 'the MAR decoder (mar.decoder_blocks and what goes with them)',
    names: /^mar\.(mask_token$|decoder_|diffusion_pos_embed)/,
  },
  head: { title: 'the diffusion head (mar.diffloss)', names: /^mar\.diffloss\./ },
  projIn: { title: 'the projection into the language model (proj_in)', names: /^proj_in\./ },
  projOut: { title: 'the projection out of the language model (proj_out)', names: /^proj_out\./ },
  pictureEncoder: { title: "the image tokenizer's encoder (vae.encoder)", names: /^vae\.(encoder\.|quant_conv\.)/ },
  pictureDecoder: {
    title: "the image tokenizer's decoder (vae.decoder)",
    names: /^vae\.(decoder\.|post_quant_conv\.)/,
  },
  siglip: { title: 'the SigLIP tower (siglip2, siglip2_proj)', names: /^siglip2(_proj)?\./ },
};

const NAMES = Object.keys(PARTS) as PartName[];

/** By the MAR route. */
export const SEE: readonly PartName[] = ['pictureEncoder', 'encoder', 'projIn'];
export const PAINT: readonly PartName[] = ['encoder', 'projIn', 'projOut', 'decoder', 'head', 'pictureDecoder'];

export const EDIT: readonly PartName[] = [...new Set([...PAINT, ...SEE])];

/** Returns a sentence that names those of `parts` which the file does not have; undefined if it has all. */
export function lack(present: ReadonlySet<PartName>, verb: string, parts: readonly PartName[]): string | undefined {
  const gone = parts.filter((part) => !present.has(part));
  return gone.length === 0
    ? undefined
    : `this model cannot ${verb}: the file does not have ${gone.map((part) => PARTS[part].title).join(', nor ')}`;
}

/** What a model with these parts can do, and what it cannot and why. */
export function abilities(present: ReadonlySet<PartName>): {
  readonly see: boolean;
  readonly paint: boolean;
  readonly edit: boolean;
  readonly missing: readonly string[];
} {
  const see = present.has('siglip') ? undefined : lack(present, 'see pictures', SEE);
  const [paint, edit] = [lack(present, 'paint', PAINT), lack(present, 'edit pictures', EDIT)];
  return {
    see: see === undefined,
    paint: paint === undefined,
    edit: edit === undefined,
    missing: [see, paint, edit].filter((sentence) => sentence !== undefined),
  };
}

export type Parts = ReturnType<typeof takeParts>;

/** The weights of the parts; `undefined` for a missing part. `hidden` is the width of the language model. */
export function takeParts(take: Take, config: UniPicConfig, hidden: number, present: ReadonlySet<PartName>) {
  const { mar, tokenizer, siglip } = config;
  const part = <T>(name: PartName, body: () => T): T | undefined => (present.has(name) ? body() : undefined);
  return {
    present,
    encoder: part('encoder', () => encoderWeights(take, config)),
    decoder: part('decoder', () => decoderWeights(take, config)),
    head: part('head', () => headWeights(take, config)),
    projIn: part('projIn', () => projector(take, 'proj_in', [mar.width, hidden, hidden])),
    projOut: part('projOut', () => projector(take, 'proj_out', [hidden, hidden, mar.width])),
    pictureEncoder: part('pictureEncoder', () =>
      tokenizer.kind === 'kl' ? klEncoderWeights(take, tokenizer, config.channels) : patchEncoderWeights(take, config),
    ),
    pictureDecoder: part('pictureDecoder', () =>
      tokenizer.kind === 'kl' ? klDecoderWeights(take, tokenizer, config.channels) : patchDecoderWeights(take, config),
    ),
    siglip: part(
      'siglip',
      () =>
        siglip && {
          tower: siglipWeights(take, siglip, siglipNames('siglip2.', true)),
          projector: projector(take, 'siglip2_proj', [siglip.width, hidden, hidden]),
        },
    ),
  };
}

/** Checks the whole file before anything is read; `writer` reads, `read` gives the parts. */
export class PartsPlan {
  /** The parts that the file has. */
  readonly present: ReadonlySet<PartName>;
  readonly #plan: TensorPlan;
  readonly #take: (take: Take) => Parts;

  constructor(tensors: ReadonlyMap<string, TensorInfo>, config: UniPicConfig, hidden: number) {
    const names = [...tensors.keys()];
    const present = new Set(
      NAMES.filter(
        (part) =>
          (part !== 'siglip' || config.siglip !== undefined) && names.some((name) => PARTS[part].names.test(name)),
      ),
    );
    this.present = present;
    this.#plan = new TensorPlan(tensors, {
      missing: 'though it has others of that part; it may be incomplete: convert the model again',
    });
    this.#take = (take) => takeParts(take, config, hidden, present);
    this.#take(this.#plan.take);
    this.#plan.rejectUnknown(
      (name) => NAMES.some((part) => present.has(part) && PARTS[part].names.test(name)),
      'UniPic models of this configuration',
    );
  }

  /** Awaited before the first `writer`. */
  prepare(): Promise<void> {
    return this.#plan.prepare();
  }

  writer(info: TensorInfo, backend: Backend): WeightWriter | undefined {
    return this.#plan.writer(info, backend);
  }

  /** Once everything is read. */
  read(): Parts {
    return this.#take(this.#plan.read());
  }
}
