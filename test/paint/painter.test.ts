/** Painting on tiny random models: what must hold of any model, what is saved, what is refused, and what happens when it is cut off. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import {
  Painter,
  type PaintCheckpoint,
  type PaintProgress,
  type PaintRequest,
  type Picture,
} from '../../src/paint/index.ts';
import { seededSources } from '../../src/paint/noise.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { losable } from '../support/losable.ts';
import { random } from '../support/random.ts';
import { TINY, tinyUniPic, type TinyUniPicOptions } from '../support/tiny-unipic.ts';
import { openWasm, openWasmBackend } from '../support/wasm.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await createTokenizer(await openWasm('scalar'), (await openModel(tinyUniPic())).metadata);
});

interface Easel {
  readonly model: Model;
  readonly painter: Painter;
  readonly backend: Backend;
}

async function easel(options: TinyUniPicOptions = {}, on?: Backend): Promise<Easel> {
  const backend = on ?? (await openWasmBackend('simd'));
  const model = await loadModel(await openModel(tinyUniPic(options)), backend);
  return { model, painter: new Painter(model, tokenizer), backend };
}

const ASK: PaintRequest = { prompt: 'a red circle', seed: 5 };
const pixels = (seed: number, size = 16): Float32Array => {
  const { uniform } = random(seed);
  return Float32Array.from({ length: size * size * 3 }, () => 2 * uniform() - 1);
};
const EDIT: PaintRequest = { prompt: 'make it blue', seed: 5, source: { pixels: pixels(1), size: 16 } };

const one = async (painter: Painter, request: PaintRequest): Promise<Picture> => (await painter.paint(request))[0]!;
/** The largest difference of two pictures' bytes. */
const gap = (a: Picture, b: Picture): number =>
  a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);

/** Rows that went through a method's first argument, call by call. */
function rowsThrough(target: object, method: string): number[] {
  const rows: number[] = [];
  const original = Reflect.get(target, method) as (...args: unknown[]) => unknown;
  Reflect.set(target, method, (...args: unknown[]): unknown => {
    rows.push((args[0] as { shape: readonly number[] }).shape[0]!);
    return original.apply(target, args);
  });
  return rows;
}

