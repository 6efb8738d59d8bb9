/** One after the other: calls on one session wait for those before them. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `body` when everything queued before is done. An abort while waiting rejects at once, and `body` never runs. */
  run<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const turn = this.#last.then(() => {
      signal?.throwIfAborted();
      return body();
    });
    this.#last = turn.catch(() => undefined);
    if (signal === undefined) return turn;
    return new Promise<T>((resolve, reject) => {
      let begun = false;
      const abort = (): void => {
        if (!begun) reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      turn.then(resolve, reject).finally(() => {
        begun = true;
        signal.removeEventListener('abort', abort);
      });
    });
  }
}
