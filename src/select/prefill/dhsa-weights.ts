/** DHSA's boundary predictor as a model's file holds it (training/nano/boundaries.py writes it). */

/** Names of its tensors in a file, and which of `BoundaryWeights.tensors` they are; shapes with D = kvHeads * headDim, H = hidden. */
export const BOUNDARY_TENSORS = {
  'boundary.attn_q.weight': 'query', // (D, D)
  'boundary.attn_k.weight': 'key', // (D, D)
  'boundary.attn_v.weight': 'value', // (D, D)
  'boundary.norm.weight': 'normWeight', // (D)
  'boundary.norm.bias': 'normBias', // (D)
  'boundary.hidden.weight': 'hiddenWeight', // (H, 4 D + 1)
  'boundary.hidden.bias': 'hiddenBias', // (H)
  'boundary.output.weight': 'outputWeight', // (1, H)
  'boundary.output.bias': 'outputBias', // (1)
} as const;

export type BoundaryTensor = (typeof BOUNDARY_TENSORS)[keyof typeof BOUNDARY_TENSORS];

/** Plain data, row-major. */
export interface BoundaryWeights {
  readonly layer: number;
  readonly window: number;
  readonly threshold: number;
  readonly width: number;
  readonly hidden: number;
  readonly tensors: Readonly<Record<BoundaryTensor, Float32Array>>;
}

/** Sizes that the tensors must have. */
export function boundarySizes(width: number, hidden: number): Readonly<Record<BoundaryTensor, number>> {
  return {
    query: width * width,
    key: width * width,
    value: width * width,
    normWeight: width,
    normBias: width,
    hiddenWeight: hidden * (4 * width + 1),
    hiddenBias: hidden,
    outputWeight: hidden,
    outputBias: 1,
  };
}
