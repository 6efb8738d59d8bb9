/**
 * Briefly compares one backend with a trusted one before a model is loaded, since some GPU drivers compute wrong
 * results. It runs a few operations on small data, of the kinds that models use most.
 */
import { DeviceError } from '../errors.ts';
import { MOST_ERROR, normalisedError, numbers, weightBytes } from './check-data.ts';
import { PAGE_TOKENS, pageNumber, type Backend, type NormSpec, type Tensor, type Weight } from './backend.ts';
import type { WeightFormat } from './weight.ts';

const COLS = 256;
const ROWS = 96;
const HEADS = 4;
const KV_HEADS = 2;
const HEAD_DIM = 32;
/** More than one page, and more rows than the decode kernels take. */
const TOKENS = PAGE_TOKENS + 3;
/**
 * The side of an image, its channels, and the channels that a convolution computes from it: a tile that is not full.
 */
const HEIGHT = 6;
const WIDTH = 7;
const CHANNELS = 32;
const GROUPS = 8;
const CONVOLVED = 24;

export interface SelfCheck {
  readonly ok: boolean;
  /** The largest error, and where it occurred. */
  readonly worst: number;
  readonly operation: string;
  /** One sentence for users. */
  readonly reason: string;
}

/** Compares the two. Throws only the errors of the backends. Frees everything that it makes. */
export async function compareBackends(backend: Backend, judge: Backend): Promise<SelfCheck> {
  let worst = 0;
  let operation = 'none';
  const found = await programme(backend);
  const wanted = await programme(judge);
  for (const [name, values] of found) {
    const error = normalisedError(values, wanted.get(name) ?? []);
    if (error > worst || Number.isNaN(error)) {
      worst = error;
      operation = name;
      if (Number.isNaN(error)) break;
    }
  }
  const ok = worst <= MOST_ERROR;
  const size = Number.isNaN(worst) ? 'NaN' : worst.toExponential(1);
  const reason = ok
    ? `agrees with ${judge.kind} (largest error ${size}, in ${operation})`
    : `${operation} differs from ${judge.kind}: normalised error ${size}, at most ${MOST_ERROR.toExponential(0)}`;
  return { ok, worst, operation, reason };
}

/** As `compareBackends`, but throws `DeviceError('self-check')` when the backend is wrong. */
export async function selfCheck(backend: Backend, judge: Backend): Promise<SelfCheck> {
  const result = await compareBackends(backend, judge);
  if (result.ok) return result;
  throw new DeviceError(
    'self-check',
    `${backend.description} computes wrongly: ${result.reason}; update its driver, or use device: 'wasm'`,
    {
      worst: result.worst,
      operation: result.operation,
    },
  );
}

/** Downloads every result that is compared, by the operation's name. */
async function programme(backend: Backend): Promise<Map<string, Float32Array>> {
  const results = new Map<string, Float32Array>();
  const held: Weight[] = [];
  const put = async (name: string, shape: readonly number[], format: WeightFormat): Promise<Weight> => {
    const writer = backend.weight({ name, shape, format });
    await writer.write(
      weightBytes(
        format,
        shape.reduce((product, n) => product * n, 1),
        held.length,
      ),
    );
    const weight = await writer.finish();
    held.push(weight);
    return weight;
  };
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: HEAD_DIM, format: 'f16' });
  const tensors: [string, Tensor][] = [];
  try {
    const norm: NormSpec = { kind: 'rms', weight: await put('norm', [COLS], 'F32'), epsilon: 1e-5 };
    const products = [
      await put('q8', [ROWS, COLS], 'Q8_0'),
      await put('q4', [ROWS, COLS], 'Q4_0'),
      await put('q6', [ROWS, COLS], 'Q6_K'),
    ] as const;
    const groupNorm = {
      weight: await put('group norm', [CHANNELS], 'F32'),
      bias: await put('group norm bias', [CHANNELS], 'F32'),
      activation: 'silu',
    } as const;
    const kernel = await put('kernel', [CONVOLVED, 9 * CHANNELS], 'Q8_0');
    const pictures = await backend.pictureOperations();
    pool.reserve(2 * KV_HEADS);
    const view = {
      pool,
      blocks: 2,
      table: Int32Array.of(2, 0, 3, 1).map((index) => pageNumber('f16', index)),
      version: 1,
    };
    const rope = {
      inverseFrequency: Float64Array.from({ length: HEAD_DIM / 2 }, (_, i) => 10000 ** ((-2 * i) / HEAD_DIM)),
      magnitude: 1,
      style: 'half',
    } as const;
    const width = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
    backend.scope(() => {
      for (const tokens of [1, TOKENS]) {
        const x = backend.upload(numbers(tokens * COLS, 1), [tokens, COLS]);
        const keep = (name: string, tensor: Tensor): void =>
          void tensors.push([`${name} of ${tokens}`, backend.keep(tensor)]);
        keep('linear', backend.linear(x, products, { norm }));
        keep('gated MLP', backend.gatedMlp(x, products[0], products[1], { norm, activation: 'silu' }));
        keep('norm', backend.norm(x, norm));
      }
      // A whole context at once, then one token after it.
      for (const [position, tokens] of [
        [0, TOKENS],
        [TOKENS, 1],
      ] as const) {
        const qkv = backend.upload(numbers(tokens * width, 2 + position), [tokens, width]);
        const q = backend.ropeAppend(qkv, view, 0, position, { heads: HEADS, rope });
        const ranges = {
          queryBlock: tokens,
          shared: true,
          causal: true,
          offsets: Uint32Array.of(0, 1),
          runs: Uint32Array.of(0, position + tokens),
        };
        tensors.push([`rope of ${tokens}`, backend.keep(q)]);
        tensors.push([
          `attention of ${tokens}`,
          backend.keep(backend.attention(q, view, 0, position, ranges, { heads: HEADS, scale: 0.2 })),
        ]);
      }
      const picture = backend.upload(numbers(HEIGHT * WIDTH * CHANNELS, 4), [HEIGHT * WIDTH, CHANNELS]);
      tensors.push(['moments', backend.keep(pictures.moments([picture], GROUPS, 1e-5))]);
      // Statistics come from the host, so that wrong moments are not mistaken for a wrong convolution.
      const moments = backend.upload(numbers(2 * GROUPS, 5), [GROUPS, 2]);
      const convolution = pictures.conv2d(picture, kernel, {
        height: HEIGHT,
        width: WIDTH,
        kernel: 3,
        padding: [1, 1, 1, 1],
        norm: { moments, ...groupNorm },
      });
      tensors.push(['convolution', backend.keep(convolution)]);
    });
    for (const [name, tensor] of tensors) results.set(name, await backend.download(tensor));
  } finally {
    for (const [, tensor] of tensors) backend.free(tensor);
    pool.free();
    for (const weight of held) weight.free();
  }
  return results;
}
