/** Queues of calls that wait for each other. */

/** Runs calls one after the other: the calls of a session wait for those before them. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs `body` when everything queued before is done. An abort during the wait rejects at once, and `body` never runs;
   * a later abort is handled by `body`.
   */
  run<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    let begun = false;
    const turn = this.#last.then(() => {
      signal?.throwIfAborted();
      begun = true;
      return body();
    });
    this.#last = turn.catch(() => undefined);
    if (signal === undefined) return turn;
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => {
        if (!begun) reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      turn.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }
}

interface Waiting {
  readonly alone: boolean;
  readonly enter: () => void;
}

/**
 * Admits calls to the device: any number of answers, whose steps alternate, or one painting, which needs the memory and time alone.
 * First come, first served: an answer that arrives after a waiting painting waits for it.
 */
export class Gate {
  readonly #waiting: Waiting[] = [];
  #inside = 0;
  #closed = false;

  /** Runs `body` together with other sharing calls. An abort during the wait rejects, and `body` never runs. */
  share<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    return this.#pass(false, signal, body);
  }

  /** Runs `body` while no other call is inside. */
  alone<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    return this.#pass(true, signal, body);
  }

  /**
   * Leaves the gate while a sharing call waits for something outside, such as a slow reader, which may itself wait for
   * a painting.
   */
  aside(waiting: void | Promise<void>): void | Promise<void> {
    if (waiting === undefined) return undefined;
    this.#leave();
    return this.#back(waiting);
  }

  async #back(waiting: Promise<void>): Promise<void> {
    try {
      await waiting;
    } finally {
      await this.#enter(false);
    }
  }

  async #pass<T>(alone: boolean, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    await this.#enter(alone, signal);
    try {
      return await body();
    } finally {
      this.#leave();
    }
  }

  async #enter(alone: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        alone,
        enter: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#admit();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiting);
      this.#admit();
    });
  }

  #leave(): void {
    this.#inside--;
    this.#closed = false;
    this.#admit();
  }

  #admit(): void {
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      if (this.#closed || (first.alone && this.#inside > 0)) return;
      this.#waiting.shift();
      this.#inside++;
      this.#closed = first.alone;
      first.enter();
    }
  }
}
