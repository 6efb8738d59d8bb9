/**
 * Long computations divided into steps: a generator yields wherever it may pause. The same code serves callers that
 * want the result at once and callers that handle aborts and the message loop in between.
 */

export type Steps<T> = Generator<void, T, void>;

/** Runs all steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Waits for `pause` after each step. When it throws, the `finally` blocks of the steps run. */
export async function paced<T>(steps: Steps<T>, pause: () => Promise<void>): Promise<T> {
  let finished = false;
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) {
        finished = true;
        return value;
      }
      await pause();
    }
  } finally {
    // The value that the generator returns is not used.
    if (!finished) steps.return(undefined as never);
  }
}
