/**
 * The facts of a file about RoPE: the number of dimensions, the frequencies, and how they are extended to longer
 * contexts.
 */
import type { RopeSpec } from '../backend/backend.ts';
import { yarnMagnitude, type RopeConfig, type RopeScaling } from '../layers/rope.ts';
import { both, MOST } from './config.ts';
import { wrong, type FactNames, type Facts } from './facts.ts';

export interface RopeFacts {
  readonly ggufRope: RopeSpec['style'];
  /** The number of rotated dimensions, if the file does not say it. */
  readonly headDim: number;
  /** The tokens of the context according to the file. */
  readonly trained: number;
  /** The tokens of the wanted context; default: the same. */
  readonly window: number | undefined;
  /** The rotated share of a head, if a Hugging Face file does not say it (default 1). */
  readonly rotated?: number | undefined;
}

export function ropeConfig(facts: Facts, { ggufRope, headDim, trained, window, rotated = 1 }: RopeFacts): RopeConfig {
  const hf = (name: string): readonly string[] => [...scalingNames(name), name];
  const partial = facts.number(both([], hf('partial_rotary_factor')), { least: 0, most: 1, default: rotated });
  // Gemma 4's rotated share is one of the frequencies: its pairs are those of the whole head.
  const proportional = facts.text(both([], hf('rope_type')), '') === 'proportional';
  const dimension = facts.integer(both('rope.dimension_count', []), {
    least: 2,
    most: headDim,
    default: proportional ? headDim : Math.floor(headDim * partial),
  });
  if (dimension % 2 !== 0) throw wrong('the number of rotated dimensions', dimension, 'should be even');
  const base = facts.number(both('rope.freq_base', hf('rope_theta')), {
    least: 1.001,
    most: MOST.base,
    default: 10000,
  });
  return {
    dimension,
    base,
    style: facts.source === 'gguf' ? ggufRope : 'half',
    scaling: ropeScaling(facts, { trained, window, pairs: dimension / 2, partial }),
  };
}

/** For the layers with full attention, if the file has parameters by type of layer. */
function scalingNames(name: string): readonly string[] {
  return [`rope_parameters.full_attention.${name}`, `rope_parameters.${name}`, `rope_scaling.${name}`];
}

/** LongRoPE's magnitude for a context of `trained` tokens that was `original` before. */
function longMagnitude(trained: number, original: number): number {
  return trained <= original ? 1 : Math.sqrt(1 + Math.log(trained / original) / Math.log(original));
}

function ropeScaling(
  facts: Facts,
  {
    trained,
    window = trained,
    pairs,
    partial,
  }: Pick<RopeFacts, 'trained' | 'window'> & { readonly pairs: number; readonly partial: number },
): RopeScaling {
  const hf = (...names: string[]): readonly string[] => names.flatMap(scalingNames);
  // Old llama.cpp converters wrote only the factor.
  const legacy = facts.number(both('rope.scale_linear', []), { least: 1 / MOST.factor, most: MOST.factor, default: 1 });
  const kind = facts.text(both('rope.scaling.type', hf('rope_type', 'type')), legacy === 1 ? 'none' : 'linear');
  const factor = (fallback?: number): number =>
    facts.number(both(['rope.scaling.factor', 'rope.scale_linear'], hf('factor')), {
      least: 1 / MOST.factor,
      most: MOST.factor,
      default: fallback,
    });
  const positive = (names: FactNames, fallback?: number): number =>
    facts.number(names, { least: 1e-6, most: MOST.context, default: fallback });
  switch (kind) {
    case 'none':
    case 'default':
    case 'mrope': // positions of several axes, which are no scaling (qwen-vl.ts)
    case 'dynamic': // NTK by length: nothing changes within the trained context, which is the window here
      return { kind: 'none' };
    case 'linear': {
      const by = factor(1);
      return by === 1 ? { kind: 'none' } : { kind: 'linear', factor: by };
    }
    case 'proportional':
      return { kind: 'proportional', factor: factor(1), pairs: Math.floor(partial * pairs) };
    case 'llama3':
      return {
        kind: 'llama3',
        factor: factor(),
        lowFrequency: positive(both([], hf('low_freq_factor')), 1),
        highFrequency: positive(both([], hf('high_freq_factor')), 4),
        originalContext: positive(
          both('rope.scaling.original_context_length', hf('original_max_position_embeddings')),
          trained,
        ),
      };
    case 'yarn': {
      const by = factor();
      const mscale = positive(both([], hf('mscale')), 1);
      const mscaleAll = facts.find(both([], hf('mscale_all_dim')));
      const all =
        mscaleAll === undefined
          ? undefined
          : facts.number(both([], hf('mscale_all_dim')), { least: 0, most: MOST.factor });
      // GGUF files whose two mscales are equal, so that they cancel, express it by this number only.
      const cancelled = facts.number(both('rope.scaling.yarn_log_multiplier', []), {
        least: -100,
        most: 100,
        default: 0,
      });
      const usual = cancelled !== 0 ? 1 : all ? yarnMagnitude(by, mscale) / yarnMagnitude(by, all) : yarnMagnitude(by);
      return {
        kind: 'yarn',
        factor: by,
        originalContext: positive(
          both('rope.scaling.original_context_length', hf('original_max_position_embeddings')),
          trained,
        ),
        betaFast: positive(both('rope.scaling.yarn_beta_fast', hf('beta_fast')), 32),
        betaSlow: positive(both('rope.scaling.yarn_beta_slow', hf('beta_slow')), 1),
        // llama.cpp's attn_factor multiplies the usual magnitude, Hugging Face's replaces it.
        magnitude:
          facts.source === 'gguf'
            ? usual * positive(both(['rope.scaling.yarn_attn_factor', 'rope.scaling.attn_factor'], []), 1)
            : positive(both([], hf('attention_factor')), usual),
        truncate: facts.flag(both([], hf('truncate')), true),
      };
    }
    case 'su':
    case 'longrope': {
      const original = positive(
        both('rope.scaling.original_context_length', [
          ...hf('original_max_position_embeddings'),
          'original_max_position_embeddings',
        ]),
        trained,
      );
      // The factors of a context length are used for all of its tokens: keys that were rotated by other factors would
      // not match.
      const name = window > original ? 'long_factor' : 'short_factor';
      const count = { least: pairs, most: pairs };
      const factors = facts.numbers(both([], hf(name)), { least: 1 / MOST.factor, most: MOST.factor }, count);
      return {
        kind: 'longrope',
        factors,
        magnitude: positive(both([], hf('attention_factor')), longMagnitude(trained, original)),
      };
    }
    default:
      throw wrong(
        'the RoPE scaling',
        kind,
        'should be linear, llama3, yarn, longrope or proportional; other kinds are not supported',
      );
  }
}
