/** Nothing grows: 2,000 prompts in one session, 100 loads and unloads. Counted on the device, in WASM memory and in the JS heap. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EngineModel } from '../../src/engine/model.ts';
import { Session } from '../../src/session.ts';
import { onReference, testFace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * What V8 makes of code: optimised functions, and the lists of what they depend on, come and go by 100 kB and more for 10,000 prompts. Without it
 * readings of the same state differ by a kB or two, so that a leak can be told from it.
 */
const CODE = ['opt', 'sparkplug', 'regexp-tier-up', 'flush-bytecode'];
beforeAll(() => {
  for (const name of CODE) setFlagsFromString(`--no-${name}`);
  // Stays: whether it was on is not to be had, and it only makes what follows slower.
  setFlagsFromString('--no-maglev');
});
afterAll(() => {
  for (const name of CODE) setFlagsFromString(`--${name}`);
});

/** Bytes of the JS heap that are really in use. */
async function heap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

/** How much the middle of the last readings lies above the middle of the first. */
function growth(values: readonly number[]): number {
  const middle = (part: readonly number[]): number => part.toSorted((a, b) => a - b)[part.length >> 1] ?? 0;
  const third = Math.ceil(values.length / 3);
  return middle(values.slice(-third)) - middle(values.slice(0, third));
}

const TINY = { device: 'wasm', threads: 1 } as const;
/** Readings begin when everything has run often enough for V8's inline caches: what they hold is the largest part of what grows before. */
const WARM = 1000;
const PROMPTS = 2000;
/**
 * Between the middles of the thirds lie 700 prompts: 50 bytes of each, less than one forgotten closure or promise, are 35 kB. Without a leak it is
 * 5 to 10 kB of caches that are still filling (from the 5,000th prompt to the 10,000th: 1 kB).
 */
const MOST_GROWTH = 25_000;
/** The model's file, once a load, would be 130 kB each. */
const MOST_GROWTH_OF_LOADS = 1_000_000;

describe('memory', () => {
  test('2,000 prompts in one session', async () => {
    const model = await EngineModel.load(testPlatform, tinyModel({ layers: 1, window: 128 }), TINY);
    const session = new Session(model, { temperature: 0.8, seed: 1, maxTokens: 4 });
    const { signal } = new AbortController();
    const heaps: number[] = [];
    const devices: string[] = [];
    for (let i = 0; i <= PROMPTS; i++) {
      await session.prompt(`Question ${i % 10}?`, {}, { signal });
      if (i % 50 === 0 && i >= WARM) {
        heaps.push(await heap());
        const { weights, kv, allocations } = model.memory();
        devices.push(JSON.stringify({ weights, kv, allocations, used: model.pagesUsed <= 8 }));
      }
    }
    expect(new Set(devices)).toEqual(new Set([devices[0]]));
    expect(growth(heaps)).toBeLessThan(MOST_GROWTH);
    await session.destroy();
    expect(model.pagesUsed).toBe(0);
    model.free();
  }, 120_000);

  test('2,000 prompts through the face, every second one aborted', async () => {
    const model = await testFace().load(tinyModel({ layers: 1, window: 128 }), TINY);
    const session = await model.createSession({ temperature: 0, maxTokens: 3 });
    const { signal } = new AbortController();
    const heaps: number[] = [];
    const devices: string[] = [];
    let aborted = 0;
    for (let i = 0; i <= PROMPTS; i++) {
      if (i % 2 === 1) {
        const controller = new AbortController();
        const call = session.prompt('Stop me', { signal: controller.signal, maxTokens: 50 });
        setImmediate(() => controller.abort(new Error('enough')));
        await call.catch(() => aborted++);
      } else await session.prompt(`Question ${i % 10}?`, { signal });
      if (i % 50 === 0 && i >= WARM) {
        heaps.push(await heap());
        const { weights, kv, allocations } = await model.memory();
        devices.push(JSON.stringify({ weights, kv, allocations }));
      }
    }
    expect(new Set(devices)).toEqual(new Set([devices[0]]));
    expect(growth(heaps)).toBeLessThan(MOST_GROWTH);
    expect(aborted).toBeGreaterThan(PROMPTS / 3);
    session.destroy();
    expect((await model.memory()).pages).toBe(0);
    await model.destroy();
  }, 120_000);

  test('100 loads and unloads give all WASM memory back', async () => {
    const bytes = tinyModel({ layers: 1, window: 128 });
    const heaps: number[] = [];
    const left: number[] = [];
    for (let i = 0; i < 100; i++) {
      const model = await EngineModel.load(testPlatform, bytes, TINY);
      const session = new Session(model, { temperature: 0, maxTokens: 2 });
      await session.prompt('Hello');
      await session.destroy();
      model.free();
      const { weights, kv, activations, allocations } = model.memory();
      left.push(weights + kv + activations + allocations);
      if (i >= 20 && i % 10 === 0) heaps.push(await heap());
    }
    expect(new Set(left)).toEqual(new Set([0]));
    expect(growth(heaps)).toBeLessThan(MOST_GROWTH_OF_LOADS);
  }, 120_000);

  test('the reference backend counts the same: every allocation has its free', async () => {
    const model = await EngineModel.load(testPlatform, tinyModel({ layers: 1, window: 128 }), {}, {}, onReference);
    const before = model.memory();
    for (let i = 0; i < 3; i++) {
      const session = new Session(model, { temperature: 0, maxTokens: 2 });
      await session.prompt('Hello');
      await (await session.clone()).destroy();
      await session.destroy();
    }
    expect({ ...model.memory(), kv: 0 }).toEqual({ ...before, kv: 0 });
    model.free();
  });
});
