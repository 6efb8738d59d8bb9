/** Pictures as a page has them: decoded on its side, seen, painted and edited by an engine behind messages. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OpenDevice } from '../../src/engine/model.ts';
import { FileError, InputError } from '../../src/errors.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { PaintedPicture } from '../../src/face/picture.ts';
import type { Message } from '../../src/chat/messages.ts';
import type { PaintCheckpoint, PaintProgress } from '../../src/paint/index.ts';
import { encodePng, type Rgba } from '../../src/vision/index.ts';
import { onReference, testFace, testPlatform } from '../support/engine.ts';
import { losable, type Losable } from '../support/losable.ts';
import { random } from '../support/random.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const Octavo = testFace(onReference);
let model: OctavoModel;
beforeAll(async () => {
  model = await Octavo.load(tinyUniPic());
});
afterAll(() => model.destroy());

function photo(seed: number, width = 20, height = 12): Rgba {
  const { integer } = random(seed);
  return {
    data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i % 4 === 3 ? 255 : integer(0, 256))),
    width,
    height,
  };
}
const cat = photo(1);
const show = (text: string, ...pictures: readonly unknown[]): Message[] => [
  {
    role: 'user',
    content: [...pictures.map((value) => ({ type: 'image' as const, value })), { type: 'text', value: text }],
  },
];
const GREEDY = { temperature: 0, maxTokens: 4 };

describe('seeing', () => {
  test('pixels, files and bytes of one picture are one picture; the page keeps what it gave', async () => {
    const png = await encodePng(cat);
    const answers: string[] = [];
    const usages: number[] = [];
    for (const value of [
      cat,
      png,
      new Blob([png as Uint8Array<ArrayBuffer>]),
      `data:image/png;base64,${Buffer.from(png).toString('base64')}`,
    ]) {
      const session = await model.createSession(GREEDY);
      const cost = await session.measureContextUsage(show('What?', value));
      expect(cost).toBe((await session.measureContextUsage('What?')) + 16 + 3 + 1);
      answers.push(await session.prompt(show('What?', value)));
      usages.push(session.contextUsage);
      session.destroy();
    }
    expect(new Set(answers).size).toBe(1);
    expect(new Set(usages).size).toBe(1);
    expect(cat.data).toHaveLength(4 * 20 * 12);
    expect(png.length).toBeGreaterThan(100);
  });

  test('calls reach the engine in the order in which they were made, whatever their pictures take', async () => {
    const slow = testFaceSlowly();
    const one = await slow.model();
    const session = await one.createSession(GREEDY);
    const ended: string[] = [];
    const calls = [
      session.prompt(show('What?', cat)).then(() => ended.push('picture')),
      session.append('Some text.').then(() => ended.push('append')),
      session.clone().then((copy) => {
        ended.push('clone');
        expect(copy.contextUsage).toBeGreaterThan(40);
      }),
      session.prompt('And?').then(() => ended.push('text')),
    ];
    await Promise.all(calls);
    expect(ended).toEqual(['picture', 'append', 'clone', 'text']);
    await one.destroy();
  });

  test('an abort while a picture is read, and a picture that cannot be read, leave the session as it was', async () => {
    const one = await testFaceSlowly().model();
    const session = await one.createSession(GREEDY);
    const controller = new AbortController();
    const call = session.prompt(show('What?', cat), { signal: controller.signal });
    controller.abort(new RangeError('enough'));
    await expect(call).rejects.toThrow('enough');
    await expect(session.prompt(show('What?', new Uint8Array([1, 2, 3])))).rejects.toBeInstanceOf(FileError);
    await expect(session.prompt(show('What?', new Uint8Array(0)))).rejects.toMatchObject({
      name: 'InputError',
      code: 'empty',
    });
    await expect(session.prompt(show('What?', 5))).rejects.toBeInstanceOf(InputError);
    expect(session.contextUsage).toBe(0);
    const plain = await one.createSession(GREEDY);
    expect(await session.prompt('Hello')).toBe(await plain.prompt('Hello'));
    await one.destroy();
  });

  test('which parts of a picture a selection keeps, as the session then counts them', async () => {
    const selection = { method: 'todre', keep: 0.25 } as const;
    const { tiles, tokens, kept } = await model.keptTokens(cat, { selection });
    expect(tokens).toBe(16 + 3);
    expect(kept).toBe(2 + 3);
    expect(tiles).toEqual([
      { picture: expect.objectContaining({ width: 16, height: 16 }), rows: 4, columns: 4, kept: expect.anything() },
    ]);
    expect(tiles[0]!.kept).toHaveLength(2);
    const session = await model.createSession({ ...GREEDY, context: { visual: selection } });
    const text = await session.measureContextUsage('What?');
    expect(await session.measureContextUsage(show('What?', cat))).toBe(text + kept + 1);
    session.destroy();
    expect(cat.data).toHaveLength(4 * 20 * 12);
    await expect(model.keptTokens(cat, { selecton: 'todre' } as never)).rejects.toThrow(/did you mean selection/);
  });

  test('initial prompts and expected inputs', async () => {
    const session = await model.createSession({
      ...GREEDY,
      initialPrompts: show('Look.', cat),
      expectedInputs: [{ type: 'text' }, { type: 'image' }],
    });
    expect(session.contextUsage).toBeGreaterThan(19);
    session.destroy();
    await expect(model.createSession({ expectedInputs: [{ type: 'audio' }] })).rejects.toThrow('audio');
    await expect(model.createSession({ expectedOutputs: [{ type: 'image' }] })).rejects.toThrow('model.paint');
    await expect(model.createSession({ visual: { size: 17 } })).rejects.toMatchObject({
      name: 'InputError',
      facts: { sizes: [16, 32] },
    });
  });

  test('a model that sees nothing says so before anything is decoded', async () => {
    const blind = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
    expect(blind.capabilities).toMatchObject({ chat: true, see: false, paint: false, edit: false });
    const session = await blind.createSession();
    await expect(session.prompt(show('What?', 'http://example.org/cat.png'))).rejects.toThrow('reads text only');
    await expect(blind.createSession({ initialPrompts: show('What?', 5) })).rejects.toThrow('reads text only');
    await expect(blind.createSession({ expectedInputs: [{ type: 'image' }] })).rejects.toThrow('reads text only');
    await expect(blind.paint({ prompt: 'a cat' })).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('does not paint'),
    });
    await expect(blind.edit({ instruction: 'no cat', image: cat })).rejects.toThrow('does not edit');
    await blind.destroy();
  });
});

/** A face whose pictures take a while to decode. */
function testFaceSlowly(): { model: () => Promise<OctavoModel> } {
  return { model: () => testFace(onReference, testPlatform, 20).load(tinyUniPic()) };
}

