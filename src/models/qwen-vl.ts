/** The language models of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: the blocks of Qwen 2 and 3, with positions of three axes (M-RoPE, Wang et al. 2024). */
import type { RopeSections } from '../backend/backend.ts';
import type { RopeConfig } from '../layers/rope.ts';
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec } from './decoder-spec.ts';
import { wrong, type Facts } from './facts.ts';

export const qwen2vl: Architecture = (facts, tensors) =>
  decoderSpec(facts, tensors, { architecture: 'qwen2vl', bias: 'required', rope: sectioned(facts, 'consecutive') });

export const qwen3vl: Architecture = (facts, tensors) =>
  decoderSpec(facts, tensors, { architecture: 'qwen3vl', normed: true, rope: sectioned(facts, 'interleaved') });

/** RoPE with the sections from the file. */
export function sectioned(facts: Facts, order: RopeSections['order']): (own: RopeConfig) => RopeConfig {
  return (own) => ({ ...own, sections: ropeSections(facts, order, own.dimension / 2) });
}

/** How many of a head's `pairs` are rotated by time, by height and by width. */
function ropeSections(facts: Facts, order: RopeSections['order'], pairs: number): RopeSections {
  const names = both('rope.dimension_sections', ['rope_parameters.mrope_section', 'rope_scaling.mrope_section']);
  const [time = 0, height = 0, width = 0, ...rest] = facts.numbers(
    names,
    { least: 0, most: MOST.headDim },
    { least: 3, most: 4 },
  );
  const all = [time, height, width];
  if (all.some((count) => !Number.isInteger(count)) || time + height + width !== pairs || rest.some((n) => n !== 0))
    throw wrong('the sections of M-RoPE', [...all, ...rest], `should be three whole numbers that add up to ${pairs}`);
  return { order, pairs: [time, height, width] };
}
