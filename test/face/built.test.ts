/** The built package in Node, as a user has it: engine in a worker thread, command line as a process. Needs `npm run build`; skipped (and counted) without. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Octavo as OctavoType } from '../../src/node.ts';
import type * as OpenAIModule from '../../src/openai/index.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const built = existsSync(join(dist, 'node-worker.js'));
if (!built) console.warn('skipped: dist/ is not built');
const story = built ? test : test.skip;

let folder: string;
let model: string;
let Octavo: typeof OctavoType;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-built-'));
  model = join(folder, 'tiny.gguf');
  writeFileSync(model, tinyModel());
  if (built) ({ Octavo } = (await import(join(dist, 'node.js'))) as { Octavo: typeof OctavoType });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

function node(
  args: readonly string[],
  options: { readonly input?: string; readonly closeAfter?: number } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [...args], { stdio: 'pipe', env: { ...process.env, NODE_OPTIONS: '' } });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (options.closeAfter !== undefined && output.length >= options.closeAfter) child.stdout.destroy();
  });
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output, errors })));
}
const cli = (args: readonly string[], options?: Parameters<typeof node>[1]): Promise<Ended> =>
  node([join(dist, 'cli.js'), ...args], options);

describe('in Node, from dist/', () => {
  story('a path, bytes and a Blob give the same answer, off this thread', async () => {
    const answers: string[] = [];
    for (const input of [model, pathToFileURL(model), tinyModel(), new Blob([tinyModel()])]) {
      const loaded = await Octavo.load(input, { device: 'wasm' });
      const session = await loaded.createSession({ temperature: 0, maxTokens: 16 });
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      answers.push(await session.prompt('What is in a name? '.repeat(10)));
      clearInterval(timer);
      expect(ticks).toBeGreaterThan(0);
      await loaded.destroy();
      await expect(session.prompt('Hello')).rejects.toMatchObject({ code: 'destroyed' });
    }
    expect(new Set(answers).size).toBe(1);
  });

  story('no aborted or failing call ends the process', async () => {
    const unipic = join(folder, 'unipic.gguf');
    writeFileSync(unipic, tinyUniPic());
    const script = `
      import { Octavo } from ${JSON.stringify(pathToFileURL(join(dist, 'node.js')).href)};
      const model = await Octavo.load(${JSON.stringify(unipic)}, { device: 'wasm' });
      const session = await model.createSession();
      const image = { type: 'image', value: new URL('file:///nowhere.png') };
      const ask = [{ role: 'user', content: [image, { type: 'text', value: 'What is this?' }] }];
      const named = (call) => call.catch((error) => error.name);
      const told = await Promise.all([
        named(session.prompt(ask, { signal: AbortSignal.abort() })),
        named(session.append(ask, { signal: AbortSignal.abort() })),
        named(session.measureContextUsage(ask, { signal: AbortSignal.abort() })),
        named(model.createSession({ initialPrompts: ask, signal: AbortSignal.abort() })),
        named(session.prompt(ask)),
        named(session.save('a', { signal: AbortSignal.abort(), persist: () => Promise.reject(new Error('no')) })),
        named(session.prompt('Hello', { maxTokens: 2, onPrefill: () => { throw new RangeError('mine'); } })),
      ]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await model.destroy();
      console.log(told.join());
    `;
    const { code, output, errors } = await node(['--input-type=module', '-e', script]);
    expect(errors).toBe('');
    expect(output.trim()).toBe('AbortError,AbortError,AbortError,AbortError,FileError,AbortError,RangeError');
    expect(code).toBe(0);
  });

  story('sees, paints and edits, off this thread', async () => {
    const loaded = await Octavo.load(tinyUniPic(), { device: 'wasm' });
    expect(loaded.capabilities).toMatchObject({
      generate: true,
      chat: true,
      see: true,
      paint: true,
      edit: true,
      missing: [],
    });
    const options = { seed: 3, steps: 2, diffusionSteps: 2 };
    const progress: number[] = [];
    const previews: number[] = [];
    const painted = await loaded.paint({
      prompt: 'a cat',
      ...options,
      onProgress: ({ tokens }) => progress.push(tokens),
      onPreview: ({ data }) => previews.push(data.length),
    });
    expect(progress.at(-1)).toBe(16);
    expect(previews).toEqual([4 * 16 * 16]);
    const file = join(folder, 'cat.png');
    writeFileSync(file, await painted.toPng());
    const edited = await loaded.edit({ instruction: 'no cat', image: file, ...options, count: 2 });
    expect(edited.map(({ seed }) => seed)).toEqual([3, 4]);
    const session = await loaded.createSession({ temperature: 0, maxTokens: 3 });
    const ask = (value: unknown): Promise<string> =>
      session.prompt([
        {
          role: 'user',
          content: [
            { type: 'image', value },
            { type: 'text', value: 'What?' },
          ],
        },
      ]);
    await ask(pathToFileURL(file));
    expect(session.contextUsage).toBeGreaterThan(19);
    expect(painted.data).toHaveLength(4 * 16 * 16);
    await expect(ask(join(folder, 'no.png'))).rejects.toMatchObject({ name: 'FileError', code: 'missing' });
    await expect(loaded.paint({ prompt: 'a cat', size: 7 })).rejects.toMatchObject({
      name: 'InputError',
      facts: { sizes: [16, 32] },
    });
    await loaded.destroy();
  });

  story('errors keep their class across the thread', async () => {
    const { FileError } = (await import(join(dist, 'node.js'))) as { FileError: typeof Error };
    const error = await Octavo.load(join(folder, 'no.gguf')).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(FileError);
    expect(error).toMatchObject({ code: 'missing' });
  });

  story('aborts reach the thread', async () => {
    const loaded = await Octavo.load(model, { device: 'wasm' });
    const session = await loaded.createSession({ temperature: 0 });
    const controller = new AbortController();
    const call = (async () => {
      for await (const piece of session.promptStreaming('Hello', { signal: controller.signal }))
        if (piece !== '') controller.abort(new RangeError('enough'));
    })();
    await expect(call).rejects.toThrow('enough');
    expect(await session.prompt('Hello', { maxTokens: 4 })).toHaveLength(4);
    await loaded.destroy();
  });

  story('a model that is left open does not keep the process alive', async () => {
    const script = `import { Octavo } from ${JSON.stringify(pathToFileURL(join(dist, 'node.js')).href)};
      const model = await Octavo.load(${JSON.stringify(model)}, { device: 'wasm' });
      const session = await model.createSession({ temperature: 0, maxTokens: 3 });
      console.log((await session.prompt('Hello')).length);`;
    expect(await node(['--input-type=module', '-e', script])).toMatchObject({ code: 0, output: '3\n' });
  });
});

describe('octavo/openai and Octavo.connect, from dist/', () => {
  story('a fetch over a loaded model, a model over that fetch, and errors that keep their class', async () => {
    const { createFetch } = (await import(join(dist, 'openai.js'))) as typeof OpenAIModule;
    const { InputError } = (await import(join(dist, 'node.js'))) as { InputError: typeof Error };
    const loaded = await Octavo.load(model, { device: 'wasm' });
    const far = await Octavo.connect({ baseURL: 'http://octavo.local/v1', fetch: createFetch(loaded) });
    const answers: string[] = [];
    for (const one of [loaded, far]) {
      const session = await one.createSession({ temperature: 0, maxTokens: 16 });
      answers.push(await session.prompt('What is in a name?'));
    }
    expect(answers[1]).toBe(answers[0]);
    expect(far.device.kind).toBe('server');
    const session = await far.createSession();
    const refused = await session.prompt('word '.repeat(600)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(InputError);
    expect(refused).toMatchObject({ code: 'too-long' });
    await far.destroy();
    await loaded.destroy();
  });
});

describe('octavo/ai-sdk, from dist/', () => {
  story('loads what it is given with the first call', async () => {
    const script = `import { generateText } from 'ai';
      import { octavo } from ${JSON.stringify(pathToFileURL(join(dist, 'ai-sdk.js')).href)};
      const { text } = await generateText({ model: octavo(${JSON.stringify(model)}, { load: { device: 'wasm' } }), prompt: 'Hello', temperature: 0, maxOutputTokens: 5 });
      console.log(text.length);`;
    const path = join(dist, 'built-story.mjs');
    writeFileSync(path, script);
    try {
      expect(await node([path])).toEqual({ code: 0, output: '5\n', errors: '' });
    } finally {
      rmSync(path);
    }
  });
});

describe('octavo, the command', () => {
  story('generates', async () => {
    const { code, output } = await cli([
      'generate',
      '--model',
      model,
      '--prompt',
      'Once',
      '--temperature',
      '0',
      '--max-tokens',
      '5',
      '--json',
      '--device',
      'wasm',
    ]);
    expect(code).toBe(0);
    expect((JSON.parse(output) as { ids: number[] }).ids).toHaveLength(5);
  });

  story('a closed pipe ends it quietly', async () => {
    const { code, errors } = await cli(['inspect', model, '--json'], { closeAfter: 1 });
    expect([0, null]).toContain(code);
    expect(errors).toBe('');
    const lines = Array.from({ length: 20_000 }, (_, i) => `"line ${i}"\n`).join('');
    const long = await cli(['tokenize', '--model', model, '--jsonl'], { input: lines, closeAfter: 1 });
    expect(long.code).toBe(0);
    expect(long.errors).toBe('');
  });

  story('large input arrives whole', async () => {
    const text = 'Ünïcödé 世界 '.repeat(20_000);
    const { output } = await cli(['tokenize', '--model', model], { input: text });
    expect((JSON.parse(output) as number[]).length).toBe(new TextEncoder().encode(text).length);
  });

  story('exit codes', async () => {
    expect((await cli(['inspect', join(folder, 'no.gguf')])).code).toBe(1);
    expect((await cli(['dance'])).code).toBe(2);
    expect((await cli([])).code).toBe(0);
  });
});
