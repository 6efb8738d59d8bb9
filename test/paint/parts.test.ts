/** The painter's parts where tiny pictures do not reach: prompts in chunks and evicted, positions in groups. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { Held } from '../../src/layers/held.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { Denoiser } from '../../src/paint/denoise.ts';
import { pixelsKey } from '../../src/paint/encoded-sources.ts';
import { seededSources } from '../../src/paint/noise.ts';
import { Prompts, type PaintPrompt } from '../../src/paint/prompts.ts';
import { diffusionSchedule } from '../../src/paint/schedule.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { random } from '../support/random.ts';
import { TINY, tinyUniPic } from '../support/tiny-unipic.ts';
import { expectClose, expectSame } from '../support/tolerance.ts';

const D = 64;
/** So many multiply-adds a token that prefill goes in its smallest chunks, of 32. */
const HEAVY = 2 ** 40;
const pause = async (): Promise<void> => {};

let backend: Backend;
let model: Model;
beforeAll(async () => {
  backend = createReferenceBackend();
  model = await loadModel(await openModel(tinyUniPic()), backend);
});
afterAll(() => model.free());

const ids = (count: number, seed: number): Int32Array => {
  const numbers = random(seed);
  return Int32Array.from({ length: count }, () => numbers.integer(0, 256));
};

async function states(
  prompts: Prompts,
  prompt: PaintPrompt,
  rows: Float32Array,
  visual?: Float32Array,
): Promise<Float32Array> {
  const held = new Held(backend);
  const seen = visual && held.step(() => backend.upload(visual, [visual.length / D, D]));
  const sequence = await prompts.sequence(prompt, seen, pause);
  expect(sequence.length).toBe(prompt.ids.length);
  const x = held.step(() => backend.upload(rows, [rows.length / D, D]));
  const out = await backend.download(await prompts.behind(sequence, x, held, pause));
  expect(sequence.length).toBe(prompt.ids.length);
  held.free();
  return out;
}

describe('prompts', () => {
  const rows = random(1).normals(70 * D);

  test('in chunks as in one, with and without a picture, whatever was there before', async () => {
    const whole = new Prompts(model.language, 80, 1);
    const chunked = new Prompts(model.language, 80, HEAVY);
    const visual = random(2).normals(45 * D);
    const all = Int32Array.from([...ids(5, 3), ...new Int32Array(45).fill(259), ...ids(40, 4)]);
    const cases: readonly (readonly [PaintPrompt, Float32Array?])[] = [
      [{ ids: ids(70, 5) }],
      [{ ids: all, picture: { at: 5, tokens: 45, key: 'a' } }, visual],
      // Differs behind the picture, then in the picture, then before it.
      [
        { ids: Int32Array.from([...all.subarray(0, 60), ...ids(9, 6)]), picture: { at: 5, tokens: 45, key: 'a' } },
        visual,
      ],
      [{ ids: all, picture: { at: 5, tokens: 45, key: 'b' } }, random(7).normals(45 * D)],
      [{ ids: all }],
      [{ ids: Int32Array.from([7, ...all.subarray(1)]), picture: { at: 5, tokens: 45, key: 'a' } }, visual],
      [{ ids: ids(70, 5) }],
      [{ ids: ids(70, 5).subarray(0, 33) }],
    ];
    for (const [i, [prompt, picture]] of cases.entries()) {
      const fresh = new Prompts(model.language, 80, 1);
      const wanted = await states(fresh, prompt, rows, picture);
      fresh.free();
      expectClose(await states(whole, prompt, rows, picture), wanted, 1e-6, `case ${i}, shared`);
      expectClose(await states(chunked, prompt, rows, picture), wanted, 1e-6, `case ${i}, in chunks`);
    }
    whole.free();
    chunked.free();
  });

  test('what fails half way leaves nothing behind', async () => {
    const prompts = new Prompts(model.language, 80, HEAVY);
    const prompt = { ids: ids(90, 8) };
    const failing = async (): Promise<void> => {
      throw new Error('stop');
    };
    await expect(prompts.sequence(prompt, undefined, failing)).rejects.toThrow('stop');
    const wanted = await states(prompts, prompt, rows);
    const held = new Held(backend);
    const sequence = await prompts.sequence(prompt, undefined, pause);
    await expect(
      prompts.behind(
        sequence,
        held.step(() => backend.upload(rows, [70, D])),
        held,
        failing,
      ),
    ).rejects.toThrow('stop');
    held.free();
    expect(sequence.length).toBe(90);
    expectSame(await states(prompts, prompt, rows), wanted, 'after a failure');
    prompts.free();
  });
});

test.each([undefined, 2.5])('positions in groups draw what they draw together (guidance %s)', async (guidance) => {
  const { head } = model.paint!;
  const steps = diffusionSchedule(model.paint!.config.diffusion, 6, 1);
  const count = 7;
  const conditions = backend.upload(random(9).normals((guidance === undefined ? 1 : 2) * count * TINY.width), [
    (guidance === undefined ? 1 : 2) * count,
    TINY.width,
  ]);
  const positions = Int32Array.of(0, 2, 3, 7, 8, 11, 15);
  const task = { conditions, positions, tokens: 16, channels: TINY.channels, sources: seededSources(1), guidance };
  const run = async (groupBytes?: number): Promise<Float32Array> => {
    const denoiser = new Denoiser(model.paint!, steps, groupBytes);
    const out = await denoiser.run(task, pause);
    denoiser.free();
    return out;
  };
  const wanted = await run();
  for (const groupBytes of [1, 5 * head.rowBytes])
    expectSame(await run(groupBytes), wanted, `groups of ${groupBytes} bytes`);
  backend.free(conditions);
});

test('pictures are told apart by every pixel', () => {
  const pixels = random(3).normals(48);
  const key = pixelsKey({ pixels, size: 4 });
  expect(pixelsKey({ pixels: pixels.slice(), size: 4 })).toBe(key);
  const keys = new Set([key]);
  for (let i = 0; i < 48; i++) {
    const other = pixels.slice();
    other[i]! += 1e-3;
    keys.add(pixelsKey({ pixels: other, size: 4 }));
  }
  expect(keys.size).toBe(49);
});
