/** Sessions whose context is given by a preset: what is chosen, when it changes, and that it is what its options would do. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import 'fake-indexeddb/auto';
import type { OctavoModel } from '../../src/face/model.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf } from '../../src/store/indexed-shelf.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const shelf = new IndexedShelf(new Database('presets'));
const face = testFace(undefined, {
  ...testPlatform,
  sessions: () => shelf,
  open: { ...testPlatform.open, store: false },
});
const GREEDY = { temperature: 0, maxTokens: 8 } as const;
const SHORT = 'What is in a name? ';
/** A letter is a token. */
const LONG = SHORT.repeat(240);

let model: OctavoModel;
beforeAll(async () => {
  model = await face.load(tinyModel({ layers: 1, window: 8192 }), { device: 'wasm', threads: 1 });
});
afterAll(() => model.destroy());

test('a longer prompt changes the choice, and what was read before is read again', async () => {
  const session = await model.createSession({ ...GREEDY, context: 'balanced' });
  expect(session.context).toMatchObject({ preset: 'balanced', options: { kvBits: 8 } });
  const explicit = await model.createSession({ ...GREEDY, context: { kvBits: 8 } });
  expect(explicit.context).toBeUndefined();
  expect(await session.prompt(SHORT)).toBe(await explicit.prompt(SHORT));
  await session.append(LONG);
  const sparse = { kvBits: 8, prefill: { method: 'blocks', budget: 0.25 } } as const;
  expect(session.context?.options).toEqual(sparse);
  expect(session.context?.reason).toMatch(/1\.6 times faster/);
  // As if it had been so from the beginning, and not another time.
  const same = await model.createSession({ ...GREEDY, context: sparse });
  await same.prompt(SHORT);
  await same.append(LONG);
  const stream = session.promptStreaming('And now?');
  let said = '';
  for await (const piece of stream) said += piece;
  expect(said).toBe(await same.prompt('And now?'));
  expect((await stream.finished).tokens.cached).toBeGreaterThan(4000);
  const copy = await session.clone();
  expect(copy.context).toEqual(session.context);
  for (const one of [session, explicit, same, copy]) one.destroy();
});

test('a saved session goes on as it was chosen', async () => {
  const session = await model.createSession({ ...GREEDY, context: { preset: 'balanced', window: 512 } });
  expect(session.contextWindow).toBe(512);
  await session.prompt(SHORT.repeat(15));
  await session.save('chosen');
  const before = await session.prompt('And now?');
  const again = await model.resumeSession('chosen');
  const stream = again.promptStreaming('And now?');
  let said = '';
  for await (const piece of stream) said += piece;
  expect(said).toBe(before);
  expect((await stream.finished).tokens.cached).toBeGreaterThan(250);
  for (const one of [session, again]) one.destroy();
});

test('texts are scored with a preset, and unknown ones are refused', async () => {
  const text = SHORT.repeat(20);
  expect((await model.score(text, { context: 'exact' })).nll).toBe((await model.score(text)).nll);
  const eight = await model.score(text, { context: { kvBits: 8 } });
  expect((await model.score(text, { context: { preset: 'balanced', window: 1024 } })).nll).toBe(eight.nll);
  await expect(model.createSession({ context: 'tiny' as 'small' })).rejects.toThrow(/context.*tiny/);
});
