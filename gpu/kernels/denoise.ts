/** One step of diffusion sampling: see denoise.wgsl. */
import elements from '../lib/elements.wgsl';
import { elementGrid } from '../lib/elements.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './denoise.wgsl';
import type { Matrix } from './operands.ts';

/** The numbers of one step. denoise.wgsl has the formula. */
export interface DenoiseStep {
  readonly prediction: 'eps' | 'v';
  /** Undefined when there are no unconditional rows. */
  readonly guidance?: number;
  readonly alpha: number;
  readonly sigma: number;
  readonly x0FromX: number;
  readonly x0FromEps: number;
  readonly meanFromX0: number;
  readonly meanFromX: number;
  readonly lowLogVariance: number;
  readonly highLogVariance: number;
  readonly noiseScale: number;
}

export interface DenoiseInputs {
  /** [n, C] */
  readonly x: Matrix;
  /** [n or, with guidance, 2 n, 2 C] */
  readonly predicted: Matrix;
  /** [n, C] */
  readonly noise: Matrix;
  readonly spec: DenoiseStep;
  readonly out: Matrix;
}

export const denoise: Kernel<DenoiseInputs> = {
  name: 'denoise',
  bindings: ['read', 'read', 'read', 'write'],
  params: [
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'f32',
    'f32',
    'f32',
    'f32',
    'f32',
    'f32',
    'f32',
    'f32',
    'f32',
    'f32',
  ],
  types: () => '',
  source: () => `${source}\n${elements}`,
  constants: () => ({}),
  grid: ({ x }) => elementGrid(x.rows * x.cols),
  buffers: ({ x, predicted, noise, out }) => [x.buffer, predicted.buffer, noise.buffer, out.buffer],
  values: ({ x, predicted, spec }) => [
    x.rows * x.cols,
    x.cols,
    x.stride,
    predicted.stride,
    spec.guidance === undefined ? 0 : x.rows,
    spec.prediction === 'v' ? 1 : 0,
    spec.guidance ?? 0,
    spec.alpha,
    spec.sigma,
    spec.x0FromX,
    spec.x0FromEps,
    spec.meanFromX0,
    spec.meanFromX,
    spec.lowLogVariance,
    spec.highLogVariance,
    spec.noiseScale,
  ],
};
