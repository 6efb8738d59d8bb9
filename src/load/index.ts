/** From whatever a caller has (file, bytes, URL, folder, Hugging Face name) to a `ModelFile`. */
import { FileError } from '../errors.ts';
import { BlobSource, BytesSource, type ByteSource } from './byte-source.ts';
import type { Quantization } from './convert.ts';
import { openGguf } from './gguf/file.ts';
import type { ModelFile, ReadOptions } from './model-file.ts';

/** A URL, a path (Node), or `hf:owner/repo[@revision][/file.gguf]`; a file; its bytes; all files of a split model; a Hugging Face folder by names. */
export type ModelInput = string | URL | Blob | Uint8Array | readonly File[] | { readonly [name: string]: Blob | Uint8Array };

export interface OpenOptions extends ReadOptions {
  /** Quantises F32, F16 and BF16 matrices while they stream in. */
  readonly quantize?: Quantization;
}

export async function openModel(input: ModelInput, options: OpenOptions = {}): Promise<ModelFile> {
  options.signal?.throwIfAborted();
  if (input instanceof Uint8Array || input instanceof Blob) return openGguf(sourceOf('model.gguf', input), async () => undefined, options);
  throw new FileError('unsupported', { file: String(input), field: 'input' }, 'this kind of input is not read yet');
}

function sourceOf(name: string, data: Blob | Uint8Array): ByteSource {
  if (data instanceof Uint8Array) return new BytesSource(name, data);
  return new BlobSource('name' in data && typeof data.name === 'string' && data.name !== '' ? data.name : name, data);
}
