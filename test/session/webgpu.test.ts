/** Sessions on WebGPU (SwiftShader in tests): the same answers as on WASM, run-ahead undone, nothing left behind, and on after a lost device. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EngineModel } from '../../src/engine/model.ts';
import { openDevice } from '../../src/engine/device.ts';
import { Session } from '../../src/session.ts';
import type { Platform } from '../../src/platform/platform.ts';
import type { Constraint } from '../../src/constrain/constraint.ts';
import { freeDeviceSequence } from '../../src/generate/device-sequence.ts';
import { generate } from '../../src/generate/generate.ts';
import { sampleSpec } from '../../src/generate/sampling.ts';
import type { DecidedContext } from '../../src/select/options.ts';
import { bitsOf, PlacesConstraint } from '../support/constraint.ts';
import { loadTest, testFace, testPlatform } from '../support/engine.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const present = await hasGpu();
if (!present) console.warn('skipped: no GPU adapter');
const story = present ? test : test.skip;

/** Devices opened so far, so that a test can lose the last one. */
const devices: GPUDevice[] = [];
const gpu: Platform['gpu'] = async () => {
  const real = testGpu();
  return new Proxy(real, {
    get: (target, name) => {
      if (name !== 'requestAdapter') return Reflect.get(target, name, target) as unknown;
      return async (options: GPURequestAdapterOptions) => {
        const adapter = await target.requestAdapter(options);
        if (adapter === null) return null;
        return new Proxy(adapter, {
          get: (inner, key) => {
            const value: unknown = Reflect.get(inner, key, inner);
            if (typeof value !== 'function') return value;
            return async (...args: unknown[]) => {
              const result: unknown = await (value as (...args: unknown[]) => unknown).apply(inner, args);
              if (key === 'requestDevice') devices.push(result as GPUDevice);
              return result;
            };
          },
        });
      };
    },
  });
};
const platform: Platform = { ...testPlatform, gpu };
const load = (): Promise<EngineModel> => EngineModel.load(platform, tinyModel(), { device: 'webgpu' });

let model: EngineModel;
let truth: EngineModel;
beforeAll(async () => {
  if (!present) return;
  model = await load();
  truth = await loadTest(tinyModel());
});
afterAll(() => {
  model?.free();
  truth?.free();
});

const GREEDY = { temperature: 0, maxTokens: 12 };

