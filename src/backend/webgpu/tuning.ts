/**
 * Chooses the forms of kernels (gpu/runtime/forms.ts) on the device itself. Each form of a family computes a small problem; its result is compared with the CPU
 * engine's, since drivers have faults, and then it is timed for a few milliseconds. The fastest form that is right is used.
 */
import { FAMILIES, type Family } from '../../../gpu/runtime/forms.ts';
import { PAGE_TOKENS, pageNumber, type Backend, type Tensor, type Weight } from '../backend.ts';
import { MOST_ERROR, normalisedError, numbers, weightBytes } from '../check-data.ts';
import type { WeightFormat } from '../weight.ts';
import type { WebGpuBackend } from '../webgpu.ts';

/** One form on this device. */
export interface FormReport {
  readonly family: Family;
  readonly form: string;
  /** Normalised mean squared error against the CPU engine; undefined where the form did not run. */
  readonly error?: number;
  /** Of one dispatch; undefined where the form is not right. */
  readonly microseconds?: number;
  /** Why it is not used although the device offers what it needs. */
  readonly problem?: string;
  readonly chosen: boolean;
}

/** The sizes of the problems. */
export interface TuningSizes {
  readonly cols: number;
  /** Rows of the weight in products of one row. */
  readonly rows: number;
  /** Rows of x, and of the weight, in products of many rows. */
  readonly prompt: number;
  /** Tokens in the context that attention reads. */
  readonly context: number;
  /** Milliseconds for which a form is timed at least. */
  readonly milliseconds: number;
}

/** Large enough to fill a GPU; together a few dozen megabytes. */
const SIZES: TuningSizes = { cols: 2048, rows: 8192, prompt: 256, context: 4096, milliseconds: 3 };
/** For software that computes on the CPU, where only the errors matter. */
export const SMALL_SIZES: TuningSizes = { cols: 256, rows: 200, prompt: 40, context: 200, milliseconds: 0 };

/** Another form must be faster than the first by this factor, so that noise does not choose. */
const MARGIN = 1.03;
const REPEATS = 3;
const MOST_DISPATCHES = 256;

const HEADS = 16;
const KV_HEADS = 4;
const HEAD_DIM = 64;

interface Problem {
  run(): Tensor;
  free(): void;
}

/** Tries every form of every family, and leaves the fastest in use. `judge` computes what is right, on the CPU. */
export async function tuneForms(
  backend: WebGpuBackend,
  judge: Backend,
  sizes: TuningSizes = SIZES,
): Promise<readonly FormReport[]> {
  const report: FormReport[] = [];
  for (const family of FAMILIES) report.push(...(await tuneFamily(backend, judge, family, sizes)));
  return report;
}

async function tuneFamily(
  backend: WebGpuBackend,
  judge: Backend,
  family: Family,
  sizes: TuningSizes,
): Promise<readonly FormReport[]> {
  const { forms } = backend;
  const available = forms.available(family);
  const wanted = await once(judge, await prepare(judge, family, sizes));
  const problem = await prepare(backend, family, sizes);
  const tried: Omit<FormReport, 'chosen'>[] = [];
  try {
    for (const { name } of available) {
      forms.choose(family, name);
      tried.push({ family, form: name, ...(await tryForm(backend, problem, wanted, sizes.milliseconds)) });
    }
  } finally {
    problem.free();
  }
  const [first] = tried;
  let best = first;
  for (const one of tried) {
    const margin = best === first ? MARGIN : 1;
    if (one.microseconds !== undefined && one.microseconds * margin < (best?.microseconds ?? Infinity)) best = one;
  }
  if (best !== undefined) forms.choose(family, best.form);
  return tried.map((one) => ({ ...one, chosen: one === best }));
}

/** Frees the problem. */
async function once(backend: Backend, problem: Problem): Promise<Float32Array> {
  const out = backend.keep(backend.scope(() => problem.run()));
  try {
    return await backend.download(out);
  } finally {
    backend.free(out);
    problem.free();
  }
}

async function tryForm(
  backend: Backend,
  problem: Problem,
  wanted: Float32Array,
  milliseconds: number,
): Promise<Pick<FormReport, 'error' | 'microseconds' | 'problem'>> {
  let error: number;
  try {
    error = normalisedError(await once(backend, { ...problem, free: () => undefined }), wanted);
  } catch (cause) {
    // A shader that this driver refuses; a device that is lost fails again in the next form, and then in the model.
    return { problem: cause instanceof Error ? cause.message : String(cause) };
  }
  if (!(error <= MOST_ERROR)) return { error, problem: `its results differ from the CPU's` };
  return { error, microseconds: await time(backend, problem, milliseconds) };
}

