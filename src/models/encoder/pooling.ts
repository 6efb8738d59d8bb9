/** Reduces the states of a text's tokens to one state. */
import type { Backend, Tensor } from '../../backend/backend.ts';
import type { Packed } from './packed.ts';
import type { Pooling } from './spec.ts';

/** `states`: all rows of the call, in parts. Returns [texts, hidden]. */
export function pool(
  backend: Backend,
  states: readonly Tensor[],
  { lengths, stride }: Packed,
  pooling: Pooling,
): Tensor {
  const [first] = states;
  const all = first !== undefined && states.length === 1 ? first : backend.stack(states);
  const texts = lengths.length;
  switch (pooling) {
    case 'mean':
      return backend.rowMeans(
        all,
        Uint32Array.from({ length: 2 * texts }, (_, i) => (i >> 1) * stride + (i & 1) * (lengths[i >> 1] ?? 0)),
      );
    case 'cls':
      return backend.take(
        all,
        Int32Array.from(lengths, (_, text) => text * stride),
      );
    case 'last':
      return backend.take(
        all,
        Int32Array.from(lengths, (length, text) => text * stride + length - 1),
      );
    default:
      return pooling satisfies never;
  }
}
