/** The numbers of the activations in activation.wgsl. */
export const ACTIVATIONS = { none: 0, silu: 1, gelu: 2, geluTanh: 3, sigmoid: 4, tanh: 5 } as const;

export type Activation = keyof typeof ACTIVATIONS;
