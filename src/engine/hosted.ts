/** The models that an engine holds, and their sessions, by the numbers with which the page identifies them. */
import { InputError, StorageError } from '../errors.ts';
import { Queue } from '../generate/queue.ts';
import type { LoadListener } from './loaded.ts';
import type { Library } from '../saved/library.ts';
import type { Session } from '../session.ts';
import type { DeviceRequest, ModelInfo, SessionInfo } from '../worker/api.ts';
import type { LoadedModel } from './loaded-model.ts';
import { EngineModel } from './model.ts';

export class HostedModel {
  readonly loaded: LoadedModel;
  readonly #id: number;
  readonly #sessions = new Map<number, Session>();
  readonly #recoveries = new Queue();
  #next = 1;

  constructor(id: number, loaded: LoadedModel) {
    this.#id = id;
    this.loaded = loaded;
  }

  /** Throws `InputError('argument')` for a model that does not generate. */
  get model(): EngineModel {
    if (this.loaded instanceof EngineModel) return this.loaded;
    const { config, capabilities } = this.loaded;
    throw new InputError(
      'argument',
      `this ${config.architecture} model does not generate text, only ${capabilities.embed ? 'model.embed' : 'model.rerank'} works with it; load a chat model beside it`,
      { architecture: config.architecture },
    );
  }

  get info(): ModelInfo {
    const {
      name,
      fingerprint,
      bytes,
      device,
      window,
      config,
      parameters,
      capabilities,
      embedding,
      painting,
      template,
    } = this.loaded;
    return {
      model: this.#id,
      name,
      fingerprint,
      bytes,
      device,
      contextWindow: window,
      architecture: config.architecture,
      parameters,
      vocabulary: config.vocabulary,
      capabilities,
      embedding,
      painting,
      template,
    };
  }

  /** Throws `InputError('destroyed')` when there is no such session. */
  session(id: number): Session {
    const found = this.#sessions.get(id);
    if (found === undefined) throw new InputError('destroyed', 'the session was destroyed; create another one');
    return found;
  }

  add(session: Session): SessionInfo {
    const id = this.#next++;
    this.#sessions.set(id, session);
    const { usage, window, context } = session;
    return { session: id, usage, window, context };
  }

  async destroySession(id: number): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.destroy();
    this.model.trim();
  }

  /** Recoveries run one after the other, so that each frees the device of the one before it. */
  async recover(request: DeviceRequest, listener: LoadListener): Promise<ModelInfo> {
    await this.#recoveries.run(listener.signal, () => this.loaded.recover(request, listener));
    return this.info;
  }

  /** Throws `StorageError('unavailable')` where nothing can be saved. */
  async library(): Promise<Library> {
    const found = await this.model.library();
    if (found === undefined)
      throw new StorageError(
        'unavailable',
        'sessions cannot be saved here: there is no IndexedDB (a private window, or a page without an origin)',
      );
    return found;
  }

  /** Precondition: the model's calls were cancelled. */
  async free(): Promise<void> {
    const { loaded: model } = this;
    await Promise.all([...this.#sessions.keys()].map((id) => this.destroySession(id)));
    await model.settled();
    await model.gate.alone(undefined, async () => model.free());
  }
}

export class HostedModels {
  readonly #models = new Map<number, HostedModel>();
  #next = 1;

  add(model: LoadedModel): HostedModel {
    const id = this.#next++;
    const hosted = new HostedModel(id, model);
    this.#models.set(id, hosted);
    return hosted;
  }

  /** Throws `InputError('destroyed')` when there is no such model. */
  get({ model }: { readonly model: number }): HostedModel {
    const found = this.#models.get(model);
    if (found === undefined) throw new InputError('destroyed', 'the model was destroyed; load it again');
    return found;
  }

  remove({ model }: { readonly model: number }): HostedModel | undefined {
    const found = this.#models.get(model);
    this.#models.delete(model);
    return found;
  }
}
