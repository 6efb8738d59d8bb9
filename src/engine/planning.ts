/** Planners for a model's sessions. What has to be known of the model for them is found when the first session asks for it, and kept. */
import type { HeadFacts } from '../context/heads.ts';
import type { ContextOptions } from '../context/options.ts';
import type { Planner } from '../context/plan.ts';
import type { BoundaryPredictor } from '../context/planners/dhsa-predictor.ts';
import type { ModelMetadata } from '../load/model-file.ts';
import type { Model } from '../models/model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { readSelection } from '../vision/select/index.ts';
import type { Wasm } from '../wasm.ts';

/** Of the metadata, all that planners read begins so. */
const OWN = 'octavo.';

/** Whether attention may look at everything before a token, so that nobody has to be asked. */
function dense({ prefill = 'dense', decode = 'dense', evict, heads = 'all' }: ContextOptions): boolean {
  return prefill === 'dense' && decode === 'dense' && evict === undefined && heads === 'all';
}

export class Planning {
  /** The model where it is now. */
  readonly #model: () => Model;
  readonly #tokenizer: Tokenizer;
  readonly #wasm: Wasm;
  readonly #metadata: ModelMetadata;
  readonly #heads = new Map<string, Promise<HeadFacts>>();
  #endsSentence: ((id: number) => boolean) | undefined;
  #boundary: BoundaryPredictor | undefined;

  /** `wasm`: any instance. */
  constructor(model: () => Model, { tokenizer, wasm, metadata }: { readonly tokenizer: Tokenizer; readonly wasm: Wasm; readonly metadata: ModelMetadata }) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#wasm = wasm;
    // Without the vocabulary and the rest, which others have.
    this.#metadata = metadata.kind === 'gguf' ? { kind: 'gguf', values: new Map([...metadata.values].filter(([name]) => name.startsWith(OWN))) } : metadata;
  }

  /** Undefined where everything is looked at. Throws `InputError('argument')` for what this model cannot do. */
  async planner(options: ContextOptions): Promise<Planner | undefined> {
    const release = readSelection(options.visual)?.release;
    const { language, pictures } = this.#model();
    if (release === undefined || pictures === undefined) return this.#method(options);
    const { VisualPlanner } = await import('../context/planners/visual.ts');
    const placeholder = pictures.config.imageToken;
    const control = (id: number): boolean => id !== placeholder && this.#tokenizer.decode([id]) === '';
    return new VisualPlanner({ ...release, placeholder, layers: language.config.layers, control }, await this.#method(options));
  }

  async #method(options: ContextOptions): Promise<Planner | undefined> {
    if (dense(options)) return undefined;
    // Pages that look at everything do not download it.
    const [{ createPlanner }, { sentenceEnds }, { BoundaryPredictor }] = await Promise.all([
      import('../context/planners/index.ts'), import('../context/planners/sentences.ts'), import('../context/planners/dhsa-predictor.ts'),
    ]);
    const { language, boundary } = this.#model();
    const { layers, heads, kvHeads, headDim } = language.config;
    const wasm = this.#wasm;
    const found = await this.#find(options);
    if (boundary !== undefined) this.#boundary ??= new BoundaryPredictor(wasm, boundary);
    const endsSentence = (id: number): boolean => (this.#endsSentence ??= sentenceEnds(this.#tokenizer))(id);
    return createPlanner(options, { wasm, layers, heads, kvHeads, headDim, endsSentence, boundary: this.#boundary, ...found });
  }

  free(): void {
    this.#boundary?.free();
  }

  /** Found once for all sessions that ask for the same, and tried again after a failure. */
  async #find(options: ContextOptions): Promise<HeadFacts> {
    const { findHeads, headsNeeded } = await import('../context/heads.ts');
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
