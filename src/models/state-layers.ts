/**
 * What a decoder needs for layers that carry a state: their mixers, their weights, and the states of its sequences.
 * Downloaded with the architectures that have such layers.
 */
import type { Backend } from '../backend/backend.ts';
import { SequenceState } from '../kv/state.ts';
import type { ConvMixerSpec, DeltaMixerSpec, LayerRole, LayerSpec, StateMixerSpec } from '../layers/layer-spec.ts';
import { deltaChannels, stateSize, stateMixers, stateSlots, type CreateStateMixer } from '../layers/state-mixers.ts';
import type { Stored } from './weights.ts';

/** Bytes of the snapshots that a sequence keeps at block borders, as far as FEWEST allows it. */
const SNAPSHOT_BYTES = 1 << 26;
const FEWEST_BORDERS = 3;
const MOST_BORDERS = 16;
/**
 * The steps that WebGPU is ahead of the host (generate/decode.ts), and the one before them. On other devices a step is
 * issued only when it is needed.
 */
const RECENT = { webgpu: 5, wasm: 1, reference: 1 } as const;

export interface StateLayers {
  /** Makes what creates the mixers on a backend. */
  readonly mixers: (backend: Backend) => Promise<CreateStateMixer>;
  /** The number of slots of states of a layer. */
  readonly slots: (spec: Omit<ConvMixerSpec, 'slot'> | Omit<DeltaMixerSpec, 'slot'>) => number;
  /** Bytes of all states at one position. */
  readonly bytes: (layers: readonly LayerSpec[]) => number;
  readonly sequence: (backend: Backend, layers: readonly LayerSpec[]) => SequenceState;
  /** Takes a layer's weights by role, as `takeLayer` does. */
  readonly take: (spec: StateMixerSpec, hidden: number, need: NeedWeight) => void;
}

export type NeedWeight = (role: LayerRole, shape: readonly number[], stored?: Stored) => void;

/** `decay`: computes the decay of a delta net from the stored values. */
export function stateLayers(decay?: (value: number) => number): StateLayers {
  const bytes = (layers: readonly LayerSpec[]): number =>
    layers.reduce((sum, { mixer }) => sum + (mixer.kind === 'attention' ? 0 : 4 * stateSize(mixer)), 0);
  return {
    mixers: async (backend) => stateMixers(await backend.stateOperations()),
    slots: (spec) => stateSlots({ ...spec, slot: 0 }),
    bytes,
    sequence: (backend, layers) => {
      const borders = Math.floor(SNAPSHOT_BYTES / Math.max(1, bytes(layers)));
      return new SequenceState(backend, {
        recent: RECENT[backend.kind],
        borders: Math.min(MOST_BORDERS, Math.max(FEWEST_BORDERS, borders)),
      });
    },
    take: (spec, hidden, need) => {
      if (spec.kind === 'conv') {
        need('mixed', [3 * spec.channels, hidden]);
        need('convolution', [spec.taps * spec.channels], tapByTap(spec.taps, spec.channels));
        need('output', [hidden, spec.channels]);
        return;
      }
      const { valueHeads, valueDim } = spec;
      const channels = deltaChannels(spec);
      need('mixed', [channels, hidden]);
      need('convolution', [spec.taps * channels], tapByTap(spec.taps, channels));
      need('deltaGate', [valueHeads * valueDim, hidden]);
      need('deltaBeta', [valueHeads, hidden]);
      need('deltaStep', [valueHeads, hidden]);
      need('deltaDecay', [valueHeads], decay && { map: decay });
      need('deltaTimeBias', [valueHeads]);
      need('deltaNorm', [valueDim]);
      need('output', [hidden, valueHeads * valueDim]);
    },
  };
}

/** Files have the taps of each channel side by side, and Hugging Face an axis of 1 between. */
function tapByTap(taps: number, channels: number): Stored {
  return {
    alsoAs: [
      [channels, taps],
      [channels, 1, taps],
    ],
    order: Int32Array.from({ length: taps * channels }, (_, i) => (i % channels) * taps + Math.floor(i / channels)),
  };
}
