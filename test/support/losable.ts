/** A backend that can be lost at will: from then on every call throws, as the contract says. */
import type { Backend, PictureOperations } from '../../src/backend/backend.ts';
import { DeviceError } from '../../src/errors.ts';

export interface Losable {
  readonly backend: Backend;
  lose(): void;
  /** Loses the device at the nth call of a method from now. */
  loseAt(method: keyof Backend | keyof PictureOperations, n: number): void;
}

export function losable(inner: Backend): Losable {
  const error = new DeviceError('lost', 'the device was lost (by the test); call model.recover()');
  let lost = false;
  let tell: (error: Error) => void = () => undefined;
  const told = new Promise<Error>((resolve) => (tell = resolve));
  const counts = new Map<string, number>();
  const lose = (): void => {
    lost = true;
    tell(error);
  };
  const watched = <T extends object>(operations: T): T =>
    new Proxy(operations, {
      get: (target, name) => {
        if (name === 'lost') return told;
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const left = counts.get(String(name));
          if (left !== undefined) {
            counts.set(String(name), left - 1);
            if (left <= 1) lose();
          }
          if (lost && name !== 'destroy') {
            if (name === 'download' || name === 'readIds' || name === 'idle') return Promise.reject(error);
            throw error;
          }
          const result: unknown = Reflect.apply(value, target, args);
          return name === 'pictureOperations' ? (result as Promise<PictureOperations>).then(watched) : result;
        };
      },
    });
  const backend = watched(inner);
  return { backend, lose, loseAt: (method, n) => void counts.set(method, n) };
}
