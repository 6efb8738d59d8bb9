/** Options of every public call: what is no option, of another type or out of range is refused by name, with the nearest right name. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InputError } from '../../src/errors.ts';
import * as shapes from '../../src/face/options.ts';
import { nearest } from '../../src/face/problem.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import type { OctavoSession } from '../../src/face/session.ts';
import { testFace } from '../support/engine.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const Octavo = testFace();
const WASM = { device: 'wasm', threads: 1 } as const;
let model: OctavoModel;
let session: OctavoSession;
beforeAll(async () => {
  model = await Octavo.load(tinyUniPic(), WASM);
  session = await model.createSession({ temperature: 0, maxTokens: 2 });
});
afterAll(() => model.destroy());

/** Calls as JavaScript makes them, by name: any arguments. */
type Loose = (...args: unknown[]) => Promise<unknown>;
const call = (on: object, name: string): Loose => {
  const method = Reflect.get(on, name) as (...args: unknown[]) => unknown;
  return async (...args) => method.apply(on, args);
};
const refused = async (made: Promise<unknown>, words: readonly string[]): Promise<void> => {
  const error = await made.then(
    () => undefined,
    (found: unknown) => found,
  );
  expect(error).toBeInstanceOf(InputError);
  expect(error).toMatchObject({ code: 'argument' });
  for (const word of words) expect((error as Error).message).toContain(word);
};

const fake = (): object => ({});
const CALLS: Readonly<Record<string, readonly [on: () => object, args: readonly unknown[]]>> = {
  load: [() => Octavo, [tinyUniPic()]],
  availability: [() => Octavo, ['nano']],
  inspect: [() => Octavo, [tinyUniPic()]],
  createSession: [() => model, []],
  resumeSession: [() => model, ['n']],
  complete: [() => model, ['Hello']],
  score: [() => model, ['Hello there']],
  tokenize: [() => model, ['Hello']],
  detokenize: [() => model, [[5]]],
  recover: [() => model, []],
  paint: [() => model, []],
  edit: [() => model, []],
  prompt: [() => session, ['Hello']],
  append: [() => session, ['Hello']],
  measureContextUsage: [() => session, ['Hello']],
  clone: [() => session, []],
  save: [() => session, ['n']],
};

describe('every call', () => {
  test.each(Object.entries(CALLS))('%s: unknown names and other types', async (name, [on, args]) => {
    const loose = (options: unknown): Promise<unknown> => call(on(), name)(...args, options);
    await refused(loose({ max_tokenz: 2 }), [name, 'max_tokenz', 'no such option']);
    await refused(loose({ anything: () => 1 }), [name, 'anything']);
    for (const options of [5, 'text', null, [], () => 1]) await refused(loose(options), [name]);
    if (!['tokenize', 'detokenize', 'availability'].includes(name)) {
      await refused(loose({ signal: {} }), ['signal', 'AbortSignal']);
      await refused(loose({ signal: 5 }), ['signal', '5']);
    }
  });
});

test.each([
  ['createSession', { max_tokens: 2 }, ['max_tokens', 'did you mean maxTokens?']],
  ['createSession', { temprature: 1 }, ['did you mean temperature?']],
  ['createSession', { topk: 1 }, ['did you mean topK?']],
  ['createSession', { temperature: () => 1 }, ['temperature', 'a function is not a number from 0 to 100']],
  ['createSession', { temperature: NaN }, ['temperature', 'NaN']],
  ['createSession', { topK: 1.5 }, ['topK', '1.5', 'whole']],
  ['createSession', { stop: 5 }, ['stop', '5', 'a string or a list']],
  ['createSession', { stop: ['a', 5] }, ['stop.1', '5 is not a string']],
  ['createSession', { context: { memory: { device: NaN } } }, ['context.memory.device', 'NaN is not a number']],
  ['createSession', { initialPrompts: 'text' }, ['initialPrompts', 'a list']],
  ['createSession', { initialPrompts: ['text'] }, ['initialPrompts.0']],
  ['createSession', { context: { kvbits: 4 } }, ['context.kvbits', 'did you mean kvBits?']],
  ['createSession', { context: { kvBits: 3 } }, ['context.kvBits', '3', '16']],
  ['createSession', { context: { prefill: { method: 'dhsa', budget: () => 1 } } }, ['budget']],
  ['createSession', { contrast: { strenght: 2 } }, ['contrast.strenght', 'did you mean strength?']],
  ['createSession', { monitor: 5 }, ['monitor', 'a function']],
  ['createSession', { tools: [{ name: 'f', run: 1 }] }, ['tools.0.run', 'no such option']],
  ['createSession', { toolChoice: 'always' }, ['toolChoice', "'auto', 'none', 'required'"]],
  ['createSession', { aborted: 'never' }, ['aborted', "'remove', 'keep'"]],
  ['complete', { samplingMode: 'wild' }, ['samplingMode', "'balanced'"]],
  ['complete', { onPrefil: fake }, ['did you mean onPrefill?']],
  ['paint', { prompt: 5 }, ['prompt', '5', 'a string']],
  ['paint', { promt: 'a cat' }, ['did you mean prompt?']],
  ['paint', undefined, ['paint', 'undefined']],
  ['recover', { device: 'abacus' }, ['device', "'abacus'", "'webgpu'"]],
] as const)('%s(%j)', async (name, options, words) => {
  await refused(call(model, name)(...(name === 'complete' ? ['Hello'] : []), options), words);
});

