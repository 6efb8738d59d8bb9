/** Tensors that outlive scopes while a computation is divided into steps, and that are all freed however it ends. */
import type { Backend, Tensor } from '../backend/backend.ts';

export class Held {
  readonly #backend: Backend;
  readonly #tensors = new Set<Tensor>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Keeps the body's tensor out of all scopes; everything else that the body made is freed. */
  step(body: () => Tensor): Tensor {
    const tensor = this.#backend.keep(this.#backend.scope(body));
    this.#tensors.add(tensor);
    return tensor;
  }

  /** The same, computed from `x`, which is freed. */
  next(x: Tensor, body: (x: Tensor) => Tensor): Tensor {
    const tensor = this.step(() => body(x));
    this.drop(x);
    return tensor;
  }

  /** The rows of the parts one after another; the parts are freed. A single part stays as it is. */
  joined(parts: readonly Tensor[]): Tensor {
    const [only] = parts;
    if (only !== undefined && parts.length === 1) return only;
    const all = this.step(() => this.#backend.stack(parts));
    for (const part of parts) this.drop(part);
    return all;
  }

  drop(tensor: Tensor): void {
    if (this.#tensors.delete(tensor)) this.#backend.free(tensor);
  }

  /** Releases ownership: from then on the caller frees it. */
  release(tensor: Tensor): Tensor {
    this.#tensors.delete(tensor);
    return tensor;
  }

  free(): void {
    for (const tensor of this.#tensors) this.#backend.free(tensor);
    this.#tensors.clear();
  }
}
