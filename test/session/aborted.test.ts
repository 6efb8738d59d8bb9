/** What an aborted answer leaves behind: by default nothing, with `aborted: 'keep'` what was said. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { EngineModel } from '../../src/engine/model.ts';
import { Session } from '../../src/session.ts';
import type { PromptSettings } from '../../src/generate/options.ts';
import { loadTest, testFace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const reason = new RangeError('enough');
const GREEDY = { temperature: 0, maxTokens: 40 };
let model: EngineModel;
const sessions: Session[] = [];
beforeAll(async () => {
  model = await loadTest(tinyModel());
});
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.destroy())));
afterAll(() => model.free());

function begin(): Session {
  const session = new Session(model, { ...GREEDY, context: { share: false } });
  sessions.push(session);
  return session;
}

/** Asks and stops after three pieces. */
async function stopped(session: Session, text: string, settings: PromptSettings = {}): Promise<string> {
  const controller = new AbortController();
  let said = '';
  let pieces = 0;
  await session
    .prompt(text, settings, {
      signal: controller.signal,
      onText: (piece) => {
        said += piece;
        if (++pieces === 3) controller.abort(reason);
      },
    })
    .catch((error: unknown) => expect(error).toBe(reason));
  expect(pieces).toBe(3);
  return said;
}

test('usage, clones and snapshots are those of the conversation, not of what was aborted', async () => {
  const session = begin();
  await session.prompt('Hello', { maxTokens: 4 });
  const { usage } = session;
  const more = await session.measure('And you?');
  await stopped(session, 'A question that is never answered '.repeat(3));
  expect(session.usage).toBe(usage);
  expect(await session.measure('And you?')).toBe(more);
  const copy = await session.clone();
  sessions.push(copy);
  expect(copy.usage).toBe(usage);
  const { state, sequence } = await session.snapshot();
  expect(state.transcript.ids).toHaveLength(usage);
  expect(sequence!.length).toBeLessThanOrEqual(usage);
  sequence!.free();
  const plain = begin();
  await plain.prompt('Hello', { maxTokens: 4 });
  const answer = (await plain.prompt('And you?')).text;
  expect((await copy.prompt('And you?')).text).toBe(answer);
  expect((await session.prompt('And you?')).text).toBe(answer);
});

test('a session saved after an abort goes on like one that was never asked', async () => {
  const session = begin();
  await session.prompt('Hello', { maxTokens: 4 });
  await stopped(session, 'A question that is never answered '.repeat(3));
  const { state, sequence } = await session.snapshot();
  sequence?.free();
  const restored = await Session.restored(model, state, async () => undefined);
  sessions.push(restored);
  expect(restored.usage).toBe(session.usage);
  expect((await restored.prompt('And you?')).text).toBe((await session.prompt('And you?')).text);
});

test("aborted: 'keep' keeps the question and what was said of the answer, marked as partial", async () => {
  const session = begin();
  const said = await stopped(session, 'Hello', { aborted: 'keep' });
  const { state, sequence } = await session.snapshot();
  sequence?.free();
  expect(state.turns).toEqual([
    { role: 'user', content: ['Hello'] },
    { role: 'assistant', content: [said], partial: true },
  ]);
  expect(session.usage).toBe(state.transcript.ids.length);
  // The same conversation, given as history.
  const told = new Session(model, {
    ...GREEDY,
    context: { share: false },
    initialPrompts: [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: said },
    ],
  });
  sessions.push(told);
  expect((await session.prompt('And you?')).text).toBe((await told.prompt('And you?')).text);
});

test("with aborted: 'keep', an answer that never began leaves nothing", async () => {
  const session = begin();
  const controller = new AbortController();
  const call = session.prompt(
    'Hello',
    { aborted: 'keep' },
    {
      signal: controller.signal,
      onPrefill: () => controller.abort(reason),
    },
  );
  await expect(call).rejects.toBe(reason);
  expect(session.usage).toBe(0);
});

test('the page learns how much of the context a kept answer takes', async () => {
  const loaded = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
  const session = await loaded.createSession({ ...GREEDY, aborted: 'keep', maxTokens: 200 });
  const controller = new AbortController();
  const read = (async () => {
    for await (const piece of session.promptStreaming('Hello', { signal: controller.signal }))
      if (piece !== '') controller.abort(reason);
  })();
  await expect(read).rejects.toBe(reason);
  const copy = await session.clone();
  expect(copy.contextUsage).toBeGreaterThan(5);
  expect(session.contextUsage).toBe(copy.contextUsage);
  await loaded.destroy();
});

test('the monitor of createSession hears that the model is there', async () => {
  const loaded = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
  const shares: number[] = [];
  await loaded.createSession({
    monitor: (target) => target.addEventListener('downloadprogress', (event) => void shares.push(event.loaded)),
  });
  expect(shares).toEqual([0, 1]);
  await loaded.destroy();
});
