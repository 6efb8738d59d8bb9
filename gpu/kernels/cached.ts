/** Reads cached keys and values, decoded, and means of rows over spans: see cached.wgsl and span-means.wgsl. */
import cachedRow from '../lib/cached-row.wgsl';
import { elementGrid } from '../lib/elements.ts';
import elements from '../lib/elements.wgsl';
import { pageBuffers, pageReader, pageTypes, type KvOperand } from '../lib/pages.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './cached.wgsl';
import type { Matrix } from './operands.ts';
import spanMeansSource from './span-means.wgsl';

export interface CachedInputs {
  readonly kv: KvOperand;
  readonly part: 'keys' | 'values';
  /** Position of the first row of out. */
  readonly start: number;
  readonly out: Matrix;
}

const count = ({ out }: CachedInputs): number => (out.rows * out.stride) / 4;
const reader = (kv: KvOperand, binding: number): string =>
  `${pageReader(
    kv.memories.map(({ format }) => format),
    binding,
  )}\n${cachedRow}`;
const partConstants = (kv: KvOperand, part: 'keys' | 'values'): Record<string, number> => ({
  HEAD_DIM: kv.spec.headDim,
  VALUES: part === 'values' ? 1 : 0,
});

export const cached: Kernel<CachedInputs> = {
  name: 'cached',
  bindings: ['read', 'write', 'read', 'read', 'read', 'read'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32'],
  types: ({ kv }) => pageTypes(kv),
  source: ({ kv }) => `${reader(kv, 2)}\n${source}\n${elements}`,
  constants: ({ kv, part }) => partConstants(kv, part),
  grid: (inputs) => elementGrid(count(inputs)),
  buffers: ({ kv, out }) => [kv.table, out.buffer, ...pageBuffers(kv)],
  values: (inputs) => [count(inputs), inputs.out.stride / 4, inputs.start, inputs.kv.tableStart, inputs.kv.blocks],
};

/** The most spans in one dispatch. */
export const SPANS = 65535;

interface MeanInputs {
  /** (start, end) of at most SPANS spans. */
  readonly spans: Uint32Array;
  /** Row of out for the first span. */
  readonly first: number;
  readonly out: Matrix;
}

export interface SpanMeanInputs extends MeanInputs {
  readonly kv: KvOperand;
  readonly part: 'keys' | 'values';
}

const COLUMNS = 16;
const grid = ({ spans, out }: MeanInputs): readonly [number, number, number] => [
  spans.length / 2,
  Math.ceil(out.stride / 4 / COLUMNS),
  1,
];

export const spanMeans: Kernel<SpanMeanInputs> = {
  name: 'span-means',
  bindings: ['write', 'read', 'read', 'read', 'read', 'read'],
  params: ['u32', 'u32', 'u32', 'u32'],
  data: true,
  types: ({ kv }) => pageTypes(kv),
  source: ({ kv }) =>
    `override HEAD_DIM: u32;\noverride VALUES: u32; // 0 keys, 1 values\n@group(0) @binding(1) var<storage, read> table: array<u32>;\n${reader(kv, 2)}\n${spanMeansSource}`,
  constants: ({ kv, part }) => partConstants(kv, part),
  grid,
  buffers: ({ kv, out }) => [out.buffer, kv.table, ...pageBuffers(kv)],
  values: ({ kv, first, out }) => [first, out.stride / 4, kv.tableStart, kv.blocks],
  hostData: ({ spans }) => ({ words: spans }),
};

export interface RowMeanInputs extends MeanInputs {
  readonly x: Matrix;
}

const MATRIX_ROW = `@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn row_vec(row: u32, c: u32) -> vec4<f32> {
  return x[row * params.width + c];
}
`;

export const rowMeans: Kernel<RowMeanInputs> = {
  name: 'row-means',
  bindings: ['write', 'read'],
  params: ['u32', 'u32', 'u32', 'u32'],
  data: true,
  types: () => '',
  source: () => `${MATRIX_ROW}${spanMeansSource}`,
  constants: () => ({}),
  grid,
  buffers: ({ x, out }) => [out.buffer, x.buffer],
  values: ({ first, out }) => [first, out.stride / 4, 0, 0],
  hostData: ({ spans }) => ({ words: spans }),
};
