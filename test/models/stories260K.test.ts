/** A trained model, 260 thousand parameters: every backend continues three prompts as llama.cpp does, token by token. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type LanguageModel } from '../../src/models/model.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { testBackends } from '../support/backends.ts';
import { greedy } from '../support/language.ts';
import { openWasm } from '../support/wasm.ts';

const FOLDER = new URL('../../../shared/data/weights/stories260K/', import.meta.url);
const TOKENS = 40;

const backends = await testBackends();
if (existsSync(FOLDER)) {
  const golden = await readFile(new URL('greedy40.llama.cpp.txt', FOLDER), 'utf8');
  const cases = [...golden.matchAll(/^== (.*)\n(.*)$/gm)].map(([, prompt, text]) => [prompt!, text!] as const);
  const bytes = new Uint8Array(await readFile(new URL('stories260K-f32.gguf', FOLDER)));

  describe.each(backends)('stories260K on $name', ({ create }) => {
    let backend: Backend;
    let model: LanguageModel;
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      const file = await openModel(bytes);
      tokenizer = await createTokenizer(await openWasm('scalar'), file.metadata);
      backend = await create();
      model = (await loadModel(file, backend)).language;
    });
    afterAll(() => {
      model.free();
      tokenizer.free();
      backend.destroy();
    });

    test.each(cases)('%s', async (prompt, wanted) => {
      const ids = [...tokenizer.encode(prompt, { bos: true })];
      expect(ids[0]).toBe(1);
      const text = tokenizer.decode([...ids, ...(await greedy(model, ids, TOKENS))]);
      // The recording shows newlines as spaces; SentencePiece's space stands before it and two newlines of the program after it.
      expect(` ${text.trimStart()}  `.replaceAll('\n', ' ')).toBe(wanted);
    });
  });
} else {
  test.skip('the recorded continuations are not on this machine', () => undefined);
}
