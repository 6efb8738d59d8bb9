/** Converts the failures that gpu/ reports to this library's errors, with a remedy. */
import type { Failure } from '../../../gpu/runtime/failure.ts';
import { DeviceError, InputError, type OctavoError } from '../../errors.ts';

export function errorOf({ code, problem, facts, cause }: Failure): OctavoError {
  const options = cause === undefined ? undefined : { cause };
  switch (code) {
    case 'unavailable':
      return new DeviceError(code, `${problem}; use device: 'wasm', or enable GPU acceleration`, facts, options);
    case 'lost':
      return new DeviceError(code, `${problem}; resume on a new device with model.recover()`, facts, options);
    case 'out-of-memory':
      return new DeviceError(code, `${problem}; use a smaller model, weight format or context`, facts, options);
    case 'shader':
      return new DeviceError(code, problem, facts, options);
    case 'unsupported':
      return new InputError('argument', `${problem}; use device: 'wasm', or fewer rows at a time`, facts, options);
    case 'destroyed':
      return new InputError(code, 'the backend was destroyed; create a new one', facts, options);
    default:
      throw new RangeError(`no error for ${String(code satisfies never)}`);
  }
}
