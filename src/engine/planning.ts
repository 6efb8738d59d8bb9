/**
 * Creates the planners of a model's sessions. The facts about the model that they need are computed for the first
 * session that needs them, and cached.
 */
import { findHeads, headsNeeded, ownTable, type HeadFacts } from '../select/heads/heads.ts';
import type { ContextOptions } from '../select/options.ts';
import type { Planner } from '../kv/plan.ts';
import { BoundaryPredictor } from '../select/prefill/dhsa-predictor.ts';
import { checkPlan, createPlanner } from '../select/index.ts';
import { planSettings } from '../select/methods.ts';
import { sentenceEnds } from '../select/decode/sentences.ts';
import { VisualPlanner } from '../select/visual/release.ts';
import type { ModelMetadata } from '../load/model-file.ts';
import type { Model } from '../models/model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { readSelection } from '../select/visual/index.ts';
import type { Wasm } from '../wasm.ts';

export class Planning {
  /** The model on its current device. */
  readonly #model: () => Model;
  readonly #tokenizer: Tokenizer;
  readonly #wasm: Wasm;
  readonly #metadata: ModelMetadata;
  readonly #heads = new Map<string, Promise<HeadFacts>>();
  #endsSentence: ((id: number) => boolean) | undefined;
  #boundary: BoundaryPredictor | undefined;

  /** `wasm` may be any instance. */
  constructor(
    model: () => Model,
    {
      tokenizer,
      wasm,
      metadata,
    }: { readonly tokenizer: Tokenizer; readonly wasm: Wasm; readonly metadata: ModelMetadata },
  ) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#wasm = wasm;
    this.#metadata = metadata;
  }

  /** Throws `InputError('argument')` for methods that this model does not support. */
  check(options: ContextOptions): void {
    const { language } = this.#model();
    const { cacheLayers: layers, kvHeads } = language.config;
    checkPlan(options, { wasm: this.#wasm, layers, boundary: this.#predictor });
    const { heads } = planSettings(options);
    if (heads?.method === 'model') ownTable(this.#metadata, { layers, kvHeads });
  }

  /** Undefined for dense attention. Throws `InputError('argument')` for methods that this model does not support. */
  async planner(options: ContextOptions): Promise<Planner | undefined> {
    const release = readSelection(options.visual)?.release;
    const { language, vision } = this.#model();
    if (release === undefined || vision === undefined) return this.#method(options);
    const { placeholder } = vision;
    const control = (id: number): boolean => id !== placeholder && this.#tokenizer.decode([id]) === '';
    return new VisualPlanner(
      { ...release, placeholder, layers: language.config.cacheLayers, control },
      await this.#method(options),
    );
  }

  async #method(options: ContextOptions): Promise<Planner | undefined> {
    const { language } = this.#model();
    const { cacheLayers: layers, heads, kvHeads, headDim } = language.config;
    const wasm = this.#wasm;
    const found = await this.#find(options);
    const endsSentence = (id: number): boolean => (this.#endsSentence ??= sentenceEnds(this.#tokenizer))(id);
    return createPlanner(options, {
      wasm,
      layers,
      heads,
      kvHeads,
      headDim,
      endsSentence,
      boundary: this.#predictor,
      ...found,
    });
  }

  get #predictor(): BoundaryPredictor | undefined {
    const { boundary } = this.#model();
    return boundary && (this.#boundary ??= new BoundaryPredictor(this.#wasm, boundary));
  }

  free(): void {
    this.#boundary?.free();
  }

  /** Determined once for all sessions with the same request, and tried again after a failure. */
  async #find(options: ContextOptions): Promise<HeadFacts> {
    const key = headsNeeded(options);
    if (key === undefined) return {};
    const known = this.#heads.get(key);
    if (known !== undefined) return known;
    const finding = findHeads(this.#model().language, this.#metadata, options, (text) =>
      this.#tokenizer.encode(text, { special: false }),
    );
    this.#heads.set(key, finding);
    finding.catch(() => this.#heads.delete(key));
    return finding;
  }
}
