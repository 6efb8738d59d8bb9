/**
 * Thousands of prompts in a process of its own, which says on its standard output how the JS heap and the device's memory went. Bundled and started by
 * leaks.test.ts without V8's compilers, whose code comes and goes in hundreds of kilobytes; without them the heap grows by less than a byte a prompt.
 */
import { EngineModel } from '../../src/engine/model.ts';
import { createNodePlatform } from '../../src/platform/node-engine.ts';
import { Session } from '../../src/session.ts';
import { createFace } from '../../src/face/octavo.ts';
import { testPlace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

declare const gc: () => void;

export interface Readings {
  /** JS heap in use, in bytes, after each round. */
  readonly heap: readonly number[];
  /** What the device holds, as text, after each round. */
  readonly device: readonly string[];
}

const [kind = '', prompts = '', every = '', assets = ''] = process.argv.slice(2);
const platform = createNodePlatform(new URL(assets));
const TINY = { device: 'wasm', threads: 1 } as const;

async function heap(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

/** One prompt each, and the device's memory as text. */
const subjects = {
  async session() {
    const model = await EngineModel.load(platform, tinyModel({ layers: 1, window: 128 }), TINY);
    const session = new Session(model, { temperature: 0.8, seed: 1, maxTokens: 4 });
    const { signal } = new AbortController();
    return {
      prompt: async (i: number) => void (await session.prompt(`Question ${i % 10}?`, {}, { signal })),
      device: async () => JSON.stringify(model.memory()),
    };
  },
  async face() {
    const model = await createFace(testPlace(undefined, platform)).load(tinyModel({ layers: 1, window: 128 }), TINY);
    const session = await model.createSession({ temperature: 0, maxTokens: 3 });
    const { signal } = new AbortController();
    return {
      prompt: async (i: number) => {
        if (i % 10 !== 5) {
          await session.prompt(`Question ${i % 10}?`, { signal });
          return;
        }
        const controller = new AbortController();
        const call = session.prompt('Stop me', { signal: controller.signal, maxTokens: 50 });
        setImmediate(() => controller.abort(new Error('enough')));
        await call.catch(() => undefined);
      },
      device: async () => {
        const { weights, kv, allocations } = await model.memory();
        return JSON.stringify({ weights, kv, allocations });
      },
    };
  },
};

/** A model loaded, used and freed; what it leaves on the device, as text. */
async function loads() {
  let left = 0;
  return {
    prompt: async () => {
      const model = await EngineModel.load(platform, tinyModel({ layers: 1, window: 128 }), TINY);
      const session = new Session(model, { temperature: 0, maxTokens: 2 });
      await session.prompt('Hello');
      await session.destroy();
      model.free();
      const { weights, kv, activations, allocations } = model.memory();
      left += weights + kv + activations + allocations;
    },
    device: async () => String(left),
  };
}

const subject = await { ...subjects, loads }[kind as keyof typeof subjects | 'loads']();
const readings = { heap: [] as number[], device: [] as string[] };
for (let i = 0; i <= Number(prompts); i++) {
  await subject.prompt(i);
  if (i % Number(every) !== 0 || i < Number(prompts) / 4) continue;
  readings.heap.push(await heap());
  readings.device.push(await subject.device());
}
console.log(JSON.stringify(readings satisfies Readings));
process.exit(0);
