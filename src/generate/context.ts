/** What a session holds on the device: a lane of KV pages, and the ids and text that it stands for. Survives the loss of the device. */
import { answer, type Answer, type AnswerListener } from './answer.ts';
import { prefill, type Lane } from './generate.ts';
import type { PromptSettings } from './options.ts';
import type { Sight } from './pictures.ts';
import { NOTHING, beginning, commonPrefix, type Prompt, type Transcript, type Words } from './prompt.ts';
import type { Gate } from './queue.ts';
import type { SamplingDefaults } from './sampling.ts';

/** What a session asks of the loaded model (`src/engine/model.ts`). */
export interface SessionModel extends Words {
  readonly sight: Sight;
  readonly window: number;
  /** Tokens of a prefill chunk. */
  readonly chunk: number;
  readonly sampling: SamplingDefaults;
  /** Passed by whatever computes. */
  readonly gate: Gate;
  /** Grows when the model moves to another device: lanes of an earlier epoch are gone. */
  readonly epoch: number;
  /** A new lane, or one that shares the pages of `from` until either writes. */
  lane(window: number, from?: Lane): Lane;
}

export class Context {
  readonly window: number;
  readonly #model: SessionModel;
  #held: { readonly lane: Lane; readonly epoch: number } | undefined;
  #transcript: Transcript = NOTHING;

  constructor(model: SessionModel, window: number) {
    this.#model = model;
    this.window = window;
  }

  get transcript(): Transcript {
    return this.#transcript;
  }

  /** Puts a prompt into the pages, from where it differs from what is there. */
  async fill(prompt: Prompt, text: string | undefined, listener: AnswerListener): Promise<void> {
    const { lane, cached } = this.#take(prompt, text);
    await this.#guard(lane, () => prefill(lane, { ...prompt, cached, chunk: this.#model.chunk, ...listener }));
  }

  /** The same, then an answer, which becomes part of the context. Whoever calls has passed the gate. */
  async answer(prompt: Prompt, text: string | undefined, settings: PromptSettings, listener: AnswerListener): Promise<Answer> {
    const { tokenizer, sampling, chunk, gate } = this.#model;
    const { lane, cached } = this.#take(prompt, text);
    const { ids, pictures } = prompt;
    const request = { lane, tokenizer, prompt, cached, window: this.window, chunk, settings, defaults: sampling };
    const onText = (piece: string): void | Promise<void> => gate.aside(listener.onText?.(piece));
    const result = await this.#guard(lane, () => answer(request, { ...listener, onText }));
    const all = new Int32Array(ids.length + result.ids.length);
    all.set(ids);
    all.set(result.ids, ids.length);
    // A stop string was cut out of the text, so the text no longer stands for the ids.
    const whole = text === undefined || result.stop !== undefined ? undefined : text + result.text;
    this.#transcript = { ids: all, pictures, text: whole };
    return result;
  }

  fork(): Context {
    const copy = new Context(this.#model, this.window);
    const { epoch } = this.#model;
    if (this.#held?.epoch === epoch) copy.#held = { lane: this.#model.lane(this.window, this.#held.lane), epoch };
    copy.#transcript = this.#transcript;
    return copy;
  }

  free(): void {
    if (this.#held !== undefined) freeLane(this.#held.lane);
    this.#held = undefined;
    this.#transcript = NOTHING;
  }

  /** The lane, and how many ids of the prompt it holds; from here on the transcript is the prompt. */
  #take(prompt: Prompt, text: string | undefined): { lane: Lane; cached: number } {
    const { epoch } = this.#model;
    if (this.#held !== undefined && this.#held.epoch !== epoch) {
      freeLane(this.#held.lane);
      this.#held = undefined;
    }
    this.#held ??= { lane: this.#model.lane(this.window), epoch };
    const { lane } = this.#held;
    const cached = Math.min(lane.sequence.length, commonPrefix(prompt, this.#transcript));
    lane.sequence.truncate(cached);
    this.#transcript = { ...prompt, text };
    return { lane, cached };
  }

  /** After a failure or abort the pages hold a beginning of the transcript, which the next call goes on from. */
  async #guard<T>(lane: Lane, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      const { length } = this.#transcript.ids;
      const held = Math.min(lane.sequence.length, length);
      lane.sequence.truncate(held);
      if (held < length) this.#transcript = { ...beginning(this.#transcript, held), text: undefined };
      throw error;
    }
  }
}

/** Frees what a lane holds; a lost device has freed it already. */
function freeLane(lane: Lane): void {
  const { backend } = lane.model;
  const steps = [() => lane.sequence.free(), () => backend.free(lane.ring), () => lane.sampler.free()];
  for (const step of steps) {
    try {
      step();
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
  }
}
