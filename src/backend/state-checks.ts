/** Checks of the operations of layers that carry a state from token to token; see checks.ts. */
import type { DeltaSpec, ShortConvOptions, Tensor, Weight } from './backend.ts';
import { isCount, isSpan, matrix, rms, shaped, vector, wrong } from './checks.ts';

/** The most tokens that one convolution sums: models have 3 or 4. */
const MAX_TAPS = 16;
const MAX_HEAD_DIM = 256;

export interface ShortConvShape {
  readonly count: number;
  readonly channels: number;
}

export function shortConv(
  x: Tensor,
  weight: Weight,
  taps: number,
  state: Tensor | undefined,
  { gated = false }: ShortConvOptions,
): ShortConvShape {
  const [count, cols] = matrix('shortConv', 'x', x);
  if (!(isCount(taps) && taps >= 2 && taps <= MAX_TAPS))
    throw wrong('shortConv', `${taps} taps; 2 to ${MAX_TAPS} are possible`);
  const channels = (weight.shape[0] ?? 0) / taps;
  vector('shortConv', 'weight', weight, taps * channels);
  if (!(isCount(channels) && channels % 4 === 0))
    throw wrong('shortConv', `${channels} channels of ${taps} taps in ${weight.name}; they must be a multiple of 4`);
  const needed = (gated ? 3 : 1) * channels;
  if (cols < needed) throw wrong('shortConv', `x has ${cols} columns; ${channels} channels need ${needed}`);
  if (state !== undefined) shaped('shortConv', 'state', state, taps - 1, channels);
  return { count, channels };
}

export function deltaRule(
  qkv: Tensor,
  rest: Tensor,
  column: number,
  state: Tensor | undefined,
  spec: DeltaSpec,
): { readonly count: number } {
  const { keyHeads, valueHeads, keyDim, valueDim, decay, timeBias, norm } = spec;
  if (!(isCount(keyHeads) && isCount(valueHeads) && valueHeads % keyHeads === 0))
    throw wrong('deltaRule', `${valueHeads} value heads on ${keyHeads} key heads; they must be a multiple`);
  for (const [name, size] of [
    ['keyDim', keyDim],
    ['valueDim', valueDim],
  ] as const)
    if (!(isCount(size) && size % 4 === 0 && size <= MAX_HEAD_DIM))
      throw wrong('deltaRule', `${name} is ${size}; it must be a multiple of 4, at most ${MAX_HEAD_DIM}`);
  const [count, cols] = matrix('deltaRule', 'qkv', qkv);
  const width = 2 * keyHeads * keyDim + valueHeads * valueDim;
  if (cols < width) throw wrong('deltaRule', `qkv has ${cols} columns; q, k and v need ${width}`);
  const [rows, has] = matrix('deltaRule', 'rest', rest);
  const end = column + valueHeads * (valueDim + 2);
  if (rows !== count || !isSpan(column, end, has))
    throw wrong(
      'deltaRule',
      `rest is [${rows}, ${has}]; z, b and a need ${count} rows and columns [${column}, ${end})`,
    );
  if (state !== undefined) shaped('deltaRule', 'state', state, valueHeads * keyDim, valueDim);
  vector('deltaRule', 'decay', decay, valueHeads);
  vector('deltaRule', 'timeBias', timeBias, valueHeads);
  rms('deltaRule', 'norm', norm, valueDim);
  return { count };
}
