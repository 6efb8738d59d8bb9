/** Convolution of images: see conv2d.wgsl. */
import activation from '../lib/activation.wgsl';
import { decodedSource } from '../lib/joined.ts';
import tile from '../lib/tile.wgsl';
import { weightSource, weightTypes } from '../lib/weights.ts';
import xPixels from '../lib/x-pixels.wgsl';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './conv2d.wgsl';
import { TILE_COLUMNS, TILE_ROWS } from './matmul.ts';
import type { Epilogue, Matrix, WeightPart } from './operands.ts';
import { EPILOGUE_PARAMS, epilogueValues } from './products.ts';

export interface Conv2dInputs {
  /** [height * width, channels] */
  readonly x: Matrix;
  readonly height: number;
  readonly width: number;
  readonly outWidth: number;
  readonly kernel: number;
  readonly stride: number;
  readonly upsample: boolean;
  /** Padding above and to the left. The padding below and to the right follows from the size of out. */
  readonly top: number;
  readonly left: number;
  /** [rows, kernel * kernel * channels]; `first` is the output column of the first row. */
  readonly weight: WeightPart;
  readonly epilogue: Epilogue;
  /** [out pixels, all rows of the weight] */
  readonly out: Matrix;
  /** Any buffer, for the bindings that are not used. */
  readonly none: DeviceBuffer;
}

export const conv2d: Kernel<Conv2dInputs> = {
  name: 'conv2d',
  family: 'tile',
  bindings: ['read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', ...EPILOGUE_PARAMS],
  types: ({ weight }) => weightTypes([weight.format]),
  source: ({ weight }, form) =>
    `${source}\n${decodedSource(form, [weight.format])}\n${tile}\n${xPixels}\n${activation}\n${weightSource([weight.format])}`,
  constants: ({ x, kernel, stride, upsample }) => ({
    CHANNELS: x.cols,
    KERNEL: kernel,
    STEP: stride,
    UPSAMPLE: upsample ? 1 : 0,
  }),
  grid: ({ weight, out }) => [Math.ceil(weight.rows / TILE_COLUMNS), Math.ceil(out.rows / TILE_ROWS), 1],
  buffers: ({ x, weight, epilogue, out, none }) => [
    x.buffer,
    epilogue.bias ?? none,
    epilogue.residual?.buffer ?? none,
    weight.buffer,
    out.buffer,
  ],
  values({ x, height, width, outWidth, kernel, upsample, top, left, weight, epilogue, out }) {
    const scale = upsample ? 2 : 1;
    return [
      out.rows,
      kernel * kernel * x.cols,
      x.stride / 4,
      out.stride,
      weight.rows,
      weight.first,
      scale * height,
      scale * width,
      outWidth,
      top,
      left,
      ...epilogueValues(epilogue),
    ];
  },
};
