/** What pictures need, on f64 arrays in naive loops: group norm, convolution, adaptive norm and a denoising step. Pictures are [height * width, channels]. */
import type { DenoiseSpec } from '../../src/backend/backend.ts';

const { exp, floor, sqrt } = Math;

/** Mean and 1 / sqrt(variance + epsilon) of each group over all bands: [groups, 2]. */
export function groupMoments(
  bands: readonly Float64Array[],
  channels: number,
  groups: number,
  epsilon: number,
): Float64Array {
  const width = channels / groups;
  const out = new Float64Array(groups * 2);
  const each = (group: number, visit: (value: number) => void): void => {
    for (const band of bands) {
      for (let row = 0; row < band.length; row += channels)
        for (let c = group * width; c < (group + 1) * width; c++) visit(band[row + c]!);
    }
  };
  for (let group = 0; group < groups; group++) {
    let sum = 0;
    let square = 0;
    let count = 0;
    each(group, (value) => {
      sum += value;
      count++;
    });
    each(group, (value) => {
      square += (value - sum / count) ** 2;
    });
    out[2 * group] = sum / count;
    out[2 * group + 1] = 1 / sqrt(square / count + epsilon);
  }
  return out;
}

/** x [any, channels] with the moments [groups, 2] of its channels' groups. */
export function groupNormalise(
  x: Float64Array,
  channels: number,
  moments: Float64Array,
  weight: Float64Array,
  bias: Float64Array,
): Float64Array {
  const width = channels / (moments.length / 2);
  return x.map((value, i) => {
    const c = i % channels;
    const group = floor(c / width);
    return (value - moments[2 * group]!) * moments[2 * group + 1]! * weight[c]! + bias[c]!;
  });
}

export interface Convolution {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: readonly [top: number, right: number, bottom: number, left: number];
  readonly upsample: boolean;
}

/** Height and width of what a convolution gives; less than 1 where the kernel does not fit. */
export function convolved({
  height,
  width,
  kernel,
  stride,
  padding,
  upsample,
}: Convolution): [height: number, width: number] {
  const [top, right, bottom, left] = padding;
  const factor = upsample ? 2 : 1;
  return [
    floor((height * factor + top + bottom - kernel) / stride) + 1,
    floor((width * factor + left + right - kernel) / stride) + 1,
  ];
}

/** x times weight [rows, kernel * kernel * channels] in (y, x, channel) order: [out height * out width, rows]. */
export function convolve(x: Float64Array, weight: Float64Array, rows: number, it: Convolution): Float64Array {
  const [outHeight, outWidth] = convolved(it);
  const { height, width, channels, kernel, stride, padding, upsample } = it;
  const factor = upsample ? 2 : 1;
  const out = new Float64Array(outHeight * outWidth * rows);
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      for (let ky = 0; ky < kernel; ky++) {
        for (let kx = 0; kx < kernel; kx++) {
          const y = oy * stride + ky - padding[0];
          const at = ox * stride + kx - padding[3];
          if (y < 0 || y >= height * factor || at < 0 || at >= width * factor) continue;
          const pixel = (floor(y / factor) * width + floor(at / factor)) * channels;
          for (let row = 0; row < rows; row++) {
            const first = ((row * kernel + ky) * kernel + kx) * channels;
            let sum = 0;
            for (let c = 0; c < channels; c++) sum += x[pixel + c]! * weight[first + c]!;
            out[(oy * outWidth + ox) * rows + row]! += sum;
          }
        }
      }
    }
  }
  return out;
}

/** One step for n rows of `width`; predicted is [n or 2 n, 2 width]. */
export function denoised(
  x: Float64Array,
  predicted: Float64Array,
  noise: Float64Array,
  width: number,
  spec: DenoiseSpec,
): Float64Array {
  const n = x.length / width;
  return x.map((value, i) => {
    const row = floor(i / width);
    const column = i % width;
    const conditional = predicted[row * 2 * width + column]!;
    let said = conditional;
    if (spec.guidance !== undefined) {
      const unconditional = predicted[(n + row) * 2 * width + column]!;
      said = unconditional + spec.guidance * (conditional - unconditional);
    }
    const eps = spec.prediction === 'v' ? spec.sigma * value + spec.alpha * said : said;
    const mean = spec.meanFromX0 * (spec.x0FromX * value - spec.x0FromEps * eps) + spec.meanFromX * value;
    const f = (predicted[row * 2 * width + width + column]! + 1) / 2;
    return mean + noise[i]! * spec.noiseScale * exp((f * spec.highLogVariance + (1 - f) * spec.lowLogVariance) / 2);
  });
}
