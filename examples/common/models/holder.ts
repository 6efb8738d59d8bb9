/**
 * The model of an application. The one in use stays until another one is ready, so that a file that cannot be used costs nothing; only the newest choice counts. What it
 * does is told by one observable state.
 */
import { Octavo, StorageError, type LoadProgress, type OctavoModel } from 'octavo';
import { Observable } from '../observable.ts';
import { inputOf, isPart, keyOf, titleOf, type ModelChoice } from './choice.ts';
import { common } from '../messages.ts';
import { toast } from '../toasts.ts';
import { keepOwn } from './own-files.ts';

export interface ModelState {
  /** What is in use. */
  readonly choice: ModelChoice | undefined;
  readonly model: OctavoModel | undefined;
  /** What is on its way. */
  readonly loading: { readonly choice: ModelChoice; readonly progress: LoadProgress | undefined } | undefined;
  /** Why the last one could not be used. */
  readonly problem: { readonly choice: ModelChoice; readonly error: unknown } | undefined;
}

/** A file of the user's own that was chosen earlier and is not kept any more. */
export class ModelGone extends Error {
  override readonly name = 'ModelGone';
  constructor(title: string) {
    super(`${title} is not kept on this device any more`);
  }
}

export interface HolderOptions {
  /** The longest context; undefined: what the model was made for. */
  readonly contextWindow?: ((choice: ModelChoice) => number | undefined) | undefined;
  readonly device?: (() => 'auto' | 'wasm' | 'webgpu') | undefined;
  /** Asked before a download; false leaves everything as it is. */
  readonly consent?: ((choice: ModelChoice) => Promise<boolean>) | undefined;
}

export class ModelHolder {
  readonly state = new Observable<ModelState>({
    choice: undefined,
    model: undefined,
    loading: undefined,
    problem: undefined,
  });
  readonly #options: HolderOptions;
  #abort: AbortController | undefined;

  constructor(options: HolderOptions = {}) {
    this.#options = options;
  }

  get model(): OctavoModel | undefined {
    return this.state.value.model;
  }

  /** Resolves with the model, or with undefined where another one was chosen meanwhile, the user said no, or it failed: `state.problem` says why. */
  async use(choice: ModelChoice): Promise<OctavoModel | undefined> {
    const { contextWindow, device, consent } = this.#options;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const { signal } = abort;
    this.#change({ loading: { choice, progress: undefined }, problem: undefined });
    try {
      const input = await inputOf(choice);
      if (input === undefined) throw new ModelGone(titleOf(choice));
      if (consent !== undefined && !(await consent(choice))) abort.abort();
      signal.throwIfAborted();
      const window = contextWindow?.(choice);
      const load = (store: boolean): Promise<OctavoModel> =>
        Octavo.load(input, {
          signal,
          store,
          device: device?.() ?? 'auto',
          ...(window !== undefined && { contextWindow: window }),
          onProgress: (progress) => {
            if (!signal.aborted) this.#change({ loading: { choice, progress } });
          },
        });
      const model = await load(true).catch((error: unknown) => {
        // A part of the application is there again at the next start; a download of the user's would not be.
        const full = error instanceof StorageError && error.code === 'quota';
        if (full && isPart(choice)) return load(false);
        throw error;
      });
      if (signal.aborted) {
        await model.destroy();
        return undefined;
      }
      const before = this.model;
      const { files } = choice.kind === 'own' ? choice : { files: undefined };
      this.#change({ choice, model, loading: undefined });
      this.#watch(model);
      await before?.destroy();
      if (files !== undefined && !(await keepOwn(titleOf(choice), files)))
        toast(common('ownNotKept', { name: titleOf(choice) }));
      return model;
    } catch (error) {
      if (signal.aborted) {
        if (this.#abort === abort) this.#change({ loading: undefined });
        return undefined;
      }
      this.#change({ loading: undefined, problem: { choice, error } });
      return undefined;
    }
  }

  /** Says that a model is wanted whose file is not here: it is fetched again only when the user says so. */
  miss(choice: ModelChoice): void {
    this.#change({ problem: { choice, error: new ModelGone(titleOf(choice)) } });
  }

  /** Ends a download or a load; what came of it is kept for the next try. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Gives the memory back. */
  async release(): Promise<void> {
    this.cancel();
    const { model } = this;
    this.#change({ choice: undefined, model: undefined, loading: undefined });
    await model?.destroy();
  }

  /** Whether this is what is in use, or on its way. */
  uses(choice: ModelChoice): boolean {
    const { choice: now, loading } = this.state.value;
    return [now, loading?.choice].some((one) => one !== undefined && keyOf(one) === keyOf(choice));
  }

  #watch(model: OctavoModel): void {
    void model.lost.then((error) => {
      const { choice } = this.state.value;
      if (this.model !== model || choice === undefined) return;
      this.#change({ choice: undefined, model: undefined, problem: { choice, error } });
      // What is lost with it is its device: the engine and its memory are there until they are given back.
      void model.destroy();
    });
  }

  #change(change: Partial<ModelState>): void {
    this.state.value = { ...this.state.value, ...change };
  }
}
