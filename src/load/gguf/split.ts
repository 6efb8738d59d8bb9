/** Models split into several GGUF files by llama.cpp's gguf-split: `<name>-00001-of-00003.gguf`. */
import { FileError } from '../../errors.ts';
import type { ByteSource } from '../byte-source.ts';
import type { GgufValue } from '../model-file.ts';
import { readGgufHeader, type GgufHeader } from './header.ts';

/** The name has room for 99999; real models have far fewer. */
const MAX_SPLITS = 1024;
const SPLIT_NAME = /-(\d{5})-of-(\d{5})(?=\.gguf$)/i;

interface Split {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** The number of tensors of all files together, if given. */
  readonly tensors?: number;
}

/** A file with its header. */
export interface GgufPart {
  readonly source: ByteSource;
  readonly header: GgufHeader;
}

/**
 * Returns the files of the set that `first` belongs to, in order; any of them may have been given, and the first one has
 * the metadata. `sibling` finds the others by name (undefined: missing). They are added to `opened`, which the caller
 * closes when this throws.
 */
export async function readSet(
  first: GgufPart,
  sibling: (name: string) => Promise<ByteSource | undefined>,
  opened: ByteSource[],
  signal: AbortSignal | undefined,
): Promise<GgufPart[]> {
  const file = first.source.name;
  const split = readSplit(file, first.header.metadata);
  if (split === undefined) return [first];
  const parts: GgufPart[] = [];
  for (const [i, name] of (split.count > 1 ? splitNames(file, split) : [file]).entries()) {
    if (i === split.index) {
      parts.push(first);
      continue;
    }
    const source = await sibling(name);
    if (source === undefined)
      throw new FileError(
        'missing',
        { file, field: 'split.count' },
        `the model is split into ${split.count} files, and ${name} is missing: give all of them`,
      );
    opened.push(source);
    const header = await readGgufHeader(source, signal);
    const own = readSplit(source.name, header.metadata);
    if (own === undefined || own.count !== split.count || own.index !== i)
      throw new FileError(
        'malformed',
        { file: source.name, field: 'split.no' },
        `it should be number ${i + 1} of ${split.count}, it says ${own === undefined ? 'nothing' : `${own.index + 1} of ${own.count}`}: the files belong to different models`,
      );
    parts.push({ source, header });
  }
  checkTensors(file, split, parts);
  return parts;
}

function checkTensors(file: string, split: Split, parts: readonly GgufPart[]): void {
  const seen = new Set<string>();
  let count = 0;
  for (const { source, header } of parts) {
    count += header.tensors.length;
    for (const { name } of header.tensors) {
      if (seen.has(name))
        throw new FileError(
          'malformed',
          { file: source.name, field: name },
          'this tensor is in two files of the split model',
        );
      seen.add(name);
    }
  }
  if (split.tensors !== undefined && split.tensors !== count)
    throw new FileError(
      'malformed',
      { file, field: 'split.tensors.count' },
      `${split.tensors} tensors are announced, the files have ${count}`,
    );
}

/** Returns what the metadata say about the split; undefined for a file that is not split. */
function readSplit(file: string, metadata: ReadonlyMap<string, GgufValue>): Split | undefined {
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
function splitNames(file: string, split: Split): string[] {
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
