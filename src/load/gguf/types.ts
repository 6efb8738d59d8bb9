/** GGUF's numbers for value types (the specification's `gguf_metadata_value_type`) and for tensor types (`ggml_type`). */
import { WEIGHT_FORMATS, type WeightFormat } from '../../backend/weight.ts';

export const VALUE = {
  U8: 0,
  I8: 1,
  U16: 2,
  I16: 3,
  U32: 4,
  I32: 5,
  F32: 6,
  BOOL: 7,
  STRING: 8,
  ARRAY: 9,
  U64: 10,
  I64: 11,
  F64: 12,
} as const;

/** Bytes of one value; strings and arrays say their own length. */
export const VALUE_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];

const BY_NUMBER = new Map<number, WeightFormat>(
  (Object.keys(WEIGHT_FORMATS) as WeightFormat[]).map((format) => [WEIGHT_FORMATS[format].ggml, format]),
);

export function weightFormat(ggmlType: number): WeightFormat | undefined {
  return BY_NUMBER.get(ggmlType);
}

/** Types that ggml has or had and Octavo does not read, by name, for messages. */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  4: 'Q4_2',
  5: 'Q4_3',
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  31: 'Q4_0_4_4',
  32: 'Q4_0_4_8',
  33: 'Q4_0_8_8',
  34: 'TQ1_0',
  35: 'TQ2_0',
  36: 'IQ4_NL_4_4',
  37: 'IQ4_NL_4_8',
  38: 'IQ4_NL_8_8',
  39: 'MXFP4',
  40: 'NVFP4',
};

export function typeName(ggmlType: number): string {
  return weightFormat(ggmlType) ?? UNSUPPORTED[ggmlType] ?? `number ${ggmlType}`;
}
