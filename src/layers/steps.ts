/**
 * Long computations cut into steps: a generator yields wherever it may pause. One code for callers that want the result at once
 * and for those that let aborts and the message loop in between.
 */

export type Steps<T> = Generator<void, T, void>;

/** Runs all steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Waits for `pause` after each step; where it throws, the steps' `finally` blocks run. */
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
