/** A loaded encoder: its tokenizer and its weights on a device; and its way to another device when that one is lost. */
import type { EmbedListener, EmbedModel } from '../embed/model.ts';
import { sha256 } from '../hash.ts';
import { embed } from '../embed/embed.ts';
import { rerank } from '../embed/rerank.ts';
import type { EmbedResult, EmbedSettings, RerankResult } from '../embed/options.ts';
import { DeviceError, StorageError } from '../errors.ts';
import { checkCount, given } from '../generate/options.ts';
import { Gate, Queue } from '../generate/queue.ts';
import type { ModelInput } from '../load/index.ts';
import type { ModelFile } from '../load/model-file.ts';
import type { EncoderPlan, LoadedEmbedder } from '../models/encoder/index.ts';
import { encoderOf } from '../models/registry.ts';
import type { Platform } from '../platform/platform.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type {
  Capabilities,
  DeviceInfo,
  DeviceRequest,
  EmbeddingInfo,
  LoadSettings,
  MemoryInfo,
} from '../worker/api.ts';
import { openTextWasm, type Device } from './device.ts';
import { openFile, parameters, type LoadListener } from './loaded.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { OpenDevice } from './model.ts';

interface EncoderParts {
  readonly platform: Platform;
  readonly open: OpenDevice;
  readonly input: ModelInput;
  readonly settings: LoadSettings;
}

interface OnDevice {
  readonly device: Device;
  readonly embedder: LoadedEmbedder;
}

export class EngineEncoder implements LoadedModel {
  readonly tokenizer: Tokenizer;
  readonly gate = new Gate();
  readonly window: number;
  readonly name: string;
  readonly fingerprint: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly template = undefined;
  readonly #parts: EncoderParts;
  /** `ModelFile.fingerprint`. */
  readonly #file: string;
  readonly #queue = new Queue();
  #on: OnDevice;
  #watched: OnDevice | undefined;
  #freed = false;

  private constructor(
    parts: EncoderParts,
    file: ModelFile,
    made: {
      readonly tokenizer: Tokenizer;
      readonly window: number;
      readonly fingerprint: string;
      readonly on: OnDevice;
    },
  ) {
    this.#parts = parts;
    this.tokenizer = made.tokenizer;
    this.window = made.window;
    this.name = file.name;
    this.fingerprint = made.fingerprint;
    this.#file = file.fingerprint;
    this.bytes = file.bytes;
    this.parameters = parameters(file);
    this.#on = made.on;
    this.#watched = made.on;
  }

  /** The caller closes the file. */
  static async load(
    parts: EncoderParts,
    file: ModelFile,
    plan: EncoderPlan,
    listener: LoadListener,
  ): Promise<EngineEncoder> {
    const { platform, open, settings } = parts;
    const window = checkCount('contextWindow', settings.contextWindow ?? plan.window, plan.window);
    const device = await open(settings, listener.signal);
    let tokenizer: Tokenizer | undefined;
    try {
      tokenizer = await createTokenizer(device.wasm ?? (await openTextWasm(platform)), file.metadata);
      const embedder = await loadOn(plan, device, listener);
      const fingerprint = await sha256(file.fingerprint + embedder.digest);
      return new EngineEncoder(parts, file, { tokenizer, window, fingerprint, on: { device, embedder } });
    } catch (error) {
      tokenizer?.free();
      device.backend.destroy();
      throw error;
    }
  }

  get device(): DeviceInfo {
    return this.#on.device.info;
  }
  get config(): LoadedEmbedder['encoder']['config'] {
    return this.#on.embedder.encoder.config;
  }
  get capabilities(): Capabilities {
    const { vectors, scores } = this.#on.embedder;
    const does = vectors === undefined ? 'ranks passages' : 'embeds texts';
    return {
      generate: false,
      embed: vectors !== undefined,
      rerank: scores !== undefined,
      chat: false,
      see: false,
      paint: false,
      edit: false,
      missing: [`this ${this.config.architecture} model ${does}; it does not generate text or see pictures`],
    };
  }
  readonly painting = undefined;
  get embedding(): EmbeddingInfo | undefined {
    const { vectors } = this.#on.embedder;
    return (
      vectors && {
        dimensions: vectors.dimensions,
        window: this.window,
        pooling: vectors.pooling,
        prefixes: vectors.prefixes,
        trained: true,
        vocabulary: this.config.vocabulary,
      }
    );
  }

  memory(): MemoryInfo {
    return { ...this.#on.device.backend.memory(), pages: 0, pageBytes: 0, parked: { host: 0, disk: 0 } };
  }

  embed(texts: readonly string[], settings: EmbedSettings, listener: EmbedListener): Promise<EmbedResult> {
    return embed(this.#model, texts, settings, listener);
  }

  rerank(query: string, passages: readonly string[], listener: EmbedListener): Promise<RerankResult> {
    return rerank(this.#model, query, passages, listener);
  }

  async recover(request: DeviceRequest, listener: LoadListener): Promise<DeviceInfo> {
    const { platform, open, input, settings } = this.#parts;
    const all = { ...settings, ...given(request) };
    const file = await openFile(platform, input, all, listener);
    try {
      const plan = file.fingerprint === this.#file ? await encoderOf(file) : undefined;
      if (plan === undefined)
        throw new StorageError(
          'changed',
          `${file.name}: the file is not the one that was loaded; load it as a new model`,
          { file: file.name },
        );
      this.#release();
      const device = await open(all, listener.signal);
      try {
        this.#on = { device, embedder: await loadOn(plan, device, listener) };
      } catch (error) {
        device.backend.destroy();
        throw error;
      }
      this.#watched = this.#on;
      return device.info;
    } finally {
      await file.close();
    }
  }

  async settled(): Promise<void> {
    await this.#queue.run(undefined, async () => undefined);
  }

  get lost(): Promise<Error> {
    const on = this.#on;
    return new Promise((resolve) => {
      void on.device.backend.lost.then((error) => {
        if (this.#watched === on) resolve(error);
      });
    });
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#release();
    this.tokenizer.free();
  }

  get #model(): EmbedModel {
    const { embedder } = this.#on;
    return {
      embedder: { ...embedder, window: this.window },
      tokenizer: this.tokenizer,
      affixes: this.tokenizer.affixes,
      gate: this.gate,
      queue: this.#queue,
    };
  }

  #release(): void {
    // What is given back on purpose is not lost.
    this.#watched = undefined;
    const { device, embedder } = this.#on;
    try {
      embedder.free();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
    }
    device.backend.destroy();
  }
}

function loadOn(plan: EncoderPlan, { backend }: Device, { signal, monitor }: LoadListener): Promise<LoadedEmbedder> {
  signal?.throwIfAborted();
  return plan.load(backend, {
    ...(signal === undefined ? {} : { signal }),
    ...(monitor === undefined ? {} : { monitor }),
  });
}
