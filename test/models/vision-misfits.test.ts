/** A vision part that does not belong to its language model: an error that says so where it was given, and a model without sight where it was only found. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { openModel } from '../../src/load/index.ts';
import { withProjector } from '../../src/load/projector.ts';
import { loadModel } from '../../src/models/model.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { ggufPair, visionFixture } from '../support/vision-fixtures.ts';

const NAMES = ['smolvlm', 'gemma3', 'qwen2vl', 'qwen3vl'] as const;
const pairs = Object.fromEntries(
  await Promise.all(NAMES.map(async (name) => [name, ggufPair(await visionFixture(name))] as const)),
) as Record<(typeof NAMES)[number], Record<string, Uint8Array>>;
const text = (name: (typeof NAMES)[number]): Uint8Array => pairs[name]['text.gguf']!;
const sight = (name: (typeof NAMES)[number]): Uint8Array => pairs[name]['mmproj-model.gguf']!;
const clip = (more: Record<string, string | number> = {}): Uint8Array =>
  writeGguf({ 'general.architecture': 'clip', ...more }, [f32Tensor('v', [1], [0])]);
const foreign = clip({ 'clip.projector_type': 'sonar' });

let backend: Backend;
beforeAll(() => {
  backend = createReferenceBackend();
});
afterAll(() => backend.destroy());

const misfits = [
  ["another family's, by the language model", text('gemma3'), sight('qwen2vl'), /qwen2-vl's.*architecture gemma3/],
  ["another generation's", text('qwen2vl'), sight('qwen3vl'), /qwen3-vl's.*give the qwen3vl or qwen35 model/],
  ["another family's, by its tokens", text('qwen2vl'), sight('smolvlm'), /the token <image>.*of this very model/],
  [
    'one of no known projector',
    text('qwen2vl'),
    foreign,
    /"sonar" are not supported; take one of idefics3, qwen2vl_merger/,
  ],
  ['a second language model', text('qwen2vl'), text('gemma3'), /at most one vision part/],
] as const;

test.each(misfits)('%s', async (_, language, projector, message) => {
  const both = await withProjector(await openModel(language), await openModel(projector));
  await expect(loadModel(both, backend)).rejects.toThrow(message);
});

test.each(misfits.slice(0, 4))(
  '%s, only found: text works, and what is missing says why',
  async (_, language, other, message) => {
    const model = await loadModel(
      await withProjector(await openModel(language), await openModel(other), true),
      backend,
    );
    expect(model.vision).toBeUndefined();
    expect(model.missing.join()).toMatch(/left out: /);
    expect(model.missing.join()).toMatch(message);
    model.free();
  },
);

test('one of another width', async () => {
  const file = await openModel(sight('smolvlm'));
  const narrow = new Map(file.tensors);
  const projection = narrow.get('mm.model.fc.weight')!;
  narrow.set('mm.model.fc.weight', { ...projection, shape: [16, projection.shape[1]!] });
  const both = await withProjector(await openModel(text('smolvlm')), { ...file, tensors: narrow });
  await expect(loadModel(both, backend)).rejects.toThrow('embeddings of 16 numbers, the language model reads 32');
});
