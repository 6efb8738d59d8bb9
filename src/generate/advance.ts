/**
 * One forward call of a sequence: the embeddings of its positions, the keys that they see, and the callback for their
 * hidden states.
 */
import type { Ranges, Tensor } from '../backend/backend.ts';
import type { PlacedSpan } from '../chat/prompt.ts';
import { isPlan, type Plan } from '../kv/plan.ts';
import { denseCausal } from '../kv/ranges.ts';
import { Held } from '../layers/held.ts';
import type { LanguageModel } from '../models/model.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import { placeNext, placePrompt } from './slots.ts';

/**
 * Returns the embeddings of positions `[start, start + count)`: those of images in their spans, those of ids elsewhere.
 * [count, hidden]
 */
function embed(
  { model, ring, images }: DeviceSequence,
  start: number,
  count: number,
  spans: readonly PlacedSpan[],
): Tensor {
  const { backend } = model;
  const end = start + count;
  const parts: Tensor[] = [];
  let done = start;
  for (const { at, tokens, image, row } of spans) {
    const from = Math.max(done, at);
    const to = Math.min(end, at + tokens);
    if (from >= to) continue;
    if (from > done) parts.push(model.embed(ring, done, from - done));
    parts.push(backend.rows(images.embeddings(image).embeddings, row + from - at, to - from));
    done = to;
  }
  if (done < end) parts.push(model.embed(ring, done, end - done));
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : backend.stack(parts);
}

/** One forward call. */
export interface Step {
  readonly start: number;
  readonly count: number;
  /** At least up to the end of the step. */
  readonly ids: Int32Array;
  readonly promptEnd: number;
  readonly phase: 'prefill' | 'decode';
  readonly take?: Take | undefined;
  readonly spans: readonly PlacedSpan[];
}

/** Called with the hidden states [count, hidden] of positions `[start, start + count)`, in a scope. */
export type Take = (hidden: Tensor, start: number, count: number) => void;

/**
 * Runs positions `[start, start + count)`: synchronously, unless a plan is asked layer by layer. When that fails, the
 * sequence ends before the step.
 */
export function advance(onDevice: DeviceSequence, step: Step): void | Promise<void> {
  const { model, sequence, planner, kvBits = 16 } = onDevice;
  const { start, count, spans } = step;
  const { backend, attention, rope } = model;
  sequence.settle(kvBits);
  sequence.ensure(start + count);
  if (step.phase === 'prefill') placePrompt(sequence, start, start + count, spans);
  else placeNext(sequence, start, start + count);
  const call = {
    backend,
    kv: sequence,
    position: start,
    count,
    ...attention,
    rope,
    ids: step.ids.subarray(0, start + count),
    phase: step.phase,
    promptEnd: step.promptEnd,
  };
  const chosen: Ranges | Plan = planner?.plan(call) ?? denseCausal(count, start + count);
  const asked = onDevice.tiers?.guard(sequence, chosen) ?? chosen;
  if (isPlan(asked)) return advancePlanned(onDevice, step, asked);
  const { ids, depth } = lookedUp(onDevice, step);
  backend.scope(() => {
    const x = embed(onDevice, start, count, spans);
    const more = onDevice.images.during(step);
    const hidden = model.forward(x, { kv: sequence, position: start, ranges: asked, ids, depth, ...more });
    step.take?.(hidden, start, count);
  });
  return undefined;
}

/** Where the ids of a step are, and after which layer it ends: those that only read what others cached serve its result. */
function lookedUp(
  { model, ring }: DeviceSequence,
  { start, take }: Step,
): { readonly ids: { readonly ring: Tensor; readonly start: number }; readonly depth: number | undefined } {
  return { ids: { ring, start }, depth: take === undefined ? model.ownLayers : undefined };
}

/** No scope is open while the plan is awaited, since other sessions compute meanwhile. */
async function advancePlanned(onDevice: DeviceSequence, step: Step, plan: Plan): Promise<void> {
  const { model, sequence } = onDevice;
  const { backend } = model;
  const { start, count, spans } = step;
  const { ids, depth } = lookedUp(onDevice, step);
  const held = new Held(backend);
  try {
    const x = held.step(() => embed(onDevice, start, count, spans));
    const more = onDevice.images.during(step, (body) => held.step(body));
    const hidden = await model.forwardPlanned(x, { kv: sequence, position: start, plan, ids, depth, ...more });
    try {
      backend.scope(() => step.take?.(hidden, start, count));
    } finally {
      backend.free(hidden);
    }
  } catch (error) {
    // The pages of the step were written in some layers only.
    cut(onDevice, start);
    throw error;
  } finally {
    held.free();
  }
}

/** Returns the logits [1, vocabulary] of the last of `count` hidden states, in the caller's scope. */
export function lastLogits(model: LanguageModel, hidden: Tensor, count: number): Tensor {
  return model.logits(count === 1 ? hidden : model.backend.rows(hidden, count - 1, 1));
}
