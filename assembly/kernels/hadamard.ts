/**
 * The normalised Walsh-Hadamard transform of heads, which spreads the outliers of single channels over all of them before
 * values are quantised (QuaRot, Ashkboos et al. 2024, 2404.00456). The matrix is symmetric and orthogonal, so
 * transforming twice gives the input: attention over transformed values is transformed back by the same function.
 */
import { scaleInto } from './page';

/**
 * x [count][width], in place: each head in blocks of the largest power of two that divides `width`, a multiple of 4.
 * Every build adds in the same order.
 */
export function hadamard(x: usize, count: usize, width: usize): void {
  const block = width & (~width + 1);
  const scale: f32 = 1 / sqrt<f32>(<f32>block);
  const end = x + ((count * width) << 2);
  for (; x < end; x += block << 2) {
    for (let half: usize = 1; half < block; half <<= 1) {
      for (let first: usize = 0; first < block; first += 2 * half) {
        const a = x + (first << 2);
        const b = a + (half << 2);
        let i: usize = 0;
        if (ASC_FEATURE_SIMD) {
          for (; i + 4 <= half; i += 4) {
            const u = v128.load(a + (i << 2));
            const v = v128.load(b + (i << 2));
            v128.store(a + (i << 2), f32x4.add(u, v));
            v128.store(b + (i << 2), f32x4.sub(u, v));
          }
        }
        for (; i < half; i++) {
          const u = load<f32>(a + (i << 2));
          const v = load<f32>(b + (i << 2));
          store<f32>(a + (i << 2), u + v);
          store<f32>(b + (i << 2), u - v);
        }
      }
    }
    scaleInto(x, x, block, scale);
  }
}
