/** Models split into several GGUF files by llama.cpp's gguf-split: `<name>-00001-of-00003.gguf`. */
import { FileError } from '../../errors.ts';
import type { GgufValue } from '../model-file.ts';

/** The name has room for 99999; real models have far fewer. */
const MAX_SPLITS = 1024;
const SPLIT_NAME = /-(\d{5})-of-(\d{5})(?=\.gguf$)/i;

export interface Split {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** The number of tensors of all files together, if given. */
  readonly tensors?: number;
}

/** Returns what the metadata say about the split; undefined for a file that is not split. */
export function readSplit(file: string, metadata: ReadonlyMap<string, GgufValue>): Split | undefined {
  const count = metadata.get('split.count');
  if (count === undefined) return undefined;
  const index = metadata.get('split.no') ?? 0;
  const tensors = metadata.get('split.tensors.count');
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > MAX_SPLITS) {
    throw new FileError(
      'malformed',
      { file, field: 'split.count' },
      `${String(count)}; a whole number up to ${MAX_SPLITS} is read`,
    );
  }
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= Math.max(count, 1)) {
    throw new FileError(
      'malformed',
      { file, field: 'split.no' },
      `${String(index)}; it must be below split.count, ${count}`,
    );
  }
  return typeof tensors === 'number' ? { index, count, tensors } : { index, count };
}

/** The names of all files of the set, in order. */
export function splitNames(file: string, split: Split): string[] {
  const match = SPLIT_NAME.exec(file);
  const digits = (n: number): string => String(n).padStart(5, '0');
  if (match === null) {
    throw new FileError(
      'missing',
      { file, field: 'split.count' },
      `the model is split into ${split.count} files, found by names that end in -${digits(1)}-of-${digits(split.count)}.gguf; this name does not: give all files, with their names`,
    );
  }
  if (Number(match[1]) !== split.index + 1 || Number(match[2]) !== split.count) {
    throw new FileError(
      'malformed',
      { file, field: 'split.no' },
      `it says number ${split.index + 1} of ${split.count}, its name says otherwise: the file was renamed`,
    );
  }
  return Array.from({ length: split.count }, (_, i) =>
    file.replace(SPLIT_NAME, `-${digits(i + 1)}-of-${digits(split.count)}`),
  );
}
