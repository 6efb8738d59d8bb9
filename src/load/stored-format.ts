/** Formats that tensors may have in a file: those that devices compute with, and some that are repacked while loading. */
import { WEIGHT_FORMATS, type WeightFormat } from '../backend/weight.ts';

/** Numbers, blocks and bytes are ggml's. */
const REPACKED = {
  IQ4_NL: { ggml: 20, block: 32, bytes: 18 },
  IQ4_XS: { ggml: 23, block: 256, bytes: 136 },
  MXFP4: { ggml: 39, block: 32, bytes: 17 },
} as const satisfies Record<string, { ggml: number; block: number; bytes: number }>;

export const STORED_FORMATS = { ...WEIGHT_FORMATS, ...REPACKED };

export type RepackedFormat = keyof typeof REPACKED;
export type StoredFormat = WeightFormat | RepackedFormat;

/** The format that devices are given for one that they do not compute with. */
export const REPACKED_AS: Readonly<Record<RepackedFormat, WeightFormat>> = {
  IQ4_NL: 'Q8_0',
  IQ4_XS: 'Q8_0',
  MXFP4: 'Q5_0',
};

export function isRepacked(format: StoredFormat): format is RepackedFormat {
  return Object.hasOwn(REPACKED, format);
}

/** Bytes of a tensor in its file. */
export function storedBytes(shape: readonly number[], format: StoredFormat): number {
  const { block, bytes } = STORED_FORMATS[format];
  return (shape.reduce((product, n) => product * n, 1) / block) * bytes;
}
