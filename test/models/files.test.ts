/** Which of several files is what part of a model, and what is said about those that make none. */
import { describe, expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import type { ModelFile } from '../../src/load/model-file.ts';
import { projectorName, sortFiles } from '../../src/models/files.ts';
import { loadModel } from '../../src/models/model.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { tinyModel } from '../support/tiny-model.ts';

const text = (): Promise<ModelFile> => openModel(tinyModel());
const mmproj = (key = 'clip.projector_type', projector = 'idefics3'): Promise<ModelFile> =>
  openModel(
    writeGguf({ 'general.architecture': 'clip', [key]: projector }, [
      f32Tensor('mm.model.fc.weight', [2, 2], new Float32Array(4)),
    ]),
  );

describe('the files of one model', () => {
  test('in any order', async () => {
    const [language, vision] = [await text(), await mmproj()];
    expect(sortFiles([language])).toEqual({ language, vision: undefined });
    expect(sortFiles([vision, language])).toEqual({ language, vision });
  });

  test('a vision part says what its projector is', async () => {
    expect(projectorName((await mmproj()).metadata)).toBe('idefics3');
    expect(projectorName((await mmproj('clip.vision.projector_type')).metadata)).toBe('idefics3');
  });

  test('a vision part alone, two of a kind, and none', async () => {
    const [language, vision] = [await text(), await mmproj()];
    for (const [files, message] of [
      [[vision], /vision part of a model \(mmproj\); give its language model/],
      [[language, vision, vision], /at most one vision part/],
      [[language, language], /one file of a language model/],
      [[], /no model file/],
    ] as const)
      expect(() => sortFiles(files)).toThrow(
        expect.objectContaining({ code: 'config', message: expect.stringMatching(message) }),
      );
  });

  test('a projector that is not supported is named, and nothing is loaded', async () => {
    const backend = createReferenceBackend();
    await expect(
      loadModel([await text(), await mmproj('clip.projector_type', 'sonar')], backend),
    ).rejects.toMatchObject({
      code: 'architecture',
      message: expect.stringMatching(
        /"sonar" are not supported; take one of idefics3, .*, or load the language model alone/,
      ),
    });
    expect(backend.memory().weights).toBe(0);
    const model = await loadModel([await text()], backend);
    expect(model.vision).toBeUndefined();
    model.free();
  });
});
