/** `octavo embed`, in this process. */
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
  folder = mkdtempSync(join(tmpdir(), 'octavo-cli-'));
  for (const [name, bytes] of Object.entries(await tinyEncoder('bert'))) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function octavo(args: string[], input = ''): Promise<{ code: number; output: string; errors: string }> {
  const captured = { output: '', errors: '' };
  const into = (name: keyof typeof captured): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        captured[name] += chunk.toString();
        done();
      },
    });
  const place = testPlace();
  const code = await run(args[0] === 'embed' ? [...args, '--device', 'wasm', '--threads', '1'] : args, {
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

const rows = (output: string): { index: number; truncated?: boolean; embedding: number[] }[] =>
  output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { index: number; embedding: number[] });

test('texts of the command line, and lines of standard input', async () => {
  const { code, output, errors } = await octavo(['embed', '--model', folder, 'a cat', 'dog']);
  expect([code, errors]).toEqual([0, '']);
  const given = rows(output);
  expect(given.map(({ index, embedding }) => [index, embedding.length])).toEqual([
    [0, 32],
    [1, 32],
  ]);
  expect(Math.hypot(...given[0]!.embedding)).toBeCloseTo(1, 5);
  const piped = rows((await octavo(['embed', '--model', folder], 'a cat\n\ndog\n')).output);
  expect(piped).toEqual(given);
});

test('a kind, a width, and a text that is too long', async () => {
  const { output } = await octavo([
    'embed',
    '--model',
    folder,
    '--kind',
    'query',
    '--dimensions',
    '4',
    'cat',
    'a '.repeat(100),
  ]);
  expect(rows(output).map(({ truncated, embedding }) => [truncated, embedding.length])).toEqual([
    [undefined, 4],
    [true, 4],
  ]);
});

test('what is missing or wrong', async () => {
  expect(await octavo(['embed', '--model', folder])).toMatchObject({ code: 2 });
  expect(await octavo(['embed', 'text'])).toMatchObject({ code: 2 });
  expect(await octavo(['embed', '--model', folder, '--kind', 'question', 'a'])).toMatchObject({ code: 2 });
  const wide = await octavo(['embed', '--model', folder, '--dimensions', '99', 'a']);
  expect(wide.code).toBe(1);
  expect(wide.errors).toContain('1 to 32');
});

test('octavo inspect knows an encoder', async () => {
  const { code, output } = await octavo(['inspect', folder, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(output)).toMatchObject({ config: { architecture: 'bert', hidden: 32, contextWindow: 64 } });
});
