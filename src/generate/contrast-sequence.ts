/** The second sequence of a contrasted answer (contrast.ts): the same prompt with outlier tokens of its images only. */
import type { Tensor } from '../backend/backend.ts';
import { denseCausal } from '../kv/ranges.ts';
import type { SessionModel } from './session-cache.ts';
import type { Contrast } from './contrast.ts';
import { prefill } from './prefill.ts';
import { freeDeviceSequence, type Contrasting, type DeviceSequence } from './device-sequence.ts';
import type { PromptImage } from '../see/images.ts';
import { withImages, type Prompt } from '../chat/prompt.ts';
import { placeNext } from './slots.ts';

/** The second sequence of one answer. */
export class ContrastSequence implements Contrasting {
  readonly #onDevice: DeviceSequence;
  /** The number of slots of the first sequence that this one lacks. */
  readonly #fewer: number;
  /** [1, vocabulary] of -a / (1 + a) */
  readonly #weight: Tensor;
  readonly #cutoff: number;
  /** The logits of the whole image that were contrasted last, until they are read. */
  #own: Tensor | undefined;

  private constructor(onDevice: DeviceSequence, fewer: number, weight: Tensor, cutoff: number) {
    this.#cutoff = cutoff;
    this.#onDevice = onDevice;
    this.#fewer = fewer;
    this.#weight = weight;
  }

  /**
   * Prefills the whole prompt except its last id, with outlier tokens only. Returns undefined when there is no image to
   * contrast. The caller frees it.
   */
  static async open(
    model: SessionModel,
    prompt: Prompt,
    contrast: Contrast,
    { window, signal }: { readonly window: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ContrastSequence | undefined> {
    if (prompt.spans.length === 0) return undefined;
    const others = new Map<PromptImage, PromptImage>();
    for (const { image } of prompt.spans)
      if (!others.has(image)) others.set(image, model.images.outliers(image, contrast.tokens));
    for (const other of others.values()) await model.images.resolve(other, signal);
    const less = withImages(prompt, (image) => others.get(image) ?? image);
    const onDevice = await model.deviceSequence(window, {});
    try {
      await prefill(onDevice, {
        ids: less.ids.subarray(0, -1),
        spans: less.spans,
        cached: 0,
        chunk: model.chunk,
        signal,
      });
      const { backend, config } = onDevice.model;
      const weight = backend.keep(
        backend.upload(new Float32Array(config.vocabulary).fill(-contrast.strength / (1 + contrast.strength)), [
          1,
          config.vocabulary,
        ]),
      );
      return new ContrastSequence(onDevice, prompt.ids.length - less.ids.length, weight, contrast.cutoff);
    } catch (error) {
      freeDeviceSequence(onDevice);
      throw error;
    }
  }

  against(ring: Tensor, slot: number, logits: Tensor): Tensor {
    const { model, sequence } = this.#onDevice;
    const { backend } = model;
    const own = slot - this.#fewer;
    sequence.truncate(own);
    sequence.ensure(own + 1);
    placeNext(sequence, own, own + 1);
    const hidden = model.forward(model.embed(ring, slot, 1), {
      kv: sequence,
      position: own,
      ranges: denseCausal(1, own + 1),
      ids: { ring, start: slot },
    });
    this.#forget();
    this.#own = backend.keep(backend.rows(logits, 0, 1));
    return backend.gatedAdd(logits, model.logits(hidden), this.#weight, 0);
  }

  async plausible(): Promise<Uint32Array> {
    const { backend } = this.#onDevice.model;
    const logits = this.#own === undefined ? new Float32Array(0) : await backend.download(this.#own);
    this.#forget();
    const least = logits.reduce((most, value) => Math.max(most, value), -Infinity) + Math.log(this.#cutoff);
    const bits = new Uint32Array(Math.ceil(logits.length / 32));
    for (let id = 0; id < logits.length; id++)
      // What is not a number is left to the draw, which reports it.
      if (!((logits[id] ?? 0) < least)) bits[id >> 5] = (bits[id >> 5] ?? 0) | (1 << (id & 31));
    return bits;
  }

  #forget(): void {
    const own = this.#own;
    this.#own = undefined;
    if (own !== undefined) this.#onDevice.model.backend.free(own);
  }

  free(): void {
    try {
      this.#forget();
      this.#onDevice.model.backend.free(this.#weight);
    } catch {
      // The device is lost, so there is nothing to free on it.
    }
    freeDeviceSequence(this.#onDevice);
  }
}