describe('a session on WebGPU', () => {
  story('answers as on WASM, turn after turn', async () => {
    const session = new Session(model, GREEDY);
    const other = new Session(truth, GREEDY);
    for (const text of ['Hello', 'And you?', 'What is in a name? '.repeat(6)]) {
      const answer = await session.prompt(text);
      expect(answer).toMatchObject({ text: (await other.prompt(text)).text, finishReason: 'length' });
    }
    await session.destroy();
    await other.destroy();
  });

  story('steps issued beyond a stop string are undone', async () => {
    const whole = (await new Session(truth, GREEDY).prompt('Hello')).text;
    const stop = whole.slice(4, 6);
    const session = new Session(model, GREEDY);
    const other = new Session(truth, GREEDY);
    expect((await session.prompt('Hello', { stop })).text).toBe((await other.prompt('Hello', { stop })).text);
    expect(session.usage).toBe(other.usage);
    expect((await session.prompt('And you?')).text).toBe((await other.prompt('And you?')).text);
    await session.destroy();
  });

  story('a seed draws the same ids on both devices', async () => {
    const settings = { temperature: 1.2, topK: 20, topP: 0.9, seed: 5, maxTokens: 16, repetitionPenalty: 1.2 };
    const one = await new Session(model, settings).prompt('Hello');
    expect(one.ids).toEqual((await new Session(truth, settings).prompt('Hello')).ids);
  });

  story(
    'sees and paints as on WASM',
    async () => {
      const bytes = tinyUniPic();
      const [gpuModel, cpuModel] = [
        await EngineModel.load(platform, bytes, { device: 'webgpu' }),
        await loadTest(bytes),
      ];
      const { integer } = random(1);
      const image = {
        data: Uint8ClampedArray.from({ length: 4 * 20 * 12 }, () => integer(0, 256)),
        width: 20,
        height: 12,
      };
      const ask = async (on: EngineModel): Promise<readonly number[]> => {
        const session = new Session(on, { temperature: 0, maxTokens: 6 });
        const { ids } = await session.prompt([
          {
            role: 'user',
            content: [
              { type: 'image', value: image },
              { type: 'text', value: 'What?' },
            ],
          },
        ]);
        await session.destroy();
        return ids;
      };
      expect(await ask(gpuModel)).toEqual(await ask(cpuModel));
      const { weights, kv, allocations } = gpuModel.memory();
      await ask(gpuModel);
      expect(gpuModel.memory()).toMatchObject({ weights, kv, allocations });
      const settings = { instruction: 'no cat', image, seed: 3, steps: 2, diffusionSteps: 3 };
      const [[gpu], [cpu]] = [await gpuModel.paint(settings), await cpuModel.paint(settings)];
      expect(Math.max(...gpu!.data.map((value, i) => Math.abs(value - cpu!.data[i]!)))).toBeLessThanOrEqual(2);
      gpuModel.free();
      cpuModel.free();
      expect(gpuModel.memory()).toMatchObject({ weights: 0, kv: 0 });
      // Some thirty pipelines are compiled.
    },
    120_000,
  );

  story('a constraint narrows answers as on WASM, and what was issued ahead is undone', async () => {
    const digits = bitsOf(
      model.config.vocabulary,
      Array.from({ length: 10 }, (_, i) => 48 + i),
    );
    const all = new Uint32Array(digits.length).fill(0xffffffff);
    const places = (place: number): Uint32Array => (place % 3 === 2 ? all : digits);
    const before = model.pagesUsed;
    for (const length of [1, 4, Infinity]) {
      const texts: string[] = [];
      for (const on of [model, truth]) {
        const session = new Session(on, GREEDY);
        const constraint = new PlacesConstraint(places, length);
        const first = await session.prompt('Hello', {}, { constraint });
        expect(first.ids).toHaveLength(Math.min(length, 12));
        expect(constraint.log.filter((line) => line.startsWith('accept'))).toEqual(
          first.ids.map((id) => `accept ${id}`),
        );
        expect(session.usage).toBe(first.tokens.prompt + first.ids.length);
        texts.push(first.text, (await session.prompt('And you?')).text);
        await session.destroy();
      }
      expect(texts.slice(0, 2)).toEqual(texts.slice(2));
    }
    expect(model.pagesUsed).toBe(before);
  });

  story(
    'the device runs a token before the host knows it, constrained or not, and where only prompts are planned',
    async () => {
      /** How many reads of ids were asked for and not answered when each forward call was issued. */
      const unread = async (
        constraint?: Constraint,
        context: DecidedContext = {},
        prompt = 3,
      ): Promise<readonly number[]> => {
        const onDevice = await model.deviceSequence(160, context);
        const { backend } = onDevice.model;
        let open = 0;
        const found: number[] = [];
        const watched = new Proxy(backend, {
          get: (target, name) => {
            const member: unknown = Reflect.get(target, name, target);
            if (typeof member !== 'function') return member;
            return (...args: unknown[]): unknown => {
              const result: unknown = member.apply(target, args);
              if (name === 'readIds') {
                open++;
                void (result as Promise<unknown>).finally(() => open--);
              }
              return result;
            };
          },
        });
        const language = new Proxy(onDevice.model, {
          get: (target, name) => {
            if (name === 'backend') return watched;
            const member: unknown = Reflect.get(target, name, target);
            if (name === 'forward' || name === 'forwardPlanned') found.push(open);
            return typeof member === 'function' ? (member.bind(target) as unknown) : member;
          },
        });
        await generate(
          { ...onDevice, model: language },
          {
            ids: Int32Array.from({ length: prompt }, (_, i) => i + 1),
            spans: [],
            cached: 0,
            spec: sampleSpec({ temperature: 0, seed: 1 }),
            stopIds: new Set(),
            maxTokens: 12,
            chunk: 32,
            constraint,
            onId: () => false,
          },
        );
        freeDeviceSequence(onDevice);
        return found.slice(Math.ceil(prompt / 32));
      };
      const all = new Uint32Array(Math.ceil(model.config.vocabulary / 32)).fill(0xffffffff);
      expect(Math.max(...(await unread()))).toBeGreaterThan(1);
      const constrained = await unread(new PlacesConstraint(() => all));
      expect(constrained.length).toBeGreaterThan(8);
      // A read that the device has answered already does not count.
      expect(Math.max(...constrained)).toBe(1);
      for (const context of [
        { prefill: { method: 'dhsa', budget: 40, local: 8, instruction: 8 } },
        {
          prefill: { method: 'vertical-slash', budget: 40, local: 8, instruction: 8 },
          evict: { method: 'snapkv', keep: 0.6 },
        },
        { prefill: { method: 'keys', budget: 40, local: 8, instruction: 8 } },
        { decode: { method: 'window', budget: 40, sinks: 4 } },
        { decode: { method: 'retrieve', budget: 32, sinks: 4, local: 8 } },
      ] as const)
        expect(Math.max(...(await unread(undefined, context, 128)))).toBeGreaterThan(1);
      // These wait for the id, or for the query.
      for (const method of ['tokens', 'sentences'] as const) {
        const found = await unread(undefined, { decode: { method, budget: 32, sinks: 4, local: 8 } }, 128);
        expect(Math.max(...found)).toBe(0);
      }
    },
  );

  story('clones and aborts', async () => {
    const session = new Session(model, GREEDY);
    await session.prompt('Hello');
    const copy = await session.clone();
    const controller = new AbortController();
    await expect(
      copy.prompt('Stop', {}, { signal: controller.signal, onText: () => controller.abort(new RangeError('enough')) }),
    ).rejects.toThrow('enough');
    expect((await copy.prompt('And?')).text).toBe((await session.prompt('And?')).text);
    await copy.destroy();
    await session.destroy();
  });

  story(
    'nothing grows: 60 prompts, 3 loads and unloads, in buffers counted',
    async () => {
      const session = new Session(model, { temperature: 0.7, maxTokens: 3, context: { window: 96 } });
      const seen = new Set<string>();
      for (let i = 0; i < 60; i++) {
        await session.prompt(`Question ${i % 10}?`);
        const { weights, kv, allocations } = model.memory();
        if (i > 20 && i % 5 === 0) seen.add(JSON.stringify({ weights, kv, allocations }));
      }
      expect([...seen]).toHaveLength(1);
      await session.destroy();
      for (let i = 0; i < 3; i++) {
        const other = await load();
        const once = new Session(other, { temperature: 0, maxTokens: 2 });
        await once.prompt('Hello');
        await once.destroy();
        other.free();
        expect(other.memory()).toMatchObject({ weights: 0, kv: 0 });
      }
    },
    120_000,
  );
});

