/** SmolLM3: Llama's block, where every fourth layer does not rotate its keys and queries (NoPE). */
import type { Architecture } from './architecture.ts';
import { both, MOST } from './config.ts';
import { decoderSpec } from './decoder-spec.ts';

/** The distance between layers without RoPE; GGUF files do not say it. */
const INTERVAL = 4;

export const smollm3: Architecture = (facts, tensors) => {
  const list = both([], 'no_rope_layers');
  // 1 where a layer has RoPE.
  const marks = facts.find(list) && facts.numbers(list, { least: 0, most: 1 }, { least: 0, most: MOST.layers });
  const interval = facts.integer(both([], 'no_rope_layer_interval'), {
    least: 1,
    most: MOST.layers,
    default: INTERVAL,
  });
  return decoderSpec(facts, tensors, {
    architecture: 'smollm3',
    ggufRope: 'interleaved',
    rope: (own, layer) => ((marks?.[layer] ?? (layer + 1) % interval) === 0 ? undefined : own),
  });
};
