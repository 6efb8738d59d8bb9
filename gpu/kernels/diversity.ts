/**
 * ToDRE's selection by sums or largest cosines on the device: see diversity-norms, -means, -add and -choose.wgsl.
 * `src/backend/webgpu/diversity.ts` runs them.
 */
import { reduceSource } from '../lib/joined.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import add from './diversity-add.wgsl';
import choose from './diversity-choose.wgsl';
import means from './diversity-means.wgsl';
import norms from './diversity-norms.wgsl';
import type { Matrix } from './operands.ts';

/** The most candidates that the state lists for the host. */
export const CANDIDATES = 64;
/** Index of the word of the state at which the kept tokens begin. */
export const FIRST_PICK = 4 + CANDIDATES;
/** Partial sums from which the mean is computed. */
export const MEAN_PARTS = 64;
const WORKGROUP = 64;
/** Units in a score of 1. */
export const SCORE_UNITS = 2 ** 20;
/** Below every cosine. */
export const LEAST_SCORE = -0x40000000;

const layout = `const FIRST_PICK = ${FIRST_PICK}u;\nconst CANDIDATES = ${CANDIDATES}u;`;

export interface DiversityInputs {
  readonly x: Matrix;
  readonly tokens: number;
  /** [tokens] u32 */
  readonly rows: DeviceBuffer;
  /** [tokens] f32 */
  readonly inverse: DeviceBuffer;
  /** [MEAN_PARTS, cols] f32. In the end row 0 holds the mean. */
  readonly means: DeviceBuffer;
  /** [tokens] i32, initially zeros, or LEAST_SCORE for largest cosines. */
  readonly scores: DeviceBuffer;
  /** [FIRST_PICK + wanted] u32, initially zeros. */
  readonly state: DeviceBuffer;
  readonly wanted: number;
  /** In units of the score. */
  readonly near: number;
  readonly each: number;
}

export const diversityNorms: Kernel<DiversityInputs> = {
  name: 'diversity-norms',
  family: 'reduction',
  bindings: ['read', 'read', 'write', 'write'],
  params: ['u32', 'u32'],
  types: () => '',
  source: (_, form) => `${norms}\n${reduceSource(form)}`,
  constants: () => ({}),
  grid: ({ tokens }) => [tokens, 1, 1],
  buffers: ({ x, rows, inverse, state }) => [x.buffer, rows, inverse, state],
  values: ({ x }) => [x.cols, x.stride],
};

const meansOf = (last: boolean): Kernel<DiversityInputs> => ({
  name: 'diversity-means',
  bindings: ['read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32'],
  types: () => '',
  source: () => means,
  constants: () => ({}),
  grid: ({ x }) => [Math.ceil(x.cols / WORKGROUP), last ? 1 : MEAN_PARTS, 1],
  buffers: ({ x, rows, inverse, means: sums }) => [x.buffer, rows, inverse, sums],
  values: ({ x, tokens }) => [tokens, x.cols, x.stride, last ? 1 : 0],
});
export const diversityParts = meansOf(false);
export const diversityMean = meansOf(true);

/** What a score becomes: its sum with the cosine (0) or with the product with the mean (1), or the larger of it and the cosine (2). */
const addOf = (mode: 0 | 1 | 2): Kernel<DiversityInputs> => ({
  name: 'diversity-add',
  family: 'reduction',
  bindings: ['read', 'read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32'],
  types: () => '',
  source: (_, form) => `${layout}\n${add}\n${reduceSource(form)}`,
  constants: () => ({}),
  grid: ({ tokens }) => [tokens, 1, 1],
  buffers: ({ x, rows, inverse, means: sums, state, scores }) => [x.buffer, rows, inverse, sums, state, scores],
  values: ({ x }) => [x.cols, x.stride, mode],
});
/** Adds cosines with the token kept last. */
export const diversityAdd = addOf(0);
/** Adds products with the mean. */
export const diversityAddMean = addOf(1);
/** Keeps the largest cosine with a kept token. */
export const diversityLargest = addOf(2);

export const diversityChoose: Kernel<DiversityInputs> = {
  name: 'diversity-choose',
  bindings: ['read', 'write'],
  params: ['u32', 'u32', 'f32', 'f32'],
  types: () => '',
  source: () => `${layout}\n${choose}`,
  constants: () => ({}),
  grid: () => [1, 1, 1],
  buffers: ({ scores, state }) => [scores, state],
  values: ({ tokens, wanted, near, each }) => [tokens, wanted, near, each],
};
