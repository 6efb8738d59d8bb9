/** `octavo rerank`, in this process. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { run } from '../../src/cli/run.ts';
import { createFace } from '../../src/face/octavo.ts';
import { testPlace, testPlatform } from '../support/engine.ts';
import { tinyEncoder } from '../support/tiny-encoder.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-rerank-'));
  for (const kind of ['bert-rank', 'bert'])
    for (const [name, bytes] of Object.entries(await tinyEncoder(kind))) {
      mkdirSync(dirname(join(folder, kind, name)), { recursive: true });
      writeFileSync(join(folder, kind, name), bytes);
    }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function rerank(args: string[], input = ''): Promise<{ code: number; output: string; errors: string }> {
  const captured = { output: '', errors: '' };
  const into = (name: keyof typeof captured): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        captured[name] += chunk.toString();
        done();
      },
    });
  const place = testPlace();
  const code = await run(['rerank', ...args, '--device', 'wasm', '--threads', '1'], {
    input: Readable.from([Buffer.from(input)]),
    output: into('output'),
    errors: into('errors'),
    face: createFace(place),
    place,
    platform: testPlatform,
    version: '1.2.3',
  });
  return { code, ...captured };
}

const PASSAGES = 'a cat\n\ndog dog\ncat and dog\n';
const model = (): string[] => ['--model', join(folder, 'bert-rank')];

test('passages of a file or of standard input, the best first, as the model ranks them', async () => {
  const file = join(folder, 'passages.txt');
  writeFileSync(file, PASSAGES);
  const { code, output, errors } = await rerank([...model(), 'cat', file, '--json']);
  expect([code, errors]).toEqual([0, '']);
  const rows = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { index: number; score: number; text: string });
  const face = createFace(testPlace());
  const loaded = await face.load(join(folder, 'bert-rank'), { device: 'wasm', threads: 1 });
  const texts = ['a cat', 'dog dog', 'cat and dog'];
  const truth = await loaded.rerank('cat', texts);
  await loaded.destroy();
  expect(rows).toEqual(truth.map(({ index, score }) => ({ index: [0, 2, 3][index], score, text: texts[index] })));
  expect(rows[0]!.score).toBeGreaterThanOrEqual(rows[2]!.score);
  const piped = await rerank([...model(), 'cat', '--top', '2'], PASSAGES);
  expect(piped.output).toBe(
    rows
      .slice(0, 2)
      .map(({ score, text }) => `${score.toFixed(4)}   ${text}\n`)
      .join(''),
  );
});

test('what is missing or wrong', async () => {
  expect(await rerank([...model()], PASSAGES)).toMatchObject({ code: 2, errors: expect.stringContaining('query') });
  expect(await rerank([...model(), 'cat'], '\n \n')).toMatchObject({
    code: 2,
    errors: expect.stringContaining('no passages'),
  });
  expect(await rerank(['cat'], PASSAGES)).toMatchObject({ code: 2, errors: expect.stringContaining('--model') });
  expect(await rerank([...model(), 'cat', '--top', '0'], PASSAGES)).toMatchObject({ code: 2 });
  expect(await rerank([...model(), 'cat', join(folder, 'none.txt')])).toMatchObject({
    code: 1,
    errors: expect.stringContaining('none.txt'),
  });
  expect(await rerank(['--model', join(folder, 'bert'), 'cat'], PASSAGES)).toMatchObject({ code: 1 });
});
