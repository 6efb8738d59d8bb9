/**
 * Which tokens of an image are kept: the bridge between embeddings and the arithmetic of `assembly/select`. All methods
 * choose among the tokens that may be dropped, by their embeddings in the language model's space; the choice is the
 * same on every device and build. One image at a time, in the calling thread.
 */
import { InputError } from '../../errors.ts';
import type { Wasm } from '../../wasm.ts';
import { pickOne, pickSome } from './chance.ts';
import { Blocks } from './memory.ts';
import { keptCount, type VisualChoice } from './options.ts';
import { shareComponents, shareEach } from './shares.ts';

/** The tokens of an image as the language model would read them. */
export interface VisualTokens {
  /** [count, width] */
  readonly embeddings: Float32Array;
  readonly count: number;
  readonly width: number;
  /**
   * Tokens `[start, end)` that are always kept, and never by `outliers`: MAR's buffers, thumbnails. Ascending, disjoint.
   */
  readonly fixed?: readonly (readonly [start: number, end: number])[] | undefined;
  /** [asked, width] embeddings of the question's tokens; without them `cdpruner` treats all tokens as equally relevant. */
  readonly question?: Float32Array | undefined;
  /** Needed by `showui`: the patches of the tokens, one tile after the other. */
  readonly patches?: readonly Patches[] | undefined;
}

/** The patches of the tokens `[start, start + rows * columns)`. */
export interface Patches {
  readonly start: number;
  /** [rows * columns, width], in -1..1 */
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly width: number;
}

/** The largest width at which sums of products of bytes safely fit into 32 bits. */
const MOST_WIDTH = 65536;
const FAST = 1;
const FARTHEST = -1;

/**
 * Returns the indices of the kept tokens, ascending. Throws `InputError('argument')` for embeddings that are not
 * numbers, or when the method lacks data that it needs. Tokens of length 0 have a cosine of 0 with all others; among
 * equals the lowest index is chosen.
 */
export function selectTokens(wasm: Wasm, tokens: VisualTokens, choice: VisualChoice): Int32Array {
  const { embeddings, count, width, fixed = [] } = tokens;
  if (count < 1 || width < 1 || width > MOST_WIDTH || embeddings.length !== count * width) {
    throw new InputError(
      'argument',
      `visual tokens: ${embeddings.length} values are not ${count} tokens of ${width}, or they are wider than ${MOST_WIDTH}`,
      { count, width },
    );
  }
  const held = new Uint8Array(count);
  for (const [start, end] of fixed) held.fill(1, start, end);
  const free: number[] = [];
  for (let i = 0; i < count; i++) if (held[i] === 0) free.push(i);
  const others = count - free.length;
  if (choice.method === 'outliers') held.fill(0);
  const k =
    choice.method === 'outliers'
      ? (keptCount(choice, free.length, 0) ?? 0)
      : (keptCount(choice, count, others) ?? count) - others;
  if (free.length > 0) for (const place of choose(wasm, tokens, choice, free, k)) held[free[place] ?? 0] = 1;
  return Int32Array.from([...held.keys()].filter((i) => held[i] === 1));
}

/** Returns the indices in `free` of the kept tokens. */
function choose(
  wasm: Wasm,
  tokens: VisualTokens,
  choice: VisualChoice,
  free: readonly number[],
  k: number,
): Iterable<number> {
  const { method, keep, seed } = choice;
  if (k >= free.length && keep !== 'auto' && (method !== 'showui' || keep >= 1)) {
    checkFinite(tokens);
    return free.keys();
  }
  switch (method) {
    case 'random':
      checkFinite(tokens);
      return pickSome([...free.keys()], k, seed);
    case 'outliers':
      checkFinite(tokens);
      return byNorm(tokens, free, k);
    case 'showui':
      checkFinite(tokens);
      return byComponents(wasm, tokens, choice, free, k);
    case 'todre':
    case 'divprune':
    case 'cdpruner':
      return byCosines(wasm, tokens, choice, free, k);
    default:
      return method satisfies never;
  }
}

function byCosines(
  wasm: Wasm,
  tokens: VisualTokens,
  choice: VisualChoice,
  free: readonly number[],
  k: number,
): Uint32Array {
  const { method, keep, spread, precision } = choice;
  const { width: d } = tokens;
  const n = free.length;
  const threshold = keep === 'auto' ? choice.threshold : 0;
  const { exports } = wasm;
  const blocks = new Blocks(wasm);
  try {
    const out = blocks.bytes(4 * k);
    const rows = blocks.words(free);
    const x = blocks.floats(tokens.embeddings);
    let found: number;
    if (method === 'cdpruner') {
      const relevant = relevance(blocks, tokens, choice, { x, rows, n });
      found = exports.cdpruner(out, x, rows, n, d, k, relevant, blocks.bytes(exports.cdprunerWorkBytes(n, k)));
    } else if (method === 'divprune' || spread === 'center') {
      const pivot = method === 'divprune' ? FARTHEST : pivotOf(blocks, tokens, choice, free, { x, rows });
      found = exports.divprune(out, x, rows, n, d, k, pivot, threshold, blocks.bytes(exports.divpruneWorkBytes(n)));
    } else {
      const pivot = givenPivot(choice, free);
      found = exports.todre(
        out,
        x,
        rows,
        n,
        d,
        k,
        pivot,
        threshold,
        precision === 'int8' ? FAST : 0,
        blocks.bytes(exports.todreWorkBytes(n, d)),
      );
    }
    if (found < 0) throw notFinite(free[-1 - found] ?? 0);
    return wasm.u32(out, found).slice();
  } finally {
    blocks.free();
  }
}

