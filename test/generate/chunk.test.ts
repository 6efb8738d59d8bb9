import { expect, test } from '@jest/globals';
import { multiplyAdds } from '../../src/engine/loaded.ts';
import { prefillChunk } from '../../src/generate/prefill.ts';
import type { TensorInfo } from '../../src/load/model-file.ts';

const file = (shapes: readonly (readonly number[])[]) => ({
  tensors: new Map<string, TensorInfo>(
    shapes.map((shape, i) => [`${i}`, { name: `${i}`, shape, format: 'F32', bytes: 0 }]),
  ),
});

test('a chunk is sized by what its tokens multiply: embedding and head do not count', () => {
  // Qwen2.5-0.5B in a file whose head is stored apart from the embedding: 630 million values, 358 million multiplied.
  const layers = Array.from({ length: 24 }, () => [
    [896, 896],
    [128, 896],
    [128, 896],
    [896, 896],
    [4864, 896],
    [4864, 896],
    [896, 4864],
    [896],
  ]);
  const work = multiplyAdds(file([[151936, 896], [151936, 896], ...layers.flat()]), 151936);
  expect(work).toBe(24 * (2 * 896 * 896 + 2 * 128 * 896 + 3 * 4864 * 896 + 896));
  expect(prefillChunk({ kind: 'wasm' }, work)).toBe(256);
  expect(prefillChunk({ kind: 'wasm' }, 106e6)).toBe(512);
  expect(prefillChunk({ kind: 'wasm' }, 8e9)).toBe(32);
});
