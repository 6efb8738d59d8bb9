/**
 * Sampling in two dispatches. Both are here, since the second reads what the first writes: see sample-prepare.wgsl and
 * sample-draw.wgsl.
 */
import common from '../lib/sample.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import draw from './sample-draw.wgsl';
import prepare from './sample-prepare.wgsl';

/** Ids of one workgroup of the first dispatch. */
const PART = 1024;

/** How the id is drawn; sample-prepare.wgsl and sample-draw.wgsl apply it in the order penalties, temperature, top-k, top-p, min-p. */
export interface SampleNumbers {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
}

export interface SampleInputs {
  readonly vocabulary: number;
  readonly logits: DeviceBuffer;
  readonly seen: DeviceBuffer;
  /** Bound but not read when nothing is masked. */
  readonly mask: DeviceBuffer;
  readonly masked: boolean;
  readonly spec: SampleNumbers;
  /** [vocabulary] f32, scratch */
  readonly values: DeviceBuffer;
  /** [sampleParts(vocabulary)] vec4, scratch */
  readonly parts: DeviceBuffer;
  readonly ring: DeviceBuffer;
  readonly index: number;
  /** In [0, 1). */
  readonly uniform: number;
}

export const sampleParts = (vocabulary: number): number => Math.ceil(vocabulary / PART);

export const samplePrepare: Kernel<SampleInputs> = {
  name: 'sample-prepare',
  bindings: ['read', 'read', 'read', 'write', 'write'],
  params: ['u32', 'u32', 'f32', 'f32'],
  types: () => '',
  source: () => `${prepare}\n${common}`,
  constants: () => ({}),
  grid: ({ vocabulary }) => [sampleParts(vocabulary), 1, 1],
  buffers: ({ logits, seen, mask, values, parts }) => [logits, seen, mask, values, parts],
  values: ({ vocabulary, masked, spec }) => [vocabulary, masked ? 1 : 0, spec.repetitionPenalty, spec.presencePenalty],
};

export const sampleDraw: Kernel<SampleInputs> = {
  name: 'sample-draw',
  bindings: ['read', 'read', 'write', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'f32', 'f32', 'f32', 'f32'],
  types: () => '',
  source: () => `${draw}\n${common}`,
  constants: () => ({}),
  grid: () => [1, 1, 1],
  buffers: ({ values, parts, seen, ring }) => [values, parts, seen, ring],
  values: ({ vocabulary, index, spec, uniform }) => [
    vocabulary,
    sampleParts(vocabulary),
    index,
    spec.topK,
    spec.temperature,
    spec.topP,
    spec.minP,
    uniform,
  ],
};
