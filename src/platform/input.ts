/**
 * Converts model inputs so that they can be posted to a worker without copying the weights: bytes become Blobs, URLs
 * become strings.
 */
import { isAddressList, resolveInput, type ModelInput } from '../load/inputs.ts';

export async function cloneable(input: ModelInput): Promise<ModelInput> {
  const resolved = await resolveInput(input);
  if (typeof resolved === 'string' || isAddressList(resolved)) return resolved;
  if (resolved instanceof Map) return Object.fromEntries([...resolved].map(([name, data]) => [name, blob(data)]));
  return blob(resolved as Blob | Uint8Array);
}

function blob(data: Blob | Uint8Array): Blob {
  return data instanceof Blob ? data : new Blob([data as Uint8Array<ArrayBuffer>]);
}
