/** The WGSL that decodes weights: one decoder for each format, and a switch over the formats in a kernel's slots. */
import type { WeightFormat } from './rows.ts';
import common from './weights.wgsl';
import scalesK from './scales-k.wgsl';
import F32 from './F32.wgsl';
import F16 from './F16.wgsl';
import BF16 from './BF16.wgsl';
import Q8_0 from './Q8_0.wgsl';
import Q4_0 from './Q4_0.wgsl';
import Q4_1 from './Q4_1.wgsl';
import Q5_0 from './Q5_0.wgsl';
import Q5_1 from './Q5_1.wgsl';
import Q2_K from './Q2_K.wgsl';
import Q3_K from './Q3_K.wgsl';
import Q4_K from './Q4_K.wgsl';
import Q5_K from './Q5_K.wgsl';
import Q6_K from './Q6_K.wgsl';

const DECODERS: Readonly<Record<WeightFormat, string>> = {
  F32,
  F16,
  BF16,
  Q8_0,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
};

/**
 * The most weight buffers that one dispatch reads. With x, norm, bias, residual and out they make WebGPU's default of
 * eight.
 */
export const WEIGHT_SLOTS = 3;

/**
 * Returns `weights.wgsl`, the decoders in use, and `weight_vec` and `decode`, which choose by slot. `formats[slot]` is
 * the format of a slot; slots beyond need no buffer.
 */
export function weightSource(formats: readonly WeightFormat[]): string {
  const distinct = [...new Set(formats)];
  const decoders = distinct.map((format) => DECODERS[format]).join('\n');
  const scales = distinct.includes('Q4_K') || distinct.includes('Q5_K') ? scalesK : '';
  const first = formats[0] ?? 'F32';
  const buffers = formats
    .map((_, slot) => (slot === 0 ? '' : `  if (slot == ${slot}u) { return w${slot}[i]; }\n`))
    .join('');
  const branches = formats
    .map((format, slot) =>
      format === first ? '' : `  if (slot == ${slot}u) { return decode_${format}(slot, row, unit, units); }\n`,
    )
    .join('');
  return `${common}
fn weight_vec(slot: u32, i: u32) -> vec4<u32> {
${buffers}  return w0[i];
}
${scales}${decoders}
fn decode(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
${branches}  return decode_${first}(slot, row, unit, units);
}
`;
}

/** Returns a short name of a set of slots, for the key of a pipeline. */
export function weightTypes(formats: readonly WeightFormat[]): string {
  return new Set(formats).size === 1 ? (formats[0] ?? 'F32') : formats.join('+');
}
