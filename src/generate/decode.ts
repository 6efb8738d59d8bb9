/**
 * The decode loop: draws id after id. The id ring holds the id of position p at index p; `sample` writes the next one on the device, and the next
 * step's `embed` reads it there, so that a step is issued before the host knows the id of the one before.
 *
 * Free answers run several steps ahead of the host, which reads ids behind them; what was issued beyond the end is undone by truncating the sequence.
 * Under a constraint the host runs one token behind the device: the forward call of a token is issued before its id is known, and only the draw of
 * the next one waits for the constraint.
 */
import type { SampleSpec, Tensor } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import { TimeSlice } from '../layers/yield.ts';
import { advance, lastLogits, type Take } from './advance.ts';
import type { Constraint } from '../constrain/constraint.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import type { GenerateOptions, Generated } from './generate.ts';

/** Steps issued beyond the last id read. */
const AHEAD = 4;

export class Decoding {
  readonly generated: number[] = [];
  /** The stop id that ended the answer. */
  end: number | undefined;
  readonly #onDevice: DeviceSequence;
  readonly #options: GenerateOptions;
  /** Of the prompt and the answer. */
  readonly #ids: Int32Array;
  readonly #reads: Promise<Int32Array>[] = [];
  readonly #slice = new TimeSlice();
  /** Ring indices below it have been drawn; positions below `#issued - 1` have been run. */
  #issued: number;
  /** The logits behind the last position that was run, kept until the constraint allows a draw. */
  #logits: Tensor | undefined;

  /** Precondition: the prompt is in the sequence, and the first id was drawn by `take`. */
  constructor(onDevice: DeviceSequence, options: GenerateOptions) {
    const { ids, maxTokens } = options;
    this.#onDevice = onDevice;
    this.#options = options;
    this.#ids = new Int32Array(ids.length + maxTokens);
    this.#ids.set(ids);
    this.#issued = ids.length + 1;
  }

  /** Decodes to the end. Afterwards, and after a failure, the sequence holds only positions of known ids. */
  async run(take: Take): Promise<Generated['reason']> {
    const { constraint, ids } = this.#options;
    const promptEnd = ids.length;
    try {
      this.#read(promptEnd);
      return await (constraint === undefined ? this.#free(take) : this.#constrained(constraint));
    } finally {
      this.#freeLogits();
      cut(this.#onDevice, Math.min(promptEnd + this.generated.length, this.#issued - 1));
    }
  }

  async #free(take: Take): Promise<Generated['reason']> {
    const { maxTokens, onId } = this.#options;
    const ahead = this.#mayRunAhead ? AHEAD : 1;
    while (this.generated.length < maxTokens) {
      while (this.#issued < this.#ids.length && this.#reads.length < ahead) {
        await this.#forward(take);
        this.#read(this.#issued++);
      }
      const id = await this.#next();
      if (id === undefined || (await onId(id))) return 'stop';
      await this.#slice.yield();
    }
    return 'length';
  }

  async #constrained(constraint: Constraint): Promise<Generated['reason']> {
    const { maxTokens, onId, spec } = this.#options;
    const { backend } = this.#onDevice.model;
    while (this.generated.length < maxTokens) {
      const more = this.#issued < this.#ids.length;
      if (more && this.#mayRunAhead) {
        await this.#forward(this.#keepLogits);
        backend.flush();
      }
      const id = await this.#next();
      if (id === undefined) return 'stop';
      if (!constraint.accept(id)) throw notAllowed(id);
      const { done } = constraint;
      if (more && !done) {
        if (this.#logits === undefined) await this.#forward(this.#keepLogits);
        this.#draw(constraint, spec);
      }
      if ((await onId(id)) || done) return 'stop';
      await this.#slice.yield();
    }
    return 'length';
  }

  /**
   * Whether a position may be run before the host knows its id. On WASM an operation is done when it returns, so that it would only waste work; whoever
   * plans what a token looks at is told its id.
   */
  get #mayRunAhead(): boolean {
    const { model, planner } = this.#onDevice;
    return model.backend.kind === 'webgpu' && planner === undefined;
  }

