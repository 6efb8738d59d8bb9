import type { Activation } from '../../src/backend/backend.ts';

/** The numbers that activation.wgsl knows activations by. */
export const ACTIVATIONS: Readonly<Record<Activation | 'none', number>> = { none: 0, silu: 1, gelu: 2, geluTanh: 3 };
