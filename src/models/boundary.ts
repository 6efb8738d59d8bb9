/** The boundary predictor that a file may hold beside its model (`boundary.*`, `octavo.boundary.*`: training/nano/boundaries.py), read for the host. */
import type { WeightWriter } from '../backend/backend.ts';
import {
  BOUNDARY_TENSORS,
  boundarySizes,
  type BoundaryTensor,
  type BoundaryWeights,
} from '../select/prefill/dhsa-weights.ts';
import { ModelError } from '../errors.ts';
import type { ModelMetadata, TensorInfo } from '../load/model-file.ts';
import { hostWriter } from './host-tensor.ts';

const NAMES = new Map<string, BoundaryTensor>(Object.entries(BOUNDARY_TENSORS));
/** Keys on either side of a gap; bounds what a file may request. */
const MOST_WINDOW = 64;

export class BoundaryPlan {
  readonly #layer: number;
  readonly #window: number;
  readonly #threshold: number;
  readonly #width: number;
  readonly #hidden: number;
  readonly #read = new Map<BoundaryTensor, Float32Array>();

  private constructor(layer: number, window: number, threshold: number, width: number, hidden: number) {
    this.#layer = layer;
    this.#window = window;
    this.#threshold = threshold;
    this.#width = width;
    this.#hidden = hidden;
  }

  /**
   * Undefined for a file without one. `width` is kvHeads * headDim. Throws `ModelError` when tensors are missing or do
   * not fit the model, before anything is read.
   */
  static of(
    metadata: ModelMetadata,
    tensors: ReadonlyMap<string, TensorInfo>,
    { layers, width }: { readonly layers: number; readonly width: number },
  ): BoundaryPlan | undefined {
    const layer = metadata.kind === 'gguf' ? metadata.values.get('octavo.boundary.layer') : undefined;
    if (metadata.kind !== 'gguf' || layer === undefined) return undefined;
    const window = metadata.values.get('octavo.boundary.window');
    const threshold = metadata.values.get('octavo.boundary.threshold');
    if (typeof layer !== 'number' || !(layer >= 0 && layer < layers))
      throw new ModelError(
        'config',
        `octavo.boundary.layer is ${String(layer)}; the model has layers 0 to ${layers - 1}`,
      );
    if (typeof window !== 'number' || !(window >= 1 && window <= MOST_WINDOW))
      throw new ModelError('config', `octavo.boundary.window is ${String(window)}; 1 to ${MOST_WINDOW} are possible`);
    if (typeof threshold !== 'number' || !(threshold >= 0 && threshold <= 1))
      throw new ModelError('config', `octavo.boundary.threshold is ${String(threshold)}; it should be a probability`);
    const found = [...NAMES].map(([name, tensor]) => {
      const info = tensors.get(name);
      if (info === undefined)
        throw new ModelError(
          'tensor-missing',
          `the file has octavo.boundary.layer but no tensor ${name}; export it again with training/nano/boundaries.py`,
          { tensor: name },
        );
      return { ...info, tensor };
    });
    const hidden = tensors.get('boundary.hidden.bias')?.shape[0] ?? 0;
    const sizes = boundarySizes(width, hidden);
    for (const { name, shape, tensor } of found) {
      const values = shape.reduce((product, n) => product * n, 1);
      if (values !== sizes[tensor])
        throw new ModelError(
          'tensor-shape',
          `${name} is [${shape.join(', ')}]; keys of ${width} values need ${sizes[tensor]} values`,
          { tensor: name },
        );
    }
    return new BoundaryPlan(layer, window, threshold, width, hidden);
  }

  /** Undefined for a tensor that does not belong to it. */
  writer(info: TensorInfo): WeightWriter | undefined {
    const tensor = NAMES.get(info.name);
    return tensor && hostWriter(info, (values) => this.#read.set(tensor, values));
  }

  /** Called once everything is read. */
  weights(): BoundaryWeights {
    const of = (tensor: BoundaryTensor): Float32Array => {
      const values = this.#read.get(tensor);
      if (values === undefined)
        throw new ModelError('tensor-missing', `the file's reader did not deliver the boundary predictor's ${tensor}`);
      return values;
    };
    const tensors = {
      query: of('query'),
      key: of('key'),
      value: of('value'),
      normWeight: of('normWeight'),
      normBias: of('normBias'),
      hiddenWeight: of('hiddenWeight'),
      hiddenBias: of('hiddenBias'),
      outputWeight: of('outputWeight'),
      outputBias: of('outputBias'),
    };
    return {
      layer: this.#layer,
      window: this.#window,
      threshold: this.#threshold,
      width: this.#width,
      hidden: this.#hidden,
      tensors,
    };
  }
}
