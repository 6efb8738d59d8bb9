/** Opens the documents for search by words, or by meaning once its model is there. */

export interface MeaningSteps<Embedder> {
  /** Whether search by meaning is switched on now. */
  wanted(): boolean;
  /** Whether its model may be loaded now. */
  allowed(): Promise<boolean>;
  load(signal: AbortSignal): Promise<Embedder>;
  destroy(embedder: Embedder): Promise<void>;
  /** Opens the documents, anew where they are open. */
  open(embedder: Embedder | undefined): Promise<void>;
  /** The model is not loaded: switches search by meaning off. `error`: what a load failed with. */
  refused(error?: unknown): void;
}

/** One change after the other, however often people switch: two would load the model twice and leave documents open. */
export class Meaning<Embedder> {
  readonly #steps: MeaningSteps<Embedder>;
  #embedder: Embedder | undefined;
  #loading: AbortController | undefined;
  #changing: Promise<void> = Promise.resolve();

  constructor(steps: MeaningSteps<Embedder>) {
    this.#steps = steps;
  }

  /** Opens the documents as they are wanted now. A load that is not wanted any more ends. */
  apply(): Promise<void> {
    if (!this.#steps.wanted()) this.#loading?.abort();
    const changed = this.#changing.then(() => this.#apply());
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #apply(): Promise<void> {
    const steps = this.#steps;
    if (steps.wanted() && this.#embedder === undefined && !(await steps.allowed())) steps.refused();
    if (steps.wanted() && this.#embedder === undefined) {
      // Words can be searched at once; meaning comes when its model is there.
      await steps.open(undefined);
      this.#loading = new AbortController();
      const { signal } = this.#loading;
      try {
        // Switched off meanwhile: nothing is loaded.
        if (!steps.wanted()) return;
        this.#embedder = await steps.load(signal);
      } catch (error) {
        if (!signal.aborted) steps.refused(error);
        return;
      } finally {
        this.#loading = undefined;
      }
    }
    const unwanted = steps.wanted() ? undefined : this.#embedder;
    if (unwanted !== undefined) this.#embedder = undefined;
    await steps.open(this.#embedder);
    if (unwanted !== undefined) await steps.destroy(unwanted);
  }
}
