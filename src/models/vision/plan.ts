/**
 * Turns a vision part into a plan: one function over `Take`, run twice, takes its tensors, and another creates the
 * model from them.
 */
import type { Backend } from '../../backend/backend.ts';
import type { LanguageModel } from '../model.ts';
import { TensorPlan, type Take } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { checkFits } from './tower-facts.ts';
import type { VisionModel } from './vision-model.ts';

export interface VisionParts<Weights> {
  /** The family's name in messages. */
  readonly family: string;
  /** The width of the embeddings that the file's projector produces; undefined if its tensor is missing. */
  readonly makes: number | undefined;
  readonly take: (take: Take) => Weights;
  readonly create: (backend: Backend, weights: Weights) => VisionModel & { free(): void };
}

/** Throws `ModelError` for the first tensor that is missing or has the wrong shape, before anything is read. */
export function planOf<Weights>(
  file: VisionFile,
  context: VisionContext,
  { family, makes, take, create }: VisionParts<Weights>,
): VisionPlan {
  const plan = new TensorPlan(file.tensors, {
    file: file.metadata.kind,
    missing: `which every ${family} vision part has; give the vision part (mmproj) of this very model`,
  });
  checkFits(makes, context);
  take(plan.take);
  return {
    prepare: () => plan.prepare(),
    writer: (info, backend) => plan.writer(info, backend),
    create: ({ backend }: LanguageModel) => {
      const vision = create(backend, take(plan.read()));
      return { vision, free: () => vision.free() };
    },
  };
}