/** Microseconds of a dispatch: the least of several measurements, without the time that an empty submission takes. */
async function time(backend: Backend, problem: Problem, milliseconds: number): Promise<number> {
  const measure = async (dispatches: number): Promise<number> => {
    await backend.idle();
    const begun = performance.now();
    backend.scope(() => {
      for (let i = 0; i < dispatches; i += 1) backend.free(problem.run());
    });
    await backend.idle();
    return performance.now() - begun;
  };
  const empty = Math.min(await measure(0), await measure(0));
  const few = 4;
  const each = Math.max((await measure(few)) - empty, 0.001) / few;
  const dispatches = Math.max(few, Math.min(MOST_DISPATCHES, Math.ceil(milliseconds / each)));
  let least = Infinity;
  for (let i = 0; i < REPEATS; i += 1) least = Math.min(least, (await measure(dispatches)) - empty);
  return (1000 * Math.max(least, 0)) / dispatches;
}

async function prepare(backend: Backend, family: Family, sizes: TuningSizes): Promise<Problem> {
  switch (family) {
    case 'few-rows':
      return product(backend, 1, sizes.cols, sizes.rows);
    case 'tile':
      return product(backend, sizes.prompt, sizes.cols, sizes.prompt);
    case 'reduction':
      return norms(backend, sizes.cols);
    case 'attention':
      return attention(backend, sizes.context);
    default:
      throw new RangeError(`no problem for ${String(family satisfies never)}`);
  }
}

async function put(backend: Backend, shape: readonly number[], format: WeightFormat, seed: number): Promise<Weight> {
  const writer = backend.weight({ name: `tuning ${seed}`, shape, format });
  const count = shape.reduce((product, n) => product * n, 1);
  await writer.write(weightBytes(format, count, seed));
  return writer.finish();
}

/** 4 bits: what most models have, and what costs most to decode for the bytes that are read. */
async function product(backend: Backend, tokens: number, cols: number, rows: number): Promise<Problem> {
  const weight = await put(backend, [rows, cols], 'Q4_0', 1);
  const norm = await put(backend, [cols], 'F32', 2);
  const x = backend.keep(backend.upload(numbers(tokens * cols, 3), [tokens, cols]));
  return {
    run: () => backend.linear(x, [weight], { norm: { kind: 'rms', weight: norm, epsilon: 1e-5 } }),
    free: () => {
      backend.free(x);
      weight.free();
      norm.free();
    },
  };
}

async function norms(backend: Backend, cols: number): Promise<Problem> {
  const norm = await put(backend, [cols], 'F32', 4);
  const x = backend.keep(backend.upload(numbers(cols, 5), [1, cols]));
  return {
    run: () => backend.norm(x, { kind: 'rms', weight: norm, epsilon: 1e-5 }),
    free: () => {
      backend.free(x);
      norm.free();
    },
  };
}

/** One token after a context, which is read chunk by chunk. */
async function attention(backend: Backend, context: number): Promise<Problem> {
  const blocks = Math.ceil((context + 1) / PAGE_TOKENS);
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: HEAD_DIM, format: 'f16' });
  pool.reserve(blocks * KV_HEADS);
  const table = Int32Array.from({ length: blocks * KV_HEADS }, (_, i) => pageNumber('f16', i));
  const view = { pool, blocks, table, version: 1 };
  const rope = {
    inverseFrequency: Float64Array.from({ length: HEAD_DIM / 2 }, (_, i) => 10000 ** ((-2 * i) / HEAD_DIM)),
    magnitude: 1,
    style: 'half',
  } as const;
  const width = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
  const append = (position: number, tokens: number): Tensor => {
    const qkv = backend.upload(numbers(tokens * width, 6 + position), [tokens, width]);
    return backend.ropeAppend(qkv, view, 0, position, { heads: HEADS, rope });
  };
  const chunk = 256;
  for (let position = 0; position < context; position += chunk)
    backend.scope(() => void append(position, Math.min(chunk, context - position)));
  const q = backend.keep(backend.scope(() => append(context, 1)));
  const ranges = {
    queryBlock: 1,
    shared: true,
    causal: true,
    offsets: Uint32Array.of(0, 1),
    runs: Uint32Array.of(0, context + 1),
  };
  return {
    run: () => backend.attention(q, view, 0, context, ranges, { heads: HEADS, scale: HEAD_DIM ** -0.5 }),
    free: () => {
      backend.free(q);
      pool.free();
    },
  };
}
