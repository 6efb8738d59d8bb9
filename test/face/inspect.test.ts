/** `Octavo.inspect` and `availability`: what a header alone tells, from a server that counts what it is asked for. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { report } from '../../src/engine/report.ts';
import { createFace, type OctavoFace } from '../../src/face/octavo.ts';
import { FolderRecords } from '../../src/store/folder-records.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { FileServer } from '../load/server.ts';
import { onReference, testFace, testPlace, testPlatform } from '../support/engine.ts';
import { tinyEncoder } from '../support/tiny-encoder.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { tinyUniPic } from '../support/tiny-unipic.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const server = new FileServer();
let base = '';
let folder = '';
beforeAll(async () => {
  base = await server.start();
  folder = mkdtempSync(join(tmpdir(), 'octavo-inspect-'));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => server.reset());

const Octavo = testFace();
const WASM = { device: 'wasm' } as const;
/** Tables of many rows, so that the weights are far larger than the header. */
const WIDE = tinyModel({ hidden: 256, mlp: 2048, layers: 1, window: 4096 });

/** Bytes of the bodies that the server's answers had. */
function served(): number {
  return server.requests.reduce((sum, { headers }) => {
    const [, from = '0', to = ''] = /bytes=(\d+)-(\d*)/.exec(headers.range ?? '') ?? [];
    return sum + (to === '' ? Infinity : Number(to) - Number(from) + 1);
  }, 0);
}

describe('inspect', () => {
  test('tells what loading tells, and the memory that it takes', async () => {
    const bytes = WIDE;
    const found = await Octavo.inspect(bytes, WASM);
    expect(found).toMatchObject({
      format: 'gguf',
      architecture: 'llama',
      quantization: 'F32',
      contextWindow: 4096,
      runs: true,
      problem: undefined,
      device: 'wasm',
    });
    const model = await Octavo.load(bytes, { ...WASM, threads: 1 });
    const { name: _, ...told } = found;
    expect(told.parameters).toBe(model.parameters);
    expect(told.bytes).toBe(model.bytes);
    expect(told.capabilities).toEqual(model.capabilities);
    const { weights } = await model.memory();
    expect(told.memory!.weights / weights).toBeCloseTo(1, 2);
    const session = await model.createSession({ maxTokens: 1 });
    await session.prompt('a'.repeat(2000));
    const { pageBytes } = await model.memory();
    const { token } = told.memory!;
    expect(pageBytes).toBeGreaterThanOrEqual(token * 2000);
    expect(pageBytes).toBeLessThan(token * 2100);
    expect(told.memory!.at4k).toBe(told.memory!.weights + 4096 * told.memory!.token);
    expect(told.memory!.full).toBe(told.memory!.at4k);
    await model.destroy();
  });

  test('asks a server for the header only, and keeps nothing', async () => {
    const bytes = WIDE;
    server.files.set('/m.gguf', { bytes, etag: '"one"' });
    const store = new ModelStore(new FolderRecords(join(folder, 'models')));
    const platform = { ...testPlatform, open: { ...testPlatform.open, store } };
    const face = createFace({ ...testPlace(undefined, platform), store: async () => store });
    expect(await face.inspect(`${base}/m.gguf`)).toMatchObject({ runs: true, contextWindow: 4096 });
    expect(served()).toBeLessThan(bytes.length / 4);
    expect(await store.list()).toEqual([]);

    // What is stored is read there.
    await (await face.load(`${base}/m.gguf`, { ...WASM, threads: 1 })).destroy();
    server.files.clear();
    server.requests.length = 0;
    expect(await face.inspect(`${base}/m.gguf`)).toMatchObject({ runs: true });
    expect(server.requests).toEqual([]);
  });

  test('a projector is given to the engine as a model is', async () => {
    const inputs: unknown[] = [];
    const face = createFace({
      ...testPlace(),
      input: async (input) => {
        inputs.push(input);
        return input;
      },
    });
    const mmproj = new URL('https://x/mmproj.gguf');
    await face.inspect(tinyUniPic(), { ...WASM, mmproj }).catch(() => undefined);
    expect(inputs).toContain(mmproj);
  });

  test('parts that see and paint, encoders, and folders', async () => {
    const whole = await Octavo.inspect(tinyUniPic(), WASM);
    expect(whole.capabilities).toMatchObject({ see: true, paint: true, edit: true, missing: [] });
    const blind = await Octavo.inspect(tinyUniPic({ without: /^vae\.(encoder|quant_conv)/ }), WASM);
    expect(blind.capabilities).toMatchObject({ see: false, paint: true, edit: false });
    expect(blind.capabilities!.missing).toHaveLength(2);
    const encoder = await Octavo.inspect(await tinyEncoder('bert'), WASM);
    expect(encoder).toMatchObject({ architecture: 'bert', format: 'huggingface', runs: true, contextWindow: 48 });
    expect(encoder.capabilities).toMatchObject({ generate: false, embed: true, rerank: false });
  });

  test.each([
    ['gemma2', 'gemma3'],
    ['qwen3moe', 'qwen3'],
    ['llama4', 'llama'],
    ['phi2', 'phi3'],
    ['granitehybrid', 'granite'],
  ])('a model of %s is reported, with %s as what comes nearest', async (name, near) => {
    const file = tinyModel({ metadata: { 'general.architecture': name } });
    const { runs, problem, architecture, parameters, memory } = await Octavo.inspect(file, WASM);
    expect({ runs, architecture, memory }).toEqual({ runs: false, architecture: name, memory: undefined });
    expect(parameters).toBeGreaterThan(1000);
    expect(problem).toMatchObject({ code: 'architecture' });
    expect(problem!.message).toContain(`"${name}" is not supported; ${near} comes nearest`);
    expect(problem!.message).toContain('docs/models.md');
    await expect(Octavo.load(file, WASM)).rejects.toMatchObject({
      name: 'ModelError',
      facts: { architecture: name, nearest: near },
    });
  });

  test('an architecture without relatives names all that there are', async () => {
    const { problem } = await Octavo.inspect(tinyModel({ metadata: { 'general.architecture': 'deepseek2' } }));
    expect(problem!.message).toMatch(/"deepseek2" is not supported; take a model of llama, qwen2, /);
  });

  test('too little memory: why, and how many tokens there is room for', async () => {
    const here = { ...testPlatform, memory: 4_000_000 };
    const small = await report(here, tinyModel({ window: 65_536 }), WASM);
    expect(small).toMatchObject({ runs: true });
    const { room, token, weights } = small.memory!;
    expect(room).toBe(Math.floor((4_000_000 - weights) / token));
    expect(room).toBeLessThan(65_536);
    const large = await report(here, WIDE, WASM);
    expect(large).toMatchObject({ runs: false, problem: { code: 'out-of-memory' } });
    expect(large.problem!.message).toMatch(/needs \d+ MB with a short context, and there are 4 MB for it here/);
  });

  test('what cannot be read is an error, as when loading', async () => {
    await expect(Octavo.inspect(`${base}/none.gguf`)).rejects.toMatchObject({ name: 'StorageError' });
    await expect(Octavo.inspect(new Uint8Array(64))).rejects.toMatchObject({ name: 'FileError' });
  });
});

