/** Normalises pixels for vision towers: (v / 255 - mean) / std by channel, in f32. */
import { CHANNELS, type Rgba } from '../../vision/image.ts';

export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** [height * width * 3]; alpha is not read. */
export function toNormalised({ data, width, height }: Rgba, { mean, std }: Normalisation): Float32Array {
  const levels = [0, 1, 2].map((channel) =>
    Float32Array.from({ length: 256 }, (_, value) => {
      const scaled = Math.fround(value / 255);
      return Math.fround(Math.fround(scaled - Math.fround(mean[channel] ?? 0)) / Math.fround(std[channel] ?? 1));
    }),
  );
  const out = new Float32Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += CHANNELS)
    for (let channel = 0; channel < 3; channel++) out[to++] = levels[channel]?.[data[from + channel] ?? 0] ?? 0;
  return out;
}
