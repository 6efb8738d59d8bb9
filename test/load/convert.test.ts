import { describe, expect, test } from '@jest/globals';
import { createConverter, deliveredFormat } from '../../src/load/convert.ts';
import { fromHalf, toHalf } from '../../src/load/half.ts';
import { dequantise } from '../reference/dequantise.ts';
import { noise } from './collect.ts';

function weights(count: number, seed: number): Float32Array {
  const bytes = noise(4 * count, seed);
  return Float32Array.from(
    { length: count },
    (_, i) => ((bytes[4 * i]! - 128) / 128) * 2 ** ((bytes[4 * i + 1]! % 12) - 8) * (bytes[4 * i + 2]! < 8 ? 0 : 1),
  );
}

/** The converter fed with pieces of the sizes given, over and over. */
function convert(
  from: 'F32' | 'F16' | 'BF16',
  to: 'Q8_0' | 'Q4_0' | 'F32',
  bytes: Uint8Array,
  sizes: readonly number[],
): Uint8Array {
  const converter = createConverter(from, to, 'file', 'tensor')!;
  const out: number[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    out.push(...converter.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return Uint8Array.from(out);
}

describe('half precision', () => {
  test('every half goes there and back', () => {
    for (let half = 0; half < 65536; half++) {
      const value = fromHalf(half);
      if (Number.isNaN(value)) expect(Number.isNaN(fromHalf(toHalf(value)))).toBe(true);
      else if (toHalf(value) !== half) throw new Error(`${half} -> ${value} -> ${toHalf(value)}`);
    }
  });
  test('numbers between go to the nearest, ties to even', () => {
    for (let half = 0; half < 0x7bff; half++) {
      const low = fromHalf(half);
      const high = fromHalf(half + 1);
      const middle = (low + high) / 2;
      const even = half % 2 === 0 ? half : half + 1;
      const step = (high - low) / 64;
      if (toHalf(middle) !== even || toHalf(middle - step) !== half || toHalf(middle + step) !== half + 1)
        throw new Error(`at ${half}`);
    }
    expect(toHalf(65519)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
    expect(toHalf(-1e30)).toBe(0xfc00);
  });
});

describe('conversion while loading', () => {
  const values = weights(32 * 50, 5);
  const f32 = new Uint8Array(values.buffer);

  test.each([[[32 * 4]], [[1]], [[7, 300, 2]], [[5000]], [[128, 127, 129]]])(
    'pieces of %j bytes make the same blocks',
    (sizes) => {
      for (const to of ['Q8_0', 'Q4_0'] as const)
        expect(convert('F32', to, f32, sizes)).toEqual(convert('F32', to, f32, [f32.length]));
    },
  );

  test.each([
    ['Q8_0', 127, 0.5],
    ['Q4_0', 8, 1],
  ] as const)('%s stays within its analytic bound', (to, steps, worst) => {
    const decoded = dequantise(to, convert('F32', to, f32, [1000]), values.length);
    for (let block = 0; block < values.length; block += 32) {
      const most = Math.max(...values.subarray(block, block + 32).map(Math.abs));
      // A step of the scale times the worst rounding (Q4_0 has no +8, so its far end may miss by a whole step), and the scale's own rounding to f16.
      const bound = (most / steps) * worst * 1.001 + most * 2 ** -10 + 2 ** -24 * steps;
      for (let i = block; i < block + 32; i++) expect(Math.abs(decoded[i]! - values[i]!)).toBeLessThanOrEqual(bound);
    }
  });

  test('F16 and BF16 sources', () => {
    const halves = Uint16Array.from(values, toHalf);
    const exact = Float32Array.from(halves, fromHalf);
    expect(convert('F16', 'F32', new Uint8Array(halves.buffer), [3])).toEqual(new Uint8Array(exact.buffer));
    expect(convert('F16', 'Q8_0', new Uint8Array(halves.buffer), [77])).toEqual(
      convert('F32', 'Q8_0', new Uint8Array(exact.buffer), [400]),
    );
    const brains = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
    const wide = new Float32Array(Uint32Array.from(brains, (bits) => bits << 16).buffer);
    expect(convert('BF16', 'F32', new Uint8Array(brains.buffer), [5])).toEqual(new Uint8Array(wide.buffer));
    expect(convert('BF16', 'Q4_0', new Uint8Array(brains.buffer), [64])).toEqual(
      convert('F32', 'Q4_0', new Uint8Array(wide.buffer), [400]),
    );
  });

  test('zeros, extremes and values that are not finite', () => {
    for (const to of ['Q8_0', 'Q4_0'] as const) {
      const one = (fill: number[]): Float64Array =>
        dequantise(
          to,
          convert('F32', to, new Uint8Array(Float32Array.from({ length: 32 }, (_, i) => fill[i] ?? 0).buffer), [128]),
          32,
        );
      expect([...one([])].every((value) => value === 0)).toBe(true);
      expect(Number.isFinite(one([3e38, -3e38])[0])).toBe(true);
      expect(one([1e-30, -1e-30]).every(Number.isFinite)).toBe(true);
      for (const bad of [NaN, Infinity, -Infinity]) expect(() => one([1, bad, 2])).toThrow(/not finite/);
    }
  });

  test('which format is delivered', () => {
    expect(deliveredFormat('model.norm.weight', [64], 'BF16', 'q4')).toBe('F32');
    expect(deliveredFormat('model.layers.0.mlp.up_proj.weight', [64, 64], 'BF16', 'q4')).toBe('Q4_0');
    expect(deliveredFormat('model.layers.0.mlp.up_proj.weight', [64, 64], 'BF16', 'q8')).toBe('Q8_0');
    expect(deliveredFormat('model.layers.0.mlp.up_proj.weight', [64, 64], 'BF16')).toBe('BF16');
    expect(deliveredFormat('odd.weight', [64, 33], 'F16', 'q4')).toBe('F16');
    expect(deliveredFormat('conv.weight', [4, 3, 32], 'F16', 'q8')).toBe('F16');
    // A depthwise convolution over tokens, from Hugging Face and from GGUF.
    expect(deliveredFormat('conv.weight', [64, 1, 4], 'BF16', 'q8')).toBe('F32');
    expect(deliveredFormat('blk.0.ssm_conv1d.weight', [64, 4], 'F16')).toBe('F32');
    expect(deliveredFormat('x.weight', [64, 256], 'Q6_K', 'q4')).toBe('Q6_K');
    for (const name of ['model.embed_tokens.weight', 'lm_head.weight', 'token_embd.weight', 'output.weight'])
      expect(deliveredFormat(name, [64, 64], 'F32', 'q4')).toBe('Q8_0');
    expect(deliveredFormat('blk.0.attn_output.weight', [64, 64], 'F32', 'q4')).toBe('Q4_0');
  });
});
