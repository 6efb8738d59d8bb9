/** octavo pull, octavo models; what the terminal is protected from; files that are not overwritten. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { memoryAt4k } from '../../src/cli/models/page.ts';
import { RECOMMENDED } from '../../src/cli/models/recommended.ts';
import { run } from '../../src/cli/run.ts';
import { visible } from '../../src/cli/terminal.ts';
import { report } from '../../src/engine/report.ts';
import { createFace } from '../../src/face/octavo.ts';
import { architectures } from '../../src/models/registry.ts';
import { FolderRecords } from '../../src/store/folder-records.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { FileServer } from '../load/server.ts';
import { testPlace, testPlatform } from '../support/engine.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { realModel } from '../support/models.ts';
import { tinyModel } from '../support/tiny-model.ts';

const server = new FileServer();
const model = writeGguf({ 'general.architecture': 'llama' }, [f32Tensor('a', [3], [1, 2, 3])]);
let base = '';
let folder = '';

beforeAll(async () => {
  base = await server.start();
  folder = mkdtempSync(join(tmpdir(), 'octavo-cli-'));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  server.reset();
  server.files.set('/m.gguf', { bytes: model, etag: '"one"' });
});

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function octavo(...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  const output = new Captured();
  const errors = new Captured();
  const place = { ...testPlace(), store: async () => new ModelStore(new FolderRecords(join(folder, 'models'))) };
  const face = createFace(place);
  const code = await run(args, {
    input: Readable.from([]),
    output,
    errors,
    face,
    place,
    platform: testPlatform,
    version: '1.2.3',
  });
  return { code, output: output.text, errors: errors.text };
}

test('pull, models list, models remove', async () => {
  const address = `${base}/m.gguf?token=hunter2`;
  expect(await octavo('models', 'list')).toMatchObject({ code: 0, output: expect.stringMatching(/no model is kept/) });
  expect(await octavo('pull', address, '--header', 'Authorization: Bearer x')).toMatchObject({
    code: 0,
    errors: '',
    output: expect.stringMatching(/m\.gguf {3}/),
  });
  expect(server.requests[0]!.headers.authorization).toBe('Bearer x');
  const listed = await octavo('models', 'list');
  expect(listed.output).toContain(`${base}/m.gguf`);
  expect(listed.output).not.toContain('hunter2');
  expect(JSON.parse((await octavo('models', 'list', '--json')).output)).toMatchObject({
    complete: true,
    received: model.length,
  });
  expect(await octavo('models', 'remove', address)).toMatchObject({
    code: 0,
    output: expect.stringMatching(/1 file removed/),
  });
  expect(await octavo('models', 'remove', address)).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/not kept here/),
  });
  await octavo('pull', `${base}/m.gguf`);
  expect(await octavo('models', 'remove', '--all')).toMatchObject({ code: 0 });
  expect((await octavo('models', 'list')).output).toMatch(/no model is kept/);
  expect(await octavo('models', 'remove')).toMatchObject({ code: 2 });
  expect(await octavo('pull', 'some/path.gguf')).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/not a URL/),
  });
  expect(await octavo('pull', `${base}/none.gguf`)).toMatchObject({ code: 1, errors: expect.stringMatching(/404/) });
});

describe('what a file says cannot drive the terminal', () => {
  const ESCAPE = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202etxt';
  test('inspect', async () => {
    const path = join(folder, 'escape.gguf');
    writeFileSync(
      path,
      writeGguf({ 'general.name': ESCAPE, [`key${ESCAPE}`]: 1, list: [ESCAPE] }, [f32Tensor(`t${ESCAPE}`, [1], [1])]),
    );
    for (const args of [
      ['inspect', path],
      ['inspect', path, '--json'],
    ]) {
      const { code, output } = await octavo(...args);
      expect(code).toBe(0);
      expect(output).toContain('owned');
      // oxlint-disable-next-line no-control-regex
      expect(output).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    }
  });
  test('errors', async () => {
    const path = join(folder, 'bad.gguf');
    const twice = f32Tensor(`t${ESCAPE}`, [1], [1]);
    writeFileSync(path, writeGguf({}, [twice, twice]));
    const { code, errors } = await octavo('inspect', path);
    expect(code).toBe(1);
    expect(errors).toContain('\\x1b]0;owned\\x07');
    // oxlint-disable-next-line no-control-regex
    expect(errors).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  });
  test('visible', () => {
    expect(visible('a\tb\nü😀')).toBe('a\tb\nü😀');
    expect(visible('\u001b[1m\u0000\u007f\u0085\u2066')).toBe('\\x1b[1m\\x00\\x7f\\x85\\u2066');
  });
});

test('messages have a bound, whatever a file calls its tensors', async () => {
  const path = join(folder, 'long.gguf');
  const twice = f32Tensor('n'.repeat(60_000), [1], [1]);
  writeFileSync(path, writeGguf({}, [twice, twice]));
  expect((await octavo('inspect', path)).errors.length).toBeLessThan(2100);
});

test('paint and edit do not overwrite, and say so before anything is loaded', async () => {
  const out = join(folder, 'picture.png');
  const second = join(folder, 'some-2.png');
  for (const file of [out, second]) writeFileSync(file, 'mine');
  const no = { code: 1, errors: expect.stringMatching(/exists; choose another --out, or overwrite it with --force/) };
  expect(await octavo('paint', 'words', '-o', out, '--model', '/none.gguf')).toMatchObject(no);
  expect(await octavo('paint', 'words', '-o', join(folder, 'picture'), '--model', '/none.gguf')).toMatchObject(no);
  expect(
    await octavo('paint', 'words', '-o', join(folder, 'some.png'), '--count', '3', '--model', '/none.gguf'),
  ).toMatchObject(no);
  expect(await octavo('edit', out, 'words', '-o', out, '--model', '/none.gguf')).toMatchObject(no);
  expect(await octavo('paint', 'words', '-o', out, '--force', '--model', '/none.gguf')).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/none\.gguf/),
  });
  expect(readFileSync(out, 'utf8')).toBe('mine');
});

describe('octavo models', () => {
  test('recommended files, and those kept here', async () => {
    const { code, output } = await octavo('models');
    expect(code).toBe(0);
    expect(output).toContain('hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/');
    expect(output).toMatch(/491\.4 MB, 592\.1 MB of memory at 4k, window 32,768, Apache-2\.0, tested by its weights/);
    expect(output).toMatch(/Kept on this machine\n {2}no model is kept/);
    await octavo('pull', `${base}/m.gguf`);
    const { recommended, kept } = JSON.parse((await octavo('models', '--json')).output) as Record<string, unknown[]>;
    expect(recommended!.length).toBeGreaterThan(15);
    expect(kept).toHaveLength(1);
    await octavo('models', 'remove', '--all');
  });

  test('docs/models.md is what the command prints (octavo models --markdown > docs/models.md)', async () => {
    const page = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
    expect((await octavo('models', '--markdown')).output).toBe(page);
  });

  test('what is recommended has an architecture that is supported, and a size', () => {
    const { generate, encode } = architectures('gguf');
    for (const { input, architecture, bytes, window, loaded, approximate } of RECOMMENDED) {
      const [name = ''] = architecture.split(', ');
      expect([...generate, ...encode, 'unipic']).toContain(name);
      expect(input).toMatch(/^(nano(-text)?|hf:[\w.-]+\/[\w.-]+(\/[\w.-]+\.gguf)?)$/);
      expect(bytes).toBeGreaterThan(1e6);
      expect(window).toBeGreaterThan(100);
      if (approximate !== undefined && !input.startsWith('nano')) expect(loaded).toBe(false);
    }
    expect(new Set(RECOMMENDED.map(({ input }) => input)).size).toBe(RECOMMENDED.length);
  });

  test('a file: what it is, whether it runs here, and why not', async () => {
    const path = join(folder, 'tiny.gguf');
    writeFileSync(path, tinyModel({ window: 2048, metadata: { 'general.license': 'mit' } }));
    const { output } = await octavo('models', path, '--device', 'wasm');
    expect(output).toMatch(/architecture +llama \(gguf\)/);
    expect(output).toMatch(/licence +mit/);
    expect(output).toMatch(/window +2,048 tokens/);
    expect(output).toMatch(/can +chat, generate, embed/);
    expect(output).toMatch(/runs here +yes, on wasm/);
    expect(JSON.parse((await octavo('models', path, '--json', '--context', '64')).output)).toMatchObject({
      runs: true,
      contextWindow: 64,
    });
    writeFileSync(path, tinyModel({ metadata: { 'general.architecture': 'gemma2' } }));
    expect((await octavo('models', path)).output).toMatch(/runs here +no: .*gemma3 comes nearest/);
    expect(await octavo('models', join(folder, 'none.gguf'))).toMatchObject({ code: 1 });
    expect(await octavo('models', 'a', 'b')).toMatchObject({ code: 2 });
    expect(await octavo('models', '--all')).toMatchObject({ code: 2 });
  });
});

describe('what is recommended and was loaded is as its file says', () => {
  const files: Readonly<Record<string, string>> = {
    'SmolLM2 135M Instruct': 'smollm2',
    'Qwen2.5-Coder 0.5B Instruct': 'qwen',
    'all-MiniLM-L6-v2': 'minilm',
  };
  for (const [title, name] of Object.entries(files)) {
    const path = realModel(name);
    (path === undefined ? test.skip : test)(title, async () => {
      const row = RECOMMENDED.find((one) => one.title === title)!;
      const found = await report(testPlatform, path!, { device: 'wasm' });
      expect(row.loaded).toBe(true);
      expect(found).toMatchObject({ bytes: row.bytes, contextWindow: row.window, quantization: row.quantization });
      expect(found.memory!.at4k / memoryAt4k(row)).toBeCloseTo(1, 1);
      expect(Math.abs(found.memory!.at4k / memoryAt4k(row) - 1)).toBeLessThan(0.02);
    });
  }
});
