/** Planners for a model's sessions. What has to be known of the model for them is found when the first session asks for it, and kept. */
import type { ContextOptions } from '../context/options.ts';
import type { Planner } from '../context/plan.ts';
import type { LanguageModelConfig } from '../models/model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Wasm } from '../wasm.ts';

export interface PlannedModel {
  readonly config: LanguageModelConfig;
  readonly tokenizer: Tokenizer;
  /** Any instance. */
  readonly wasm: Wasm;
}

/** Whether attention may look at everything before a token, so that nobody has to be asked. */
function dense({ prefill = 'dense', decode = 'dense', evict, heads = 'all' }: ContextOptions): boolean {
  return prefill === 'dense' && decode === 'dense' && evict === undefined && heads === 'all';
}

export class Planning {
  readonly #model: PlannedModel;
  #endsSentence: ((id: number) => boolean) | undefined;

  constructor(model: PlannedModel) {
    this.#model = model;
  }

  /** Undefined where everything is looked at. Throws `InputError('argument')` for what this model cannot do. */
  async planner(options: ContextOptions): Promise<Planner | undefined> {
    if (dense(options)) return undefined;
    // Pages that look at everything do not download it.
    const [{ createPlanner }, { sentenceEnds }] = await Promise.all([import('../context/planners/index.ts'), import('../context/planners/sentences.ts')]);
    const { config, tokenizer, wasm } = this.#model;
    const { layers, heads, kvHeads, headDim } = config;
    const endsSentence = (id: number): boolean => (this.#endsSentence ??= sentenceEnds(tokenizer))(id);
    return createPlanner(options, { wasm, layers, heads, kvHeads, headDim, endsSentence });
  }
}
