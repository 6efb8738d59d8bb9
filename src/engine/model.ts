/**
 * A loaded model: its tokenizer, its weights on a device, its KV pages and its painter, and its move to another device
 * when that one is lost. The file is long because all calls on a model share its state, which is replaced on a loss.
 */
import type { TemplateAbilities } from '../chat/abilities.ts';
import type { Templates } from '../chat/conversation.ts';
import type { Constraints } from '../constrain/index.ts';
import type { Grammar } from '../constrain/grammar.ts';
import { transformsValues } from '../kv/precision.ts';
import type { ContextOptions, DecidedContext } from '../select/options.ts';
import type { DeviceFacts } from '../generate/context-choice.ts';
import { sha256 } from '../hash.ts';
import { Sequence } from '../kv/sequence.ts';
import type { Prefixes } from '../kv/prefixes.ts';
import { Checksums } from '../kv/checksum.ts';
import type { Tiers } from '../kv/tiers.ts';
import { DeviceError, InputError, StorageError } from '../errors.ts';
import type { Constrained, SessionModel } from '../generate/session-cache.ts';
import { prefillChunk } from '../generate/prefill.ts';
import type { DeviceSequence } from '../generate/device-sequence.ts';
import { checkCount, given } from '../generate/options.ts';
import { cannotPaint } from '../models/paint-model.ts';
import { cannotSee, type ImageProcessor } from '../see/images.ts';
import type { KeptTokens, KeptTokensSettings } from '../see/kept-cells.ts';
import { Gate } from '../generate/queue.ts';
import { recommendedSampling, type SamplingDefaults } from '../generate/sampling.ts';
import type { ModelInput } from '../load/index.ts';
import type { ModelFile, ModelMetadata } from '../load/model-file.ts';
import { languageModelConfig, type LanguageModel } from '../models/model.ts';
import type { PaintCheckpoint, PaintRequest, Picture } from '../paint/index.ts';
import type { EditSettings, PaintSettings } from '../paint/settings.ts';
import type { Platform } from '../platform/platform.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { Rgba } from '../vision/image.ts';
import type { Wasm } from '../wasm.ts';
import type {
  Capabilities,
  DeviceInfo,
  DeviceRequest,
  EmbeddingInfo,
  LoadSettings,
  MemoryInfo,
  PaintingInfo,
} from '../worker/api.ts';
import type { EmbedListener } from '../embed/model.ts';
import type { EmbedResult, EmbedSettings, RerankResult } from '../embed/options.ts';
import type { LoadedModel } from './loaded-model.ts';
import { openDevice, openTextWasm, type Device } from './device.ts';
import type { Library } from '../saved/library.ts';
import { embeddingOf, ranks } from './embedding.ts';
import { loadOn, multiplyAdds, openFile, parameters, type Loaded, type LoadListener } from './loaded.ts';
import type { Planning } from './planning.ts';

export type PaintListener = Pick<PaintRequest, 'signal' | 'onProgress' | 'onPreview' | 'onCheckpoint'>;

/** Replaces the device that the platform would choose; tests use it for their reference backend. */
export type OpenDevice = (request: DeviceRequest, signal?: AbortSignal) => Promise<Device>;

/** How a model was requested, and what was loaded. */
interface ModelParts {
  readonly platform: Platform;
  readonly open: OpenDevice;
  readonly input: ModelInput;
  readonly settings: LoadSettings;
  readonly file: ModelFile;
  readonly tokenizer: Tokenizer;
  readonly templates: Templates | undefined;
  readonly window: number;
  readonly loaded: Loaded;
  readonly wasm: Wasm;
  readonly fingerprint: string;
  readonly embedding: EmbeddingInfo | undefined;
}

export class EngineModel implements SessionModel, LoadedModel {
  readonly tokenizer: Tokenizer;
  readonly templates: Templates | undefined;
  readonly gate = new Gate();
  readonly window: number;
  readonly sampling: SamplingDefaults;
  readonly name: string;
  /** Of the file's header and of the weights that were read. Sessions are saved under it. */
  readonly fingerprint: string;
  readonly parameters: number;
  /** Of a token of a prompt. */
  readonly #multiplyAdds: number;
  readonly bytes: number;
  readonly embedding: EmbeddingInfo | undefined;
  /** Called when a prompt that was to be kept could not be. */
  onNotKept: ((error: Error) => void) | undefined;
  readonly #platform: Platform;
  readonly #open: OpenDevice;
  readonly #input: ModelInput;
  readonly #settings: LoadSettings;
  readonly #wasm: Wasm;
  readonly #metadata: ModelMetadata;
  /** `ModelFile.fingerprint`: known before any weight is read. */
  readonly #file: string;
  #planning: Promise<Planning> | undefined;
  #constraints: Promise<Constraints> | undefined;
  #library: Promise<Library | undefined> | undefined;
  #loaded: Loaded;
  #watched: Loaded | undefined;
  #epoch = 0;
  #freed = false;
  readonly #ranks: boolean;
  /** A painting that the previous device did not finish. */
  #interrupted: PaintCheckpoint | undefined;

