/** The state of one sequence on the device, and how it is truncated and freed. */
import type { Sampler, Tensor } from '../backend/backend.ts';
import type { KvBits } from '../kv/precision.ts';
import type { Sequence } from '../kv/sequence.ts';
import type { Planner } from '../kv/plan.ts';
import type { Tiers } from '../kv/tiers.ts';
import type { LanguageModel } from '../models/model.ts';
import type { ImageProcessor } from '../see/images.ts';

/** The contrast of an answer's logits (contrast.ts). */
export interface Contrasting {
  /**
   * Computes the logits that are drawn from, given the logits [1, vocabulary] of the id at `ring[slot]`, in the
   * caller's scope.
   */
  against(ring: Tensor, slot: number, logits: Tensor): Tensor;
  /** The ids that the last logits given to `against` hold for plausible; the others are not drawn. */
  plausible(): Promise<Uint32Array>;
}

/** Owned by the session. */
export interface DeviceSequence {
  readonly model: LanguageModel;
  readonly sequence: Sequence;
  /** [window + 1] ids */
  readonly ring: Tensor;
  readonly sampler: Sampler;
  /**
   * A mask of the ids that have a token, if the output head is padded to a round number; the others are never drawn.
   */
  readonly drawable?: Uint32Array | undefined;
  readonly images: Pick<ImageProcessor, 'encode' | 'embeddings' | 'during'>;
  /** The precision of older pages; default 16. */
  readonly kvBits?: KvBits | undefined;
  /** Where offloaded pages are; undefined when all pages are on the device. */
  readonly tiers?: Pick<Tiers, 'room' | 'guard'> | undefined;
  /** Which keys attention may see; undefined for all keys before a token. */
  readonly planner?: Planner | undefined;
  /** The contrast of one answer. */
  readonly contrast?: Contrasting | undefined;
}

/**
 * Drops positions from `length` on. Returns the remaining length, from which the sequence can continue: less than
 * requested when pages before it were released because of later tokens, or because of a prompt that differs from
 * `next`, the ids of the new prompt.
 */
export function cut({ sequence, planner }: DeviceSequence, asked: number, next?: Int32Array): number {
  const most = Math.min(asked, sequence.length);
  const length = next === undefined ? asked : Math.min(asked, planner?.keeps?.(most, next) ?? asked);
  if (length >= sequence.length) return sequence.length;
  for (let wanted = length; ;) {
    const kept = Math.min(wanted, planner?.keeps?.(wanted) ?? wanted);
    wanted = sequence.truncate(kept);
    if (wanted < kept) continue;
    planner?.truncated?.(wanted);
    return wanted;
  }
}

/** Frees its memory on the device; a lost device has freed it already. */
export function freeDeviceSequence({ model, sequence, ring, sampler, planner }: DeviceSequence): void {
  const steps = [() => planner?.free(), () => sequence.free(), () => model.backend.free(ring), () => sampler.free()];
  for (const step of steps) {
    try {
      step();
    } catch {
      // The device is lost, so there is nothing to free on it.
    }
  }
}
