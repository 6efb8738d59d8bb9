/** Models by the names that requests give, and the turns in which their requests are answered. */
import type { OctavoModel } from '../face/model.ts';
import { Queue } from '../generate/queue.ts';
import { DeviceError } from '../errors.ts';
import { refusal } from './problem.ts';

/** What is needed of a model: an `OctavoModel`, or anything shaped like one. */
export type ServedModel = Pick<
  OctavoModel,
  'name' | 'fingerprint' | 'contextWindow' | 'capabilities' | 'createSession' | 'completeStreaming' | 'embed' | 'paint'
> &
  Partial<Pick<OctavoModel, 'lost'>>;

/** A model, or what loads it when it is first asked for. */
export type ModelSource = ServedModel | (() => ServedModel | Promise<ServedModel>);

export class Served {
  readonly name: string;
  readonly #source: ModelSource;
  readonly #most: number;
  readonly #queue = new Queue();
  #loading: Promise<ServedModel> | undefined;
  #loaded: ServedModel | undefined;
  #inside = 0;

  /** `most`: requests that are answered or wait; others are refused. */
  constructor(name: string, source: ModelSource, most: number) {
    this.name = name;
    this.#source = source;
    if (typeof source !== 'function') this.#loaded = source;
    this.#most = most;
  }

  /** Runs `body` with the model when the requests before it are answered. Rejects with 429 where too many wait. */
  async inTurn<T>(signal: AbortSignal, body: (model: ServedModel) => Promise<T>): Promise<T> {
    if (this.#inside >= this.#most)
      throw refusal(429, `${this.#most} requests wait already; ask again later`, { code: 'rate_limit_exceeded' });
    this.#inside++;
    try {
      return await this.#queue.run(signal, async () => body(await this.#model()));
    } finally {
      this.#inside--;
    }
  }

  /** Tokens of a context; undefined before the model is loaded, and where nobody knows. */
  get window(): number | undefined {
    const window = this.#loaded?.contextWindow;
    return window === Infinity ? undefined : window;
  }

  #model(): Promise<ServedModel> {
    const source = this.#source;
    if (typeof source !== 'function') return Promise.resolve(source);
    const load = async (): Promise<ServedModel> => {
      const model = (this.#loaded = await source());
      // One that was lost with its device or its worker is loaded again by the next request.
      void model.lost?.then(() => (this.#loading = this.#loaded = undefined));
      return model;
    };
    // A failed load is forgotten, so that the next request tries again.
    this.#loading ??= load().catch((cause: unknown) => {
      this.#loading = undefined;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceError('unavailable', `the model '${this.name}' could not be loaded: ${why}`, {}, { cause });
    });
    return this.#loading;
  }
}

/** The names and models that a handler serves. */
export class Models {
  readonly #served: ReadonlyMap<string, Served>;
  readonly #created = Math.floor(Date.now() / 1000);

  constructor(sources: Readonly<Record<string, ModelSource>>, most: number) {
    this.#served = new Map(Object.entries(sources).map(([name, source]) => [name, new Served(name, source, most)]));
  }

  /** Where there is one model it answers to every name. Throws what is answered with 404. */
  get(name: string | undefined): Served {
    const [only] = this.#served.values();
    const found = this.#served.size === 1 ? only : this.#served.get(name ?? '');
    if (found === undefined) throw this.#unknown(name ?? '');
    return found;
  }

  list(): object {
    return { object: 'list', data: [...this.#served.keys()].map((name) => this.#described(name)) };
  }

  describe(name: string): object {
    if (!this.#served.has(name)) throw this.#unknown(name);
    return this.#described(name);
  }

  #described(name: string): object {
    const window = this.#served.get(name)?.window;
    // vLLM's name for it.
    const told = window === undefined ? {} : { max_model_len: window };
    return { id: name, object: 'model', created: this.#created, owned_by: 'octavo', ...told };
  }

  #unknown(name: string): Error {
    return refusal(
      404,
      `The model '${name.slice(0, 100)}' does not exist; there are ${[...this.#served.keys()].join(', ')}`,
      { param: 'model', code: 'model_not_found' },
    );
  }
}
