/**
 * DHSA (2510.24606, first version): chunks between boundaries found in the keys, of which the best are chosen for every
 * block of 128 queries.
 */
import { InputError } from '../../errors.ts';
import type { PrefillOptions } from '../options.ts';
import { Boundaries, similarityScorer } from './dhsa-boundaries.ts';
import { ChunkPlanner } from './dhsa-planner.ts';
import { sparseSettings } from './dhsa-settings.ts';
import type { PlannerFacts } from '../facts.ts';

const DEFAULTS = { sinks: 4, local: 128, instruction: 64 };

/** Throws `InputError('argument')` for invalid options. */
export function createDhsaPlanner(
  options: PrefillOptions,
  { wasm, boundary }: Pick<PlannerFacts, 'wasm' | 'boundary'>,
): ChunkPlanner {
  const settings = sparseSettings(options, DEFAULTS);
  if (options.boundaries === 'learned' && boundary === undefined) {
    throw new InputError(
      'argument',
      "prefill.boundaries is 'learned', and this model's file has no boundary predictor; take 'similarity', which needs none",
      {},
    );
  }
  const scorer = options.boundaries === 'similarity' ? similarityScorer : (boundary ?? similarityScorer);
  return new ChunkPlanner(
    wasm,
    { settings, whole: false, sharedLayer: options.sharedLayer, decodes: options.decodes === true },
    new Boundaries(wasm, scorer),
  );
}
