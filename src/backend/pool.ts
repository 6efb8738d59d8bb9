/** How the WASM backend starts one thread of its pool; `src/platform/pool-*.ts` implement it. */

/** The single message to a pool worker. */
export interface PoolStart {
  readonly module: WebAssembly.Module;
  /** Shared. */
  readonly memory: WebAssembly.Memory;
  /** Address of the pool's record (assembly/kernels/pool.ts). */
  readonly pool: number;
  /** 1 or more; 0 is the engine's own thread. */
  readonly thread: number;
}

export interface PoolWorker {
  /** Resolves when the worker runs its loop; rejects when it cannot start. */
  readonly ready: Promise<void>;
  /**
   * Never rejects. Resolves with undefined after the loop has returned, otherwise with the error that ended the worker.
   */
  readonly ended: Promise<Error | undefined>;
  /** Ends the worker at once, even while it runs. */
  terminate(): void;
}

export type SpawnPoolWorker = (start: PoolStart) => PoolWorker;
