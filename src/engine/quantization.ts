/** The name of a file's quantisation. */
import type { ModelFile } from '../load/model-file.ts';

/** llama.cpp's `general.file_type`; mixtures have names of their own, which the tensors do not tell. */
const FILE_TYPES: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  7: 'Q8_0',
  8: 'Q5_0',
  9: 'Q5_1',
  10: 'Q2_K',
  11: 'Q3_K_S',
  12: 'Q3_K_M',
  13: 'Q3_K_L',
  14: 'Q4_K_S',
  15: 'Q4_K_M',
  16: 'Q5_K_S',
  17: 'Q5_K_M',
  18: 'Q6_K',
  25: 'IQ4_NL',
  30: 'IQ4_XS',
  32: 'BF16',
  38: 'MXFP4',
};

/** As the file names it, else the format that most bytes are in. */
export function quantizationOf({ metadata, tensors }: ModelFile): string {
  const type = metadata.kind === 'gguf' ? metadata.values.get('general.file_type') : undefined;
  const named = typeof type === 'number' ? FILE_TYPES[type] : undefined;
  if (named !== undefined) return named;
  const bytes = new Map<string, number>();
  for (const { format, stored = format, bytes: own } of tensors.values())
    bytes.set(stored, (bytes.get(stored) ?? 0) + own);
  const [most] = [...bytes].toSorted(([, a], [, b]) => b - a);
  return most?.[0] ?? 'unknown';
}
