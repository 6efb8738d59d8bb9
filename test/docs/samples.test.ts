/**
 * Every code sample of the guides and the README: all are type-checked in one program against the published types, by the package's own name, and
 * those marked `run` run in Node with nano and print what their comments say.
 */
import { describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { transformSync } from 'esbuild';
import { pages, printed, samplesOf, type Sample } from './samples.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
/** Inside of the package, so that `octavo` is this package, as its exports map says. */
const folder = join(root, 'build/samples');
const samples = pages().flatMap((file) => samplesOf(file));
const runnable = samples.filter(({ runs }) => runs);

/** Where a sample is written. Its lines keep the numbers that they have in the page, so that errors name them. */
const written = ({ file, line, language }: Sample): string => join(folder, `${file}.${line}.${language}`);

async function typeCheck(files: readonly Sample[]): Promise<string> {
  for (const sample of files) {
    mkdirSync(dirname(written(sample)), { recursive: true });
    writeFileSync(written(sample), `${'\n'.repeat(sample.line - 1)}${sample.code}\nexport {};\n`);
  }
  const config = {
    compilerOptions: {
      target: 'ES2022',
      module: 'ESNext',
      moduleResolution: 'bundler',
      lib: ['ES2024', 'ESNext.Disposable', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
      types: ['node', '@webgpu/types'],
      jsx: 'react-jsx',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: true,
      noEmit: true,
    },
    files: [...files.map(written), join(root, 'test/docs/world.d.ts'), join(root, 'test/docs/packages.d.ts')],
  };
  const project = join(folder, 'tsconfig.json');
  writeFileSync(project, JSON.stringify(config));
  try {
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project], { cwd: folder });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

test('all samples fit the published types', async () => {
  rmSync(folder, { recursive: true, force: true });
  expect(samples.length).toBeGreaterThan(25);
  expect(await typeCheck(samples)).toBe('');
});

test('a sample that does not fit is found, in the line of its page', async () => {
  const text =
    'A page.\n\n```ts\nimport { Octavo } from "octavo";\n\nconst model: number = await Octavo.load("nano");\n```\n';
  const faults = await typeCheck(samplesOf('wrong.md', text));
  expect(faults).toMatch(/^wrong\.md\.4\.ts\(6,7\): error TS2322/);
});

test('a block whose code would not be checked is an error', () => {
  expect(() => samplesOf('a.md', '```js\nawait 1;\n```')).toThrow('a.md:1: a block of language js');
  expect(() => samplesOf('a.md', '```\nawait 1;\n```')).toThrow('a.md:1');
  expect(() => samplesOf('a.md', 'Text\n\n    const a = await b();')).toThrow('a.md:3: an indented block with code');
  const [script] = samplesOf('a.md', 'Text\n\n```html\n<p>\n<script type="module">\nawait 1;\n</script>\n```');
  expect(script).toMatchObject({ code: 'await 1;\n', line: 6 });
});

describe('samples that run', () => {
  let outcomes: Readonly<Record<string, { readonly lines: readonly string[]; readonly error?: string }>> = {};

  test('run with nano in Node', async () => {
    const scripts = runnable.map((sample) => {
      const script = `${written(sample)}.mjs`;
      mkdirSync(dirname(script), { recursive: true });
      writeFileSync(script, transformSync(sample.code, { loader: sample.language, target: 'es2022' }).code);
      return script;
    });
    const { stdout } = await run(process.execPath, [join(root, 'test/docs/run.mjs'), ...scripts], {
      cwd: root,
      maxBuffer: 1 << 26,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    outcomes = JSON.parse(stdout) as typeof outcomes;
    expect(Object.keys(outcomes)).toHaveLength(runnable.length);
  });

  test.each(runnable.map((sample) => [`${sample.file}:${sample.line}`, sample] as const))('%s', (_name, sample) => {
    const { lines, error } = outcomes[`${written(sample)}.mjs`]!;
    expect(error).toBeUndefined();
    const expected = printed(sample);
    // A sample that nothing is expected of could not fail.
    expect(expected.length).toBeGreaterThan(0);
    expect(lines).toEqual(expected);
  });
});
