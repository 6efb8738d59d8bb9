/** GGUF files, whole or split, as a `ModelFile`. */
import { weightBytes } from '../../backend/weight.ts';
import { FileError } from '../../errors.ts';
import { sha256 } from '../../hash.ts';
import type { ByteSource } from '../byte-source.ts';
import { deliveredFormat, type Quantization } from '../convert.ts';
import { sampleBytes } from '../fingerprint.ts';
import type { GgufValue, ModelFile, ReadOptions } from '../model-file.ts';
import { Meter } from '../progress.ts';
import { StreamedModelFile, type HeadedSource, type PlacedTensor } from '../streamed-file.ts';
import { readGgufHeader, type GgufHeader } from './header.ts';
import { readSplit, splitNames } from './split.ts';

/**
 * Opens the GGUF in `first`; `sibling` finds the other files of a split one by name (undefined: missing). On an error
 * all sources are closed.
 */
export async function openGguf(
  first: ByteSource,
  sibling: (name: string) => Promise<ByteSource | undefined>,
  options: ReadOptions & { readonly quantize?: Quantization } = {},
): Promise<ModelFile> {
  const { signal, monitor, quantize } = options;
  const sources: ByteSource[] = [];
  try {
    sources.push(first);
    const headers: GgufHeader[] = [await readGgufHeader(first, signal)];
    const split = readSplit(first.name, values(headers, 0));
    if (split !== undefined && split.count > 1) {
      const names = splitNames(first.name, split);
      // Any file of the set may have been given; the first one has the metadata.
      sources.length = 0;
      headers.length = 0;
      for (const [i, name] of names.entries()) {
        const source = i === split.index ? first : await sibling(name);
        if (source === undefined)
          throw new FileError(
            'missing',
            { file: first.name, field: 'split.count' },
            `the model is split into ${split.count} files, and ${name} is missing: give all of them`,
          );
        sources.push(source);
        headers.push(await readGgufHeader(source, signal));
        const own = readSplit(source.name, values(headers, i));
        if (own === undefined || own.count !== split.count || own.index !== i) {
          throw new FileError(
            'malformed',
            { file: source.name, field: 'split.no' },
            `it should be number ${i + 1} of ${split.count}, it says ${own === undefined ? 'nothing' : `${own.index + 1} of ${own.count}`}: the files belong to different models`,
          );
        }
      }
    }
    const placed = headers.flatMap((header, source) => header.tensors.map((tensor) => place(tensor, source, quantize)));
    checkUnique(placed, sources);
    if (split?.tensors !== undefined && split.tensors !== placed.length) {
      throw new FileError(
        'malformed',
        { file: first.name, field: 'split.tensors.count' },
        `${split.tensors} tensors are announced, the files have ${placed.length}`,
      );
    }
    const identifying: Uint8Array[] = [];
    const meter = new Meter(
      monitor,
      'header',
      first.name,
      headers.reduce((sum, header) => sum + header.bytes.length, 0),
    );
    const headed: HeadedSource[] = [];
    for (const [i, header] of headers.entries()) {
      meter.add(header.bytes.length);
      identifying.push(header.bytes);
      const source = sources[i];
      if (source === undefined) continue;
      headed.push({ source, header: { start: 0, end: header.bytes.length, sha256: await sha256(header.bytes) } });
      identifying.push(await sampleBytes(source, header.dataOffset, signal));
    }
    return new StreamedModelFile({
      name: first.name,
      metadata: { kind: 'gguf', values: values(headers, 0) },
      placed,
      sources: headed,
      fingerprint: await sha256(...identifying),
    });
  } catch (fault) {
    await Promise.all([...new Set([first, ...sources])].map((source) => source.close()));
    throw fault;
  }
}

function values(headers: readonly GgufHeader[], index: number): ReadonlyMap<string, GgufValue> {
  return headers[index]?.metadata ?? new Map<string, GgufValue>();
}

function place(
  tensor: GgufHeader['tensors'][number],
  source: number,
  quantize: Quantization | undefined,
): PlacedTensor {
  const { name, shape, format: stored, bytes: storedBytes, offset } = tensor;
  const format = deliveredFormat(name, shape, stored, quantize);
  const spec = { name, shape, format };
  return { info: { ...spec, bytes: weightBytes(spec), stored }, source, offset, stored, storedBytes };
}

function checkUnique(placed: readonly PlacedTensor[], sources: readonly ByteSource[]): void {
  const seen = new Set<string>();
  for (const { info, source } of placed) {
    if (seen.has(info.name))
      throw new FileError(
        'malformed',
        { file: sources[source]?.name ?? '', field: info.name },
        'this tensor is in two files of the split model',
      );
    seen.add(info.name);
  }
}
