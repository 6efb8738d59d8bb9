/**
 * One WASM instance as the backend uses it: the argument record, the scratch memory, the threads, and the handling of a
 * thread that dies. Operations finish before they return, so every call may reuse the argument record and the scratch
 * memory.
 */
import { DeviceError, InputError } from '../../errors.ts';
import type { Wasm } from '../../wasm.ts';
import type { PoolWorker, SpawnPoolWorker } from '../pool.ts';
import { POOL_SCRATCH, POOL_SCRATCH_STRIDE, POOL_SLEEPS, POOL_WORKERS, type Block } from './layouts.ts';
import { Profile } from './profile.ts';

/** The pool's record, which assembly/kernels/pool.ts draws. */
const POOL_BYTES = 256;

/** The size of the largest argument record: that of a product with MAX_WEIGHTS weights (checks.ts). */
const ARGUMENT_BYTES = 4096;
/** Growable scratch memory by purpose; its contents do not outlast an operation unless stated otherwise. */
export type Room =
  | 'prepared'
  | 'normalised'
  | 'pages'
  | 'offsets'
  | 'runs'
  | 'biases'
  | 'partials'
  | 'states'
  | 'masses'
  | 'spans'
  | 'sample'
  | 'table'
  | 'rows'
  | 'packed'
  | 'picture'
  | 'gates';

export class Engine {
  readonly wasm: Wasm;
  readonly profile = new Profile();
  readonly lost: Promise<Error>;
  readonly #lose: (error: Error) => void;
  readonly #pool: number;
  readonly #args: number;
  readonly #rooms = new Map<Room, { pointer: number; bytes: number }>();
  #block: Block = { words: new Uint32Array(0), floats: new Float32Array(0) };
  #scratch = 0;
  #stride = 0;
  #workers: readonly PoolWorker[] = [];
  #failure: Error | undefined;
  #destroyed = false;
  #usable = true;
  /** Called when memory runs out, to free caches. */
  relieve: () => void = () => {};

