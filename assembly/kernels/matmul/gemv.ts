/** Integer products of one token. */
import { gemm } from './gemm';

export function gemv(out: usize, activations: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize, cols: usize, scratch: usize): void {
  gemm(out, 0, activations, weight, format, rowStart, rowEnd, cols, 1, scratch);
}
