/** Ids and images in, ids out: a prompt is prefilled (prefill.ts), then ids are drawn one by one (decode.ts). */
import type { SampleSpec, Tensor } from '../backend/backend.ts';
import type { Prompt } from '../chat/prompt.ts';
import { InputError } from '../errors.ts';
import type { Constraint } from '../constrain/constraint.ts';
import { allowed, Decoding, drawing, penalises } from './decode.ts';
import type { DeviceSequence } from './device-sequence.ts';
import type { DraftCounts } from './drafts.ts';
import { prefill } from './prefill.ts';

export interface GenerateOptions extends Prompt {
  /** The number of ids at the front that are in the sequence already; the prompt is the whole context. */
  readonly cached: number;
  readonly spec: SampleSpec;
  /** Ids that count as seen for penalties before the answer; default: those of the prompt. */
  readonly seen?: Int32Array | undefined;
  /** Ids that end the answer. */
  readonly stopIds: ReadonlySet<number>;
  /** Most ids to generate; at least 1. */
  readonly maxTokens: number;
  readonly chunk: number;
  /** The constraint of this answer; it is advanced by every id of it. */
  readonly constraint?: Constraint | undefined;
  /** Whether next tokens may be guessed from the context; default true. */
  readonly drafts?: boolean | undefined;
  /** Called with the model's own logits [1, vocabulary] of each draw, in order, in a scope. */
  readonly onLogits?: ((logits: Tensor) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
  /** `reached` is called when the sequence holds the first `at` tokens, unless it held more before. No call runs tokens on both sides. */
  readonly mark?: { readonly at: number; reached(): void } | undefined;
  /**
   * Called with every id except a stop id, in order. Returning true ends the answer. Waiting for its promise provides
   * back-pressure.
   */
  readonly onId: (id: number) => boolean | Promise<boolean>;
}

export interface Generated {
  readonly ids: readonly number[];
  readonly reason: 'stop' | 'length';
  /** The id that ended the answer, of `stopIds`. */
  readonly end?: number | undefined;
  readonly drafts?: DraftCounts | undefined;
  /** Milliseconds. */
  readonly prefill: number;
  readonly decode: number;
}

/** Generates one answer. On an error or abort the sequence keeps only positions that were computed for known ids. */
export async function generate(onDevice: DeviceSequence, options: GenerateOptions): Promise<Generated> {
  const { ids, spec, maxTokens, constraint } = options;
  const { sampler } = onDevice;
  if (maxTokens < 1) throw new InputError('argument', `maxTokens: ${maxTokens} is below 1`);
  const begun = performance.now();
  sampler.reset(penalises(spec) ? (options.seen ?? ids) : new Int32Array(0));
  const empty = constraint?.done === true;
  if (!empty) sampler.mask(allowed(onDevice, constraint));
  const decoding = new Decoding(onDevice, options);
  const { contrast } = onDevice;
  const take = contrast === undefined ? drawing(onDevice, options) : decoding.keepLogits;
  await prefill(onDevice, options, empty ? undefined : take);
  if (!empty && contrast !== undefined) await decoding.drawFirst();
  const prefilled = performance.now();
  if (empty) return { ids: [], reason: 'stop', prefill: prefilled - begun, decode: 0 };
  const reason = await decoding.run(take);
  const { generated, end, drafts } = decoding;
  return { ids: generated, reason, end, drafts, prefill: prefilled - begun, decode: performance.now() - prefilled };
}