  private constructor(wasm: Wasm) {
    this.wasm = wasm;
    let lose: (error: Error) => void = () => {};
    this.lost = new Promise((resolve) => {
      lose = resolve;
    });
    this.#lose = lose;
    this.#pool = wasm.alloc(POOL_BYTES);
    wasm.bytes(this.#pool, POOL_BYTES).fill(0);
    this.#args = wasm.alloc(ARGUMENT_BYTES);
  }

  /** `threads` includes the caller's own; more than 1 needs a threaded build and a way to start workers. */
  static async create(wasm: Wasm, threads: number, spawn: SpawnPoolWorker | undefined): Promise<Engine> {
    if (wasm.exports.relaxedDot() === 0) {
      throw new DeviceError(
        'self-check',
        `build '${wasm.build}': this machine's relaxed dot product is not usable; take the build without 'relaxed'`,
        { build: wasm.build },
      );
    }
    const engine = new Engine(wasm);
    if (threads > 1 && spawn !== undefined && wasm.build.endsWith('-threads')) await engine.#start(threads - 1, spawn);
    return engine;
  }

  async #start(count: number, spawn: SpawnPoolWorker): Promise<void> {
    const { module, memory } = this.wasm;
    const workers = Array.from({ length: count }, (_, i) => spawn({ module, memory, pool: this.#pool, thread: i + 1 }));
    try {
      await Promise.all(workers.map((worker) => worker.ready));
    } catch (cause) {
      for (const worker of workers) worker.terminate();
      throw new DeviceError('unavailable', `WASM threads: ${message(cause)}`, { threads: count + 1 }, { cause });
    }
    this.#workers = workers;
    const record = this.wasm.u32(this.#pool, POOL_BYTES / 4);
    record[POOL_WORKERS / 4] = count;
    record[POOL_SLEEPS / 4] = maySleep() ? 1 : 0;
    for (const worker of workers) {
      void worker.ended.then((error) => {
        if (!this.#destroyed) this.fail(error ?? new Error('a pool thread ended'));
      });
    }
  }

  /** Threads, including the engine's own. */
  get threads(): number {
    return this.#workers.length + 1;
  }

  /**
   * Returns the argument record, whose first word names the pool; valid until the next allocation. The writers of
   * layouts.ts fill it.
   */
  block(): Block {
    // A view of memory that has grown is empty, or, if memory is shared, shorter but still valid.
    if (this.#block.words.length === 0)
      this.#block = {
        words: this.wasm.u32(this.#args, ARGUMENT_BYTES / 4),
        floats: this.wasm.f32(this.#args, ARGUMENT_BYTES / 4),
      };
    this.#block.words[0] = this.#pool;
    return this.#block;
  }
  /** Address of the argument block. */
  get args(): number {
    return this.#args;
  }

  /**
   * Runs one exported operation on the argument record. Throws when a worker was lost, for which the result is not 0.
   */
  run(name: string, operation: (args: number) => number | void): void {
    const start = this.profile.enabled ? performance.now() : 0;
    let failed: number | void;
    try {
      failed = operation(this.#args);
    } catch (cause) {
      throw this.fail(new Error(`${name}: ${message(cause)}`, { cause }));
    }
    if (failed) throw this.fail(new Error(`${name}: a pool thread died`));
    if (this.profile.enabled) this.profile.add(name, performance.now() - start);
  }

  /** Marks the device as lost, and returns the error to throw. */
  fail(cause: Error): DeviceError {
    const error = new DeviceError(
      'lost',
      `the WASM engine is lost: ${cause.message}; load the model again`,
      {},
      { cause },
    );
    if (this.#failure === undefined) {
      this.#failure = error;
      this.#usable = false;
      this.#stop();
      this.#lose(error);
    }
    return error;
  }

  /** Throws when the engine cannot be used any more. */
  alive(): void {
    if (this.#usable) return;
    if (this.#destroyed) throw new InputError('destroyed', 'the backend was destroyed');
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** As `wasm.alloc`, after freeing caches. */
  alloc(bytes: number): number {
    const pointer = this.wasm.tryAlloc(bytes);
    if (pointer !== 0) return pointer;
    this.relieve();
    return this.wasm.alloc(bytes);
  }
  free(pointer: number): void {
    this.wasm.free(pointer);
  }

  /** At least `bytes` of scratch memory. */
  room(name: Room, bytes: number): number {
    const has = this.#rooms.get(name);
    if (has !== undefined && has.bytes >= bytes) return has.pointer;
    if (has !== undefined) {
      this.#rooms.delete(name);
      this.free(has.pointer);
    }
    const pointer = this.alloc(bytes);
    this.#rooms.set(name, { pointer, bytes });
    return pointer;
  }

  /** Copies `data` to scratch memory. */
  copy(name: Room, data: Uint32Array | Float32Array): number {
    const pointer = this.room(name, Math.max(4, data.byteLength));
    if (data instanceof Float32Array) this.wasm.floats().set(data, pointer >>> 2);
    else this.wasm.words().set(data, pointer >>> 2);
    return pointer;
  }

  /** Frees the scratch memory of a purpose that few operations need and that may be large. */
  giveBack(name: Room): void {
    const has = this.#rooms.get(name);
    if (has === undefined) return;
    this.#rooms.delete(name);
    this.free(has.pointer);
  }

  /** At least `bytes` of scratch memory for each thread. */
  scratch(bytes: number): void {
    if (bytes <= this.#stride) return;
    const stride = (bytes + 127) & ~63;
    this.free(this.#scratch);
    this.#scratch = 0;
    this.#stride = 0;
    this.#scratch = this.alloc(stride * this.threads);
    this.#stride = stride;
    const pool = this.wasm.u32(this.#pool, POOL_BYTES / 4);
    pool[POOL_SCRATCH / 4] = this.#scratch;
    pool[POOL_SCRATCH_STRIDE / 4] = stride;
  }

  /** Ends the workers and frees everything that belongs to the engine. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#usable = false;
    this.#stop();
    for (const room of this.#rooms.values()) this.free(room.pointer);
    this.#rooms.clear();
    this.free(this.#args);
    // Workers that are stopping still read the pool's record; if one was lost, a tile may still be running.
    const pool = this.#pool;
    const scratch = this.#scratch;
    const last = (): void => {
      this.free(scratch);
      this.free(pool);
    };
    if (this.#workers.length === 0) last();
    else void Promise.all(this.#workers.map((worker) => worker.ended)).then(last);
  }

  #stop(): void {
    if (this.#workers.length > 0) this.wasm.exports.stopPool(this.#pool);
    if (this.#failure !== undefined) for (const worker of this.#workers) worker.terminate();
  }
}

/** Tells whether this thread may block; a browser's main thread may not. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer), 0, 1);
    return true;
  } catch {
    return false;
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