describe('painting', () => {
  test('a picture from words: pixels, PNG, progress, previews', async () => {
    const heard: PaintProgress[] = [];
    const previews: Rgba[] = [];
    const picture = await model.paint({
      prompt: 'a cat',
      seed: 7,
      onProgress: (progress) => heard.push(progress),
      onPreview: (preview) => previews.push(preview),
    });
    expect(picture).toBeInstanceOf(PaintedPicture);
    expect(model.painting).toMatchObject({ sizes: [16, 32], size: 16, patch: 4, steps: 4 });
    expect(picture).toMatchObject({ width: 16, height: 16, seed: 7 });
    expect(picture.data).toHaveLength(4 * 16 * 16);
    expect([...(await picture.toPng()).subarray(0, 4)]).toEqual([137, 80, 78, 71]);
    expect((await picture.toBlob()).type).toBe('image/png');
    expect(() => picture.toImageData()).toThrow(expect.objectContaining({ name: 'DeviceError', code: 'unavailable' }));
    await expect(picture.toImageBitmap()).rejects.toMatchObject({ code: 'unavailable' });
    expect(heard.at(-1)).toMatchObject({ tokens: 16, totalTokens: 16 });
    expect(heard.map(({ iteration }) => iteration)).toEqual(
      heard.map(({ iteration }) => iteration).toSorted((a, b) => a - b),
    );
    expect(previews.length).toBeGreaterThan(0);
    expect(previews[0]).toMatchObject({ width: 16, height: 16 });
    expect(previews[0]!.data).toHaveLength(4 * 16 * 16);
  });

  test('a seed repeats; without one each picture has its own, which is told', async () => {
    const first = await model.paint({ prompt: 'a cat', steps: 2, diffusionSteps: 2 });
    const again = await model.paint({ prompt: 'a cat', steps: 2, diffusionSteps: 2, seed: first.seed });
    expect(again.data).toEqual(first.data);
    const other = await model.paint({ prompt: 'a cat', steps: 2, diffusionSteps: 2 });
    expect(other.seed).not.toBe(first.seed);
  });

  test('a painting that was aborted goes on from its last checkpoint, in another engine, to the same picture', async () => {
    const request = { prompt: 'a red circle', seed: 3 };
    const wanted = await model.paint(request);
    const pause = new AbortController();
    let kept: PaintCheckpoint | undefined;
    const paused = model.paint({
      ...request,
      signal: pause.signal,
      onCheckpoint: (checkpoint) => {
        kept = checkpoint;
        if (checkpoint.iteration === 2) pause.abort();
      },
    });
    await expect(paused).rejects.toMatchObject({ name: 'AbortError' });
    expect(kept).toMatchObject({ iteration: 2, pictures: [] });
    const other = await Octavo.load(tinyUniPic());
    const rounds: number[] = [];
    const resumed = await other.paint({
      ...request,
      resume: kept,
      onProgress: ({ iteration }) => rounds.push(iteration),
    });
    expect(resumed).toEqual(wanted);
    expect(rounds).toEqual([2, 3, 4]);
    await expect(other.paint({ ...request, seed: 4, resume: kept })).rejects.toThrow(/resume: it belongs to another/);
    await other.destroy();
  });

  test('a list exactly where count is given', async () => {
    const two = await model.paint({ prompt: 'a cat', count: 2, steps: 1, diffusionSteps: 1, seed: 3 });
    expect(two).toHaveLength(2);
    expect(new Set(two.map(({ seed }) => seed)).size).toBe(2);
    expect(await model.paint({ prompt: 'a cat', count: 1, steps: 1, diffusionSteps: 1 })).toHaveLength(1);
  });

  test('an edit, of pixels or of a file', async () => {
    const options = { instruction: 'remove it', seed: 3, steps: 2, diffusionSteps: 2 } as const;
    const edited = await model.edit({ ...options, image: cat });
    const file = await model.edit({ ...options, image: await encodePng(cat), count: 1 });
    expect(file[0]!.data).toEqual(edited.data);
    const other = await model.edit({ ...options, image: photo(2) });
    expect(other.data).not.toEqual(edited.data);
    expect(cat.data).toHaveLength(4 * 20 * 12);
  });

  test('while the page is busy with a preview, newer ones take the place of older', async () => {
    let free: () => void = () => undefined;
    const shown: Rgba[] = [];
    let heard = 0;
    const painted = model.paint({
      prompt: 'a cat',
      steps: 8,
      diffusionSteps: 2,
      onProgress: () => void heard++,
      onPreview: async (preview) => {
        shown.push(preview);
        if (shown.length === 1) await new Promise<void>((resolve) => (free = resolve));
      },
    });
    await painted;
    expect(heard).toBeGreaterThan(3);
    expect(shown).toHaveLength(1);
    free();
  });

  test('answers and paintings take turns; a reader who paints while an answer waits for him does not wait for ever', async () => {
    const session = await model.createSession({ temperature: 0, maxTokens: 60 });
    const plain = await model.createSession({ temperature: 0, maxTokens: 60 });
    const expected = await plain.prompt('Hello');
    const [painted, answer] = await Promise.all([
      model.paint({ prompt: 'a cat', steps: 2, diffusionSteps: 2 }),
      session.prompt('Hello'),
    ]);
    expect(painted).toBeInstanceOf(PaintedPicture);
    expect(answer).toBe(expected);
    let text = '';
    let pictures = 0;
    const reading = await model.createSession({ temperature: 0, maxTokens: 60 });
    for await (const piece of reading.promptStreaming('Hello')) {
      if (pictures === 0) {
        await model.paint({ prompt: 'a cat', steps: 1, diffusionSteps: 1 });
        pictures++;
      }
      text += piece;
    }
    expect(text).toBe(expected);
    for (const each of [session, plain, reading]) each.destroy();
  });

  test('what computes nothing does not wait for a painting', async () => {
    const session = await model.createSession(GREEDY);
    let done = false;
    const painting = model.paint({ prompt: 'a cat', steps: 4, diffusionSteps: 20 }).finally(() => (done = true));
    const other = await model.createSession(GREEDY);
    const copy = await session.clone();
    expect(await session.measureContextUsage('Hello')).toBeGreaterThan(5);
    expect(done).toBe(false);
    await painting;
    for (const each of [session, other, copy]) each.destroy();
  });

  test('on WASM: seen, painted and edited, to the same answer and nearly the same pixels as on the reference', async () => {
    const wasm = await testFace().load(tinyUniPic(), { device: 'wasm', threads: 1 });
    const options = { seed: 5, steps: 3, diffusionSteps: 4 } as const;
    const far = (a: PaintedPicture, b: PaintedPicture): number =>
      Math.max(...a.data.map((value, i) => Math.abs(value - b.data[i]!)));
    expect(
      far(await wasm.paint({ prompt: 'a cat', ...options }), await model.paint({ prompt: 'a cat', ...options })),
    ).toBeLessThanOrEqual(2);
    const edit = { instruction: 'no cat', image: cat, ...options };
    expect(far(await wasm.edit(edit), await model.edit(edit))).toBeLessThanOrEqual(2);
    const [one, two] = [await wasm.createSession(GREEDY), await model.createSession(GREEDY)];
    expect(await one.prompt(show('What?', cat))).toBe(await two.prompt(show('What?', cat)));
    two.destroy();
    await wasm.destroy();
  });

  test('an abort ends a painting under way, and one that waits', async () => {
    const controller = new AbortController();
    const first = model.paint({
      prompt: 'a cat',
      signal: controller.signal,
      diffusionSteps: 50,
      steps: 16,
      onProgress: () => controller.abort(new RangeError('enough')),
    });
    const second = model.paint({ prompt: 'a cat', signal: controller.signal });
    await expect(first).rejects.toThrow('enough');
    await expect(second).rejects.toThrow('enough');
    expect(await model.paint({ prompt: 'a cat', steps: 1, diffusionSteps: 1 })).toBeInstanceOf(PaintedPicture);
  });

  test.each([
    [{ prompt: '' }, 'empty', 'prompt'],
    [{ prompt: ' \n' }, 'empty', 'prompt'],
    [{}, 'argument', 'prompt'],
    [{ prompt: 'x'.repeat(600) }, 'too-long', '512'],
    [{ prompt: 'a', size: 100 }, 'argument', '16, 32'],
    [{ prompt: 'a', steps: -1 }, 'argument', 'steps: -1'],
    [{ prompt: 'a', steps: 17 }, 'argument', '1 to 16'],
    [{ prompt: 'a', steps: 1.5 }, 'argument', 'steps: 1.5'],
    [{ prompt: 'a', diffusionSteps: 0 }, 'argument', 'diffusionSteps: 0'],
    [{ prompt: 'a', guidance: Number.NaN }, 'argument', 'guidance: NaN'],
    [{ prompt: 'a', guidanceSchedule: 'wild' }, 'argument', "guidanceSchedule: 'wild'"],
    [{ prompt: 'a', temperature: -1 }, 'argument', 'temperature: -1'],
    [{ prompt: 'a', count: 0 }, 'argument', 'count: 0'],
    [{ prompt: 'a', seed: 2 ** 32 }, 'argument', 'seed'],
  ])('%j is refused by name', async (options, code, problem) => {
    await expect(model.paint(options as never)).rejects.toMatchObject({
      name: 'InputError',
      code,
      message: expect.stringContaining(problem),
    });
  });

  test('edits without a picture or an instruction, or of what is no picture', async () => {
    await expect(model.edit({ instruction: 'x' } as never)).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('image'),
    });
    await expect(model.edit({ image: cat } as never)).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('instruction'),
    });
    await expect(model.edit({ instruction: '', image: cat })).rejects.toMatchObject({ code: 'empty' });
    await expect(model.edit({ instruction: 'x', image: new Uint8Array([1, 2, 3]) })).rejects.toBeInstanceOf(FileError);
    await expect(
      model.edit({ instruction: 'x', image: { data: new Uint8ClampedArray(4), width: 9, height: 9 } }),
    ).rejects.toBeInstanceOf(InputError);
  });

  test('a file without a part says what it cannot do, and does the rest', async () => {
    const half = await Octavo.load(tinyUniPic({ without: /^mar\.diffloss\./ }));
    expect(half.capabilities).toMatchObject({ see: true, paint: false, edit: false });
    expect(half.capabilities.missing.join()).toContain('diffusion head');
    await expect(half.paint({ prompt: 'a cat' })).rejects.toThrow('diffusion head');
    const session = await half.createSession(GREEDY);
    expect(typeof (await session.prompt(show('What?', cat)))).toBe('string');
    await half.destroy();
  });

  test('destroy ends a painting under way', async () => {
    const other = await Octavo.load(tinyUniPic());
    const painting = other.paint({ prompt: 'a cat', steps: 16, diffusionSteps: 50 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await Promise.all([expect(painting).rejects.toBeDefined(), other.destroy()]);
  });
});