  private constructor(parts: ModelParts) {
    const { file, loaded } = parts;
    this.embedding = parts.embedding;
    this.#ranks = ranks(file, loaded.model.language);
    this.#platform = parts.platform;
    this.#open = parts.open;
    this.#input = parts.input;
    this.#settings = parts.settings;
    this.tokenizer = parts.tokenizer;
    this.templates = parts.templates;
    this.#wasm = parts.wasm;
    this.window = parts.window;
    this.sampling = recommendedSampling(file.metadata);
    this.name = file.name;
    this.#file = file.fingerprint;
    this.fingerprint = parts.fingerprint;
    this.bytes = file.bytes;
    this.parameters = parameters(file);
    this.#multiplyAdds = multiplyAdds(file, loaded.model.language.config.vocabulary);
    this.#loaded = loaded;
    this.#metadata = ownMetadata(file.metadata);
    this.#watched = loaded;
  }

  static async load(
    platform: Platform,
    input: ModelInput,
    settings: LoadSettings = {},
    listener: LoadListener = {},
    open: OpenDevice = (request, signal) => openDevice(platform, request, signal),
  ): Promise<EngineModel> {
    const file = await openFile(platform, input, settings, listener);
    try {
      return await EngineModel.of({ platform, open, input, settings }, file, listener);
    } finally {
      await file.close();
    }
  }

  /** From a file that its caller closes. */
  static async of(
    { platform, open, input, settings }: Pick<ModelParts, 'platform' | 'open' | 'input' | 'settings'>,
    file: ModelFile,
    listener: LoadListener,
  ): Promise<EngineModel> {
    let device: Device | undefined;
    let tokenizer: Tokenizer | undefined;
    try {
      // A model that cannot run is refused before a device is opened or a weight is read.
      const { contextWindow: most } = await languageModelConfig(file.metadata, file.tensors);
      const window = checkCount('contextWindow', settings.contextWindow ?? most, most);
      device = await open(settings, listener.signal);
      const wasm = device.wasm ?? (await openTextWasm(platform));
      tokenizer = await createTokenizer(wasm, file.metadata);
      const templates = tokenizer.facts.chatTemplate === undefined ? undefined : await import('../chat/templates.ts');
      const loaded = await loadOn(file, device, { platform, window, wasm, tokenizer }, listener);
      return new EngineModel({
        platform,
        open,
        input,
        settings,
        file,
        tokenizer,
        templates,
        window,
        loaded,
        wasm,
        fingerprint: await sha256(file.fingerprint + loaded.model.digest),
        embedding: await embeddingOf(file, loaded.model.language, window),
      });
    } catch (error) {
      tokenizer?.free();
      device?.backend.destroy();
      throw error;
    }
  }

