/**
 * States of layers that carry fixed-size tensors from token to token instead of keys and values (short convolutions,
 * gated delta nets). A state is never modified: a call makes the next state from the previous one. So a snapshot is a
 * reference, and clones, other sessions and surplus steps cost no copies. Unlike pages, a state cannot be shortened: a
 * sequence continues from the last snapshot at or before a position, and computes the tokens in between again.
 */
import { PAGE_TOKENS, type Backend, type StateView, type Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';

/** Which snapshots a sequence keeps. */
export interface SnapshotPolicy {
  /**
   * The number of newest snapshots, at any positions. Surplus steps are undone by going back to one of them. At least
   * 1.
   */
  readonly recent: number;
  /** The number of newest snapshots at block borders. Sessions share, and are truncated, at these only. */
  readonly borders: number;
}

/** At most four steps are issued ahead (generate/decode.ts). */
const DEFAULT: SnapshotPolicy = { recent: 5, borders: 4 };

/** The states of all layers that have one, after `position` tokens. Reference-counted: each holder releases it. */
export class Snapshot {
  readonly position: number;
  readonly #backend: Backend;
  readonly #tensors: Map<number, Tensor>;
  #holders = 1;

  constructor(backend: Backend, position: number, tensors: Map<number, Tensor> = new Map()) {
    this.#backend = backend;
    this.position = position;
    this.#tensors = tensors;
  }

  get bytes(): number {
    return [...this.#tensors.values()].reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  }

  of(layer: number): Tensor | undefined {
    return this.#tensors.get(layer);
  }

  /** Keeps the tensor out of all scopes, and takes ownership. */
  put(layer: number, tensor: Tensor): void {
    if (this.#tensors.has(layer)) throw new InputError('argument', `layer ${layer} has given its state`, { layer });
    this.#tensors.set(layer, this.#backend.keep(tensor));
  }

  retain(): this {
    this.#holders++;
    return this;
  }

  release(): void {
    if (--this.#holders > 0) return;
    for (const tensor of this.#tensors.values()) this.#backend.free(tensor);
    this.#tensors.clear();
  }

  /** What is stored on disk: the layers in order, their shapes, and their values. */
  async read(): Promise<readonly SavedState[]> {
    const layers = [...this.#tensors].sort(([a], [b]) => a - b);
    return Promise.all(
      layers.map(async ([layer, tensor]) => ({
        layer,
        shape: tensor.shape,
        values: await this.#backend.download(tensor),
      })),
    );
  }

  static restored(backend: Backend, position: number, saved: readonly SavedState[]): Snapshot {
    const snapshot = new Snapshot(backend, position);
    try {
      for (const { layer, shape, values } of saved)
        snapshot.put(
          layer,
          backend.scope(() => backend.upload(values, shape)),
        );
    } catch (error) {
      snapshot.release();
      throw error;
    }
    return snapshot;
  }
}

export interface SavedState {
  readonly layer: number;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The states of one sequence. */
export class SequenceState implements StateView {
  readonly #backend: Backend;
  readonly #policy: SnapshotPolicy;
  /** By position, ascending. The beginning, where all states are zeros, is not among them. */
  #snapshots: Snapshot[] = [];
  /** The start and end of the current call. */
  #call: { readonly before: Snapshot | undefined; readonly after: Snapshot } | undefined;

  constructor(backend: Backend, policy: SnapshotPolicy = DEFAULT) {
    this.#backend = backend;
    this.#policy = policy;
  }

  /** The number of tokens for which the newest state stands. */
  get position(): number {
    return this.#snapshots.at(-1)?.position ?? 0;
  }

  get bytes(): number {
    return this.#snapshots.reduce((sum, snapshot) => sum + snapshot.bytes, 0);
  }

  /** Announces a call of the tokens `[from, to)`. */
  begin(from: number, to: number): void {
    const before = this.#snapshots.at(-1);
    if ((before?.position ?? 0) !== from)
      throw new InputError('argument', `the states are of ${this.position} tokens; a call begins at ${from}`, { from });
    this.#prune();
    const after = new Snapshot(this.#backend, to);
    this.#snapshots.push(after);
    this.#call = { before, after };
  }

  before(layer: number): Tensor | undefined {
    return this.#open().before?.of(layer);
  }

  after(layer: number, state: Tensor): void {
    this.#open().after.put(layer, state);
  }

  /** Returns the snapshot at a position; the caller retains it. */
  at(position: number): Snapshot | undefined {
    return this.#snapshots.find((snapshot) => snapshot.position === position);
  }

  /** Returns the last position at or before `position` from which the sequence can continue. */
  floor(position: number): number {
    return this.#snapshots.findLast((snapshot) => snapshot.position <= position)?.position ?? 0;
  }

  /** Drops the states after `position`, which `floor` returned. */
  truncate(position: number): void {
    while (this.position > position) this.#snapshots.pop()?.release();
    if (this.position !== position)
      throw new InputError('argument', `no state at ${position}; the last one is at ${this.position}`, { position });
    this.#call = undefined;
  }

  /** Continues from a snapshot, whose reference is taken over. */
  adopt(snapshot: Snapshot): void {
    this.#snapshots.push(snapshot);
    this.#call = undefined;
  }

  /**
   * Returns where a call that begins at `start` and could go to `end` should end, so that there is a snapshot at the
   * last block border.
   */
  stop(start: number, end: number): number {
    const border = Math.floor(end / PAGE_TOKENS) * PAGE_TOKENS;
    return border > start ? border : end;
  }

  fork(): SequenceState {
    const copy = new SequenceState(this.#backend, this.#policy);
    copy.#snapshots = this.#snapshots.map((snapshot) => snapshot.retain());
    return copy;
  }

  free(): void {
    for (const snapshot of this.#snapshots) snapshot.release();
    this.#snapshots = [];
    this.#call = undefined;
  }

  #open(): { readonly before: Snapshot | undefined; readonly after: Snapshot } {
    if (this.#call === undefined)
      throw new InputError('argument', 'no call has begun: Sequence.ensure comes before each forward call');
    return this.#call;
  }

  #prune(): void {
    const { recent, borders } = this.#policy;
    const newest = this.#snapshots.length - recent;
    let left = borders;
    for (let i = this.#snapshots.length - 1; i >= 0; i--) {
      const snapshot = this.#snapshots[i];
      if (snapshot === undefined || i >= newest) continue;
      if (snapshot.position % PAGE_TOKENS === 0 && left-- > 0) continue;
      snapshot.release();
      this.#snapshots.splice(i, 1);
    }
  }
}
