/** A model file whose matrices are re-encoded in another format, so that one model tells about every format. */
import type { Weight } from '../../src/backend/backend.ts';
import { WEIGHT_FORMATS, weightBytes, type WeightFormat } from '../../src/backend/weight.ts';
import type { ModelFile, TensorInfo } from '../../src/load/model-file.ts';
import { dequantise } from '../reference/dequantise.ts';
import { readAll } from '../load/collect.ts';
import { quantise } from './quantise.ts';

/** Tables that a model adds, and does not multiply by: always F32 (docs/unipic-format.md). */
const TABLES = /pos_embed|fake_latent|mask_token/;

/** Formats whose blocks do not divide a matrix's rows give way to Q8_0, as llama.cpp's tools have it; vectors, tables and what Q8_0 does not divide either stay as they are. */
export async function requantised(file: ModelFile, format: WeightFormat): Promise<ModelFile> {
  const stored = await readAll(file);
  const tensors = new Map<string, TensorInfo>();
  const data = new Map<string, Uint8Array>();
  for (const [name, info] of file.tensors) {
    const bytes = stored.get(name);
    if (bytes === undefined) throw new Error(`${name} was not read`);
    const cols = info.shape.at(-1) ?? 0;
    const divides = (by: WeightFormat): boolean => cols % WEIGHT_FORMATS[by].block === 0;
    const wanted =
      info.shape.length < 2 || TABLES.test(name) || !divides('Q8_0') ? info.format : divides(format) ? format : 'Q8_0';
    const count = info.shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape: info.shape, format: wanted };
    data.set(
      name,
      wanted === info.format ? bytes : quantise(wanted, Float32Array.from(dequantise(info.format, bytes, count))),
    );
    tensors.set(name, { ...spec, bytes: weightBytes(spec) });
  }
  return {
    name: `${file.name} in ${format}`,
    metadata: file.metadata,
    tensors,
    bytes: file.bytes,
    fingerprint: `${file.fingerprint}-${format}`,
    read: async (writer) => {
      const weights = new Map<string, Weight>();
      for (const [name, info] of tensors) {
        const taken = writer(info);
        const bytes = data.get(name);
        if (taken === undefined || bytes === undefined) continue;
        await taken.write(bytes);
        weights.set(name, await taken.finish());
      }
      return weights;
    },
    close: async () => {},
  };
}
