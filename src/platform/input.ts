/** Model inputs as they can be posted to a worker without a copy of the weights: bytes become Blobs, URLs strings. */
import { InputError } from '../errors.ts';
import type { ModelInput } from '../load/index.ts';

export function cloneable(input: ModelInput): ModelInput {
  if (typeof input === 'string' || input instanceof Blob) return input;
  if (input instanceof URL) return input.href;
  if (input instanceof Uint8Array) return blob(input);
  if (Array.isArray(input)) return input as readonly File[];
  if (typeof input === 'object' && input !== null) {
    return Object.fromEntries(
      Object.entries(input as Readonly<Record<string, Blob | Uint8Array>>).map(([name, part]) => [
        name,
        part instanceof Blob ? part : blob(part),
      ]),
    );
  }
  throw new InputError('argument', `the model must be 'nano', a URL, a File, bytes or a path, not ${typeof input}`);
}

function blob(bytes: Uint8Array): Blob {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]);
}
