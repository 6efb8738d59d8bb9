/** The folders that sentence-transformers keeps beside a model: found by address, in a repository, in a path, and among files. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openModel, type ModelInput, type OpenOptions } from '../../src/load/index.ts';
import { cloneable } from '../../src/platform/input.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import { tinyEncoder } from '../support/tiny-encoder.ts';
import { FileServer } from './server.ts';

const server = new FileServer();
const straight: OpenOptions = { store: false, retry: { attempts: 3, delay: () => 5, stall: 2000 } };
let base: string;
let files: Record<string, Uint8Array<ArrayBuffer>>;
beforeAll(async () => {
  base = await server.start();
  files = await tinyEncoder('gemma-embedding', { 'config_sentence_transformers.json': { prompts: { query: 'q: ' } } });
});
afterAll(() => server.stop());
beforeEach(() => server.reset());
afterEach(() => server.reset());

async function expectWhole(input: ModelInput, options: OpenOptions = straight): Promise<void> {
  const file = await openModel(input, options);
  expect(file.tensors.get('2_Dense/linear.weight')?.shape).toEqual([48, 32]);
  expect(file.tensors.get('3_Dense/linear.weight')?.shape).toEqual([32, 48]);
  expect(file.tensors.has('embed_tokens.weight')).toBe(true);
  const { metadata } = file;
  if (metadata.kind !== 'huggingface') throw new Error('it should be a folder');
  expect(metadata.config['model_type']).toBe('gemma3_text');
  expect(metadata.sentence).toMatchObject({
    modules: [
      { path: '' },
      { path: '1_Pooling', config: { pooling_mode_mean_tokens: true } },
      { path: '2_Dense', config: { in_features: 32, out_features: 48 } },
      { path: '3_Dense' },
      { path: '4_Normalize' },
    ],
    limits: { max_seq_length: 48 },
    settings: { prompts: { query: 'q: ' } },
  });
  await file.close();
}

test('by its address', async () => {
  for (const [name, bytes] of Object.entries(files)) server.files.set(`/m/${name}`, { bytes, etag: '"a"' });
  await expectWhole(`${base}/m/`);
});

test('in a repository, by one listing', async () => {
  for (const [name, bytes] of Object.entries(files))
    server.files.set(`/o/r/resolve/main/${name}`, { bytes, etag: '"a"' });
  const listed = Object.entries(files).map(([path, { length: size }]) => ({ type: 'file', path, size }));
  // A repository has more folders than those of the modules.
  const all = [...listed, { type: 'file', path: 'onnx/model.gguf', size: 5 }];
  server.files.set('/api/models/o/r/tree/main', { bytes: new TextEncoder().encode(JSON.stringify(all)) });
  await expectWhole('hf:o/r', { ...straight, hub: base });
  expect(server.requests.filter(({ path }) => path.startsWith('/api')).map(({ url }) => url)).toEqual([
    '/api/models/o/r/tree/main?recursive=true',
  ]);
});

test('in a path', async () => {
  const root = mkdtempSync(join(tmpdir(), 'octavo-'));
  try {
    for (const [name, bytes] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), bytes);
    }
    await expectWhole(root, { files: nodeFiles });
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('among files, as a directory picker names them, and sent to the engine', async () => {
  const picked = Object.entries(files).map(([name, bytes]) => {
    const file = new File([bytes], name.replace(/^.*\//, ''));
    return Object.defineProperty(file, 'webkitRelativePath', { value: `model/${name}` });
  });
  await expectWhole(picked);
  await expectWhole(structuredClone(await cloneable(picked)));
});

test('a hash by name counts for the file of that path alone', async () => {
  const hash = createHash('sha256').update(files['1_Pooling/config.json']!).digest('hex');
  await expectWhole(files, { sha256: { '1_Pooling/config.json': hash } });
  await expect(openModel(files, { sha256: { 'config.json': hash } })).rejects.toMatchObject({ code: 'checksum' });
  await expect(openModel(files, { sha256: { '1_Pooling/config.json': 'f'.repeat(64) } })).rejects.toMatchObject({
    code: 'checksum',
  });
});
