/** A trained model continues as llama.cpp does: ../shared/data/weights/stories260K, where it is present. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildRuns } from '../../src/engine/wasm-build.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { Session } from '../../src/session.ts';
import { WASM_BUILDS } from '../../src/wasm.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { testPlatform } from '../support/engine.ts';

const folder = new URL('../../../shared/data/weights/stories260K/', import.meta.url);
const file = fileURLToPath(new URL('stories260K-f32.gguf', folder));
const present = existsSync(file);
const golden = present
  ? [...readFileSync(new URL('greedy40.llama.cpp.txt', folder), 'utf8').matchAll(/^== (.*)\n(.*)$/gm)].map(
      ([, prompt = '', text = '']) => ({ prompt, text: text.trim() }),
    )
  : [];

async function matches(model: EngineModel): Promise<void> {
  for (const { prompt, text } of golden) {
    const session = new Session(model);
    const answer = await session.complete(prompt, { temperature: 0, maxTokens: 40 });
    // The file shows newlines as spaces.
    expect(`${prompt}${answer.text}`.replaceAll('\n', ' ').trim()).toBe(text);
    expect(answer.ids).toHaveLength(40);
    await session.destroy();
  }
  model.free();
}

describe('stories260K goes on as in llama.cpp', () => {
  if (!present) console.warn('skipped: ../shared/data/weights/stories260K is not there');
  for (const build of WASM_BUILDS) {
    const runs = buildRuns(build, testPlatform);
    (present && runs ? test : test.skip)(`wasm, ${build}`, async () => {
      expect(golden).toHaveLength(3);
      await matches(await EngineModel.load(testPlatform, file, { device: 'wasm', build, threads: 2 }));
    });
  }

  (present ? test : test.skip)('webgpu', async () => {
    if (!(await hasGpu())) return console.warn('skipped: no GPU adapter');
    await matches(await EngineModel.load({ ...testPlatform, gpu: async () => testGpu() }, file, { device: 'webgpu' }));
  });
});
