import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { gguf } from '@huggingface/gguf';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { instantiate } from '../../src/wasm.ts';

const data = new URL('../../../shared/data/tokenizers/gguf-vocab/', import.meta.url).pathname;
async function wasm() {
  return instantiate('simd', await WebAssembly.compile(readFileSync(new URL('../../build/wasm/octavo.simd.wasm', import.meta.url))));
}
async function metadata(file: string) {
  const { typedMetadata } = await gguf(file, { allowLocalFile: true, typedMetadata: true } as never) as any;
  const values = new Map<string, any>();
  for (const [k, v] of Object.entries<any>(typedMetadata)) values.set(k, v.type === 9 && typeof v.value[0] === 'number' ? (v.subType === 6 ? Float32Array.from(v.value) : Int32Array.from(v.value)) : v.value);
  return { kind: 'gguf' as const, values };
}
describe('golden', () => {
  for (const name of ['gpt-2', 'qwen2', 'llama-spm', 'bert-bge']) {
    test(name, async () => {
      const file = `${data}ggml-vocab-${name}.gguf`;
      if (!existsSync(file)) return;
      const w = await wasm();
      const t0 = performance.now();
      const m = await metadata(file);
      const t1 = performance.now();
      const t = createTokenizer(w, m);
      const t2 = performance.now();
      console.log(name, 'metadata', t1 - t0, 'create', t2 - t1);
      const inputs = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
      const outputs = readFileSync(`${file}.out`, 'utf8').split('\n');
      inputs.forEach((text, i) => {
        const want = outputs[i]!.trim().split(/\s+/).filter((x) => x !== '').map(Number);
        expect([text, [...t.encode(text, { special: false })]]).toEqual([text, want]);
        if (name !== 'bert-bge') expect(t.decode(want)).toBe(text);
      });
    });
  }
});
