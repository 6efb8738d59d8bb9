/** The tokenizer alone, for the benchmark: GGUF bytes and a WASM build in, encode and decode out. */
import { openModel } from '../../src/load/index.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { instantiate } from '../../src/wasm.ts';

export async function load(gguf: Uint8Array, wasm: BufferSource): Promise<Tokenizer> {
  const file = await openModel(gguf);
  return createTokenizer(await instantiate('simd', await WebAssembly.compile(wasm)), file.metadata);
}
