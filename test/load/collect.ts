/** A device that keeps what it is given, and checks that it is used as the contract says. */
import type { Weight, WeightWriter } from '../../src/backend/backend.ts';
import type { ModelFile, ReadOptions, TensorInfo } from '../../src/load/model-file.ts';

export class Device {
  readonly bytes = new Map<string, Uint8Array>();
  aborted = 0;
  freed = 0;
  made = 0;
  finished = 0;
  largestChunk = 0;
  #busy = false;

  writer = (info: TensorInfo): WeightWriter => {
    const held = new Uint8Array(info.bytes);
    let filled = 0;
    this.made++;
    return {
      write: async (chunk) => {
        if (this.#busy) throw new Error('a write before the last one settled');
        this.#busy = true;
        this.largestChunk = Math.max(this.largestChunk, chunk.length);
        await Promise.resolve();
        held.set(chunk, filled);
        filled += chunk.length;
        this.#busy = false;
      },
      finish: async (): Promise<Weight> => {
        if (filled !== held.length) throw new Error(`${info.name}: ${filled} of ${held.length} bytes`);
        this.finished++;
        this.bytes.set(info.name, held);
        return {
          name: info.name,
          shape: info.shape,
          format: info.format,
          bytes: held.length,
          free: () => {
            this.freed++;
            this.bytes.delete(info.name);
          },
        };
      },
      abort: () => {
        this.aborted++;
      },
    };
  };
}

export async function readAll(file: ModelFile, options?: ReadOptions): Promise<Map<string, Uint8Array>> {
  const device = new Device();
  await file.read(device.writer, options);
  return device.bytes;
}

// Looked up once: a test's globals are slow to reach.
const { imul } = Math;

/** Deterministic bytes that are finite numbers, read as F32, F16 or the scales of a block of even length. */
export function weightNoise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  return noise(length, seed).map((byte, i) => (i % 2 === 1 ? byte & 0xbf : byte));
}

/** Deterministic bytes. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
