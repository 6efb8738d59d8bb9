/**
 * Recognises from its first bytes a file that is not the expected model, so that the error can say what to do. Fetched
 * where a file is not what it should be.
 */
import { HEAD_BYTES } from './byte-source.ts';

export interface Recognised {
  /**
   * `page`: something that a server sends instead of a file; `model`: weights in a format that is read otherwise, or
   * not at all.
   */
  readonly kind: 'page' | 'model';
  readonly problem: string;
}

export function recognise(bytes: Uint8Array): Recognised | undefined {
  const text = Array.from(bytes.subarray(0, HEAD_BYTES), (byte) => String.fromCharCode(byte))
    .join('')
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart();
  const page = (problem: string): Recognised => ({ kind: 'page', problem });
  const model = (problem: string): Recognised => ({ kind: 'model', problem });
  if (/^(<!doctype\s+html|<html|<head|<\?xml|<!--)/i.test(text))
    return page(
      'an HTML page, not a model: the server answers with a page (an error, a login, or an application that answers every address); check the address',
    );
  if (text.startsWith('version https://git-lfs'))
    return page(
      'a Git LFS pointer, not the file itself: fetch the file with `git lfs pull`, or load its address with /resolve/ in place of /raw/',
    );
  if (text.startsWith('{"error"') || text.startsWith('{"message"'))
    return page('an error message of a server, not a model; check the address');
  if (['lmgg', 'fmgg', 'tjgg', 'algg'].includes(text.slice(0, 4)))
    return model("a ggml file from before GGUF; convert it with llama.cpp's convert scripts");
  if (text.startsWith('PK\u0003\u0004') || (bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 9) <= 5))
    return model(
      'a PyTorch checkpoint (or another ZIP or pickle file), which can run code and is not read; take the model as GGUF or as a folder with safetensors',
    );
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return model('a gzip archive; unpack it first');
  if (bytes[8] === 0x7b && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0)
    return model(
      'a safetensors file on its own, which holds no configuration and no tokenizer: give its whole folder (config.json, tokenizer.json and all .safetensors files), as files, a path, an address that ends with /, or hf:owner/repository',
    );
  if (bytes[0] === 0x08 && text.includes('onnx'))
    return model('an ONNX file, which is not read; take the model as GGUF or safetensors');
  if (text.startsWith('{'))
    return model('a JSON file; give the whole folder with its .safetensors files, or a GGUF file');
  return undefined;
}
