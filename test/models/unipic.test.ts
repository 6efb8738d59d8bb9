/** The UniPic graph on tiny random models: which files load, what their parts can do, and that seeing is the same by every way through it. */
import { describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { Held } from '../../src/layers/held.ts';
import { paced } from '../../src/layers/steps.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type LoadOptions, type Model } from '../../src/models/model.ts';
import { tokensOf, type ImageOptions } from '../../src/models/vision/vision-model.ts';
import { interpolateGrid } from '../../src/models/unipic/positions.ts';
import { patchRows } from '../../src/models/vision/patches.ts';
import { fromPatches } from '../../src/models/unipic/patches.ts';
import { Painter } from '../../src/paint/index.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { logitsOf } from '../support/language.ts';
import { random } from '../support/random.ts';
import { see, seeing } from '../support/see.ts';
import { TINY, TINY_PATCH, tinyUniPic, type TinyUniPicOptions } from '../support/tiny-unipic.ts';
import { expectClose, expectSame } from '../support/tolerance.ts';

async function load(
  options: TinyUniPicOptions = {},
  settings: LoadOptions = {},
  backend: Backend = createReferenceBackend(),
): Promise<Model> {
  return loadModel(await openModel(tinyUniPic(options)), backend, settings);
}

const noise = (size: number, seed = 9): Float32Array => {
  const { uniform } = random(seed);
  return Float32Array.from({ length: size * size * 3 }, () => 2 * uniform() - 1);
};

async function seen(model: Model, pixels: Float32Array, size: number, route?: 'mar' | 'siglip'): Promise<Float32Array> {
  const { backend } = model.language;
  const visual = backend.scope(() => see(model, pixels, size, route));
  const values = await backend.download(visual);
  backend.free(visual);
  return values;
}

const GREY = { data: new Uint8ClampedArray(4 * 3 * 5).fill(128), width: 3, height: 5 };

function able({ vision, paint }: Model): { see: boolean; paint: boolean; edit: boolean } {
  return { see: vision !== undefined, paint: paint !== undefined, edit: paint?.source !== undefined };
}

describe('files', () => {
  test('a whole one can see, paint and edit; its language model speaks', async () => {
    const model = await load({ tokenizer: 'kl', siglip: true });
    expect(able(model)).toEqual({ see: true, paint: true, edit: true });
    expect(model.missing).toEqual([]);
    expect(model.paint?.config).toMatchObject({
      imageToken: 259,
      sizes: [16, 32],
      defaultSize: 16,
      patch: 4,
      diffusion: { maxBeta: expect.closeTo(0.2, 6), prediction: 'v' },
    });
    expect(await logitsOf(model.language, [1, 2], [2])).toHaveLength(2 * 260);
    const tokens = (options: ImageOptions): number => tokensOf(model.vision!.prepare(GREY, options));
    expect(tokens({})).toBe(16 + 3);
    expect(tokens({ size: 32 })).toBe(64 + 3);
    expect(tokens({ route: 'siglip' })).toBe(4);
    model.free();
    expect(model.language.backend.memory()).toMatchObject({ weights: 0, allocations: 0 });
  });

  test.each([
    [
      /^mar\.diffloss\./,
      { see: true, paint: false, edit: false },
      /cannot paint: the file does not have the diffusion head/,
    ],
    [/^vae\.encoder\./, { see: false, paint: true, edit: false }, /cannot see pictures: .*image tokenizer's encoder/],
    [/^vae\./, { see: false, paint: false, edit: false }, /encoder \(vae\.encoder\)[^;]*\n.*decoder \(vae\.decoder\)/],
    [/^proj_out\./, { see: true, paint: false, edit: false }, /proj_out/],
    [/^(mar|vae|proj|siglip)/, { see: false, paint: false, edit: false }, /MAR encoder/],
  ] as const)('without %s the rest works, and the reason is said', async (without, expected, reason) => {
    const model = await load({ without });
    expect(able(model)).toEqual(expected);
    expect(model.missing.join('\n')).toMatch(reason);
    if (!expected.paint) expect(() => new Painter(model, { encode: () => Int32Array.of(1) })).toThrow(/cannot paint/);
  });

  test('seeing by SigLIP alone', async () => {
    const model = await load({ siglip: true, without: /^(mar|vae)\./ });
    expect(able(model)).toEqual({ see: true, paint: false, edit: false });
    expect(model.vision!.settings()).toEqual({ size: 16, route: 'siglip' });
    expect((await seen(model, noise(16), 16)).length).toBe(4 * 64);
    expect(() => model.vision!.settings({ size: 16, route: 'mar' })).toThrow(/cannot see pictures by the MAR route/);
  });

  test("'size': small pictures go by MAR, larger ones by the tower, unless the caller says", async () => {
    const understanding = { metadata: { 'unipic.understanding': 'size' } };
    const model = await load({ tokenizer: 'kl', siglip: true, ...understanding });
    const shown = (width: number, height: number, options?: ImageOptions): unknown =>
      model.vision!.prepare({ width, height, data: new Uint8ClampedArray(4 * width * height).fill(255) }, options)
        .settings;
    expect(shown(16, 16)).toEqual({ size: 16, route: 'mar' });
    expect(shown(32, 5)).toEqual({ size: 16, route: 'mar' });
    expect(shown(33, 5)).toEqual({ size: 16, route: 'siglip' });
    expect(shown(5, 400)).toEqual({ size: 16, route: 'siglip' });
    expect(shown(400, 400, { size: 32 })).toEqual({ size: 32, route: 'mar' });
    expect(shown(400, 400, { route: 'mar' })).toEqual({ size: 16, route: 'mar' });
    expect(shown(16, 16, { route: 'siglip' })).toEqual({ size: 16, route: 'siglip' });
    expect(model.vision!.settings()).toEqual({ size: 16, route: 'siglip' });
    model.free();
    const small = await load({ tokenizer: 'kl', ...understanding });
    expect(small.vision!.settings()).toEqual({ size: 16, route: 'mar' });
    small.free();
  });

  test.each([
    [
      'a tensor of a part is missing',
      { without: /^mar\.encoder_blocks\.1\.mlp\.fc1\.bias$/ },
      'tensor-missing',
      /fc1\.bias/,
    ],
    ['another width', { metadata: { 'unipic.diffusion.width': 64 } }, 'tensor-shape', /mar\.diffloss/],
    [
      'a block too many',
      { metadata: { 'unipic.mar.decoder_block_count': 1 } },
      'tensor-type',
      /mar\.decoder_blocks\.1/,
    ],
    ['other tables of positions', { metadata: { 'unipic.mar.grid': 5 } }, 'tensor-shape', /pos_embed/],
    ['no picture sizes', { metadata: { 'unipic.image_sizes': new Uint32Array(0) } }, 'config', /image_sizes/],
    [
      'a size that is no multiple',
      { metadata: { 'unipic.image_sizes': Uint32Array.of(18) } },
      'config',
      /18.*multiple of the patch size, 4/,
    ],
    [
      'a giant picture',
      { metadata: { 'unipic.image_sizes': Uint32Array.of(16, 4_000_000_000) } },
      'config',
      /4000000000/,
    ],
    ['sizes that fall', { metadata: { 'unipic.image_sizes': Uint32Array.of(32, 16) } }, 'config', /ascend/],
    ['a beta of 2', { metadata: { 'unipic.diffusion.max_beta': { type: 'f32', value: 2 } } }, 'config', /max_beta/],
    ['an unknown prediction', { metadata: { 'unipic.diffusion.prediction': 'x0' } }, 'config', /x0.*eps or v/],
    [
      'a deviation of 0',
      { metadata: { 'unipic.vae.latent_std': Float32Array.of(0, 1, 1, 1) } },
      'config',
      /latent_std/,
    ],
    ['too few means', { metadata: { 'unipic.vae.latent_mean': Float32Array.of(0) } }, 'config', /latent_mean/],
    ['a placeholder beyond the vocabulary', { metadata: { 'unipic.image_token_id': 260 } }, 'config', /260/],
    ['a template without its place', { metadata: { 'unipic.template.paint': 'paint' } }, 'config', /\{prompt\}/],
    ['a language model of no known kind', { metadata: { 'unipic.language_model': 'mamba' } }, 'architecture', /mamba/],
    ['heads that do not divide', { metadata: { 'unipic.mar.head_count': 3 } }, 'config', /head_count/],
  ] as const)('%s: refused', async (_what, options: TinyUniPicOptions, code, message) => {
    const backend = createReferenceBackend();
    await expect(load(options, {}, backend)).rejects.toMatchObject({
      name: 'ModelError',
      code,
      message: expect.stringMatching(message),
    });
    expect(backend.memory().allocations).toBe(0);
  });
});

describe('seeing', () => {
  test.each(['mar', 'siglip'] as const)('%s: in steps and at once are the same, and nothing is left', async (route) => {
    const model = await load({ tokenizer: 'kl', siglip: true });
    const { backend } = model.language;
    const atOnce = await seen(model, noise(16), 16, route);
    const before = backend.memory().allocations;
    const held = new Held(backend);
    let pauses = 0;
    const visual = await paced(seeing(model, noise(16), 16, held, route), async () => void pauses++);
    expectSame(await backend.download(visual), atOnce, route);
    expect(pauses).toBeGreaterThan(1);
    held.free();
    await expect(
      paced(seeing(model, noise(16), 16, held, route), () => Promise.reject(new Error('stop'))),
    ).rejects.toThrow('stop');
    held.free();
    expect(backend.memory().allocations).toBe(before);
  });

  test('image tokens come first: a pixel changes the buffers, too, and other pictures give other rows', async () => {
    const model = await load();
    const [a, b] = [noise(16), noise(16)];
    b[0] = -b[0]!;
    const [x, y] = [await seen(model, a, 16), await seen(model, b, 16)];
    expect(x).toHaveLength((16 + TINY.buffers) * 64);
    for (let row = 0; row < 16 + TINY.buffers; row++)
      expect(x.subarray(row * 64, row * 64 + 64)).not.toEqual(y.subarray(row * 64, row * 64 + 64));
    expect(await seen(model, noise(32), 32)).toHaveLength((64 + TINY.buffers) * 64);
  });

  test.each([
    [15, '15 pixels a side; this model reads squares of 16, 32 pixels'],
    [32, 'pixels: 768 values'],
  ])('pictures of %s', async (size, message) => {
    const model = await load();
    expect(() => see(model, noise(16), size)).toThrow(message);
    expect(() => see(model, noise(16).fill(NaN, 5, 6), 16)).toThrow('not numbers from -1 to 1');
  });
});

describe('the KL autoencoder', () => {
  test('bands of rows give what the whole picture gives', async () => {
    const whole = await load({ tokenizer: 'kl' });
    const pixels = noise(32);
    const wanted = await seen(whole, pixels, 32);
    const tokens = random(4).normals(64 * TINY.channels);
    const decode = async (model: Model): Promise<{ parts: number; pixels: Float32Array }> => {
      const { backend } = model.language;
      const held = new Held(backend);
      const parts = await paced(model.paint!.pictures.decode(tokens, 32, held), async () => {});
      const values = await Promise.all(parts.map((part) => backend.download(part)));
      held.free();
      return { parts: parts.length, pixels: Float32Array.from(values.flatMap((part) => [...part])) };
    };
    const one = await decode(whole);
    expect(one.parts).toBe(1);
    // Halos make the least band about four rows of the widest level.
    for (const bandBytes of [1, 9_000, 14_000, 30_000]) {
      const banded = await load({ tokenizer: 'kl' }, { bandBytes });
      expectClose(await seen(banded, pixels, 32), wanted, 1e-5, `seen in bands of ${bandBytes} bytes`);
      const found = await decode(banded);
      expect(found.parts).toBeGreaterThan(1);
      expectClose(found.pixels, one.pixels, 1e-5, `painted in bands of ${bandBytes} bytes`);
    }
  });
});

describe('positions and patches', () => {
  test('interpolation: a plane stays a plane inside, borders are repeated, the same grid is the same', () => {
    const plane = Float32Array.from({ length: 16 * 2 }, (_, i) => (i % 2 === 0 ? Math.floor(i / 8) : (i >> 1) % 4));
    expect(interpolateGrid(plane, 4, 4, 2)).toBe(plane);
    const doubled = interpolateGrid(plane, 4, 8, 2);
    // Pixel centres: row y of 8 lies at y / 2 - 1/4 of 4, between the first and the last.
    const at = (y: number): number => Math.min(3, Math.max(0, y / 2 - 0.25));
    for (let y = 0; y < 8; y++)
      for (let x = 0; x < 8; x++)
        expect([...doubled.subarray((y * 8 + x) * 2, (y * 8 + x) * 2 + 2)]).toEqual([at(y), at(x)]);
    // PyTorch 2.13: F.interpolate(torch.arange(9.).reshape(1, 1, 3, 3), (2, 2), mode='bilinear')
    expect([
      ...interpolateGrid(
        Float32Array.from({ length: 9 }, (_, i) => i),
        3,
        2,
        1,
      ),
    ]).toEqual([1, 2.5, 5.5, 7]);
  });

  test('patches: raster order, rows of pixels within, and back', () => {
    const pixels = Float32Array.from({ length: 8 * 8 * 3 }, (_, i) => i);
    const rows = patchRows(pixels, { width: 8, height: 8, patch: TINY_PATCH, order: 'pixels' });
    // The second patch begins at pixel (0, 4), its second row of pixels at (1, 4).
    expect([...rows.subarray(48, 51)]).toEqual([12, 13, 14]);
    expect([...rows.subarray(60, 63)]).toEqual([(8 + 4) * 3, (8 + 4) * 3 + 1, (8 + 4) * 3 + 2]);
    expect(fromPatches(rows, 8, TINY_PATCH)).toEqual(pixels);
  });
});
