/** The same question gives the same answer, whatever sessions read before and share: greedy and drawn, at many lengths of the prompt, cloned, saved. */
import 'fake-indexeddb/auto';
import { describe, expect, test } from '@jest/globals';
import type { OctavoModel } from '../../src/face/model.ts';
import type { SessionOptions } from '../../src/face/session.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf } from '../../src/store/index.ts';
import type { OpenSettings } from '../../src/session.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { tinyModel, TINY_VOCABULARY } from '../support/tiny-model.ts';

const shelf = new IndexedShelf(new Database('determinism'));
const face = testFace(undefined, { ...testPlatform, sessions: () => shelf });
const SHAPES = [
  { heads: 2, kvHeads: 1 },
  { heads: 6, kvHeads: 2 },
];
const ways: readonly { readonly name: string; readonly settings: OpenSettings }[] = [
  { name: 'greedy', settings: { temperature: 0 } },
  { name: 'drawn with a seed', settings: { temperature: 1, seed: 7 } },
  { name: 'greedy with pages at 4 bits', settings: { temperature: 0, context: { kvBits: 4 } } },
];

/** Letters that the head can hardly tell apart: a difference in the last bits of its input makes another one the likeliest. */
function blur(name: string, values: Float32Array): void {
  if (name !== 'output.weight') return;
  const hidden = values.length / TINY_VOCABULARY;
  for (let id = 33; id < 127; id++)
    for (let i = 0; i < hidden; i++)
      values[id * hidden + i] = values[(33 + (id % 2)) * hidden + i]! + 1e-6 * values[id * hidden + i]!;
}

describe.each(SHAPES)('$heads query heads on $kvHeads', (shape) => {
  test.each(ways)('$name', async ({ settings }) => {
    const file = tinyModel({ ...shape, window: 2048, seed: 5, damage: blur });
    const model: OctavoModel = await face.load(file, { device: 'wasm', threads: 1 });
    const alone = { ...settings, context: { ...settings.context, share: false } };
    const ask = async (options: SessionOptions, text: string): Promise<string> => {
      const session = await model.createSession(options);
      const answer = await session.prompt(text, { maxTokens: 12 });
      session.destroy();
      return answer;
    };
    let cloned = 0;
    for (let length = 3; length < 300; length += length < 110 ? 3 : 29) {
      const text = Array.from({ length }, (_, i) => String.fromCharCode(97 + ((i * i + length) % 26))).join('');
      const answer = await ask(alone, text);
      const told = { length, answer };
      for (let again = 0; again < 2; again++) expect({ length, answer: await ask(settings, text) }).toEqual(told);
      if (length % 4 !== 0) continue;
      // Read in two parts, and gone on with in a clone and after a reload.
      const session = await model.createSession(alone);
      const first = await session.prompt(text.slice(0, length >> 1), { maxTokens: 5 });
      const clone = await session.clone();
      await session.save('one');
      const saved = await model.resumeSession('one');
      const more = { maxTokens: 12 };
      const next = await session.prompt(text, more);
      expect([first.length > 0, await clone.prompt(text, more), await saved.prompt(text, more)]).toEqual([
        true,
        next,
        next,
      ]);
      for (const one of [session, clone, saved]) one.destroy();
      cloned++;
    }
    expect(cloned).toBeGreaterThan(5);
    await model.destroy();
  });
});