  get device(): DeviceInfo {
    return this.#loaded.device;
  }
  get config(): LanguageModel['config'] {
    return this.#loaded.model.language.config;
  }
  get capabilities(): Capabilities {
    const chat = this.tokenizer.facts.chatTemplate !== undefined;
    const { vision, paint, missing } = this.#loaded.model;
    return {
      generate: true,
      embed: this.embedding !== undefined,
      rerank: this.#ranks,
      chat,
      see: vision !== undefined,
      paint: paint !== undefined,
      edit: paint?.source !== undefined,
      missing,
    };
  }
  get painting(): PaintingInfo | undefined {
    const { paint } = this.#loaded.model;
    if (paint === undefined) return undefined;
    const { sizes, defaultSize: size, patch, paint: defaults } = paint.config;
    const { iterations: steps, diffusionSteps, guidance } = defaults;
    return { sizes, size, patch, steps, diffusionSteps, guidance };
  }
  /** What the chat template supports; undefined without one. */
  get template(): TemplateAbilities | undefined {
    const { chatTemplate } = this.tokenizer.facts;
    return chatTemplate === undefined ? undefined : this.templates?.abilitiesOf(chatTemplate);
  }
  get epoch(): number {
    return this.#epoch;
  }
  get chunk(): number {
    return prefillChunk(this.#loaded.backend, this.#multiplyAdds);
  }
  /** The number of KV pages that sessions hold, without those that are only cached for later sessions. */
  get pagesUsed(): number {
    return this.#loaded.pages.used - this.#loaded.prefixes.idle;
  }
  /** Bytes of all KV pages in use, including cached ones. */
  get pageBytes(): number {
    return this.#loaded.pages.usedBytes;
  }
  get images(): ImageProcessor {
    return this.#loaded.images;
  }
  get tiers(): Tiers {
    return this.#loaded.tiers;
  }
  get prefixes(): Prefixes {
    return this.#loaded.prefixes;
  }

  async fits(options: ContextOptions): Promise<void> {
    if (!seesAll(options)) (await this.#planned()).check(options);
  }

  async deviceSequence(window: number, options: DecidedContext = {}): Promise<DeviceSequence> {
    this.#alive();
    const planner = seesAll(options) ? undefined : await (await this.#planned()).planner(options);
    this.#alive();
    const { pages, model } = this.#loaded;
    const { kvBits = 16 } = options;
    const sequence = new Sequence(pages, window, model.language.states(), transformsValues(kvBits));
    return this.#onDevice(sequence, { kvBits, planner });
  }

  /** Models whose sessions say all of their context do not download it. */
  async deviceFacts(): Promise<DeviceFacts> {
    return (await import('./device-facts.ts')).deviceFacts(this.fingerprint, this.#platform, this.#loaded);
  }

  /** Models whose answers are free do not download it. */
  async constrain(grammar: Grammar): Promise<Constrained> {
    this.#constraints ??= import('../constrain/index.ts')
      .then(({ Constraints: Made }) => new Made(this.tokenizer, this.config.vocabulary))
      .catch((error: unknown) => {
        this.#constraints = undefined;
        throw error;
      });
    return (await this.#constraints).constrain(grammar);
  }

  fork({ sequence, kvBits, planner }: DeviceSequence): DeviceSequence {
    this.#alive();
    return this.#onDevice(sequence.fork(), { kvBits, planner: planner?.fork() });
  }

  /**
   * Paints pictures from words, or from a picture and an instruction, while nothing else computes. Throws `InputError`
   * for invalid requests. A lost device ends it with `DeviceError('lost')`, whose facts hold the seed: after `recover`,
   * the same call with that seed continues from there.
   */
  async paint(settings: PaintSettings | EditSettings, listener: PaintListener = {}): Promise<readonly Picture[]> {
    const { paint, missing } = this.#loaded.model;
    if (paint === undefined) throw cannotPaint('instruction' in settings, missing);
    // Pages that do not paint do not download this code.
    const { Painter, paintRequest, unfinished } = await import('../paint/index.ts');
    const request = paintRequest(settings, paint, missing);
    return this.gate.alone(listener.signal, async () => {
      this.#alive();
      const loaded = this.#loaded;
      try {
        loaded.painter ??= new Painter(loaded.model, this.tokenizer, { interrupted: this.#interrupted });
        return await loaded.painter.paint({ ...request, ...listener });
      } catch (error) {
        throw unfinished(error, request.seed);
      }
    });
  }

  /** Which tokens of an image a selection keeps. Pages that do not show it do not download this code. */
  async keptTokens(image: Rgba, settings: KeptTokensSettings, signal?: AbortSignal): Promise<KeptTokens> {
    const { vision, missing } = this.#loaded.model;
    if (vision === undefined) throw cannotSee('keptTokens', missing);
    const { keptTokens } = await import('../see/kept-cells.ts');
    return this.gate.share(signal, () => {
      this.#alive();
      return keptTokens({ images: this.images, vision }, image, settings, signal);
    });
  }

  /**
   * Saved sessions and kept prompts; undefined where nothing can be kept. Models that save nothing do not download this
   * code.
   */
  library(): Promise<Library | undefined> {
    this.#library ??= this.#openLibrary().catch((error: unknown) => {
      this.#library = undefined;
      throw error;
    });
    return this.#library;
  }

  /** Frees KV pages that no session uses, if there are many. */
  trim(): void {
    if (!this.#freed) this.#loaded.pages.trim();
  }

  memory(): MemoryInfo {
    const { host, disk } = this.tiers.use;
    const { pagesUsed: pages, pageBytes } = this;
    return { ...this.#loaded.backend.memory(), pages, pageBytes, parked: { host, disk } };
  }

  /** Vectors of texts. Pages that embed nothing do not download it. */
  async embed(texts: readonly string[], settings: EmbedSettings, listener: EmbedListener): Promise<EmbedResult> {
    const { embedWith } = await import('../embed/causal.ts');
    this.#alive();
    const { model } = this.#loaded;
    const { tokenizer, gate, chunk: rows, embedding } = this;
    return embedWith({ language: model.language, tokenizer, gate, rows, embedding }, texts, settings, listener);
  }

  /** Throws `InputError` for a model that was not trained to rank. */
  async rerank(query: string, passages: readonly string[], listener: EmbedListener): Promise<RerankResult> {
    if (!this.#ranks) throw (await import('../embed/rerank.ts')).cannotRank();
    const { rerankWith } = await import('../embed/causal-rank.ts');
    this.#alive();
    const { tokenizer, gate, chunk: rows, window } = this;
    const { language } = this.#loaded.model;
    return rerankWith({ language, tokenizer, gate, rows, window }, query, passages, listener);
  }

  /**
   * Loads the weights again, on another device if requested. Sessions continue: their contexts are computed again on
   * their next use.
   */
  async recover(request: DeviceRequest = {}, listener: LoadListener = {}): Promise<DeviceInfo> {
    const settings = { ...this.#settings, ...given(request) };
    const file = await openFile(this.#platform, this.#input, settings, listener);
    try {
      if (file.fingerprint !== this.#file) {
        throw new StorageError(
          'changed',
          `${file.name}: the file is not the one that was loaded; load it as a new model`,
          { file: file.name },
        );
      }
      this.#release();
      const device = await this.#open(settings, listener.signal);
      try {
        const { limits } = this.tiers;
        this.#loaded = await loadOn(
          file,
          device,
          { platform: this.#platform, window: this.window, wasm: this.#wasm, tokenizer: this.tokenizer },
          listener,
        );
        this.tiers.limit(limits);
      } catch (error) {
        device.backend.destroy();
        throw error;
      }
      this.#epoch++;
      this.#watched = this.#loaded;
      return this.#loaded.device;
    } finally {
      await file.close();
    }
  }

  /** Resolves when no write that a session requested is pending. */
  async settled(): Promise<void> {
    await (await this.#library?.catch(() => undefined))?.settled();
    await this.#loaded.tiers.settled();
    await this.#loaded.spill.free().catch(() => undefined);
  }

  get lost(): Promise<Error> {
    const loaded = this.#loaded;
    return new Promise((resolve) => {
      void loaded.backend.lost.then((error) => {
        if (this.#watched === loaded) resolve(error);
      });
    });
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#release();
    void this.#planning?.then(
      (planning) => planning.free(),
      () => undefined,
    );
    this.tokenizer.free();
  }

  #onDevice(sequence: Sequence, kept: Pick<DeviceSequence, 'kvBits' | 'planner'>): DeviceSequence {
    const { backend, model, images, tiers } = this.#loaded;
    const { vocabulary } = this.config;
    return {
      model: model.language,
      sequence,
      ring: backend.ids(sequence.capacity + 1),
      sampler: backend.sampler(vocabulary),
      drawable: drawable(this.tokenizer.facts.vocabulary, vocabulary),
      images,
      tiers,
      ...kept,
    };
  }

  async #openLibrary(): Promise<Library | undefined> {
    const shelf = await this.#platform.sessions?.();
    if (shelf === undefined) return undefined;
    const [{ SessionStore }, { Library: Opened }] = await Promise.all([
      import('../store/sessions.ts'),
      import('../saved/library.ts'),
    ]);
    return new Opened(new SessionStore(shelf), new Checksums(this.#wasm), this, (error) => this.onNotKept?.(error));
  }

  /** Models whose sessions use dense attention do not download this code. */
  #planned(): Promise<Planning> {
    const facts = { tokenizer: this.tokenizer, wasm: this.#wasm, metadata: this.#metadata };
    this.#planning ??= import('./planning.ts').then(({ Planning }) => new Planning(() => this.#loaded.model, facts));
    return this.#planning;
  }

  #alive(): void {
    if (this.#freed) throw new InputError('destroyed', 'the model was destroyed; load it again');
  }

  #release(): void {
    // A device that is freed on purpose is not lost.
    this.#watched = undefined;
    const { model, pool, backend, images, painter, spill } = this.#loaded;
    void spill.free().catch(() => undefined);
    try {
      this.#interrupted = painter?.interrupted;
      painter?.free();
      images.free();
      model.free();
      pool.free();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
    }
    backend.destroy();
  }
}

/** One bit an id, set for the ids below `tokens`; undefined when that is all ids. */
function drawable(tokens: number, vocabulary: number): Uint32Array | undefined {
  if (tokens >= vocabulary) return undefined;
  const bits = new Uint32Array(Math.ceil(vocabulary / 32)).fill(0xffffffff, 0, tokens >> 5);
  bits[tokens >> 5] = 2 ** (tokens & 31) - 1;
  return bits;
}

/** Whether attention is dense, so that no planner is needed. */
function seesAll({
  prefill = 'dense',
  decode = 'dense',
  evict,
  heads = 'all',
  visual = 'all',
}: ContextOptions): boolean {
  return prefill === 'dense' && decode === 'dense' && evict === undefined && heads === 'all' && visual === 'all';
}

/** The part of the metadata that is Octavo's own, without the vocabulary and other fields that all files have. */
function ownMetadata(metadata: ModelMetadata): ModelMetadata {
  return metadata.kind === 'gguf'
    ? { kind: 'gguf', values: new Map([...metadata.values].filter(([name]) => name.startsWith('octavo.'))) }
    : metadata;
}
