/**
 * Positions that move: tokens of one sequence are appended to another without being computed again. RoPE rotates a key
 * by its position, and rotations add up, so a key is brought to another position by rotating it by the difference. What
 * is appended equals what reading would give at the new place, if its tokens saw the same tokens at the same distances.
 * Keys and values are decoded and written as tokens are, to open pages that close as they age; pages that were closed
 * are quantised a second time.
 */
import { PAGE_TOKENS, type Backend, type RopeSpec, type Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import { CLOSED_TOKENS, wholeGroups, type KvBits } from './precision.ts';
import type { Sequence } from './sequence.ts';

/** The part of a language model that is needed. */
export interface MovingModel {
  readonly backend: Backend;
  readonly rope: (layer: number) => RopeSpec;
}

/** The number of tokens that are moved at once. */
const CHUNK = 512;

/** The same rotation without magnitude, forwards and backwards: backends keep tables for each spec. */
const rotations = new WeakMap<RopeSpec, readonly [forwards: RopeSpec, backwards: RopeSpec]>();

function rotation(rope: RopeSpec, distance: number): RopeSpec | undefined {
  if (distance === 0 || rope.inverseFrequency.length === 0) return undefined;
  let both = rotations.get(rope);
  if (both === undefined) {
    const by = (sign: number): RopeSpec => ({
      ...rope,
      magnitude: 1,
      inverseFrequency: rope.inverseFrequency.map((frequency) => sign * frequency),
    });
    both = [by(1), by(-1)];
    rotations.set(rope, both);
  }
  return both[distance > 0 ? 0 : 1];
}

/**
 * Appends slots `[start, start + count)` of `from` to `to`, whose next slots they become. Both sequences have slots at
 * their own positions, and no layer states. Throws `InputError('argument')` where that is not so, or where pages were
 * released. After an error `to` ends with the last part that was moved.
 */
export function appendMoved(
  { backend, rope }: MovingModel,
  { from, start, count }: { readonly from: Sequence; readonly start: number; readonly count: number },
  to: Sequence,
  bits: KvBits = 16,
): void {
  checkMove(from, start, count, to);
  const end = start + count;
  for (let done = start; done < end;) {
    const at = to.length;
    const group = bits === 16 ? CHUNK : wholeGroups(at) + CLOSED_TOKENS - at;
    const part = Math.min(end - done, group);
    to.settle(bits);
    to.ensure(at + part);
    try {
      for (let layer = 0; layer < to.pool.spec.layers; layer++)
        backend.scope(() => moveLayer(backend, from, done, part, to, at, layer, rope(layer)));
    } catch (error) {
      to.truncate(at);
      throw error;
    }
    done += part;
  }
}

function moveLayer(
  backend: Backend,
  from: Sequence,
  start: number,
  count: number,
  to: Sequence,
  at: number,
  layer: number,
  rope: RopeSpec,
): void {
  const { kvHeads, headDim } = to.pool.spec;
  const part = (which: 'keys' | 'values'): Tensor => backend.cached(from, layer, which, start, start + count);
  const rows = backend.stack([part('keys'), part('values')]);
  // Queries that nobody reads, keys and values side by side.
  const sideBySide = Int32Array.from({ length: 3 * count }, (_, i) =>
    i % 3 === 0 ? -1 : Math.floor(i / 3) + (i % 3 === 1 ? 0 : count),
  );
  const qkv = backend.fold(backend.take(rows, sideBySide), 3);
  const distance = at - start;
  const turned = rotation(rope, distance);
  // All tokens are rotated by the distance, wherever they are. Values stay as they are in the pages.
  const { hadamard } = to;
  to.hadamard = false;
  to.positions = { axes: 1, values: new Int32Array(to.capacity).fill(Math.abs(distance)) };
  try {
    backend.ropeAppend(qkv, to, layer, at, { heads: kvHeads, headDim, ...(turned && { rope: turned }) });
  } finally {
    to.positions = undefined;
    to.hadamard = hadamard;
  }
}

function checkMove(from: Sequence, start: number, count: number, to: Sequence): void {
  const problem =
    from.pool !== to.pool || from.hadamard !== to.hadamard
      ? 'the sequences have different pools or values'
      : from.state !== undefined || to.state !== undefined
        ? 'layers with states cannot be moved'
        : from.positions !== undefined || to.positions !== undefined
          ? 'the slots of a sequence with images are not at their own positions'
          : !(start >= 0 && count >= 0 && start + count <= from.length)
            ? `the sequence has ${from.length} tokens`
            : holes(from, start, start + count)
              ? 'pages of them were released'
              : undefined;
  if (problem !== undefined)
    throw new InputError('argument', `moving tokens ${start} to ${start + count}: ${problem}; read them again`, {
      start,
      count,
    });
}

function holes(from: Sequence, start: number, end: number): boolean {
  for (let block = Math.floor(start / PAGE_TOKENS); PAGE_TOKENS * block < end; block++)
    if (!from.whole(block)) return true;
  return false;
}
