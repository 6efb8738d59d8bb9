/**
 * The decode loop: draws id after id. The id ring holds the id of position p at index p; `sample` writes the next one on the device, and the next
 * step's `embed` reads it there, so that a step is issued before the host knows the id of the one before.
 *
 * Free answers run several steps ahead of the host, which reads ids behind them; what was issued beyond the end is undone by truncating the sequence.
 * Under a constraint the host runs one token behind the device: the forward call of a token is issued before its id is known, and only the draw of
 * the next one waits for the constraint.
 *
 * Where what was written last stands in the context already, several steps become one call over guessed ids (drafts.ts): the rows are drawn from in
 * order, up to the first id that was not guessed.
 */
import type { SampleSpec, Tensor } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import { TimeSlice } from '../layers/yield.ts';
import { advance, lastLogits, type Take } from './advance.ts';
import { CLOSED_TOKENS, wholeGroups } from '../kv/precision.ts';
import type { Constraint } from '../constrain/constraint.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import { Drafts, type DraftCounts } from './drafts.ts';
import type { GenerateOptions, Generated } from './generate.ts';

const NOTHING = new Int32Array(0);

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
  /** The logits behind the last positions that were run, kept until they are drawn from. [count, vocabulary] */
  #logits: Tensor | undefined;
  readonly #drafts: Drafts | undefined;
  /** How many ids of the answer the constraint has accepted. */
  #accepted = 0;

  /** Precondition: the prompt is in the sequence, and the first id was drawn by `take`. */
  constructor(onDevice: DeviceSequence, options: GenerateOptions) {
    const { ids, maxTokens } = options;
    this.#onDevice = onDevice;
    this.#options = options;
    this.#ids = new Int32Array(ids.length + maxTokens);
    this.#ids.set(ids);
    this.#issued = ids.length + 1;
    this.#drafts = draftsFor(onDevice, options, this.#ids);
  }

  get drafts(): DraftCounts | undefined {
    return this.#drafts?.counts;
  }

  /** Decodes to the end. Afterwards, and after a failure, the sequence holds only positions of known ids. */
  async run(take: Take): Promise<Generated['reason']> {
    const { constraint, ids } = this.#options;
    const promptEnd = ids.length;
    try {
      this.#read(promptEnd);
      const masked = constraint !== undefined || this.#onDevice.contrast !== undefined;
      return await (masked ? this.#constrained(constraint) : this.#free(take));
    } finally {
      this.#freeLogits();
      cut(this.#onDevice, Math.min(promptEnd + this.generated.length, this.#issued - 1));
    }
  }

  async #free(take: Take): Promise<Generated['reason']> {
    const { maxTokens, onId } = this.#options;
    const ahead = this.#mayRunAhead ? AHEAD : 1;
    while (this.generated.length < maxTokens) {
      const guess = this.#propose();
      // Guesses are verified behind a known id: until it is known, nothing is issued.
      if (guess.length > 0 && this.#reads.length === 0) await this.#verify(guess);
      while (guess.length === 0 && this.#issued < this.#ids.length && this.#reads.length < ahead) {
        const begun = performance.now();
        await this.#forward(take);
        if (ahead === 1) this.#drafts?.timed(1, performance.now() - begun);
        this.#read(this.#issued++);
      }
      const id = await this.#next();
      if (id === undefined || (await onId(id))) return 'stop';
      await this.#slice.yield();
    }
    return 'length';
  }

  /** Draws what the prompt's last logits, which were kept, and the masks allow. */
  drawFirst(): Promise<void> {
    this.#issued = this.#options.ids.length;
    return this.#draw(this.#options.constraint, this.#options.spec);
  }

  /** Tokens that are drawn under masks: a constraint's, or that of what is plausible. */
  async #constrained(constraint: Constraint | undefined): Promise<Generated['reason']> {
    const { maxTokens, onId, spec } = this.#options;
    const { backend } = this.#onDevice.model;
    while (this.generated.length < maxTokens) {
      const more = this.#issued < this.#ids.length;
      if (more && this.#mayRunAhead) {
        await this.#forward(this.keepLogits);
        backend.flush();
      }
      const id = await this.#next();
      if (id === undefined) return 'stop';
      if (constraint !== undefined && this.generated.length > this.#accepted) this.#accept(constraint, id);
      // Guesses that were right have been accepted before they are read here.
      const done = constraint?.done === true && this.generated.length === this.#accepted;
      if (more && !done && this.#reads.length === 0) {
        const guess = this.#propose();
        if (guess.length > 0) await this.#verify(guess);
        else await this.#drawNext(constraint, spec);
      }
      if ((await onId(id)) || done) return 'stop';
      await this.#slice.yield();
    }
    return 'length';
  }

  /**
   * Whether a position may be run before the host knows its id. On WASM an operation is done when it returns, so that it would only waste work; a planner
   * may need the id, or the result of the step before.
   */
  get #mayRunAhead(): boolean {
    const { model, planner } = this.#onDevice;
    return model.backend.kind === 'webgpu' && (planner === undefined || planner.ahead === true);
  }

  /** Runs the `count` positions behind the last that was run. */
  async #forward(take: Take, count = 1): Promise<void> {
    const start = this.#issued - 1;
    const room = this.#onDevice.tiers?.room(this.#onDevice.sequence, start + count);
    if (room !== undefined) await room;
    const done = advance(this.#onDevice, {
      start,
      count,
      ids: this.#ids,
      promptEnd: this.#options.ids.length,
      phase: 'decode',
      take,
      spans: [],
    });
    if (done !== undefined) await done;
  }

  /** Ids to verify behind the last known one; none where nothing is guessed, or where it would not pay. */
  #propose(): Int32Array {
    const { kvBits = 16 } = this.#onDevice;
    const start = this.#issued - 1;
    // Like a chunk of a prompt, the call ends where pages are closed.
    const group = kvBits === 16 ? Infinity : wholeGroups(start) + CLOSED_TOKENS - start;
    const most = Math.min(this.#ids.length - this.#issued, group) - 1;
    return most > 0 ? (this.#drafts?.propose(most) ?? NOTHING) : NOTHING;
  }

  /** Runs the last known id and guesses behind it in one call, and draws as many ids as were guessed right, and one. */
  async #verify(guess: Int32Array): Promise<void> {
    const begun = performance.now();
    const { model, ring } = this.#onDevice;
    const { backend } = model;
    const first = this.#issued;
    backend.writeIds(ring, first, guess);
    await this.#forward((hidden) => {
      this.#logits = backend.keep(model.logits(hidden));
    }, guess.length + 1);
    const drawn = backend.kind === 'webgpu' ? await this.#drawAll(guess) : await this.#drawWhileRight(guess);
    this.#freeLogits();
    for (let i = 0; i < drawn; i++) this.#read(first + i);
    this.#issued = first + drawn;
    cut(this.#onDevice, this.#issued - 1);
    this.#drafts?.verified(guess.length, drawn - 1);
    this.#drafts?.timed(guess.length + 1, performance.now() - begun);
  }

  /** Draws row by row. Returns the number of rows that were drawn: the last one is not as guessed, or there are no more. */
  async #drawWhileRight(guess: Int32Array): Promise<number> {
    const { backend } = this.#onDevice.model;
    const { constraint } = this.#options;
    for (let row = 0; ; row++) {
      if (constraint !== undefined) this.#onDevice.sampler.mask(allowed(this.#onDevice, constraint));
      const index = this.#issued + row;
      this.#drawRow(row, index);
      if (row === guess.length) return row + 1;
      const [id = -1] = await backend.readIds(this.#onDevice.ring, index, index + 1);
      if (id !== guess[row] || this.#options.stopIds.has(id)) return row + 1;
      if (constraint === undefined) continue;
      this.#accept(constraint, id);
      if (constraint.done) return row + 1;
    }
  }

  /** The same where ids are read late: draws all rows, and forgets those behind the first that is not as guessed. */
  async #drawAll(guess: Int32Array): Promise<number> {
    const { model, ring, sampler } = this.#onDevice;
    const first = this.#issued;
    for (let row = 0; row <= guess.length; row++) this.#drawRow(row, first + row);
    const ids = await model.backend.readIds(ring, first, first + guess.length + 1);
    const wrong = guess.findIndex((id, row) => ids[row] !== id);
    if (wrong < 0) return ids.length;
    const { seen, ids: prompt } = this.#options;
    // The draws that do not count have marked their ids as seen.
    if (penalises(this.#options.spec))
      sampler.reset(Int32Array.from([...(seen ?? prompt), ...this.generated, ...ids.subarray(0, wrong + 1)]));
    return wrong + 1;
  }

  #drawRow(row: number, index: number): void {
    const { model, sampler, ring } = this.#onDevice;
    const { backend } = model;
    const logits = this.#logits;
    if (logits === undefined) return;
    backend.scope(() => {
      const one = backend.rows(logits, row, 1);
      this.#options.onLogits?.(one);
      backend.sample(one, sampler, this.#options.spec, ring, index);
    });
  }

  #accept(constraint: Constraint, id: number): void {
    if (!constraint.accept(id)) throw notAllowed(id);
    this.#accepted++;
  }

  readonly keepLogits: Take = (hidden, start, count) => {
    const logits = nextLogits(this.#onDevice, this.#options, hidden, start, count);
    this.#logits = this.#onDevice.model.backend.keep(logits);
  };

  /** Draws the next id under the constraint, from the logits that were kept where its position has been run. */
  async #drawNext(constraint: Constraint | undefined, spec: SampleSpec): Promise<void> {
    const begun = performance.now();
    const ahead = this.#logits !== undefined;
    if (!ahead) await this.#forward(this.keepLogits);
    await this.#draw(constraint, spec);
    this.#read(this.#issued - 1);
    if (!ahead) this.#drafts?.timed(1, performance.now() - begun);
  }

  async #draw(constraint: Constraint | undefined, spec: SampleSpec): Promise<void> {
    const { model, sampler, ring, contrast } = this.#onDevice;
    const logits = this.#logits;
    if (logits === undefined) return;
    const mask = allowed(this.#onDevice, constraint);
    const plausible = await contrast?.plausible();
    sampler.mask(plausible && mask ? plausible.map((word, i) => word & (mask[i] ?? 0)) : (plausible ?? mask));
    model.backend.scope(() => model.backend.sample(logits, sampler, spec, ring, this.#issued));
    this.#freeLogits();
    this.#issued++;
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
    this.#drafts?.push(id);
    return id;
  }
}

/** The drafts of an answer; undefined where steps cannot be verified together, or not be undone. */
function draftsFor(onDevice: DeviceSequence, options: GenerateOptions, ids: Int32Array): Drafts | undefined {
  const { model, sequence, planner, contrast } = onDevice;
  const { kind } = model.backend;
  // A planner is asked about each token; a state cannot be shortened; on a GPU the host sees ids too late for a mask.
  if (options.drafts === false || planner !== undefined || contrast !== undefined || sequence.state !== undefined)
    return undefined;
  if (kind === 'webgpu' && (options.constraint !== undefined || options.onLogits !== undefined)) return undefined;
  return new Drafts(ids, options.ids.length, model.config.vocabulary, kind);
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

/** Tells whether ids that were seen are drawn less often. */
export function penalises({ repetitionPenalty, presencePenalty }: SampleSpec): boolean {
  return repetitionPenalty !== 1 || presencePenalty !== 0;
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
