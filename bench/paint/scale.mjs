// From what was measured to one whole picture. A stage's cost depends on the number of known tokens (encoder, language model, decoder) or of
// predicted ones (head) and on nothing else, so every iteration's is known: the head's is measured for each number that occurs, the others' lie on
// the straight lines between the iterations that were measured.
import {
  conditionFlops,
  decodeFlops,
  decoderFlops,
  encoderFlops,
  headFlops,
  languageFlops,
  promptFlops,
  timeFlops,
} from './flops.mjs';
import { median } from '../statistics.mjs';

export const STAGES = [
  'prompt prefill',
  'MAR encoder',
  'projections, language model',
  'MAR decoder',
  'diffusion head',
  'VAE decoder',
];

/** The value at `at` of the polyline through `points` [[x, y], ...], ascending in x. */
export function polyline(points, at) {
  const i = Math.max(
    1,
    points.findIndex(([x]) => x >= at),
  );
  const [[x0, y0], [x1, y1]] = points.length === 1 ? [points[0], points[0]] : [points[i - 1], points[i]];
  return x1 === x0 ? y0 : y0 + ((at - x0) / (x1 - x0)) * (y1 - y0);
}

/** Medians over several measurements of one engine: numbers by their place. */
export function medians(samples) {
  const [first] = samples;
  if (typeof first === 'number') return median(samples);
  if (Array.isArray(first)) return first.map((_, i) => medians(samples.map((s) => s[i])));
  if (typeof first === 'object' && first !== null)
    return Object.fromEntries(Object.keys(first).map((key) => [key, medians(samples.map((s) => s[key]))]));
  return first;
}

/** Milliseconds of each stage of a whole picture. `engine`: { prompt, rounds, head, decode } in milliseconds; `condition` is Octavo's alone. */
export function wholePicture(engine, plan, diffusionSteps) {
  const along = (field) => {
    const points = engine.rounds.map((round) => [round.known, round[field]]);
    return plan.reduce((sum, { known }) => sum + polyline(points, known), 0);
  };
  const head = new Map(engine.head.map((one) => [one.predicted, one]));
  const heads = plan.reduce((sum, { predicted }) => {
    const { condition = 0, step } = head.get(predicted);
    return sum + condition + diffusionSteps * step;
  }, 0);
  return [engine.prompt, along('encoder'), along('language'), along('decoder'), heads, engine.decode];
}

/** FLOPs of each stage of a whole picture; `savings`: Octavo's, else as upstream computes. */
export function pictureFlops(shape, { size, plan, prompts, diffusionSteps }, savings) {
  const tokens = (size / shape.patch) ** 2;
  const rows = prompts.length;
  const sum = (of) => plan.reduce((all, round) => all + of(round), 0);
  const headRow =
    diffusionSteps * headFlops(shape) +
    (savings ? conditionFlops(shape) : diffusionSteps * (conditionFlops(shape) + timeFlops(shape)));
  return [
    promptFlops(shape, prompts),
    sum(({ known }) => encoderFlops(shape, known)) * (savings ? 1 : rows),
    sum(({ known }) => languageFlops(shape, known, prompts, savings)),
    sum(({ known }) => decoderFlops(shape, known, tokens)) * rows,
    sum(({ predicted }) => predicted * headRow) * rows,
    decodeFlops(shape, size) * (savings ? 1 : rows),
  ];
}
