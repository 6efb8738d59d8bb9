/** A backend that remembers what its operations gave, by the first weight that they took. */
import type { Backend, NormSpec, PictureOperations, Tensor, Weight } from '../../src/backend/backend.ts';

export interface Recorder {
  readonly backend: Backend;
  /** Forgets what was recorded so far. */
  reset(): void;
  /** Results of all calls of `key`, in their order: a weight's name, or an operation that takes none. */
  of(key: string): Promise<Float32Array[]>;
}

type Call = (...args: unknown[]) => unknown;

const KEYS: Readonly<Record<string, (args: readonly unknown[]) => string>> = {
  linear: (args) => (args[1] as readonly Weight[])[0]!.name,
  conv2d: (args) => (args[1] as Weight).name,
  norm: (args) => (args[1] as NormSpec).weight.name,
  add: () => 'add',
  gatedAdd: () => 'gatedAdd',
  denoise: () => 'denoise',
};

export function recorder(inner: Backend): Recorder {
  const values = new Map<string, Promise<Float32Array>[]>();
  const recorded = <T extends object>(operations: T): T =>
    new Proxy(operations, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        const keyOf = KEYS[String(name)];
        return (...args: unknown[]): unknown => {
          const result = (member as Call).apply(target, args);
          if (name === 'pictureOperations') return (result as Promise<PictureOperations>).then(recorded);
          if (keyOf === undefined) return result;
          const key = keyOf(args);
          // The copy is ordered with the operations around it, so that what comes next may free the tensor.
          values.set(key, [...(values.get(key) ?? []), inner.download(result as Tensor)]);
          return result;
        };
      },
    });
  const backend = recorded(inner);
  return { backend, reset: () => values.clear(), of: (key) => Promise.all(values.get(key) ?? []) };
}