describe('pictures', () => {
  test('a seed paints one picture, another another; several pictures have seeds that follow each other', async () => {
    const { painter, model, backend } = await easel();
    const before = backend.memory().allocations;
    const picture = await one(painter, ASK);
    expect(picture).toMatchObject({ width: 16, height: 16, seed: 5 });
    expect(picture.data).toHaveLength(16 * 16 * 4);
    expect(new Set(picture.data).size).toBeGreaterThan(20);
    expect(await one(painter, ASK)).toEqual(picture);
    expect(await one((await easel()).painter, ASK)).toEqual(picture);
    const next = await one(painter, { ...ASK, seed: 6 });
    expect(gap(next, picture)).toBeGreaterThan(20);
    expect(await painter.paint({ ...ASK, count: 2 })).toEqual([picture, next]);
    expect((await painter.paint({ ...ASK, seed: 4294967295, count: 2 }))[1]!.seed).toBe(0);
    painter.free();
    // Position tables and the attention's pages stay with the model.
    expect(backend.memory().allocations).toBeLessThanOrEqual(before + 4);
    model.free();
    expect(backend.memory().allocations).toBe(0);
  });

  test.each([
    ['the prompt', { prompt: 'a blue square' }],
    ['the size', { size: 32 }],
    ['rounds', { iterations: 3 }],
    ['one round', { iterations: 1 }],
    ['a round for each token', { iterations: 16 }],
    ['denoising steps', { diffusionSteps: 3 }],
    ['guidance', { guidance: 1.5 }],
    ['linear guidance', { guidanceSchedule: 'linear' }],
    ['temperature', { temperature: 0.5 }],
  ] as const)('%s changes it', async (_what, change) => {
    const { painter } = await easel();
    const [a, b] = [await one(painter, ASK), await one(painter, { ...ASK, ...change })];
    expect(b.data).toHaveLength(b.width * b.height * 4);
    expect(b.data).not.toEqual(a.data);
  });

  test.each(['kl', 'patch'] as const)('tokenizer %s, and both predictions', async (kind) => {
    const a = await one((await easel({ tokenizer: kind })).painter, ASK);
    const b = await one((await easel({ tokenizer: kind, prediction: 'eps' })).painter, ASK);
    expect(gap(a, b)).toBeGreaterThan(0);
  });

  test.each(['kl', 'patch'] as const)('tokenizer %s: WASM paints what f64 loops paint', async (kind) => {
    const a = await one((await easel({ tokenizer: kind })).painter, ASK);
    const b = await one((await easel({ tokenizer: kind }, createReferenceBackend())).painter, ASK);
    expect(gap(a, b)).toBeLessThanOrEqual(1);
  });

  test('guidance of 1 is no guidance, at half the rows', async () => {
    const { painter, model } = await easel();
    await one(painter, ASK);
    const rows = rowsThrough(model.language, 'forward');
    const guided = await one(painter, { ...ASK, guidance: 1 + 1e-9 });
    const both = rows.splice(0).reduce((a, b) => a + b);
    const alone = await one(painter, { ...ASK, guidance: 1 });
    expect(rows.reduce((a, b) => a + b)).toBe(both / 2);
    // A byte may fall to the other side of a whole number.
    expect(gap(alone, guided)).toBeLessThanOrEqual(1);
  });

  test('prompts of other lengths than the unconditional one: what guidance 0 paints does not depend on the prompt but for the variance', async () => {
    const { painter } = await easel();
    const calm = { ...ASK, guidance: 0, temperature: 0 };
    const a = await one(painter, calm);
    expect(await one(painter, { ...calm, prompt: 'x' })).toEqual(a);
    expect(
      await one(painter, { ...calm, prompt: 'a much longer prompt than the other one was, with several words' }),
    ).toEqual(a);
    expect(gap(await one(painter, { ...calm, guidance: 1 }), a)).toBeGreaterThan(0);
  });

  test('edits follow the source and the instruction, and are not paintings', async () => {
    const { painter } = await easel();
    const a = await one(painter, EDIT);
    expect(await one(painter, EDIT)).toEqual(a);
    expect(gap(a, await one(painter, { ...EDIT, prompt: 'make it green' }))).toBeGreaterThan(0);
    expect(gap(a, await one(painter, { ...EDIT, source: { pixels: pixels(2), size: 16 } }))).toBeGreaterThan(0);
    const { source: _source, ...painting } = EDIT;
    expect(gap(a, await one(painter, painting))).toBeGreaterThan(0);
  });
});

