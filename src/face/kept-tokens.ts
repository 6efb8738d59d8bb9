/** Which tokens of an image a selection keeps, as the page asks for it. */
import type { ImageOptions } from '../models/vision/vision-model.ts';
import type { KeptTokens } from '../see/kept-cells.ts';
import { cannotSee } from '../see/images.ts';
import type { VisualMethod, VisualSelection } from '../select/visual/index.ts';
import type { ImageInput } from '../vision/read.ts';
import { misfit, type ShapeOf } from './check.ts';
import { ABORTABLE, SESSION } from './options.ts';
import type { OnModel } from './painting.ts';
import { transferPixels, type PictureInput } from './pictures.ts';

/** Options of `model.keptTokens`. */
export interface KeptTokensOptions {
  /** As `context.visual` of a session. */
  readonly selection: VisualMethod | VisualSelection;
  /** The question, for methods that depend on it (`cdpruner`). */
  readonly question?: string | undefined;
  /** How the image is shown to the model, as in `createSession`. */
  readonly visual?: ImageOptions | undefined;
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const KEPT: ShapeOf<Required<KeptTokensOptions>> = {
  ...ABORTABLE,
  selection: { anyOf: [{ is: 'string' }, { is: 'object' }] },
  question: { is: 'string' },
  visual: SESSION.visual,
};

export async function keptTokens(
  { caller, model }: OnModel,
  image: ImageInput,
  options: KeptTokensOptions,
  { read, see, missing }: PictureInput,
): Promise<KeptTokens> {
  const problem = misfit('keptTokens', options, KEPT);
  if (problem !== undefined) return problem;
  if (!see) throw cannotSee('keptTokens', missing);
  const { signal, ...settings } = options;
  const { data, width, height } = await read(image, signal);
  const pixels = { data, width, height };
  const transfer: Transferable[] = [];
  transferPixels(pixels, transfer);
  return caller.call('keptTokens', { model, image: pixels, settings }, { signal, transfer });
}
