/** The model behind a provider's functions: one that is loaded, or one that the first call loads. */
import type { Availability, LoadOptions, LoadProgress, ModelInput, OctavoModel } from '../public.ts';

/** Anything that is not the description of a model file is the model. */
type Loaded<Model> = Model extends ModelInput ? never : Model;

export class ModelSource<Model extends Pick<OctavoModel, 'name'>> {
  readonly #given: Model | ModelInput;
  readonly #load: LoadOptions;
  /** Whether `given` is the model itself. */
  readonly #isModel: (value: Model | ModelInput) => value is Loaded<Model>;
  readonly #listeners = new Set<(progress: LoadProgress) => unknown>();
  #loading: Promise<Model> | undefined;
  #loaded = false;

  /** `method`: a method that models have and inputs have not. */
  constructor(given: Model | ModelInput, method: keyof Model & string, load: LoadOptions = {}) {
    this.#given = given;
    this.#load = load;
    this.#isModel = (value): value is Loaded<Model> =>
      typeof value === 'object' && method in value && typeof (value as Model)[method] === 'function';
  }

  get id(): string {
    const given = this.#given;
    if (this.#isModel(given)) return given.name;
    return typeof given === 'string' ? given : given instanceof URL ? given.href : 'file';
  }

  /** The model. Loading begins with the first call, happens once, and is tried again after a failure; `onProgress` hears of it. */
  async open(onProgress?: (progress: LoadProgress) => unknown): Promise<Model> {
    const given = this.#given;
    if (this.#isModel(given)) return given;
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    this.#loading ??= this.#begin(given as ModelInput);
    try {
      return await this.#loading;
    } finally {
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
    }
  }

  async availability(): Promise<Availability> {
    const given = this.#given;
    if (this.#isModel(given) || this.#loaded) return 'available';
    if (this.#loading !== undefined) return 'downloading';
    return (await import('octavo')).Octavo.availability(given as ModelInput);
  }

  /** A model that was lost with its device or its worker is loaded again by the next call. */
  async #follow(model: OctavoModel): Promise<void> {
    await model.lost;
    this.#loading = undefined;
    this.#loaded = false;
    await model.destroy();
  }

  async #begin(input: ModelInput): Promise<Model> {
    try {
      const { Octavo } = await import('octavo');
      const onProgress = (progress: LoadProgress): unknown => {
        for (const listener of this.#listeners) listener(progress);
        return this.#load.onProgress?.(progress);
      };
      const model = await Octavo.load(input, { ...this.#load, onProgress });
      this.#loaded = true;
      void this.#follow(model).catch(() => undefined);
      const named: Pick<OctavoModel, 'name'> = model;
      return named as Model;
    } catch (error) {
      this.#loading = undefined;
      throw error;
    }
  }
}
