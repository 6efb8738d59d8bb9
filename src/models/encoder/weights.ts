/** The tensors of an encoder and of the layers after its pooling. */
import type { NormSpec } from '../../backend/backend.ts';
import type { ModelMetadata, TensorInfo } from '../../load/model-file.ts';
import { takeLayer } from '../decoder-weights.ts';
import type { EncoderWeights } from '../encoder.ts';
import { suffixed, TensorPlan, type Take } from '../weights.ts';
import type { HeadLayer } from './head.ts';
import type { DenseSpec, EncoderSpec, NormName } from './spec.ts';

/**
 * The first pass over an encoder's file. Throws `ModelError` for the first tensor that is missing, has the wrong shape
 * or is unknown.
 */
export function planEncoder(
  tensors: ReadonlyMap<string, TensorInfo>,
  file: ModelMetadata['kind'],
  { config, prefix, ...spec }: EncoderSpec,
  heads: readonly DenseSpec[],
): TensorPlan {
  const { architecture, layers } = config;
  const plan = new TensorPlan(tensors, {
    file,
    missing: `which every ${architecture} model of ${layers} layers has; it may be incomplete: give all of its parts`,
  });
  takeEncoder(plan.take, { config, prefix, ...spec });
  takeHead(plan.take, heads, config.hidden);
  const own = prefix(0)[file].replace(/0\.$/, '');
  plan.rejectUnknown((name) => name.startsWith(own) && !name.endsWith('inv_freq'), `${architecture} models`);
  return plan;
}

export function takeEncoder(take: Take, spec: EncoderSpec): EncoderWeights {
  const { config, layers, names, prefix, word, positions, segments, relative } = spec;
  const { hidden, vocabulary, heads, epsilon } = config;
  const norms = layers[0]?.norms;
  const norm = (of: NormName | undefined, kind: NormSpec['kind'], offset: number): NormSpec | undefined =>
    of && takeNorm(take, of, hidden, { kind, epsilon, offset });
  return {
    word: take.weight(word, [vocabulary, hidden]),
    positions: positions && take.weight(positions.name, [positions.rows, hidden]),
    segments: segments && take.weight(segments.name, [segments.rows, hidden]),
    embeddingNorm: norm(spec.embeddingNorm, 'layer', 0),
    layers: layers.map((layer, i) => takeLayer(take, layer, { hidden, names, prefix: prefix(i) })),
    finalNorm: norm(spec.finalNorm, norms?.kind ?? 'layer', norms?.offset ?? 0),
    relative: relative && take.table(relative.name, [relative.buckets, heads]),
  };
}

/** The layers after the pooling; the first takes rows of `width`. */
export function takeHead(take: Take, layers: readonly DenseSpec[], width: number): readonly HeadLayer[] {
  let before = width;
  return layers.map((layer) => {
    const made = takeDense(take, layer, before);
    before = made.width;
    return made;
  });
}

function takeDense(take: Take, { name, bias, activation, norm }: DenseSpec, width: number): HeadLayer {
  const weight = suffixed(name, 'weight');
  const rows = take.rows(weight);
  return {
    weight: take.weight(weight, [rows, width]),
    bias: bias ? take.weight(suffixed(name, 'bias'), [rows]) : undefined,
    activation,
    norm: norm && takeNorm(take, norm, rows, { kind: 'layer', epsilon: 1e-5, offset: 0 }),
    width: rows,
  };
}

function takeNorm(
  take: Take,
  { name, bias }: NormName,
  width: number,
  { kind, epsilon, offset }: { readonly kind: NormSpec['kind']; readonly epsilon: number; readonly offset: number },
): NormSpec {
  const stored = offset === 0 ? {} : { map: (value: number) => value + offset };
  return {
    kind,
    weight: take.weight(suffixed(name, 'weight'), [width], stored),
    ...(bias && { bias: take.weight(suffixed(name, 'bias'), [width]) }),
    epsilon,
  };
}