describe('what is saved', () => {
  test('a prompt is computed once, and the encoder runs once for both rows', async () => {
    const { painter, model } = await easel();
    const rows = rowsThrough(model.language, 'forward');
    const { encoder } = model.paint!;
    const original = encoder.forward.bind(encoder);
    let encoded = 0;
    Reflect.set(encoder, 'forward', (...args: Parameters<typeof original>) => {
      encoded++;
      return original(...args);
    });
    await one(painter, ASK);
    expect(encoded).toBe(4);
    const first = rows.splice(0);
    await one(painter, { ...ASK, seed: 6 });
    const again = rows.splice(0);
    // Two prompts before, then two rows a round.
    const known = [0, 2, 5, 10];
    expect(again).toEqual(known.flatMap((count) => [count + TINY.buffers, count + TINY.buffers]));
    expect(first.slice(-8)).toEqual(again);
    expect(first.length).toBe(again.length + 2);
    await one(painter, { ...ASK, prompt: 'a red square' });
    // Only what differs from "a red circle" on; the unconditional one is there.
    const prompt = tokenizer.encode('square<|im_end|>\n<|im_start|>assistant\n').length;
    expect(rows.length).toBe(again.length + 1);
    expect(rows[0]).toBe(prompt);
  });

  test("an edit's source is encoded once, and its rows go through the language model once for both prompts", async () => {
    const { painter, model } = await easel();
    const rows = rowsThrough(model.language, 'forward');
    const { paint } = model;
    let encoded = 0;
    const original = paint!.source!;
    Reflect.set(paint!, 'source', (...args: Parameters<typeof original>) => {
      encoded++;
      return original(...args);
    });
    await one(painter, EDIT);
    const seen = 16 + TINY.buffers;
    expect(rows.slice(0, 4)).toEqual([
      tokenizer.encode('<|im_start|>user\n').length,
      seen,
      expect.any(Number),
      expect.any(Number),
    ]);
    expect(rows.slice(3).filter((count) => count === seen)).toEqual([]);
    await one(painter, { ...EDIT, prompt: 'make it green' });
    await one(painter, { ...EDIT, source: { pixels: EDIT.source!.pixels.slice(), size: 16 } });
    expect(encoded).toBe(1);
    await one(painter, { ...EDIT, source: { pixels: pixels(3), size: 16 } });
    expect(encoded).toBe(2);
  });

  test('numbers are drawn for the positions that a round wants, and no others', async () => {
    const { painter } = await easel();
    const injected = seededSources(5);
    const calls: number[] = [];
    const [counted] = await painter.paint(ASK, {
      order: (n) => injected.order(n),
      noise: (step, positions, shape) => (calls.push(positions.length), injected.noise(step, positions, shape)),
    });
    expect(counted).toEqual(await one(painter, ASK));
    // Each round: the beginning and all steps but the last, for its positions only.
    expect(calls).toEqual([2, 3, 5, 6].flatMap((count) => Array.from({ length: 5 }, () => count)));
  });
});

