/** What a page sees, with the engine behind messages in the same process. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDevice } from '../../src/engine/device.ts';
import { EngineModel, type OpenDevice } from '../../src/engine/model.ts';
import { InputError, ModelError } from '../../src/errors.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import type { LoadProgress } from '../../src/load/model-file.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { losable, type Losable } from '../support/losable.ts';
import { tinyModel } from '../support/tiny-model.ts';

const WASM = { device: 'wasm', threads: 1 } as const;
const Octavo = testFace();
let model: OctavoModel;
beforeAll(async () => {
  model = await Octavo.load(tinyModel(), WASM);
});
afterAll(() => model.destroy());

describe('loading', () => {
  test('the model tells what it is and where it runs', () => {
    expect(model).toMatchObject({ architecture: 'llama', contextWindow: 512 });
    expect(model.capabilities).toEqual({
      generate: true,
      embed: true,
      rerank: false,
      chat: true,
      see: false,
      paint: false,
      edit: false,
      missing: [expect.stringContaining('llama')],
    });
    expect(model.device.kind).toBe('wasm');
    expect(model.device.reason).toContain('asked for');
    expect(model.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(model.parameters).toBeGreaterThan(50_000);
  });

  test('progress in bytes, and as the Prompt API tells it', async () => {
    const heard: LoadProgress[] = [];
    const shares: number[] = [];
    const other = await Octavo.load(new Blob([tinyModel()]), {
      ...WASM,
      onProgress: (progress) => heard.push(progress),
      monitor: (target) => target.addEventListener('downloadprogress', (event) => void shares.push(event.loaded)),
    });
    expect(heard.at(-1)!.loaded).toBe(heard.at(-1)!.total);
    expect(shares[0]).toBe(0);
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    await other.destroy();
    await expect(other.createSession()).rejects.toMatchObject({ name: 'InputError', code: 'destroyed' });
  });

  test('what is no model is refused with its class', async () => {
    await expect(Octavo.load(new Uint8Array(100), WASM)).rejects.toMatchObject({ name: 'FileError' });
    await expect(Octavo.load(tinyModel({ metadata: { 'general.architecture': 'unheard-of' } }), WASM)).rejects.toThrow(
      ModelError,
    );
    await expect(Octavo.load(5 as unknown as string)).rejects.toThrow(InputError);
    await expect(Octavo.load(tinyModel(), { device: 'abacus' as 'wasm' })).rejects.toThrow("'abacus'");
  });

  test('an abort rejects with its reason', async () => {
    const reason = new Error('enough');
    await expect(Octavo.load(tinyModel(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const load = Octavo.load(tinyModel(), { ...WASM, signal: controller.signal });
    controller.abort(reason);
    await expect(load).rejects.toBe(reason);
  });

  test('availability', async () => {
    expect(await Octavo.availability(tinyModel())).toBe('available');
    expect(await Octavo.availability('https://example.org/model.gguf')).toBe('downloadable');
    expect(await Octavo.store.list()).toEqual([]);
  });

  test("device: 'auto' says what it chose and why", async () => {
    const none = testFace(undefined, { ...testPlatform, gpu: async () => undefined });
    const other = await none.load(tinyModel());
    expect(other.device.kind).toBe('wasm');
    expect(other.device.reason).toContain('no WebGPU');
    await other.destroy();
    await expect(none.load(tinyModel(), { device: 'webgpu' })).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'unavailable',
    });
  });
});

describe('a session', () => {
  test('prompt and promptStreaming agree; usage is told', async () => {
    const one = await model.createSession({ temperature: 0, maxTokens: 10 });
    const two = await model.createSession({ temperature: 0, maxTokens: 10 });
    const text = await one.prompt('Hello');
    const stream = two.promptStreaming('Hello');
    const pieces: string[] = [];
    for await (const piece of stream) pieces.push(piece);
    expect(pieces.join('')).toBe(text);
    const report = await stream.finished;
    expect(report).toMatchObject({ finishReason: 'length', tokens: { generated: 10 } });
    expect(two.contextUsage).toBe(report.tokens.prompt + 10);
    expect(two.contextWindow).toBe(512);
    expect(await two.measureContextUsage('Hello')).toBeGreaterThan(5);
    one.destroy();
    two.destroy();
  });

  test('append, clone, destroy', async () => {
    const session = await model.createSession({
      initialPrompts: [{ role: 'system', content: 'Be brief.' }],
      temperature: 0,
      maxTokens: 8,
    });
    const begun = session.contextUsage;
    expect(begun).toBeGreaterThan(10);
    await session.append('Some facts.');
    expect(session.contextUsage).toBeGreaterThan(begun);
    const copy = await session.clone();
    expect(copy.contextUsage).toBe(session.contextUsage);
    expect(await copy.prompt('Well?')).toBe(await session.prompt('Well?'));
    copy.destroy();
    await expect(copy.prompt('Again?')).rejects.toMatchObject({ name: 'AbortError' });
    expect(await session.prompt('Again?')).toHaveLength(8);
    session.destroy();
    session.destroy();
  });

  test('destroy ends what is under way', async () => {
    const session = await model.createSession({ temperature: 0 });
    const call = session.prompt('Hello');
    session.destroy();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('contextoverflow is heard both ways', async () => {
    const small = await Octavo.load(tinyModel(), { ...WASM, contextWindow: 128 });
    const session = await small.createSession({ temperature: 0, maxTokens: 16 });
    let heard = 0;
    session.addEventListener('contextoverflow', () => heard++);
    session.oncontextoverflow = () => heard++;
    for (let i = 0; i < 5; i++) await session.prompt(`Question number ${i}`);
    expect(heard).toBeGreaterThanOrEqual(2);
    await small.destroy();
  });

  test('aborting keeps the session usable, with the same answer as if nothing had been', async () => {
    const session = await model.createSession({ temperature: 0, maxTokens: 200 });
    const controller = new AbortController();
    const read = (async () => {
      for await (const piece of session.promptStreaming('Hello', { signal: controller.signal }))
        if (piece !== '') controller.abort(new RangeError('enough'));
    })();
    await expect(read).rejects.toThrow('enough');
    const plain = await model.createSession({ temperature: 0, maxTokens: 200 });
    expect(await session.prompt('Hello', { maxTokens: 5 })).toBe(await plain.prompt('Hello', { maxTokens: 5 }));
    session.destroy();
    plain.destroy();
  });

  test('what is not supported is refused, not ignored', async () => {
    const session = await model.createSession();
    await expect(session.prompt('Hello', { responseConstraint: { contains: {} } })).rejects.toThrow(
      '#: contains is not supported',
    );
    await expect(session.prompt('Hello', { responseConstraint: /(?=a)/ })).rejects.toThrow('lookahead');
    await expect(session.prompt('Hello', { responseConstraint: 'json' } as object)).rejects.toThrow(
      'responseConstraint',
    );
    await expect(session.prompt([{ role: 'user', content: [{ type: 'image', value: new Blob([]) }] }])).rejects.toThrow(
      'text only',
    );
    await expect(model.createSession({ expectedInputs: [{ type: 'audio' }] })).rejects.toThrow('audio');
    session.destroy();
  });

  test('an answer fits a schema or an expression, and the model is told about it', async () => {
    const session = await model.createSession({ temperature: 1, seed: 3 });
    const schema = {
      type: 'object',
      properties: {
        ok: { type: 'boolean' },
        kind: { enum: ['a', 'b'] },
        n: { type: 'integer', minimum: 0, maximum: 99 },
      },
      required: ['ok', 'kind', 'n'],
      additionalProperties: false,
    };
    const value = JSON.parse(await session.prompt('Hello', { responseConstraint: schema })) as Record<string, unknown>;
    expect(Object.keys(value).sort()).toEqual(['kind', 'n', 'ok']);
    expect(typeof value['ok']).toBe('boolean');
    expect(['a', 'b']).toContain(value['kind']);
    expect(value['n']).toBeGreaterThanOrEqual(0);
    expect(value['n']).toBeLessThanOrEqual(99);
    // `stop` would end it; the constraint does.
    const text = await session.prompt('Hello', {
      responseConstraint: /(yes|no)-\d{3}/i,
      omitResponseConstraintInput: true,
    });
    expect(text).toMatch(/^(?:yes|no)-\d{3}$/i);
    const silent = await session.measureContextUsage('Hello', {
      responseConstraint: schema,
      omitResponseConstraintInput: true,
    });
    expect(silent).toBe(await session.measureContextUsage('Hello'));
    expect(await session.measureContextUsage('Hello', { responseConstraint: schema })).toBeGreaterThan(silent + 20);
    session.destroy();
    const { text: raw, finishReason } = await model.complete('Once upon', { responseConstraint: /[a-f]{4}!/ });
    expect(raw).toMatch(/^[a-f]{4}!$/);
    expect(finishReason).toBe('stop');
  });

  test('raw completion, tokens and memory', async () => {
    const { ids, text, tokens } = await model.complete('Once upon', { temperature: 0, maxTokens: 6 });
    expect(ids).toHaveLength(6);
    expect(await model.detokenize(ids)).toBe(text);
    expect(tokens.prompt).toBe((await model.tokenize('Once upon')).length);
    expect((await model.memory()).weights).toBeGreaterThan(100_000);
    expect((await model.memory()).pages).toBe(0);
  });
});

describe('a lost device', () => {
  const lost: Losable[] = [];
  /** Devices that were opened and not destroyed. */
  let held = 0;
  const open: OpenDevice = async (request, signal) => {
    const device = await openDevice(testPlatform, request, signal);
    held++;
    const destroy = device.backend.destroy.bind(device.backend);
    device.backend.destroy = () => {
      held--;
      destroy();
    };
    const wrapped = losable(device.backend);
    lost.push(wrapped);
    return { ...device, backend: wrapped.backend };
  };

  test('is told to who asks after the loss, and one that was given back on purpose is not lost', async () => {
    const engine = await EngineModel.load(testPlatform, tinyModel(), WASM, {}, open);
    lost.at(-1)!.lose();
    await expect(engine.lost).resolves.toMatchObject({ name: 'DeviceError', code: 'lost' });
    await engine.recover(WASM, {});
    const device = lost.at(-1)!;
    const again = engine.lost;
    engine.free();
    device.lose();
    await expect(Promise.race([again, new Promise((resolve) => setTimeout(resolve, 20, 'freed'))])).resolves.toBe(
      'freed',
    );
  });

  test.each([
    ['between prompts', undefined],
    ['in the middle of an answer', 'sample'],
    ['while reading ids', 'readIds'],
  ] as const)('%s: a typed error, then the session goes on after recover()', async (_, method) => {
    const fragile = await testFace(open).load(tinyModel(), WASM);
    const session = await fragile.createSession({
      temperature: 0,
      maxTokens: 10,
      initialPrompts: [{ role: 'system', content: 'Be brief.' }],
    });
    const first = await session.prompt('Hello');
    const device = lost.at(-1)!;
    if (method === undefined) device.lose();
    else device.loseAt(method, 4);
    await expect(session.prompt('And you?')).rejects.toMatchObject({ name: 'DeviceError', code: 'lost' });
    expect(await fragile.lost).toMatchObject({ name: 'DeviceError', code: 'lost' });
    await expect(fragile.createSession({ initialPrompts: [{ role: 'user', content: 'x' }] })).rejects.toMatchObject({
      code: 'lost',
    });
    await fragile.recover({ device: 'wasm' });
    expect(lost.at(-1)).not.toBe(device);
    const second = await session.prompt('And you?');

    const plain = await model.createSession({
      temperature: 0,
      maxTokens: 10,
      initialPrompts: [{ role: 'system', content: 'Be brief.' }],
    });
    expect(await plain.prompt('Hello')).toBe(first);
    expect(await plain.prompt('And you?')).toBe(second);
    plain.destroy();
    await fragile.destroy();
  });

  test('of two recoveries at once, each frees the device of the one before it', async () => {
    const fragile = await testFace(open).load(tinyModel(), WASM);
    await Promise.all([fragile.recover(), fragile.recover()]);
    await fragile.destroy();
    expect(held).toBe(0);
  });
});
