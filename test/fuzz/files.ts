/** GGUF files and folders with safetensors: headers and tensors. */
import { openModel, type ModelInput } from '../../src/load/index.ts';
import { STORED_FORMATS, storedBytes, type StoredFormat } from '../../src/load/stored-format.ts';
import { weightNoise } from '../load/collect.ts';
import { writeSafetensors } from '../load/safetensors-writer.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { mutate } from './mutate.ts';
import { Wrong, type Fuzzer } from './run.ts';

/** Reads all tensors; throws `Wrong` where one is not as long as announced. `take` is given the bytes. */
async function readThrough(
  input: ModelInput,
  size: number,
  take: (name: string, bytes: Uint8Array) => void,
): Promise<number> {
  const model = await openModel(input);
  let announced = 0;
  for (const { shape, stored, format } of model.tensors.values()) announced += storedBytes(shape, stored ?? format);
  if (announced > size) throw new Wrong(`tensors of ${announced} bytes in ${size}`);
  await model.read((info) => {
    const parts: Uint8Array[] = [];
    let length = 0;
    return {
      write: async (chunk) => {
        parts.push(chunk.slice());
        length += chunk.length;
      },
      abort: () => {},
      finish: async () => {
        if (length !== info.bytes) throw new Wrong(`${info.name}: ${length} of ${info.bytes} bytes`);
        const bytes = new Uint8Array(length);
        let at = 0;
        for (const part of parts) {
          bytes.set(part, at);
          at += part.length;
        }
        take(info.name, bytes);
        return { name: info.name, shape: info.shape, format: info.format, bytes: length, free: () => {} };
      },
    };
  });
  await model.close();
  return model.tensors.size;
}

export async function ggufFuzzer(): Promise<Fuzzer> {
  const formats = Object.keys(STORED_FORMATS) as StoredFormat[];
  const tensors = [
    f32Tensor('a', [4, 32], new Float32Array(128)),
    ...formats.map((format) => ({
      name: `t.${format}`,
      shape: [1, STORED_FORMATS[format].block],
      format,
      data: weightNoise(storedBytes([STORED_FORMATS[format].block], format)).map((byte) => byte & 0x3b),
    })),
  ];
  const file = writeGguf(
    {
      'general.architecture': 'llama',
      'general.alignment': 32,
      tokens: ['a', 'bc', 'é', ''],
      scores: [0.5, 1.5, 2.5, 3.5],
      types: [1, 2, 3, 4],
      flag: true,
      flags: [true, false],
      long: 2n ** 60n,
      longs: BigUint64Array.of(1n, 2n),
    },
    tensors,
  );
  const whole = new Map<string, Uint8Array>();
  await readThrough(file, file.length, (name, bytes) => whole.set(name, bytes));
  const plain = tensors.filter(({ format }) => format === 'F32' || format.startsWith('Q'));
  const places = new Map(plain.map(({ name, data }) => [name, Buffer.from(file).indexOf(data)]));
  // The first tensor is zeros, which occur before it, too; data begins behind the last of the header's bytes that are none.
  const header = Math.min(...[...places].filter(([name]) => name !== 'a').map(([, at]) => at)) - 512;
  return {
    async run(r) {
      if (r.integer(0, 4) > 0) {
        // Headers are short and are where most goes wrong.
        const changed = Buffer.concat([mutate(file.subarray(0, header), r), file.subarray(header)]);
        const count = await readThrough(changed, changed.length, () => {});
        return count === 0 ? 'a model without tensors' : 'a model';
      }
      if (r.integer(0, 3) === 0) {
        const changed = mutate(file, r);
        await readThrough(changed, changed.length, () => {});
        return 'a model';
      }
      // Data alone: the same header, and the bytes as they are in the file.
      const changed = file.slice();
      for (let n = r.integer(1, 9); n > 0; n--) changed[r.integer(header + 512, changed.length)] = r.integer(0, 256);
      const count = await readThrough(changed, changed.length, (name, bytes) => {
        const at = places.get(name);
        if (at === undefined || name === 'a') return;
        if (Buffer.compare(bytes, changed.subarray(at, at + bytes.length)) !== 0)
          throw new Wrong(`${name}: other bytes`);
      });
      if (count !== tensors.length) throw new Wrong(`${count} tensors of ${tensors.length}`);
      return 'a model with other data';
    },
  };
}

export async function safetensorsFuzzer(): Promise<Fuzzer> {
  const text = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));
  const folder: Record<string, Uint8Array<ArrayBuffer>> = {
    'config.json': text({ model_type: 'llama', hidden_size: 64, rope_scaling: { factor: 2, list: [1, 2, [3]] } }),
    'tokenizer.json': text({
      model: { type: 'BPE', vocab: { a: 0, é: 1 }, merges: ['a b'] },
      added_tokens: [{ id: 1, content: '<s>' }],
    }),
    'model.safetensors.index.json': text({
      metadata: { total_size: 272 },
      weight_map: { t: 'a.safetensors', v: 'a.safetensors' },
    }),
    'a.safetensors': writeSafetensors({
      t: { dtype: 'F32', shape: [2, 32], data: new Uint8Array(256) },
      v: { dtype: 'BF16', shape: [8], data: new Uint8Array(16) },
    }),
  };
  const names = Object.keys(folder);
  return {
    async run(r) {
      const name = r.integer(0, 2) === 0 ? 'a.safetensors' : r.pick(names);
      const changed = { ...folder, [name]: mutate(folder[name]!, r) };
      const size = Object.values(changed).reduce((sum, { length }) => sum + length, 0);
      // Weights can be widened to twice their size at most, and are read once.
      await readThrough(changed, size, () => {});
      return `a model, ${name} changed`;
    },
  };
}
