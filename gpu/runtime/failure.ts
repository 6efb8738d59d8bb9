/**
 * Failures of a device as plain data. This folder has no error classes of its own: the code that opens a device passes
 * a `MakeError`, which turns a failure into the error that is thrown.
 */

/**
 * `unsupported`: a kernel cannot compute these inputs. `destroyed`: the owner ended the device. The other codes are
 * failures of the device.
 */
export type FailureCode = 'unavailable' | 'lost' | 'out-of-memory' | 'shader' | 'unsupported' | 'destroyed';

export interface Failure {
  readonly code: FailureCode;
  /** What was found and what the limit is, without a remedy. */
  readonly problem: string;
  /** The numbers and names of `problem`. */
  readonly facts?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

export type MakeError = (failure: Failure) => Error;
