/** Painted pictures as bytes. */

/** A painted picture as plain data. */
export interface Picture {
  /** RGBA, rows from the top, opaque. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** The seed that paints it again. */
  readonly seed: number;
}

/** pixels RGB [n * 3], about -1..1 -> RGBA: `127.5 x + 128`, clamped, fractions cut off. */
export function toRgba(pixels: Float32Array): Uint8ClampedArray<ArrayBuffer> {
  const count = pixels.length / 3;
  const out = new Uint8ClampedArray(4 * count).fill(255);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = Math.fround(Math.fround(127.5 * (pixels[3 * i + channel] ?? 0)) + 128);
      out[4 * i + channel] = Math.trunc(Math.min(255, Math.max(0, value)));
    }
  }
  return out;
}
