/** What Octavo's sources say of a UniPic model, for the benchmark's Node side (bundled by bench/paint.mjs): its tensors, and what each iteration uncovers. */
import type { GgufValue } from '../../src/load/model-file.ts';
import { Facts } from '../../src/models/facts.ts';
import { uniPicConfig, type UniPicConfig } from '../../src/models/unipic/config.ts';
import { takeParts, type PartName } from '../../src/models/unipic/parts.ts';
import type { Take, TensorName } from '../../src/models/weights.ts';
import { uncoverings } from '../../src/paint/schedule.ts';

/** Row-major; a table stays F32. */
export interface PartTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly table: boolean;
}

/** The picture parts of a model with this metadata: everything but the language model (and SigLIP, which painting does not use). */
export function partTensors(
  values: ReadonlyMap<string, GgufValue>,
  vocabulary: number,
  hidden: number,
): { readonly config: UniPicConfig; readonly tensors: readonly PartTensor[] } {
  const config = uniPicConfig(new Facts({ kind: 'gguf', values }, 'unipic'), vocabulary);
  const tensors: PartTensor[] = [];
  const never = (name: TensorName): never => {
    throw new Error(`${JSON.stringify(name)}: the official models ask for weights and tables of known shapes only`);
  };
  const add = (name: TensorName, shape: readonly number[], table: boolean): string => {
    const known = typeof name === 'string' ? name : name.gguf;
    tensors.push({ name: known, shape, table });
    return known;
  };
  const take: Take = {
    weight: (name, shape) => ({
      name: add(name, shape, false),
      shape,
      format: 'F32',
      bytes: 0,
      free: () => undefined,
    }),
    table: (name, shape) => {
      add(name, shape, true);
      return new Float32Array(0);
    },
    optional: never,
    split: never,
    has: never,
    rows: never,
  };
  takeParts(
    take,
    config,
    hidden,
    new Set<PartName>(['encoder', 'decoder', 'head', 'projIn', 'projOut', 'pictureEncoder', 'pictureDecoder']),
  );
  return { config, tensors };
}

/** Known and predicted positions of each iteration: numbers only. */
export function rounds(
  tokens: number,
  iterations: number,
): readonly { readonly known: number; readonly predicted: number }[] {
  const order = Int32Array.from({ length: tokens }, (_, i) => i);
  return uncoverings(order, iterations).map(({ known, wanted }) => ({ known: known.length, predicted: wanted.length }));
}
