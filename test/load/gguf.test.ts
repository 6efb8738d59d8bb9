import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';

describe('a GGUF in memory', () => {
  test('metadata and tensors come back', async () => {
    const file = writeGguf({ 'general.architecture': 'llama', n: 5, x: 0.5, list: ['a', 'ü', '', '𝄞'], flag: true, neg: -3, many: [1, 2, 3] }, [f32Tensor('a', [2, 3], [1, 2, 3, 4, 5, 6])]);
    const model = await openModel(file);
    if (model.metadata.kind !== 'gguf') throw new Error('gguf');
    expect(Object.fromEntries(model.metadata.values)).toEqual({ 'general.architecture': 'llama', n: 5, x: 0.5, list: ['a', 'ü', '', '𝄞'], flag: true, neg: -3, many: Int32Array.of(1, 2, 3) });
    expect(model.tensors.get('a')).toEqual({ name: 'a', shape: [2, 3], format: 'F32', bytes: 24 });
    for (const f of ['qwen2', 'llama-spm']) {
      const p = `../shared/data/tokenizers/gguf-vocab/ggml-vocab-${f}.gguf`;
      if (!existsSync(p)) continue;
      const bytes = new Uint8Array(readFileSync(p));
      for (let i = 0; i < 3; i++) { const t = performance.now(); await openModel(bytes); console.log(f, performance.now() - t); }
    }
  });
});