  /** Runs the position behind the last that was run. */
  async #forward(take: Take): Promise<void> {
    const room = this.#onDevice.tiers?.room(this.#onDevice.sequence, this.#issued);
    if (room !== undefined) await room;
    const done = advance(this.#onDevice, {
      start: this.#issued - 1,
      count: 1,
      ids: this.#ids,
      promptEnd: this.#options.ids.length,
      phase: 'decode',
      take,
      spans: [],
    });
    if (done !== undefined) await done;
  }

  readonly #keepLogits: Take = (hidden, start, count) => {
    const logits = nextLogits(this.#onDevice, this.#options, hidden, start, count);
    this.#logits = this.#onDevice.model.backend.keep(logits);
  };

  /** Draws the next id from the logits that were kept. */
  #draw(constraint: Constraint, spec: SampleSpec): void {
    const { model, sampler, ring } = this.#onDevice;
    const logits = this.#logits;
    if (logits === undefined) return;
    sampler.mask(allowed(this.#onDevice, constraint));
    model.backend.scope(() => model.backend.sample(logits, sampler, spec, ring, this.#issued));
    this.#freeLogits();
    this.#read(this.#issued++);
  }

  #freeLogits(): void {
    const logits = this.#logits;
    this.#logits = undefined;
    try {
      if (logits !== undefined) this.#onDevice.model.backend.free(logits);
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
  }

  #read(index: number): void {
    const ids = this.#onDevice.model.backend.readIds(this.#onDevice.ring, index, index + 1);
    ids.catch(() => undefined);
    this.#reads.push(ids);
  }

  /** The next id, which is now part of the answer; undefined for one that ends it. */
  async #next(): Promise<number | undefined> {
    const { signal, stopIds, ids, constraint } = this.#options;
    signal?.throwIfAborted();
    const [id = -1] = (await this.#reads.shift()) ?? [];
    if (id < 0) throw notNumbers(constraint !== undefined);
    if (stopIds.has(id)) {
      this.end = id;
      return undefined;
    }
    this.#ids[ids.length + this.generated.length] = id;
    this.generated.push(id);
    return id;
  }
}

/** Draws the id behind the last position. */
export function drawing(onDevice: DeviceSequence, options: Pick<GenerateOptions, 'spec' | 'onLogits'>): Take {
  const { model, sampler, ring } = onDevice;
  return (hidden, start, count) => {
    const logits = nextLogits(onDevice, options, hidden, start, count);
    model.backend.sample(logits, sampler, options.spec, ring, start + count);
  };
}

/** The logits behind the hidden states of positions `[start, start + count)`, as they are drawn from; in the caller's scope. */
function nextLogits(
  { model, contrast, ring }: DeviceSequence,
  { onLogits }: Pick<GenerateOptions, 'onLogits'>,
  hidden: Tensor,
  start: number,
  count: number,
): Tensor {
  const logits = lastLogits(model, hidden, count);
  onLogits?.(logits);
  return contrast?.against(ring, start + count - 1, logits) ?? logits;
}

/** What both the constraint and the vocabulary allow; undefined: everything. */
export function allowed({ drawable }: DeviceSequence, constraint: Constraint | undefined): Uint32Array | undefined {
  const bits = constraint?.mask();
  if (bits === undefined || drawable === undefined) return bits ?? drawable;
  return bits.map((word, i) => word & (drawable[i] ?? 0));
}

function notAllowed(id: number): ModelError {
  return new ModelError(
    'non-finite',
    `token ${id} was drawn, which the constraint of this answer does not allow here; the device computes wrongly: try device: 'wasm'`,
    { id },
  );
}

export function notNumbers(constrained: boolean): ModelError {
  const also = constrained ? ', or the constraint of this answer allows no token' : '';
  return new ModelError(
    'non-finite',
    `the model computed logits that are not numbers${also}; the file may be damaged, or the device computes wrongly: ` +
      "compare its SHA-256 with the publisher's and try device: 'wasm'",
    { constrained },
  );
}