describe('the device', () => {
  story('a software adapter is not chosen by itself, and it is said', async () => {
    const { backend, info } = await openDevice(platform, { threads: 1 });
    expect(info.kind).toBe('wasm');
    expect(info.reason).toMatch(/software adapter/);
    backend.destroy();
  });

  story('when it is lost, the session goes on: on a new one, and on WASM', async () => {
    const other = new Session(truth, GREEDY);
    const expected = [];
    for (const text of ['Hello', 'And you?', 'More.']) expected.push((await other.prompt(text)).text);

    const fragile = await testFace(undefined, platform).load(tinyModel(), { device: 'webgpu' });
    const session = await fragile.createSession(GREEDY);
    expect(await session.prompt('Hello')).toBe(expected[0]);
    devices.at(-1)!.destroy();
    expect(await fragile.lost).toMatchObject({ name: 'DeviceError', code: 'lost' });
    await expect(session.prompt('And you?')).rejects.toMatchObject({ name: 'DeviceError', code: 'lost' });
    await fragile.recover();
    expect(fragile.device.kind).toBe('webgpu');
    expect(await session.prompt('And you?')).toBe(expected[1]);
    devices.at(-1)!.destroy();
    await fragile.lost;
    await fragile.recover({ device: 'wasm', threads: 1 });
    expect(fragile.device.kind).toBe('wasm');
    expect(await session.prompt('More.')).toBe(expected[2]);
    await fragile.destroy();
  });
});
