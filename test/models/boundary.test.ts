/** The boundary predictor of a file: read whole, or refused before anything is read. */
import { describe, expect, test } from '@jest/globals';
import { BOUNDARY_TENSORS, boundarySizes, type BoundaryTensor } from '../../src/select/prefill/dhsa-weights.ts';
import type { ModelMetadata, TensorInfo } from '../../src/load/model-file.ts';
import { BoundaryPlan } from '../../src/models/boundary.ts';
import { random } from '../support/random.ts';

const MODEL = { layers: 2, width: 8 };
const HIDDEN = 5;

type Values = Extract<ModelMetadata, { kind: 'gguf' }>['values'];

function file(
  change: { values?: Readonly<Record<string, unknown>>; without?: string; shape?: readonly [string, number[]] } = {},
): [ModelMetadata, Map<string, TensorInfo>] {
  const values = new Map(
    Object.entries({
      'octavo.boundary.layer': 1,
      'octavo.boundary.window': 4,
      'octavo.boundary.threshold': 0.5,
      ...change.values,
    }),
  ) as unknown as Values;
  const sizes = boundarySizes(MODEL.width, HIDDEN);
  const tensors = new Map<string, TensorInfo>();
  for (const [name, tensor] of Object.entries(BOUNDARY_TENSORS)) {
    if (name !== change.without)
      tensors.set(name, {
        name,
        shape: change.shape?.[0] === name ? change.shape[1] : [sizes[tensor]],
        format: 'F32',
      } as unknown as TensorInfo);
  }
  return [{ kind: 'gguf', values } as ModelMetadata, tensors];
}

describe('a boundary predictor in a file', () => {
  test('is read as it was written, in chunks of any size', async () => {
    const [metadata, tensors] = file();
    const plan = BoundaryPlan.of(metadata, tensors, MODEL)!;
    const r = random(1);
    const wanted = {} as Record<BoundaryTensor, Float32Array>;
    for (const info of tensors.values()) {
      const data = r.normals(info.shape[0]!);
      wanted[BOUNDARY_TENSORS[info.name as keyof typeof BOUNDARY_TENSORS]] = data;
      const writer = plan.writer(info)!;
      const bytes = new Uint8Array(data.buffer);
      for (let at = 0; at < bytes.length; at += 7) await writer.write(bytes.subarray(at, at + 7));
      await writer.finish();
    }
    expect(plan.weights()).toEqual({ layer: 1, window: 4, threshold: 0.5, width: 8, hidden: HIDDEN, tensors: wanted });
    expect(plan.writer({ ...tensors.values().next().value!, name: 'blk.0.attn_q.weight' })).toBeUndefined();
  });

  test('none: a file of another kind, or without it', () => {
    const [, tensors] = file();
    expect(
      BoundaryPlan.of({ kind: 'gguf', values: new Map() } as unknown as ModelMetadata, tensors, MODEL),
    ).toBeUndefined();
    expect(
      BoundaryPlan.of({ kind: 'huggingface', config: {} } as unknown as ModelMetadata, tensors, MODEL),
    ).toBeUndefined();
  });

  test.each([
    [{ values: { 'octavo.boundary.layer': 2 } }, 'config'],
    [{ values: { 'octavo.boundary.layer': -1 } }, 'config'],
    [{ values: { 'octavo.boundary.layer': 'x' } }, 'config'],
    [{ values: { 'octavo.boundary.window': 0 } }, 'config'],
    [{ values: { 'octavo.boundary.window': 1e9 } }, 'config'],
    [{ values: { 'octavo.boundary.threshold': NaN } }, 'config'],
    [{ without: 'boundary.norm.bias' }, 'tensor-missing'],
    [{ without: 'boundary.hidden.bias' }, 'tensor-missing'],
    [{ shape: ['boundary.attn_q.weight', [8, 7]] as const }, 'tensor-shape'],
  ])('refused: %j', (change, code) => {
    const [metadata, tensors] = file(change as Parameters<typeof file>[0]);
    expect(() => BoundaryPlan.of(metadata, tensors, MODEL)).toThrow(
      expect.objectContaining({ name: 'ModelError', code }),
    );
  });

  test('a tensor that the reader left out is missed', () => {
    const [metadata, tensors] = file();
    expect(() => BoundaryPlan.of(metadata, tensors, MODEL)!.weights()).toThrow(/did not deliver/);
  });
});