describe('availability reads a header where there is no file yet', () => {
  const at = (name: string, bytes: Uint8Array): string => {
    server.files.set(`/${name}`, { bytes, etag: `"${name}"` });
    return `${base}/${name}`;
  };
  const face: OctavoFace = createFace({ ...testPlace(onReference), store: async () => undefined });

  test('downloadable, or unavailable for what does not run', async () => {
    expect(await face.availability(at('a.gguf', tinyModel()))).toBe('downloadable');
    expect(await face.availability(at('b.gguf', tinyModel({ metadata: { 'general.architecture': 'gemma2' } })))).toBe(
      'unavailable',
    );
    expect(await face.availability(`${base}/gone.gguf`)).toBe('unavailable');
    expect(await face.availability(new Blob([new Uint8Array(100)]))).toBe('unavailable');
    expect(await face.availability(new Blob([tinyModel()]))).toBe('available');
  });

  test('images are expected', async () => {
    const expectedInputs = [{ type: 'image' }] as const;
    expect(await face.availability(at('c.gguf', tinyModel()), { expectedInputs })).toBe('unavailable');
    expect(await face.availability(at('d.gguf', tinyUniPic()), { expectedInputs })).toBe('downloadable');
    expect(await face.availability(tinyModel(), { expectedInputs })).toBe('unavailable');
  });

  test('a server that does not answer now may later', async () => {
    const address = at('e.gguf', tinyModel());
    server.behaviour.status = () => 503;
    expect(await face.availability(address)).toBe('downloadable');
    server.reset();
    server.files.set('/e.gguf', { bytes: tinyModel({ metadata: { 'general.architecture': 'gemma2' } }), etag: '"e"' });
    expect(await face.availability(address)).toBe('unavailable');
    // The answer is remembered.
    const before = server.requests.length;
    expect(await face.availability(address)).toBe('unavailable');
    expect(server.requests).toHaveLength(before);
  });
});
