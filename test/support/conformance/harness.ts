/** What the parts of the suite share: data for weights, the two backends under one roof, and the comparison. */
import { expect } from '@jest/globals';
import {
  pageNumber,
  type Backend,
  type KvSpec,
  type KvView,
  type PictureOperations,
  type RopeSpec,
  type SampleSpec,
  type Tensor,
  type Weight,
} from '../../../src/backend/backend.ts';
import { InputError } from '../../../src/errors.ts';
import { WEIGHT_FORMATS, type WeightFormat } from '../../../src/backend/weight.ts';
import { createReferenceBackend } from '../../reference/backend.ts';
import { quantise } from '../quantise.ts';
import type { Random } from '../random.ts';
import { expectNmse, TOLERANCE } from '../tolerance.ts';

export const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

/** A weight's values in its format, to be put on any backend. */
export interface WeightData {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: Uint8Array;
  readonly rowsOnly?: boolean;
}

/** Normal values of about unit output variance; all positive where one output could cancel to nearly nothing. */
export function matrix(
  r: Random,
  name: string,
  format: WeightFormat,
  shape: readonly number[],
  positive = false,
): WeightData {
  const values = r.normals(
    shape.reduce((a, b) => a * b, 1),
    1 / Math.sqrt(shape.at(-1)!),
  );
  return { name, shape, format, bytes: quantise(format, positive ? values.map(Math.abs) : values) };
}

export function vector(r: Random, name: string, length: number, mean = 1, spread = 0.3): WeightData {
  return {
    name,
    shape: [length],
    format: 'F32',
    bytes: quantise(
      'F32',
      r.normals(length, spread).map((v) => v + mean),
    ),
  };
}

export async function put(backend: Backend, data: WeightData): Promise<Weight> {
  const writer = backend.weight(data);
  await writer.write(data.bytes);
  return writer.finish();
}

/** Runs `body` with its weights in a scope and takes its result to the host; everything is freed. */
export async function run(
  backend: Backend,
  weights: readonly WeightData[],
  body: (backend: Backend, weights: Weight[], pictures: PictureOperations) => Tensor,
): Promise<Float32Array> {
  const held: Weight[] = [];
  const pictures = await backend.pictureOperations();
  for (const data of weights) held.push(await put(backend, data));
  try {
    const result = backend.scope(() => body(backend, held, pictures));
    const values = await backend.download(result);
    backend.free(result);
    return values;
  } finally {
    for (const weight of held) weight.free();
  }
}

/** NMSE allowed for attention over quantised pages: the relaxed builds round queries and probabilities to 8 bits (assembly/kernels/bytes.ts). */
export function codeTolerance(device: Backend): number {
  return device.description.startsWith('WASM (relaxed') ? TOLERANCE.quantised : TOLERANCE.reduction;
}

/** A page table that maps blocks to pages in random order, with spare pages between them. */
export function shuffledView(r: Random, backend: Backend, spec: KvSpec, blocks: number): KvView & { version: number } {
  const pool = backend.kvPool(spec);
  const used = spec.layers * spec.kvHeads * blocks;
  pool.reserve(used + 3);
  const table = Int32Array.from(
    r.shuffle(Array.from({ length: used + 3 }, (_, i) => pageNumber(spec.format, i))).slice(0, used),
  );
  return { pool, blocks, table, version: 1 };
}

export function rope(
  headDim: number,
  style: RopeSpec['style'],
  { base = 10000, rotary = headDim, magnitude = 1 } = {},
): RopeSpec {
  return {
    inverseFrequency: Float64Array.from({ length: rotary / 2 }, (_, i) => base ** ((-2 * i) / rotary)),
    magnitude,
    style,
  };
}

/** What the reference found, by test and call: the same for every backend of a test file. */
const TRUTH = new Map<string, unknown>();

export const NO_SAMPLING: SampleSpec = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 1,
};

/** The backend under test beside the reference. */
export class Subject {
  readonly name: string;
  readonly truth = createReferenceBackend();
  #device: Backend | undefined;
  #calls = 0;

  constructor(name: string) {
    this.name = name;
  }

  get device(): Backend {
    if (this.#device === undefined) throw new Error(`${this.name} was not created`);
    return this.#device;
  }
  set device(backend: Backend) {
    this.#device = backend;
  }

  /** Before each test. */
  begin(): void {
    this.#calls = 0;
  }

  /** What the reference computes, once for all backends of a test file. */
  async once<T>(compute: () => Promise<T>): Promise<T> {
    const key = `${expect.getState().currentTestName?.replace(this.name, '')} ${this.#calls++}`;
    if (!TRUTH.has(key)) TRUTH.set(key, await compute());
    return TRUTH.get(key) as T;
  }

  /** Both backends run the same program on the same bytes. */
  async same(
    what: string,
    allowed: number,
    weights: readonly WeightData[],
    body: (backend: Backend, weights: Weight[], pictures: PictureOperations) => Tensor,
  ): Promise<void> {
    const wanted = await this.once(() => run(this.truth, weights, body));
    expectNmse(await run(this.device, weights, body), wanted, allowed, what);
  }

  /** That `act` is refused by both backends as a wrong argument, in the same words, which match `message`. */
  async refused(message: RegExp, act: (backend: Backend) => unknown): Promise<void> {
    const thrown: unknown[] = [];
    for (const backend of [this.device, this.truth]) {
      try {
        await act(backend);
        thrown.push(undefined);
      } catch (error) {
        thrown.push(error);
      }
    }
    const [found, wanted] = thrown;
    expect(found).toBeInstanceOf(InputError);
    expect((found as InputError).code).toBe('argument');
    expect((found as InputError).message).toMatch(message);
    expect((found as InputError).message).toBe((wanted as InputError).message);
  }
}