/** Returns the index of the first token: one drawn by the seed, or FARTHEST. */
function givenPivot({ pivot, seed }: VisualChoice, free: readonly number[]): number {
  return pivot === 'random' ? pickOne(free.length, seed) : FARTHEST;
}

/** The same, with the farthest token determined: `todre` keeps it first. */
function pivotOf(
  blocks: Blocks,
  tokens: VisualTokens,
  choice: VisualChoice,
  free: readonly number[],
  { x, rows }: { readonly x: number; readonly rows: number },
): number {
  const given = givenPivot(choice, free);
  if (given !== FARTHEST) return given;
  const { wasm } = blocks;
  const { exports } = wasm;
  const first = blocks.bytes(4);
  const found = exports.todre(
    first,
    x,
    rows,
    free.length,
    tokens.width,
    1,
    FARTHEST,
    0,
    0,
    blocks.bytes(exports.todreWorkBytes(free.length, tokens.width)),
  );
  if (found < 0) throw notFinite(free[-1 - found] ?? 0);
  return wasm.u32(first, 1)[0] ?? 0;
}

/** Returns the address of the tokens' relevance to the question. */
function relevance(
  blocks: Blocks,
  { width: d, question }: VisualTokens,
  { negated }: VisualChoice,
  { x, rows, n }: { readonly x: number; readonly rows: number; readonly n: number },
): number {
  const { wasm } = blocks;
  if (question === undefined || question.length === 0) {
    const ones = blocks.bytes(8 * n);
    wasm.bytes(ones, 8 * n).set(new Uint8Array(new Float64Array(n).fill(1).buffer));
    return ones;
  }
  if (question.length % d !== 0)
    throw new InputError('argument', `visual tokens: ${question.length} values are not tokens of width ${d}`);
  const asked = question.length / d;
  const { exports } = wasm;
  const out = blocks.bytes(8 * n);
  const order = blocks.words(Array.from({ length: asked }, (_, i) => i));
  const words = blocks.floats(question);
  const found = exports.relevance(
    out,
    x,
    rows,
    n,
    d,
    words,
    order,
    asked,
    negated ? 1 : 0,
    blocks.bytes(8 * (n + d) + 64),
  );
  if (found > 0)
    throw new InputError('argument', `visual tokens: embedding ${found - 1} of the question is not a number`);
  if (found < 0) throw notFinite(wasm.u32(rows, n)[-1 - found] ?? 0);
  return out;
}

/** The longest, the lower index among equals. */
function byNorm({ embeddings, width }: VisualTokens, free: readonly number[], k: number): number[] {
  const squares = free.map((i) =>
    embeddings.subarray(i * width, (i + 1) * width).reduce((sum, value) => sum + value * value, 0),
  );
  return [...free.keys()].sort((a, b) => (squares[b] ?? 0) - (squares[a] ?? 0) || a - b).slice(0, k);
}

function byComponents(
  wasm: Wasm,
  { patches }: VisualTokens,
  { threshold, keep, seed }: VisualChoice,
  free: readonly number[],
  k: number,
): number[] {
  if (patches === undefined)
    throw new InputError('argument', "visual tokens: 'showui' needs the picture's patches; take 'todre'");
  const blocks = new Blocks(wasm);
  try {
    const all = new Map<number, number>();
    for (const { start, values, rows, columns, width } of patches) {
      const labels = blocks.bytes(4 * rows * columns);
      wasm.exports.components(labels, blocks.floats(values), rows, columns, width, threshold);
      wasm.u32(labels, rows * columns).forEach((label, patch) => all.set(start + patch, start + label));
    }
    // A token without a patch is a component of its own.
    const own = free.map((token) => all.get(token) ?? token);
    if (keep === 'auto') return shareComponents(own, new Set(own).size, seed);
    return keep <= 1 ? shareEach(own, keep, seed) : shareComponents(own, k, seed);
  } finally {
    blocks.free();
  }
}

function checkFinite({ embeddings, width }: VisualTokens): void {
  const wrong = embeddings.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw notFinite(Math.floor(wrong / width));
}

function notFinite(token: number): InputError {
  return new InputError(
    'argument',
    `visual tokens: the embedding of token ${token} is not a number; the model's file may be damaged, or the device computes wrongly`,
    { token },
  );
}