describe('a device lost in mid-painting', () => {
  test('a typed error with the seed; after recover() the call with it goes on, to the picture that it would have been, and so do sessions', async () => {
    const lost: Losable[] = [];
    const open: OpenDevice = async (request, signal) => {
      const device = await onReference(request, signal);
      const wrapped = losable(device.backend);
      lost.push(wrapped);
      return { ...device, backend: wrapped.backend };
    };
    const fragile = await testFace(open).load(tinyUniPic());
    const session = await fragile.createSession(GREEDY);
    const first = await session.prompt(show('What?', cat));
    const options = { prompt: 'a cat', seed: 11, steps: 4, diffusionSteps: 3 } as const;
    lost.at(-1)!.loseAt('denoise', 5);
    await expect(fragile.paint(options)).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'lost',
      facts: { seed: 11 },
      message: expect.stringContaining('recover()'),
    });
    await fragile.recover();
    const heard: PaintProgress[] = [];
    const resumed = await fragile.paint({ ...options, onProgress: (progress) => heard.push(progress) });
    expect(heard[0]).toMatchObject({ iteration: 1, iterations: 4 });
    expect(resumed.data).toEqual((await model.paint(options)).data);
    const plain = await model.createSession(GREEDY);
    expect(await plain.prompt(show('What?', cat))).toBe(first);
    expect(await session.prompt('And?')).toBe(await plain.prompt('And?'));
    plain.destroy();
    await fragile.destroy();
  });
});
