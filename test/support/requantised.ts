/** A model file whose matrices are re-encoded in another format, so that one model tells about every format. */
import type { Weight } from '../../src/backend/backend.ts';
import { WEIGHT_FORMATS, weightBytes, type WeightFormat } from '../../src/backend/weight.ts';
import type { ModelFile, TensorInfo } from '../../src/load/model-file.ts';
import { dequantise } from '../reference/dequantise.ts';
import { readAll } from '../load/collect.ts';
import { quantise } from './quantise.ts';

/** Formats whose blocks do not divide a matrix's rows give way to Q8_0, as llama.cpp's tools have it; vectors stay as they are. */
export async function requantised(file: ModelFile, format: WeightFormat): Promise<ModelFile> {
  const stored = await readAll(file);
  const tensors = new Map<string, TensorInfo>();
  const data = new Map<string, Uint8Array>();
  for (const [name, info] of file.tensors) {
    const bytes = stored.get(name);
    if (bytes === undefined) throw new Error(`${name} was not read`);
    const cols = info.shape.at(-1) ?? 0;
    const wanted = info.shape.length < 2 ? info.format : cols % WEIGHT_FORMATS[format].block === 0 ? format : 'Q8_0';
    const count = info.shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape: info.shape, format: wanted };
    data.set(name, wanted === info.format ? bytes : quantise(wanted, Float32Array.from(dequantise(info.format, bytes, count))));
    tensors.set(name, { ...spec, bytes: weightBytes(spec) });
  }
  return {
    name: `${file.name} in ${format}`, metadata: file.metadata, tensors, bytes: file.bytes, fingerprint: `${file.fingerprint}-${format}`,
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
