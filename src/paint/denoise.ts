/** Draws tokens from noise: the whole chain of denoising steps for the positions that one round predicts. */
import type { Backend, PictureOperations, Tensor } from '../backend/backend.ts';
import { Held } from '../layers/held.ts';
import type { PaintModel } from '../models/paint-model.ts';
import type { DiffusionHead } from '../models/unipic/head.ts';
import type { Sources } from './noise.ts';
import type { DiffusionStep } from './schedule.ts';

/**
 * Bytes of the widest tensor of a step. More positions are processed in groups, which costs only another pass over the
 * head's weights.
 */
const GROUP_BYTES = 2 ** 26;

export interface DenoiseTask {
  /** [n, W], or [2 n, W] when the unconditional rows follow. */
  readonly conditions: Tensor;
  /** Ascending. */
  readonly positions: Int32Array;
  /** Of the whole picture. */
  readonly tokens: number;
  readonly channels: number;
  readonly sources: Sources;
  /** Undefined when the conditions have no unconditional rows. */
  readonly guidance: number | undefined;
}

export class Denoiser {
  readonly #backend: Backend;
  readonly #operations: PictureOperations;
  readonly #head: DiffusionHead;
  readonly #steps: readonly DiffusionStep[];
  readonly #times: Tensor;
  readonly #groupBytes: number;

  /** Embeds the times of the steps, once. */
  constructor(
    { backend, operations, head }: Pick<PaintModel, 'backend' | 'operations' | 'head'>,
    steps: readonly DiffusionStep[],
    groupBytes: number = GROUP_BYTES,
  ) {
    this.#backend = backend;
    this.#operations = operations;
    this.#groupBytes = groupBytes;
    this.#head = head;
    this.#steps = steps;
    this.#times = backend.keep(backend.scope(() => head.times(steps.map(({ time }) => time))));
  }

  /** Returns the tokens [n * C] of the positions, in their order. */
  async run(task: DenoiseTask, pause: () => Promise<void>): Promise<Float32Array> {
    const { positions, channels, guidance } = task;
    const rows = guidance === undefined ? 1 : 2;
    const most = Math.max(1, Math.floor(this.#groupBytes / (rows * this.#head.rowBytes)));
    const out = new Float32Array(positions.length * channels);
    for (let first = 0; first < positions.length; first += most) {
      out.set(await this.#group(task, first, Math.min(positions.length, first + most), pause), first * channels);
    }
    return out;
  }

  free(): void {
    this.#backend.free(this.#times);
  }

  async #group(
    { conditions, positions, tokens, channels, sources, guidance }: DenoiseTask,
    first: number,
    last: number,
    pause: () => Promise<void>,
  ): Promise<Float32Array> {
    const backend = this.#backend;
    const head = this.#head;
    const count = last - first;
    const some = positions.subarray(first, last);
    const shape = { tokens, channels };
    const held = new Held(backend);
    try {
      const rows = Int32Array.from(
        { length: guidance === undefined ? count : 2 * count },
        (_, i) => first + (i < count ? i : positions.length + i - count),
      );
      const condition = held.step(() => head.condition(backend.take(conditions, rows)));
      const noise = held.step(() =>
        backend.upload(this.#noise(some, shape, sources), [this.#steps.length * count, channels]),
      );
      let x = held.step(() => backend.upload(sources.noise('initial', some, shape), [count, channels]));
      for (const [i, { spec }] of this.#steps.entries()) {
        x = held.next(x, (before) => {
          const predicted = head.predict(before, backend.rows(this.#times, i, 1), condition);
          return this.#operations.denoise(before, predicted, backend.rows(noise, i * count, count), {
            ...spec,
            ...(guidance !== undefined && { guidance }),
          });
        });
        await pause();
      }
      return await backend.download(x);
    } finally {
      held.free();
    }
  }

  /** The noise of all steps, one after the other. */
  #noise(
    positions: Int32Array,
    shape: { readonly tokens: number; readonly channels: number },
    sources: Sources,
  ): Float32Array {
    const each = positions.length * shape.channels;
    const out = new Float32Array(this.#steps.length * each);
    this.#steps.forEach(({ spec }, i) => {
      if (spec.noiseScale !== 0) out.set(sources.noise(i, positions, shape), i * each);
    });
    return out;
  }
}
