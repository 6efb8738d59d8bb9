/** Every promise of the SDK settles: whatever is aborted, whatever the user's own code throws, and when the engine hangs. */
import { describe, expect, test } from '@jest/globals';
import { createFace, type FacePlatform } from '../../src/face/octavo.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { testFace, testPlace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const WASM = { device: 'wasm', threads: 1 } as const;
const boom = new RangeError('mine');
const throwing = (): never => {
  throw boom;
};
const rejecting = (): unknown => Promise.reject(boom);

describe("callbacks that throw end their call with the user's error", () => {
  test('while loading', async () => {
    await expect(testFace().load(tinyModel(), { ...WASM, onProgress: throwing })).rejects.toBe(boom);
    await expect(testFace().load(tinyModel(), { ...WASM, onProgress: rejecting })).rejects.toBe(boom);
    await expect(testFace().load(tinyModel(), { ...WASM, monitor: throwing })).rejects.toBe(boom);
  });

  test('while reading, painting and previewing; the model goes on', async () => {
    const model = await testFace().load(tinyUniPic(), WASM);
    const session = await model.createSession({ temperature: 0, maxTokens: 2 });
    await expect(session.prompt('Hello', { onPrefill: throwing })).rejects.toBe(boom);
    await expect(session.append('Another text', { onPrefill: throwing })).rejects.toBe(boom);
    await expect(model.complete('Hello', { onPrefill: throwing })).rejects.toBe(boom);
    await expect(model.score('Hello there', { onProgress: throwing })).rejects.toBe(boom);
    const painting = { prompt: 'a cat', seed: 1, steps: 2, diffusionSteps: 2 };
    await expect(model.paint({ ...painting, onProgress: throwing })).rejects.toBe(boom);
    await expect(model.paint({ ...painting, onPreview: throwing })).rejects.toBe(boom);
    expect(await session.prompt('Hello')).toHaveLength(2);
    await model.destroy();
  });
});

describe('aborted calls leave nothing in the engine', () => {
  async function aborted(model: OctavoModel, make: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { pages } = await model.memory();
    for (let wait = 0; wait < 8; wait++) {
      const controller = new AbortController();
      const made = make(controller.signal);
      for (let i = 0; i < wait; i++) await new Promise((resolve) => setTimeout(resolve, 1));
      controller.abort(boom);
      await made.catch((error: unknown) => expect(error).toBe(boom));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await model.memory()).pages).toBe(pages);
  }

  test('new sessions and clones, whenever they are aborted', async () => {
    const model = await testFace().load(tinyModel(), WASM);
    const text = 'A text that fills some pages. '.repeat(8);
    const initialPrompts = [{ role: 'system', content: text }] as const;
    const leftovers: { destroy(): void }[] = [];
    const keep = async (made: Promise<{ destroy(): void }>): Promise<void> => void leftovers.push(await made);
    const free = (): void => leftovers.splice(0).forEach((session) => session.destroy());
    await aborted(model, async (signal) => {
      await keep(model.createSession({ initialPrompts, context: { share: false }, signal }));
      free();
    });
    const session = await model.createSession({ initialPrompts, context: { share: false } });
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const clone = session.clone({ signal: controller.signal });
      controller.abort(boom);
      await expect(clone).rejects.toBe(boom);
    }
    session.destroy();
    // Late results are given back when they arrive, which takes longer on a busy machine.
    for (let i = 0; i < 200 && (await model.memory()).pages > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await model.memory()).pages).toBe(0);
    await model.destroy();
  });
});

describe('an engine that hangs', () => {
  /** An engine that answers nothing any more once `hang.now` is set. */
  function hanging(hang: { now: boolean }): FacePlatform {
    const place = testPlace();
    return {
      ...place,
      startEngine: async () => {
        const endpoint = await place.startEngine();
        return {
          ...endpoint,
          post: (message, transfer) => {
            if (!hang.now) endpoint.post(message, transfer);
          },
        };
      },
    };
  }

  test('destroy ends after a grace period, and with it every call', async () => {
    const hang = { now: false };
    const model = await createFace(hanging(hang)).load(tinyModel(), WASM);
    const session = await model.createSession();
    hang.now = true;
    const prompt = session.prompt('Hello');
    const failed = expect(prompt).rejects.toMatchObject({ name: 'InputError', code: 'destroyed' });
    await Promise.all([model.destroy(), model.destroy()]);
    await failed;
    await expect(model.memory()).rejects.toMatchObject({ code: 'destroyed' });
  }, 20_000);
});
