/**
 * Creates the planners of a model's sessions. The facts about the model that they need are computed for the first
 * session that needs them, and cached.
 */
import { findHeads, headsNeeded, type HeadFacts } from '../select/heads/heads.ts';
import type { ContextOptions } from '../select/options.ts';
import type { Planner } from '../kv/plan.ts';
import { BoundaryPredictor } from '../select/prefill/dhsa-predictor.ts';
import { createPlanner } from '../select/index.ts';
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
    const { language, boundary } = this.#model();
    const { cacheLayers: layers, heads, kvHeads, headDim } = language.config;
    const wasm = this.#wasm;
    const found = await this.#find(options);
    if (boundary !== undefined) this.#boundary ??= new BoundaryPredictor(wasm, boundary);
    const endsSentence = (id: number): boolean => (this.#endsSentence ??= sentenceEnds(this.#tokenizer))(id);
    return createPlanner(options, {
      wasm,
      layers,
      heads,
      kvHeads,
      headDim,
      endsSentence,
      boundary: this.#boundary,
      ...found,
    });
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
    const finding = findHeads(this.#model().language, this.#metadata, options);
    this.#heads.set(key, finding);
    finding.catch(() => this.#heads.delete(key));
    return finding;
  }
}
