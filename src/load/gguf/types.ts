/** GGUF's numbers for value types (the specification's `gguf_metadata_value_type`) and for tensor types (`ggml_type`). */
import { STORED_FORMATS, type StoredFormat } from '../stored-format.ts';

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

const BY_NUMBER = new Map<number, StoredFormat>(
  (Object.keys(STORED_FORMATS) as StoredFormat[]).map((format) => [STORED_FORMATS[format].ggml, format]),
);

export function storedFormat(ggmlType: number): StoredFormat | undefined {
  return BY_NUMBER.get(ggmlType);
}

/**
 * Types that ggml has or had and Octavo does not read, by name, with the supported type that has about as many bits a
 * weight.
 */
const UNSUPPORTED: Readonly<Record<number, readonly [name: string, instead: string]>> = {
  4: ['Q4_2', 'Q4_0'],
  5: ['Q4_3', 'Q4_1'],
  9: ['Q8_1', 'Q8_0'],
  15: ['Q8_K', 'Q8_0'],
  16: ['IQ2_XXS', 'Q2_K'],
  17: ['IQ2_XS', 'Q2_K'],
  18: ['IQ3_XXS', 'Q3_K_S'],
  19: ['IQ1_S', 'Q2_K'],
  21: ['IQ3_S', 'Q3_K_S'],
  22: ['IQ2_S', 'Q2_K'],
  24: ['I8', 'Q8_0'],
  25: ['I16', 'F16'],
  26: ['I32', 'F32'],
  27: ['I64', 'F32'],
  28: ['F64', 'F32'],
  29: ['IQ1_M', 'Q2_K'],
  31: ['Q4_0_4_4', 'Q4_0'],
  32: ['Q4_0_4_8', 'Q4_0'],
  33: ['Q4_0_8_8', 'Q4_0'],
  34: ['TQ1_0', 'Q2_K'],
  35: ['TQ2_0', 'Q2_K'],
  36: ['IQ4_NL_4_4', 'IQ4_NL'],
  37: ['IQ4_NL_4_8', 'IQ4_NL'],
  38: ['IQ4_NL_8_8', 'IQ4_NL'],
  40: ['NVFP4', 'MXFP4 or Q4_K_M'],
};

export function typeName(ggmlType: number): string {
  return storedFormat(ggmlType) ?? UNSUPPORTED[ggmlType]?.[0] ?? `number ${ggmlType}`;
}

/** Returns the type to use in place of one that is not read. */
export function alternative(ggmlType: number): string {
  return UNSUPPORTED[ggmlType]?.[1] ?? 'Q4_K_M or Q8_0';
}
