/** `octavo/prompt-api`: pages that are written for the browser's own `LanguageModel`, on a model of Octavo. */
/// <reference types="dom-chromium-ai" />
import { afterEach, describe, expect, test } from '@jest/globals';
import { createLanguageModel, installLanguageModel, type LanguageModelSettings } from '../src/prompt-api.ts';
import type { OctavoFace } from '../src/face/octavo.ts';
import { testFace } from './support/engine.ts';
import { tinyModel } from './support/tiny-model.ts';

const WASM = { device: 'wasm', threads: 1 } as const;
const SETTINGS: LanguageModelSettings = { load: WASM, session: { maxTokens: 6 }, idle: 20 };

/** A face that counts loaded and freed models. */
function counting(): { readonly face: OctavoFace; readonly alive: () => number; readonly loads: () => number } {
  const face = testFace();
  let [loads, freed] = [0, 0];
  return {
    face: {
      ...face,
      load: async (input, options) => {
        loads++;
        const model = await face.load(input, options);
        const destroy = model.destroy.bind(model);
        model.destroy = () => {
          freed++;
          return destroy();
        };
        return model;
      },
    },
    alive: () => loads - freed,
    loads: () => loads,
  };
}

afterEach(() => {
  Reflect.deleteProperty(globalThis, 'LanguageModel');
});

/** A page that was written for Chrome. It knows nothing of Octavo. */
async function page(): Promise<{ readonly text: string; readonly progress: readonly number[] }> {
  const progress: number[] = [];
  if ((await LanguageModel.availability({ expectedOutputs: [{ type: 'text' }] })) === 'unavailable')
    throw new Error('no model');
  const session = await LanguageModel.create({
    initialPrompts: [{ role: 'system', content: 'Be brief.' }],
    samplingMode: 'most-predictable',
    monitor: (monitor) => monitor.addEventListener('downloadprogress', ({ loaded }) => progress.push(loaded)),
  });
  await session.append([{ role: 'user', content: 'Some context.' }]);
  let text = await session.prompt('Hello');
  const copy = await session.clone();
  const reader = copy.promptStreaming([{ role: 'user', content: [{ type: 'text', value: 'And?' }] }]).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text += piece.value;
  if (session.contextUsage >= copy.contextUsage) throw new Error('the clone has no more than its origin');
  if ((await copy.measureContextUsage('more')) + copy.contextUsage > copy.contextWindow) throw new Error('full');
  session.destroy();
  copy.destroy();
  return { text, progress };
}

describe('installLanguageModel', () => {
  test('a page written for the browser runs after one line, and the model is freed when it is idle', async () => {
    const { face, alive, loads } = counting();
    expect(installLanguageModel(face, tinyModel(), SETTINGS)).toBe(true);
    const { text, progress } = await page();
    expect(text).toHaveLength(12);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(1);
    expect([loads(), alive()]).toEqual([1, 1]);
    while (alive() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await page()).toMatchObject({ text });
    expect(loads()).toBe(2);
  });

  test("leaves the browser's own alone, unless it is to be replaced", () => {
    const own = { create: () => undefined };
    Object.defineProperty(globalThis, 'LanguageModel', { value: own, configurable: true, writable: true });
    expect(installLanguageModel(testFace(), tinyModel(), SETTINGS)).toBe(false);
    expect(globalThis).toHaveProperty('LanguageModel', own);
    expect(installLanguageModel(testFace(), tinyModel(), { ...SETTINGS, replace: true })).toBe(true);
    expect(globalThis).not.toHaveProperty('LanguageModel', own);
  });
});

