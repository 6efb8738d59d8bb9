/** WASM memory for the duration of a choice, and what is read back from the device for it. */
import type { Backend, Tensor } from '../../backend/backend.ts';
import type { Wasm } from '../../wasm.ts';

/**
 * Hands out pieces of one block of WASM memory, 16-byte aligned; `body` must be synchronous. Throws
 * `DeviceError('out-of-memory')`.
 */
export function withScratch<T>(wasm: Wasm, pieces: readonly number[], body: (...pointers: number[]) => T): T {
  const sizes = pieces.map((bytes) => Math.ceil(bytes / 16) * 16);
  const base = wasm.alloc(sizes.reduce((sum, size) => sum + size, 0));
  try {
    let at = base;
    const pointers = sizes.map((size) => {
      const pointer = at;
      at += size;
      return pointer;
    });
    return body(...pointers);
  } finally {
    wasm.free(base);
  }
}

/** Downloads the tensors that `make` makes, all at once, and frees them. */
export async function readBack(backend: Backend, make: () => readonly Tensor[]): Promise<Float32Array[]> {
  // Kept out of every scope, since others may compute while the downloads are awaited.
  const tensors = backend.scope(make).map((tensor) => backend.keep(tensor));
  try {
    return await Promise.all(tensors.map((tensor) => backend.download(tensor)));
  } finally {
    for (const tensor of tensors) backend.free(tensor);
  }
}
