/** Bytes that a model and its contexts may have. */

/** What a WASM memory can have, without what the engine itself needs there. */
const WASM_BYTES = 2 ** 32 - 2 ** 26;

/** `memory`: bytes of the machine, where they are known. */
export function availableBytes(kind: 'wasm' | 'webgpu' | 'reference', memory: number | undefined): number {
  return Math.min(kind === 'wasm' ? WASM_BYTES : Infinity, memory ?? Infinity);
}
