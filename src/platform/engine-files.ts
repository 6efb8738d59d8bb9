/**
 * The locations of the browser engine's files: each WASM build, and the parts of the engine that are downloaded on
 * demand.
 */
import { partUrls } from 'octavo:parts';
import type { WasmBuild } from '../wasm.ts';

export interface EngineFiles {
  /** URL of each WASM build. */
  readonly wasm: Readonly<Record<WasmBuild, string>>;
  /** URL of each part of the engine by its name, such as `worker-webgpu`. */
  readonly parts: Readonly<Record<string, string>>;
}

/**
 * The files beside this script. Every URL is written as a literal, so that bundlers find the files and include them.
 * Throws a TypeError when a bundler left no usable `import.meta.url`.
 */
export function filesBeside(): EngineFiles {
  return {
    wasm: {
      scalar: new URL('./octavo.scalar.wasm', import.meta.url).href,
      simd: new URL('./octavo.simd.wasm', import.meta.url).href,
      relaxed: new URL('./octavo.relaxed.wasm', import.meta.url).href,
      'simd-threads': new URL('./octavo.simd-threads.wasm', import.meta.url).href,
      'relaxed-threads': new URL('./octavo.relaxed-threads.wasm', import.meta.url).href,
    },
    parts: partUrls(),
  };
}
