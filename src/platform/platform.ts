/** The differences between browsers and Node, as one object that the engine is given. */
import type { SpawnPoolWorker } from '../backend/pool.ts';
import type { OpenOptions } from '../load/index.ts';
import type { Records } from '../store/records.ts';
import type { Shelf } from '../store/index.ts';
import type { WasmBuild } from '../wasm.ts';

export interface Platform {
  readonly name: 'browser' | 'node';
  /**
   * Returns the compiled module, not an instance. Throws `DeviceError('unavailable')` when the file is not available.
   */
  wasm(build: WasmBuild): Promise<WebAssembly.Module>;
  /** undefined where there is no WebGPU. */
  gpu(): Promise<GPU | undefined>;
  /** Whether WASM memory can be shared with threads. */
  readonly sharedMemory: boolean;
  /** Why memory cannot be shared, for users. */
  readonly unshared?: string | undefined;
  /** Logical processors. */
  readonly cores: number;
  /** Bytes of the machine's memory, where known. */
  readonly memory?: number | undefined;
  /** Builds that validate here but compute wrong results. */
  readonly distrusted: readonly WasmBuild[];
  readonly spawnPool?: SpawnPoolWorker | undefined;
  /** Where sessions are saved; undefined where nothing can be kept. */
  readonly sessions?: (() => Shelf | undefined | Promise<Shelf | undefined>) | undefined;
  /** Where measurements of this machine are kept; undefined where nothing can be kept. */
  readonly records?: (() => Records | undefined) | undefined;
  /** What `openModel` needs here: file access, a store. */
  readonly open: Partial<Pick<OpenOptions, 'files' | 'store' | 'fetch'>>;
}
