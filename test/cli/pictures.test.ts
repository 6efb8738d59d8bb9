/** see, paint and edit on the command line, with a tiny random model: what they print, what they write, and how they refuse. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { run } from '../../src/cli/run.ts';
import { createFace } from '../../src/face/octavo.ts';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { encodePng, readImage } from '../../src/vision/index.ts';
import { testPlace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';
import { ggufPair, visionFixture } from '../support/vision-fixtures.ts';

let folder: string;
let model: string;
let blind: string;
let photo: string;
const place = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-cli-'));
  [model, blind, photo] = [place('tiny.gguf'), place('blind.gguf'), place('photo.png')];
  writeFileSync(model, tinyUniPic());
  writeFileSync(blind, tinyModel());
  writeFileSync(
    photo,
    await encodePng({
      data: Uint8ClampedArray.from({ length: 4 * 30 * 20 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256)),
      width: 30,
      height: 20,
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function octavo(...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  const [output, errors, here] = [new Captured(), new Captured(), testPlace()];
  const code = await run([...args, '--device', 'wasm', '--threads', '1'], {
    input: Readable.from([]),
    output,
    errors,
    face: createFace(here),
    place: here,
    platform: testPlatform,
    version: '1.2.3',
  });
  return { code, output: output.text, errors: errors.text };
}
const FEW = ['--steps', '2', '--diffusion-steps', '2'];
const pixels = (file: string): ReturnType<typeof readImage> =>
  readImage(readFileSync(file), { decoder: createNodeDecoder() });

describe('see', () => {
  test('a language model with its vision part, without it, and with another', async () => {
    const { 'text.gguf': text, 'mmproj-model.gguf': sees } = ggufPair(await visionFixture('qwen2vl'));
    const other = ggufPair(await visionFixture('qwen3vl'))['mmproj-model.gguf']!;
    const [language, projector, wrong] = [place('qwen.gguf'), place('sees.gguf'), place('wrong.gguf')];
    writeFileSync(language, text!);
    writeFileSync(projector, sees!);
    writeFileSync(wrong, other);
    const asked = (...more: string[]): ReturnType<typeof octavo> =>
      octavo('see', photo, 'What is it?', '--model', language, '--max-tokens', '4', '--json', ...more);
    const seen = await asked('--mmproj', projector);
    expect(seen).toMatchObject({ code: 0, errors: '' });
    expect((JSON.parse(seen.output) as { tokens: { prompt: number } }).tokens.prompt).toBeGreaterThan(30);
    const unseen = await asked();
    expect(unseen.code).toBe(1);
    expect(unseen.errors).toMatch(/reads text only.*vision part \(mmproj\)/);
    const misfit = await asked('--mmproj', wrong);
    expect(misfit.code).toBe(1);
    expect(misfit.errors).toMatch(/give the qwen3vl or qwen35 model that it belongs to/);
    const missing = await asked('--mmproj', place('none.gguf'));
    expect(missing.code).toBe(1);
    expect(missing.errors).toMatch(/none\.gguf/);
  });

  test('an answer as text, and as JSON', async () => {
    const json = await octavo('see', photo, 'What is it?', '--model', model, '--max-tokens', '5', '--json');
    expect(json).toMatchObject({ code: 0, errors: '' });
    const { answer, tokens } = JSON.parse(json.output) as {
      answer: string;
      tokens: { prompt: number; generated: number };
    };
    expect(tokens).toMatchObject({ generated: 5 });
    expect((await octavo('see', photo, 'What is it?', '--model', model, '--max-tokens', '5')).output).toBe(
      `${answer}\n`,
    );
  });

  test('refuses a model that does not see, a file that is no picture, one that is not there, and half a command', async () => {
    expect(await octavo('see', photo, 'What?', '--model', blind)).toMatchObject({
      code: 1,
      output: '',
      errors: expect.stringContaining('octavo: '),
    });
    expect(await octavo('see', model, 'What?', '--model', model)).toMatchObject({
      code: 1,
      errors: expect.stringContaining('tiny.gguf'),
    });
    expect(await octavo('see', place('none.png'), 'What?', '--model', model)).toMatchObject({
      code: 1,
      errors: expect.stringContaining('none.png'),
    });
    expect(await octavo('see', photo, '--model', model)).toMatchObject({
      code: 2,
      errors: expect.stringContaining('Usage: octavo see'),
    });
  });
});

describe('paint and edit', () => {
  test('a PNG of the size asked for; a seed repeats it', async () => {
    const [first, again] = [place('a.png'), place('b.png')];
    const { code, output } = await octavo(
      'paint',
      'a red circle',
      '-o',
      first,
      '--model',
      model,
      '--size',
      '16',
      '--seed',
      '5',
      ...FEW,
    );
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringMatching(/a\.png {3}16 x 16, seed 5, \d+ ms\n$/),
    });
    await octavo('paint', 'a red circle', '--out', again, '--model', model, '--size', '16', '--seed', '5', ...FEW);
    const painted = await pixels(first);
    expect([painted.width, painted.height]).toEqual([16, 16]);
    expect(readFileSync(again).equals(readFileSync(first))).toBe(true);
  });

  test('several, numbered, as JSON lines', async () => {
    const { code, output } = await octavo(
      'paint',
      'two',
      '-o',
      place('many.png'),
      '--model',
      model,
      '--size',
      '16',
      '--seed',
      '1',
      '--count',
      '2',
      '--json',
      ...FEW,
    );
    expect(code).toBe(0);
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string; seed: number });
    expect(lines).toMatchObject([
      { file: place('many-1.png'), seed: 1 },
      { file: place('many-2.png'), seed: 2 },
    ]);
    expect(lines.every(({ file }) => existsSync(file))).toBe(true);
  });

  test('an edit of a file', async () => {
    const { code } = await octavo(
      'edit',
      photo,
      'Remove it',
      '-o',
      place('edited.png'),
      '--model',
      model,
      '--size',
      '16',
      '--seed',
      '2',
      ...FEW,
    );
    expect(code).toBe(0);
    expect((await pixels(place('edited.png'))).width).toBe(16);
  });

  test('refusals say what to do, and write nothing', async () => {
    const out = place('never.png');
    expect(await octavo('paint', 'words', '-o', out, '--model', blind)).toMatchObject({
      code: 1,
      errors: expect.stringContaining('paint'),
    });
    expect(await octavo('paint', 'words', '-o', out, '--model', model, '--size', '17')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('16, 32'),
    });
    expect(await octavo('paint', 'words', '-o', out, '--model', model, '--steps', '-1')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('steps'),
    });
    expect(await octavo('paint', '-o', out, '--model', model)).toMatchObject({ code: 2 });
    expect(await octavo('paint', 'words', '--model', model)).toMatchObject({
      code: 2,
      errors: expect.stringContaining('--out is missing'),
    });
    expect(
      await octavo('edit', photo, 'Remove it', '-o', place('no/folder.png'), '--model', model, '--size', '16', ...FEW),
    ).toMatchObject({ code: 1, errors: expect.stringContaining('folder') });
    expect(existsSync(out)).toBe(false);
  });
});
