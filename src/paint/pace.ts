/** Paces the steps of a long computation: between them aborts are noticed, the queue of the device stays short, and the message loop runs. */
import type { Backend } from '../backend/backend.ts';
import { TimeSlice } from '../layers/yield.ts';

/** Steps that may be under way on the device; on WASM a step is done when it returns. */
const AHEAD = { wasm: 1, webgpu: 4, reference: 1 } as const;

export class Pace {
  readonly #backend: Backend;
  readonly #signal: AbortSignal | undefined;
  readonly #slice = new TimeSlice();
  readonly #running: Promise<void>[] = [];

  constructor(backend: Backend, signal: AbortSignal | undefined) {
    this.#backend = backend;
    this.#signal = signal;
  }

  /** Rejects with the signal's reason, or with the error that lost the device. */
  readonly step = async (): Promise<void> => {
    this.#signal?.throwIfAborted();
    this.#backend.flush();
    const running = this.#backend.idle();
    running.catch(() => undefined);
    this.#running.push(running);
    if (this.#running.length > AHEAD[this.#backend.kind]) await this.#running.shift();
    await this.#slice.yield();
    this.#signal?.throwIfAborted();
  };
}
