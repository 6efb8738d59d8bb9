/** What is thrown where a painting did not come to its end. */
import { DeviceError } from '../errors.ts';

/** The error itself; of a lost device, one that tells how the picture is finished. */
export function unfinished(error: unknown, seed: number): unknown {
  if (!(error instanceof DeviceError) || error.code !== 'lost') return error;
  return new DeviceError(
    'lost',
    `the picture was not finished: call model.recover() and paint again with seed: ${seed}; ${error.message}`,
    { ...error.facts, seed },
    { cause: error },
  );
}
