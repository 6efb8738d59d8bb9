/** A value that can be watched. */
import type { ReactiveController, ReactiveControllerHost } from 'lit';

export class Observable<T> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set value(value: T) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  /** Calls `listener` at every change from now on; the result ends it. */
  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** Renders an element anew whenever one of the observables changes, while it is in the page. */
export class Watching implements ReactiveController {
  readonly #host: ReactiveControllerHost;
  readonly #observables: readonly Pick<Observable<unknown>, 'subscribe'>[];
  #ends: readonly (() => void)[] = [];

  constructor(host: ReactiveControllerHost, ...observables: readonly Pick<Observable<unknown>, 'subscribe'>[]) {
    this.#host = host;
    this.#observables = observables;
  }

  hostConnected(): void {
    this.#ends = this.#observables.map((one) => one.subscribe(() => this.#host.requestUpdate()));
    // Something may have changed while the element was not in the page.
    this.#host.requestUpdate();
  }

  hostDisconnected(): void {
    for (const end of this.#ends) end();
    this.#ends = [];
  }
}
