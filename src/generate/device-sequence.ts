/** What one sequence needs on the device, and how it is cut and given back. */
import type { Sampler, Tensor } from '../backend/backend.ts';
import type { KvBits } from '../kv/precision.ts';
import type { Sequence } from '../kv/sequence.ts';
import type { Planner } from '../kv/plan.ts';
import type { Tiers } from '../kv/tiers.ts';
import type { LanguageModel } from '../models/model.ts';
import type { ImageProcessor } from '../see/images.ts';

/** What an answer's logits are contrasted with (contrast.ts). */
export interface Contrasting {
  /** From the logits [1, vocabulary] behind the id at `ring[slot]` to those that are drawn from; in the caller's scope. */
  against(ring: Tensor, slot: number, logits: Tensor): Tensor;
}

/** Owned by the session. */
export interface DeviceSequence {
  readonly model: LanguageModel;
  readonly sequence: Sequence;
  /** [window + 1] ids */
  readonly ring: Tensor;
  readonly sampler: Sampler;
  /** The ids that have a token, where the output head is padded to a round number: the others are never drawn. */
  readonly drawable?: Uint32Array | undefined;
  readonly images: Pick<ImageProcessor, 'encode' | 'embeddings'>;
  /** How precisely older pages are kept; default 16. */
  readonly kvBits?: KvBits | undefined;
  /** Where pages are that are not on the device; undefined: all are. */
  readonly tiers?: Pick<Tiers, 'room' | 'guard'> | undefined;
  /** What attention may look at; undefined: everything before a token. */
  readonly planner?: Planner | undefined;
  /** Of one answer. */
  readonly contrast?: Contrasting | undefined;
}

/**
 * Forgets positions from `length` on. Returns the remaining length, from which the sequence can continue: less than asked for where pages
 * before it were dropped because of later tokens, or because of a prompt that differs from `next`, the ids of the new one.
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

/** Frees what it holds on the device; a lost device has freed it already. */
export function freeDeviceSequence({ model, sequence, ring, sampler, planner }: DeviceSequence): void {
  const steps = [() => planner?.free(), () => sequence.free(), () => model.backend.free(ring), () => sampler.free()];
  for (const step of steps) {
    try {
      step();
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
  }
}