describe('on the way', () => {
  test('progress grows to the end, and previews show the picture so far', async () => {
    const { painter } = await easel();
    const heard: PaintProgress[] = [];
    const previews: Uint8ClampedArray[] = [];
    const pictures = await painter.paint({
      ...ASK,
      count: 2,
      onProgress: (progress) => void heard.push(progress),
      onPreview: (rgba, size) => void (expect(size).toBe(16), previews.push(rgba)),
    });
    expect(heard.map(({ tokens }) => tokens)).toEqual([0, 2, 5, 10, 16, 16, 18, 21, 26, 32]);
    expect(heard.map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    expect(
      heard.every(({ totalTokens, iterations, count }) => totalTokens === 32 && iterations === 4 && count === 2),
    ).toBe(true);
    expect(heard[0]!.secondsLeft).toBeUndefined();
    expect(heard.slice(1).every(({ secondsLeft }) => secondsLeft! >= 0)).toBe(true);
    expect(heard.at(-1)!.secondsLeft).toBeLessThan(heard[1]!.secondsLeft!);
    expect(previews).toHaveLength(6);
    const apart = (a: Uint8ClampedArray, b: Uint8ClampedArray): number =>
      a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0);
    expect(apart(previews[2]!, pictures[0]!.data)).toBeLessThan(apart(previews[0]!, pictures[0]!.data));
  });

  test('an abort ends it with its own reason, leaves nothing behind, and the painter goes on', async () => {
    const { painter, backend } = await easel();
    const wanted = await one(painter, ASK);
    const { allocations } = backend.memory();
    for (const at of [0, 2]) {
      const control = new AbortController();
      const reason = new Error('enough');
      const found = painter.paint({
        ...ASK,
        signal: control.signal,
        onProgress: ({ iteration }) => iteration === at && control.abort(reason),
      });
      await expect(found).rejects.toBe(reason);
      expect(backend.memory().allocations).toBe(allocations);
    }
    await expect(painter.paint({ ...ASK, signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
    expect(await one(painter, ASK)).toEqual(wanted);
  });

  test('one at a time', async () => {
    const { painter } = await easel();
    const first = painter.paint(ASK);
    await expect(painter.paint(ASK)).rejects.toMatchObject({ name: 'InputError', code: 'busy' });
    await first;
  });

  test.each([
    ['of the head', 'mar.diffloss.net.final_layer.linear.bias', /round 1 of 4 drew tokens that are not numbers/],
    ['of the tokenizer', 'vae.decoder.2.weight', /made pixels that are not numbers/],
  ])('a weight %s that is too large for what follows stops it', async (_what, damaged, message) => {
    const { painter, backend } = await easel({
      damage: (name, values) => void (name === damaged && values.forEach((_, i) => (values[i] = i % 2 ? 3e38 : -3e38))),
    });
    await expect(painter.paint(ASK)).rejects.toMatchObject({
      name: 'ModelError',
      code: 'non-finite',
      message: expect.stringMatching(message),
    });
    const { allocations } = backend.memory();
    await expect(painter.paint(ASK)).rejects.toThrow();
    expect(backend.memory().allocations).toBe(allocations);
  });

  test.each([ASK, EDIT])('a lost device: another painter goes on from the rounds that were done', async (request) => {
    const twice = { ...request, count: 2 };
    const wanted = await (await easel()).painter.paint(twice);
    const device = losable(await openWasmBackend('simd'));
    const { painter } = await easel({}, device.backend);
    const lost = painter.paint({
      ...twice,
      onProgress: ({ picture, iteration }) => picture === 1 && iteration === 2 && device.loseAt('denoise', 3),
    });
    await expect(lost).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'lost',
      message: expect.stringMatching(/after 2 of 4 rounds of picture 2 of 2/),
    });
    const { interrupted } = painter;
    expect(interrupted).toMatchObject({ iteration: 2 });
    const { model } = await easel();
    const heard: number[] = [];
    expect(
      await new Painter(model, tokenizer, { interrupted }).paint({
        ...twice,
        onProgress: ({ tokens }) => void heard.push(tokens),
      }),
    ).toEqual(wanted);
    expect(heard[0]).toBe(16 + 5);
    // Another request begins anew.
    const other = new Painter(model, tokenizer, { interrupted });
    expect((await other.paint({ ...request, seed: 6 }))[0]).toEqual(wanted[1]);
    expect(other.interrupted).toBeUndefined();
  });
});

describe('checkpoints', () => {
  test.each([ASK, EDIT])('from each of them the same pictures are painted, by another painter', async (request) => {
    const twice = { ...request, count: 2 };
    const checkpoints: PaintCheckpoint[] = [];
    const { painter } = await easel();
    const wanted = await painter.paint({
      ...twice,
      onCheckpoint: (one) => void checkpoints.push(structuredClone(one)),
    });
    expect(checkpoints.map(({ pictures, iteration }) => [pictures.length, iteration])).toEqual(
      [0, 1].flatMap((picture) => [1, 2, 3, 4].map((iteration) => [picture, iteration])),
    );
    for (const resume of checkpoints) {
      const heard: PaintProgress[] = [];
      const pictures = await (
        await easel()
      ).painter.paint({ ...twice, resume, onProgress: (progress) => void heard.push(progress) });
      expect(pictures).toEqual(wanted);
      expect(heard[0]).toMatchObject({ picture: resume.pictures.length, iteration: resume.iteration });
    }
  });

  test('one of another request, and data that is none, is refused by name', async () => {
    const { painter } = await easel();
    let kept: PaintCheckpoint | undefined;
    const signal = AbortSignal.timeout(60_000);
    await painter.paint({ ...ASK, signal, onCheckpoint: (one) => (kept ??= one) });
    const resume = kept!;
    const TWO = { ...ASK, count: 2 };
    kept = undefined;
    await painter.paint({ ...TWO, signal, onCheckpoint: (one) => (kept ??= one) });
    const two = kept!;
    const wrong: readonly (readonly [PaintRequest, RegExp])[] = [
      [{ ...ASK, seed: 6, resume }, /resume: it belongs to another request/],
      [{ ...EDIT, resume }, /resume: it belongs to another request/],
      [{ ...ASK, resume: { ...resume, tokens: resume.tokens.subarray(1) } }, /it should hold \d+ numbers/],
      [{ ...ASK, resume: { ...resume, tokens: resume.tokens.map(() => NaN) } }, /it should hold \d+ numbers/],
      [{ ...ASK, resume: { ...resume, iteration: 5 } }, /5 is not a number of rounds from 0 to 4/],
      [{ ...ASK, resume: { ...resume, pictures: [{}] as never } }, /fewer than 1 finished pictures/],
      ...[null, {}, 7].map(
        (one) =>
          [
            { ...TWO, resume: { ...two, pictures: [one] as never } },
            /its pictures should have \d+ x \d+ pixels/,
          ] as const,
      ),
    ];
    for (const [request, message] of wrong)
      await expect(painter.paint(request)).rejects.toMatchObject({
        code: 'argument',
        message: expect.stringMatching(message),
      });
    expect((await painter.paint({ ...ASK, resume }))[0]).toEqual(await one(painter, ASK));
  });
});

describe('refused', () => {
  test.each([
    ['an empty prompt', { prompt: ' \n' }, 'empty', /prompt is empty/],
    ['a size that the model does not know', { size: 24 }, 'argument', /size: 24 pixels.*16, 32/],
    ['no rounds', { iterations: 0 }, 'argument', /iterations: 0 .*from 1 to 16/],
    ['more rounds than tokens', { iterations: 17 }, 'argument', /iterations: 17/],
    ['half a round', { iterations: 2.5 }, 'argument', /2\.5 is not a whole number/],
    ['negative steps', { diffusionSteps: -1 }, 'argument', /diffusionSteps: -1 .*from 1 to 1000/],
    ['steps beyond training', { diffusionSteps: 1001 }, 'argument', /1001/],
    ['guidance that is no number', { guidance: NaN }, 'argument', /guidance: NaN is not a number from 0 to 100/],
    ['an unknown schedule', { guidanceSchedule: 'cosine' as 'linear' }, 'argument', /guidanceSchedule: cosine/],
    ['a negative temperature', { temperature: -1 }, 'argument', /temperature: -1/],
    ['no picture', { count: 0 }, 'argument', /count: 0/],
    ['a seed that is none', { seed: 2 ** 32 }, 'argument', /seed: 4294967296/],
    [
      'a prompt beyond the window',
      { prompt: 'word '.repeat(100) },
      'too-long',
      /picture 19; the model's window holds 512/,
    ],
    [
      'a source of another size',
      { source: { pixels: pixels(1), size: 16 }, size: 32 },
      'argument',
      /size: 32 pixels, the source has 16/,
    ],
    ['a source of too few pixels', { source: { pixels: pixels(1, 8), size: 16 } }, 'argument', /192 values/],
    ['a source that is no number', { source: { pixels: pixels(1).fill(NaN), size: 16 } }, 'argument', /not numbers/],
  ] as const)('%s', async (_what, change, code, message) => {
    const { painter } = await easel();
    await expect(painter.paint({ ...ASK, ...change })).rejects.toMatchObject({
      name: 'InputError',
      code,
      message: expect.stringMatching(message),
    });
  });

  test('models that cannot', async () => {
    await expect(easel({ without: /^mar\.diffloss/ })).rejects.toThrow(/cannot paint: .*diffusion head/);
    const { painter } = await easel({ without: /^vae\.encoder/ });
    await one(painter, ASK);
    await expect(painter.paint(EDIT)).rejects.toThrow(/cannot edit pictures: .*encoder/);
  });
});
