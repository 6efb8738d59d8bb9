/** Random weights of one format for a benchmark: the same few kilobytes of noise again and again. */
import type { Backend, Weight } from '../../src/backend/backend.ts';
import { WEIGHT_FORMATS, weightBytes, type WeightFormat } from '../../src/backend/weight.ts';

export interface RandomWeights {
  /** [rows, cols]; F16 where the columns do not fit the format's blocks. Freed with the others by `free`. */
  matrix(rows: number, cols: number): Promise<Weight>;
  /** F32, near `mean`. */
  vector(length: number, mean: number): Promise<Weight>;
  free(): void;
}

export function randomWeights(backend: Backend, format: WeightFormat): RandomWeights {
  const held: Weight[] = [];
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
  const put = async (name: string, shape: readonly number[], as: WeightFormat, bytes: Uint8Array): Promise<Weight> => {
    const writer = backend.weight({ name, shape, format: as });
    await writer.write(bytes);
    const weight = await writer.finish();
    held.push(weight);
    return weight;
  };
  /** A half of either sign and a magnitude of about 2^exponent. */
  const half = (exponent: number): number => ((next() & 1) << 15) | ((15 + exponent) << 10) | (next() & 1023);
  return {
    matrix: (rows, cols) => {
      const as = cols % WEIGHT_FORMATS[format].block === 0 ? format : 'F16';
      const shape = [rows, cols];
      const bytes = new Uint8Array(weightBytes({ name: '', shape, format: as }));
      // Sums of about unit variance.
      const exponent = -Math.round(Math.log2(cols) / 2);
      const view = new DataView(bytes.buffer);
      switch (as) {
        case 'F32':
          for (let at = 0; at < bytes.length; at += 4)
            view.setFloat32(at, (next() / 2 ** 23 - 1) * 2 ** exponent, true);
          break;
        case 'F16':
          for (let at = 0; at < bytes.length; at += 2) view.setUint16(at, half(exponent), true);
          break;
        case 'Q8_0':
          for (let at = 0; at < bytes.length; at++) bytes[at] = next() >> 8;
          for (let at = 0; at < bytes.length; at += 34) view.setUint16(at, half(exponent - 6), true);
          break;
        case 'Q4_0':
          for (let at = 0; at < bytes.length; at++) bytes[at] = next() >> 8;
          for (let at = 0; at < bytes.length; at += 18) view.setUint16(at, half(exponent - 2), true);
          break;
        default:
          throw new Error(`no random weights of ${as}; take F32, F16, Q8_0 or Q4_0`);
      }
      return put(`[${shape.join()}]`, shape, as, bytes);
    },
    vector: (length, mean) =>
      put(
        `[${length}]`,
        [length],
        'F32',
        new Uint8Array(Float32Array.from({ length }, () => mean + (next() / 2 ** 23 - 1) / 4).buffer),
      ),
    free: () => {
      for (const weight of held.splice(0)) weight.free();
    },
  };
}
