/** Layers with a state, as their papers write them: naive loops over f64 arrays, token by token. */
import { normalise } from './maths.ts';

const { exp, floor, log1p, sqrt } = Math;

/** u [t, channels] behind `state` [taps - 1, channels]: sums [t, channels], and the last taps - 1 rows. */
export function causalConvolution(
  u: Float64Array,
  weight: Float64Array,
  taps: number,
  channels: number,
  state: Float64Array,
): { readonly sums: Float64Array; readonly after: Float64Array } {
  const all = Float64Array.of(...state, ...u);
  const t = u.length / channels;
  const sums = new Float64Array(u.length);
  for (let i = 0; i < t; i++)
    for (let c = 0; c < channels; c++)
      for (let k = 0; k < taps; k++)
        sums[i * channels + c]! += weight[k * channels + c]! * all[(i + k) * channels + c]!;
  return { sums, after: all.slice(t * channels) };
}

export interface DeltaShape {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly tiled: boolean;
}

export interface DeltaToken {
  readonly q: Float64Array; // [keyHeads, keyDim]
  readonly k: Float64Array; // [keyHeads, keyDim]
  readonly v: Float64Array; // [valueHeads, valueDim]
  readonly z: Float64Array; // [valueHeads, valueDim]
  readonly b: Float64Array; // [valueHeads]
  readonly a: Float64Array; // [valueHeads]
}

const unit = (x: Float64Array): Float64Array => {
  const length = sqrt(x.reduce((sum, value) => sum + value * value, 0) + 1e-6);
  return x.map((value) => value / length);
};

/** One token: changes `state` [valueHeads, keyDim, valueDim] and gives [valueHeads * valueDim]. */
export function deltaToken(
  shape: DeltaShape,
  { q, k, v, z, b, a }: DeltaToken,
  state: Float64Array,
  { decay, timeBias }: { readonly decay: Float64Array; readonly timeBias: Float64Array },
  norm: { readonly weight: Float64Array; readonly epsilon: number },
): Float64Array {
  const { keyHeads, valueHeads, keyDim, valueDim, tiled } = shape;
  const out = new Float64Array(valueHeads * valueDim);
  for (let n = 0; n < valueHeads; n++) {
    const head = tiled ? n % keyHeads : floor((n * keyHeads) / valueHeads);
    const key = unit(k.slice(head * keyDim, (head + 1) * keyDim));
    const query = unit(q.slice(head * keyDim, (head + 1) * keyDim)).map((value) => value / sqrt(keyDim));
    const kept = exp(decay[n]! * log1p(exp(a[n]! + timeBias[n]!)));
    const beta = 1 / (1 + exp(-b[n]!));
    const s = state.subarray(n * keyDim * valueDim, (n + 1) * keyDim * valueDim);
    for (let i = 0; i < s.length; i++) s[i]! *= kept;
    const o = new Float64Array(valueDim);
    for (let j = 0; j < valueDim; j++) {
      let known = 0;
      for (let i = 0; i < keyDim; i++) known += key[i]! * s[i * valueDim + j]!;
      const d = beta * (v[n * valueDim + j]! - known);
      for (let i = 0; i < keyDim; i++) {
        s[i * valueDim + j]! += key[i]! * d;
        o[j]! += query[i]! * s[i * valueDim + j]!;
      }
    }
    const normed = normalise(o, 1, valueDim, { kind: 'rms', ...norm });
    for (let j = 0; j < valueDim; j++) {
      const gate = z[n * valueDim + j]!;
      out[n * valueDim + j] = (normed[j]! * gate) / (1 + exp(-gate));
    }
  }
  return out;
}
