/** GGUF files, whole or split, as a `ModelFile`. */
import { weightBytes } from '../../backend/weight.ts';
import { sha256 } from '../../hash.ts';
import type { ByteSource } from '../byte-source.ts';
import { deliveredFormat, type Quantization } from '../convert.ts';
import { sampleBytes } from '../fingerprint.ts';
import type { ModelFile, ReadOptions } from '../model-file.ts';
import { Meter } from '../progress.ts';
import { StreamedModelFile, type HeadedSource, type PlacedTensor } from '../streamed-file.ts';
import { readGgufHeader, type GgufHeader } from './header.ts';

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
  const opened = [first];
  try {
    const own = await readGgufHeader(first, signal);
    const parts = own.metadata.has('split.count')
      ? await (await import('./split.ts')).readSet({ source: first, header: own }, sibling, opened, signal)
      : [{ source: first, header: own }];
    const placed = parts.flatMap(({ header }, source) =>
      header.tensors.map((tensor) => place(tensor, source, quantize)),
    );
    const identifying: Uint8Array[] = [];
    const meter = new Meter(
      monitor,
      'header',
      first.name,
      parts.reduce((sum, { header }) => sum + header.bytes.length, 0),
    );
    const headed: HeadedSource[] = [];
    for (const { source, header } of parts) {
      meter.add(header.bytes.length);
      identifying.push(header.bytes);
      headed.push({ source, header: { start: 0, end: header.bytes.length, sha256: await sha256(header.bytes) } });
      identifying.push(await sampleBytes(source, header.dataOffset, signal));
    }
    return new StreamedModelFile({
      name: first.name,
      metadata: { kind: 'gguf', values: parts[0]?.header.metadata ?? own.metadata },
      placed,
      sources: headed,
      fingerprint: await sha256(...identifying),
    });
  } catch (fault) {
    await Promise.all(opened.map((source) => source.close()));
    throw fault;
  }
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
