/** The bundled model: its tokenizer, template and greedy answers are those of the PyTorch that trained it, on every backend. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type LanguageModel } from '../../src/models/model.ts';
import { renderChat } from '../../src/text/chat-template.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { testBackends } from '../support/backends.ts';
import { greedy } from '../support/language.ts';
import { openWasm } from '../support/wasm.ts';

interface Case {
  readonly document: string;
  readonly question: string;
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
}

const FOLDER = new URL('../../models/nano/', import.meta.url);
/** The f64 loops and the software GPU are slow: they take the shortest prompt only. */
const SLOW = /reference|webgpu/;

const bytes = new Uint8Array(await readFile(new URL('nano.gguf', FOLDER)));
const { cases } = JSON.parse(await readFile(new URL('parity.json', FOLDER), 'utf8')) as { cases: readonly Case[] };
const shortest = cases.reduce((a, b) => (b.promptIds.length < a.promptIds.length ? b : a));

describe.each(await testBackends())('nano on $name', ({ name, create }) => {
  let backend: Backend;
  let model: LanguageModel;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const file = await openModel(bytes);
    tokenizer = createTokenizer(await openWasm('scalar'), file.metadata);
    backend = await create();
    model = (await loadModel(file, backend)).language;
  });
  afterAll(() => {
    model.free();
    tokenizer.free();
    backend.destroy();
  });

  test.each(SLOW.test(name) ? [shortest] : cases)('$question', async ({ document, question, promptIds, greedyIds }) => {
    const template = tokenizer.facts.chatTemplate;
    const text = renderChat(template!, [{ role: 'user', content: `${document}\n\n${question}` }], { addGenerationPrompt: true, bosToken: '', eosToken: '<|im_end|>' });
    expect([...tokenizer.encode(text)]).toEqual(promptIds);
    expect(await greedy(model, [...promptIds], greedyIds.length)).toEqual(greedyIds);
  });
});
