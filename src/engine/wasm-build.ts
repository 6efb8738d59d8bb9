/** Chooses the WASM build: by validating small modules, never by the browser's name. */
import { InputError } from '../errors.ts';
import type { Platform } from '../platform/platform.ts';
import { WASM_BUILDS, type WasmBuild } from '../wasm.ts';

const HEAD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
/** (func (result v128) (i8x16.popcnt (i8x16.splat (i32.const 0)))) */
const SIMD = [...HEAD, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
/** (func (result v128) (i8x16.relaxed_swizzle (i8x16.splat (i32.const 1)) (i8x16.splat (i32.const 2)))) */
const RELAXED = [...HEAD, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11];

/** With more than eight threads, decoding waits for memory, not for arithmetic. */
const MAX_DEFAULT_THREADS = 8;
/** The builds and threads that a caller may request. */
const MAX_THREADS = 64;

export interface WasmChoice {
  readonly build: WasmBuild;
  readonly threads: number;
  /** Human-readable. */
  readonly reason: string;
}

/** Tells whether the engine here accepts the features that a build uses. */
export function buildRuns(build: WasmBuild, platform: Pick<Platform, 'sharedMemory' | 'distrusted'>): boolean {
  if (platform.distrusted.includes(build)) return false;
  if (build.endsWith('-threads') && !platform.sharedMemory) return false;
  const bytes = build.startsWith('relaxed') ? RELAXED : build.startsWith('simd') ? SIMD : undefined;
  return bytes === undefined || WebAssembly.validate(new Uint8Array(bytes));
}

/** Half the logical processors when there are many, since pairs of them share their arithmetic units. */
export function defaultThreads(cores: number): number {
  return Math.max(1, Math.min(MAX_DEFAULT_THREADS, cores > 4 ? cores >> 1 : cores));
}

/**
 * Returns the fastest build that runs here, or the one that `build` names. Throws `InputError` for one that does not
 * run here.
 */
export function chooseWasm(
  platform: Pick<Platform, 'sharedMemory' | 'unshared' | 'distrusted' | 'cores'>,
  ask: { readonly threads?: number | undefined; readonly build?: WasmBuild | undefined } = {},
): WasmChoice {
  const { threads: wanted } = ask;
  if (wanted !== undefined && (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_THREADS)) {
    throw new InputError('argument', `threads: ${String(wanted)} is not a whole number from 1 to ${MAX_THREADS}`);
  }
  if (ask.build !== undefined && !buildRuns(ask.build, platform)) {
    throw new InputError(
      'argument',
      `build: '${ask.build}' does not run here; leave it out to get the fastest one that does`,
    );
  }
  const threads = wanted ?? defaultThreads(platform.cores);
  const build =
    ask.build ??
    WASM_BUILDS.find((name) => (threads > 1 || !name.endsWith('-threads')) && buildRuns(name, platform)) ??
    'scalar';
  const threaded = build.endsWith('-threads');
  let reason = build.startsWith('relaxed')
    ? 'relaxed SIMD is supported'
    : build.startsWith('simd')
      ? 'SIMD is supported, relaxed SIMD is not'
      : 'SIMD is not supported';
  if (ask.build !== undefined) reason = 'the build was asked for';
  if (!threaded && threads > 1)
    reason += platform.sharedMemory
      ? ''
      : `; one thread, since memory cannot be shared (${platform.unshared ?? 'this platform has no threads'})`;
  return { build, threads: threaded ? threads : 1, reason };
}
