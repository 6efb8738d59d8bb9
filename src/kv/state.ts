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
  /**
   * The number of snapshots at block borders. Sessions share, and are truncated, at these only. The marked one is kept,
   * and the others lie further apart the older they are, so that not much more is recomputed than was truncated.
   */
  readonly borders: number;
}

/** The least distance from the end of a prompt to its last snapshot but one. */
export const LAST_WORDS = 4 * PAGE_TOKENS;

/** All states after `position` tokens. Reference-counted: each holder releases it. */
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

  of(slot: number): Tensor | undefined {
    return this.#tensors.get(slot);
  }

  /** Keeps the tensor out of all scopes, and takes ownership. */
  put(slot: number, tensor: Tensor): void {
    if (this.#tensors.has(slot)) throw new InputError('argument', `slot ${slot} was given its state`, { slot });
    this.#tensors.set(slot, this.#backend.keep(tensor));
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

  /** What is stored on disk: the slots in order, their shapes, and their values. */
  async read(): Promise<readonly SavedState[]> {
    const slots = [...this.#tensors].sort(([a], [b]) => a - b);
    return Promise.all(
      slots.map(async ([slot, tensor]) => ({
        slot,
        shape: tensor.shape,
        values: await this.#backend.download(tensor),
      })),
    );
  }

  static restored(backend: Backend, position: number, saved: readonly SavedState[]): Snapshot {
    const snapshot = new Snapshot(backend, position);
    try {
      for (const { slot, shape, values } of saved)
        snapshot.put(
          slot,
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
  readonly slot: number;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The states of one sequence. */
export class SequenceState implements StateView {
  readonly #backend: Backend;
  readonly #policy: SnapshotPolicy;
  /** By position, ascending. The beginning, where all states are zeros, is not among them. */
  #snapshots: Snapshot[] = [];
  /** The position of a snapshot that is not pruned: the end of a prompt, with which the next prompt usually begins. */
  #marked = 0;
  /** The start and end of the current call. */
  #call: { readonly before: Snapshot | undefined; readonly after: Snapshot } | undefined;

  constructor(backend: Backend, policy: SnapshotPolicy) {
    this.#backend = backend;
    this.#policy = policy;
  }

  /** The device of the states. */
  get backend(): Backend {
    return this.#backend;
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

  before(slot: number): Tensor | undefined {
    return this.#open().before?.of(slot);
  }

  after(slot: number, state: Tensor): void {
    this.#open().after.put(slot, state);
  }

  /** Keeps the newest snapshot at a border of a block until another one is marked. */
  mark(): void {
    this.#marked = this.#snapshots.findLast(({ position }) => position % PAGE_TOKENS === 0)?.position ?? 0;
  }

  /** Positions that have snapshots, ascending. */
  get positions(): readonly number[] {
    return this.#snapshots.map(({ position }) => position);
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
   * last block border. If the prompt ends at `end` (`last`), there is another one before that: a prompt with an equal
   * beginning often differs in its last words only.
   */
  stop(start: number, end: number, last: boolean): number {
    const border = Math.floor(end / PAGE_TOKENS) * PAGE_TOKENS;
    const before = border - LAST_WORDS;
    if (last && before > start) return before;
    return border > start ? border : end;
  }

  fork(): SequenceState {
    const copy = new SequenceState(this.#backend, this.#policy);
    copy.#snapshots = this.#snapshots.map((snapshot) => snapshot.retain());
    copy.#marked = this.#marked;
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
    const newest = Math.max(0, this.#snapshots.length - recent);
    const kept = this.#snapshots.slice(0, newest).filter(({ position }) => position % PAGE_TOKENS === 0);
    while (kept.length > borders) kept.splice(this.#leastUseful(kept.map(({ position }) => position)), 1);
    for (const snapshot of this.#snapshots.slice(0, newest)) if (!kept.includes(snapshot)) snapshot.release();
    this.#snapshots = [...kept, ...this.#snapshots.slice(newest)];
  }

  /** The index of the one without which the way from its predecessor to its successor is shortest, compared with how long ago that was. */
  #leastUseful(positions: readonly number[]): number {
    const end = this.position;
    let best = 0;
    let least = Infinity;
    for (const [i, position] of positions.entries()) {
      if (position === this.#marked) continue;
      const before = positions[i - 1] ?? 0;
      const way = ((positions[i + 1] ?? end) - before) / (end - before);
      if (way >= least) continue;
      least = way;
      best = i;
    }
    return best;
  }
}