describe('the members of the specification', () => {
  /** Members that the declared class has and ours lacks. */
  type Ours = Awaited<ReturnType<ReturnType<typeof createLanguageModel>['create']>>;
  type Missing = Exclude<keyof LanguageModel, keyof Ours>;
  type MissingStatics = Exclude<keyof typeof LanguageModel, keyof ReturnType<typeof createLanguageModel>>;

  test('all of them are there', async () => {
    const members: [Missing] extends [never] ? true : Missing = true;
    const statics: [MissingStatics] extends [never] ? true : MissingStatics = true;
    expect([members, statics]).toEqual([true, true]);
    const Model = createLanguageModel(testFace(), tinyModel(), SETTINGS);
    const session: Pick<
      LanguageModel,
      'prompt' | 'promptStreaming' | 'measureContextUsage' | 'measureInputUsage' | 'contextUsage' | 'inputUsage'
    > &
      Ours = await Model.create({ topK: 3, temperature: 0.5 });
    expect([session.topK, session.temperature]).toEqual([3, 0.5]);
    const modes = await Model.create({ samplingMode: 'most-predictable' });
    expect(modes.temperature).toBe(0);
    expect((await Model.create()).temperature).toBe((await Model.params()).defaultTemperature);
    const own = createLanguageModel(testFace(), tinyModel(), {
      ...SETTINGS,
      session: { maxTokens: 6, temperature: 0 },
    });
    const [first, second] = [await own.create(), await own.create()];
    expect([first.temperature, await first.prompt('Hello')]).toEqual([0, await second.prompt('Hello')]);
    expect((await own.create({ samplingMode: 'creative' })).temperature).toBe(1);
    expect(session.inputQuota).toBe(session.contextWindow);
    expect(session.inputUsage).toBe(session.contextUsage);
    expect(await session.measureInputUsage('Hello')).toBe(await session.measureContextUsage('Hello'));
    const responseConstraint = { type: 'object' };
    expect(await session.measureContextUsage('Hello', { responseConstraint })).toBeGreaterThan(
      await session.measureContextUsage('Hello', { responseConstraint, omitResponseConstraintInput: true }),
    );
    expect(await Model.params()).toMatchObject({ maxTemperature: 2 });
    expect(() => new (Model as unknown as new () => unknown)()).toThrow(TypeError);
    session.destroy();
    session.destroy();
  });

  test('an answer may be begun for the model, and both overflow events are sent', async () => {
    const Model = createLanguageModel(testFace(), tinyModel(), {
      ...SETTINGS,
      session: { maxTokens: 2, context: { window: 64 } },
    });
    const session = await Model.create({ temperature: 0 });
    const heard: string[] = [];
    session.oncontextoverflow = () => heard.push('on');
    session.addEventListener('contextoverflow', () => heard.push('context'));
    session.addEventListener('quotaoverflow', () => heard.push('quota'));
    await session.prompt([
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Well', prefix: true },
    ]);
    for (let turn = 0; turn < 6 && heard.length === 0; turn++) await session.prompt('Some more words here');
    expect(heard).toEqual(['on', 'context', 'quota']);
    session.destroy();
  });
});

describe('the exceptions of the specification', () => {
  const failure = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'none',
      ({ name }: Error) => name,
    );

  test('for options, length, content, aborts and ended sessions', async () => {
    const Model = createLanguageModel(testFace(), tinyModel(), { ...SETTINGS, session: { context: { window: 32 } } });
    expect(await failure(Model.create({ samplingMode: 'balanced', topK: 3 }))).toBe('TypeError');
    const late = [
      { role: 'user', content: 'a' },
      { role: 'system', content: 'b' },
    ] as const;
    expect(await failure(Model.create({ initialPrompts: late }))).toBe('TypeError');
    expect(await failure(Model.create({ signal: AbortSignal.abort() }))).toBe('AbortError');
    expect(await failure(Model.create({ expectedInputs: [{ type: 'image' }] }))).toBe('NotSupportedError');
    expect(await Model.availability({ expectedInputs: [{ type: 'audio' }] })).toBe('unavailable');
    const session = await Model.create();
    const tooLong = await session.prompt('word '.repeat(200)).catch((error: unknown) => error);
    expect(tooLong).toMatchObject({
      name: 'QuotaExceededError',
      quota: expect.any(Number),
      requested: expect.any(Number),
    });
    expect(await failure(session.prompt('Hello', { signal: AbortSignal.abort() }))).toBe('AbortError');
    session.destroy();
    expect(await failure(session.prompt('Hello'))).toBe('AbortError');
    expect(await failure(session.clone())).toBe('AbortError');
  });

  test('the signal of create destroys the session later', async () => {
    const { face, alive } = counting();
    const Model = createLanguageModel(face, tinyModel(), SETTINGS);
    const controller = new AbortController();
    const session = await Model.create({ signal: controller.signal });
    controller.abort();
    expect(await failure(session.prompt('Hello'))).toBe('AbortError');
    while (alive() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('a model that is lost is loaded again by the next session, and freed', async () => {
    const { face, alive, loads } = counting();
    let lose: (error: Error) => void = () => undefined;
    const load: OctavoFace['load'] = async (input, options) => {
      const model = await face.load(input, options);
      model.lost = new Promise((resolve) => (lose = resolve));
      return model;
    };
    const Model = createLanguageModel({ ...face, load }, tinyModel(), { ...SETTINGS, idle: 2 ** 31 });
    const first = await Model.create();
    lose(new Error('the worker ended'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await Model.create();
    expect(await second.prompt('Hello')).toHaveLength(6);
    first.destroy();
    second.destroy();
    // Longer than timers can wait: never freed for being idle.
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([loads(), alive()]).toEqual([2, 1]);
    lose(new Error('this one, too'));
    while (alive() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('a model that cannot be loaded, and then can', async () => {
    const face = testFace();
    let broken = true;
    const load: OctavoFace['load'] = (input, options) =>
      broken ? face.load(new Uint8Array(4), options) : face.load(input, options);
    const Model = createLanguageModel({ ...face, load }, tinyModel(), SETTINGS);
    expect(await failure(Model.create())).toBe('OperationError');
    broken = false;
    const session = await Model.create({ temperature: 0 });
    expect(await session.prompt('Hello')).toHaveLength(6);
    session.destroy();
  });
});
