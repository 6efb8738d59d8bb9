/** Joins the biases of the weights of one product in one buffer, since a kernel has one binding for them. */
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import type { LinearOptions, Weight } from '../backend.ts';
import { optionalVector } from './weights.ts';

interface Joined {
  readonly buffer: DeviceBuffer;
  readonly biases: readonly (Weight | undefined)[];
  readonly lengths: readonly number[];
}

export class Biases {
  readonly #runner: Runner;
  /** By their first bias. */
  readonly #joined = new Map<Weight, Joined[]>();

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /** Returns the weights' biases, with zeros for a weight without one; undefined if none has one. Made on first use. */
  of(weights: readonly Weight[], given: LinearOptions['bias']): DeviceBuffer | undefined {
    const biases = weights.map((_, i) => given?.[i]);
    const first = biases.find((bias) => bias !== undefined);
    if (first === undefined) return undefined;
    const lengths = weights.map((weight) => weight.shape[0] ?? 0);
    const buffers = biases.map((bias) => optionalVector('linear', bias));
    if (buffers.length === 1) return buffers[0];
    const known = this.#joined.get(first) ?? [];
    const same = known.find((joined) => equal(joined.biases, biases) && equal(joined.lengths, lengths));
    if (same !== undefined) return same.buffer;
    // New buffers are zero.
    const buffer = this.#runner.buffers.create(4 * lengths.reduce((sum, n) => sum + n, 0), 'weights');
    let column = 0;
    buffers.forEach((part, i) => {
      const length = lengths[i] ?? 0;
      if (part !== undefined) this.#runner.copy(part, 0, buffer, 4 * column, 4 * length);
      column += length;
    });
    this.#joined.set(first, [...known, { buffer, biases, lengths }]);
    return buffer;
  }

  /** Removes and returns the buffers made from a weight that is being freed, for the caller to destroy. */
  without(weight: Weight): DeviceBuffer[] {
    const gone: DeviceBuffer[] = [];
    for (const [first, list] of this.#joined) {
      const kept = list.filter((joined) => !joined.biases.includes(weight));
      for (const joined of list) if (!kept.includes(joined)) gone.push(joined.buffer);
      if (kept.length === 0) this.#joined.delete(first);
      else this.#joined.set(first, kept);
    }
    return gone;
  }
}

function equal(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
