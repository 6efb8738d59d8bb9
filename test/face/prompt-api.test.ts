/** The face has the Prompt API's names: an app that is written for the browser's own `LanguageModel` runs on a session. Mostly checked by the compiler. */
/// <reference types="dom-chromium-ai" />
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OctavoModel } from '../../src/face/model.ts';
import type { OctavoSession } from '../../src/face/session.ts';
import { testFace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

/** Marked as deprecated, or for extensions only. */
type Old = 'measureInputUsage' | 'inputUsage' | 'inputQuota' | 'onquotaoverflow' | 'topK' | 'temperature';
type Missing = Exclude<keyof LanguageModel, keyof OctavoSession | Old>;
const nothingMissing: [Missing] extends [never] ? true : Missing = true;

/** What an app does with the browser's own model. */
type Used = Pick<
  LanguageModel,
  | 'prompt'
  | 'promptStreaming'
  | 'measureContextUsage'
  | 'contextUsage'
  | 'contextWindow'
  | 'destroy'
  | 'addEventListener'
>;
async function app(session: Used): Promise<string> {
  const parts: string[] = [];
  session.addEventListener('contextoverflow', () => parts.push('overflow'));
  const stream = session.promptStreaming([{ role: 'user', content: [{ type: 'text', value: 'Hello' }] }], {
    signal: new AbortController().signal,
  });
  const reader = stream.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) parts.push(piece.value);
  if ((await session.measureContextUsage('more')) > session.contextWindow - session.contextUsage) parts.push('full');
  parts.push(await session.prompt('And you?'));
  session.destroy();
  return parts.join('');
}

let model: OctavoModel;
beforeAll(async () => {
  model = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
});
afterAll(() => model.destroy());

describe('the Prompt API', () => {
  test('an app written for it runs', async () => {
    expect(nothingMissing).toBe(true);
    const text = await app(await model.createSession({ temperature: 0, maxTokens: 6 }));
    expect(text).toHaveLength(12);
  });

  test('create options of the Prompt API are taken', async () => {
    const options: LanguageModelCreateOptions & { maxTokens: number } = {
      initialPrompts: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi.' },
      ],
      expectedInputs: [{ type: 'text', languages: ['en'] }],
      expectedOutputs: [{ type: 'text' }],
      samplingMode: 'most-predictable',
      maxTokens: 3,
    };
    const { tools: _tools, monitor: _monitor, ...rest } = options;
    const session = await model.createSession(rest);
    expect(await session.prompt('Well?')).toHaveLength(3);
    session.destroy();
  });
});