test.each([
  ['quantize', 'q3', "'q8', 'q4'"],
  ['build', 'x', "'scalar'"],
  ['threads', 0, 'whole number from 1'],
  ['contextWindow', '512', "'512'"],
  ['store', 'no', 'true or false'],
  ['contextwindow', 512, 'did you mean contextWindow?'],
] as const)('load: %s', async (name, value, words) => {
  await refused(call(Octavo, 'load')(tinyUniPic(), { ...WASM, [name]: value }), [name, words]);
});

test.each([
  ['nothing', undefined],
  ['an empty string', ''],
  ['spaces', '  '],
  ['an empty object', {}],
  ['an empty list', []],
  ['null', null],
  ['a number', 5],
  ['a function', () => 1],
  ['files that are none', { 'a.gguf': 'text' }],
  ["the Prompt API's options", { expectedInputs: [{ type: 'audio' }] }],
])('load and availability of %s', async (_, input) => {
  await refused(call(Octavo, 'load')(input), ['the model is']);
  await refused(call(Octavo, 'availability')(input), ['the model is']);
});

test.each([
  ['tokenize', [undefined], 'text'],
  ['tokenize', [5], 'text'],
  ['detokenize', [undefined], 'ids'],
  ['detokenize', ['abc'], 'ids'],
  ['complete', [undefined], 'input'],
  ['score', [{}], 'input'],
] as const)('%s(%j)', async (name, args, words) => {
  await refused(call(model, name)(...args), [name, words]);
});

test('availability tells what no model here does', async () => {
  const available = (options: object): Promise<unknown> => Octavo.availability(tinyUniPic(), options);
  expect(await available({ expectedInputs: [{ type: 'text' }, { type: 'image' }] })).toBe('available');
  expect(await available({ expectedInputs: [{ type: 'audio' }] })).toBe('unavailable');
  expect(await available({ expectedOutputs: [{ type: 'image' }] })).toBe('unavailable');
});

test('a stream with a schema that is no JSON fails like a call', async () => {
  const schema: Record<string, unknown> = { type: 'object' };
  schema['properties'] = schema;
  const stream = session.promptStreaming('Hello', { responseConstraint: schema });
  await expect(stream.finished).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
  await expect(stream.getReader().read()).rejects.toThrow('responseConstraint');
  const raw = model.completeStreaming('Hello', { responseConstraint: schema });
  await expect(raw.finished).rejects.toThrow('responseConstraint');
});

test('a stream with wrong options fails like a call', async () => {
  const stream = session.promptStreaming('Hello', { maxtokens: 2 } as object);
  await expect(stream.finished).rejects.toThrow('did you mean maxTokens?');
  await expect(stream.getReader().read()).rejects.toThrow(InputError);
});

test('right options stay right: any subset of a shape with values that fit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record(
        { temperature: fc.double({ min: 0, max: 100, noNaN: true }), topK: fc.nat(), seed: fc.nat() },
        { requiredKeys: [] },
      ),
      async (options) => {
        (await model.createSession({ ...options, maxTokens: 1 })).destroy();
      },
    ),
    { numRuns: 30 },
  );
});

test('the nearest name', () => {
  expect(nearest('MAX-TOKENS', Object.keys(shapes.SESSION))).toBe('maxTokens');
  expect(nearest('presencePenality', Object.keys(shapes.PROMPT))).toBe('presencePenalty');
  expect(nearest('frobnicate', Object.keys(shapes.SESSION))).toBeUndefined();
  expect(nearest('x'.repeat(100_000), Object.keys(shapes.SESSION))).toBeUndefined();
});
