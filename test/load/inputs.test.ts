/** What `load` takes, and how it refuses what it does not take. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openModel, type ModelInput } from '../../src/load/index.ts';
import { cloneable } from '../../src/platform/input.ts';
import { createNodeFace } from '../../src/platform/node.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { writeSafetensors } from './safetensors-writer.ts';

const bytes = writeGguf({ 'general.name': 'small' }, [f32Tensor('a', [3], [1, 2, 3])]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
shared.set(bytes);
const handle = {
  kind: 'file',
  name: 'h.gguf',
  getFile: async () => new File([bytes], 'h.gguf'),
} as FileSystemFileHandle;

describe('taken', () => {
  const inputs: [string, () => ModelInput][] = [
    ['a Uint8Array', () => bytes],
    ['an ArrayBuffer', () => buffer],
    ['a DataView', () => new DataView(buffer)],
    ['a Buffer', () => Buffer.from(bytes)],
    ['a view of shared memory', () => shared],
    ['a Blob', () => new Blob([bytes])],
    ['a File', () => new File([bytes], 'f.gguf')],
    ['a Response', () => new Response(bytes)],
    ['a FileSystemFileHandle', () => handle],
    ['a list of Files', () => [new File([bytes], 'f.gguf')]],
    ['files by name', () => ({ 'some/f.gguf': buffer })],
  ];
  test.each(inputs)('%s, by the engine, and sent to it by a page', async (_, input) => {
    expect((await openModel(input())).tensors.size).toBe(1);
    const sent = structuredClone(await cloneable(input()));
    expect((await openModel(sent)).tensors.size).toBe(1);
  });

  test('a path with a colon', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octavo-'));
    const before = process.cwd();
    try {
      for (const name of ['name:q8.gguf', 'https:x.gguf']) writeFileSync(join(folder, name), bytes);
      process.chdir(folder);
      expect((await openModel('name:q8.gguf', { files: nodeFiles })).tensors.size).toBe(1);
      expect((await openModel(join(folder, 'name:q8.gguf'), { files: nodeFiles })).tensors.size).toBe(1);
      await expect(openModel('none:q8.gguf', { files: nodeFiles })).rejects.toMatchObject({
        name: 'FileError',
        code: 'missing',
      });
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });
});

describe('refused by name', () => {
  class Model {
    readonly weights = 1;
  }
  const inputs: [unknown, RegExp][] = [
    ['', /an empty string/],
    ['  ', /an empty string/],
    [{}, /an empty object/],
    [[], /an empty list/],
    [null, /null/],
    [undefined, /undefined/],
    [5, /a number/],
    [() => {}, /a function/],
    [new Map(), /a Map/],
    [Promise.resolve(bytes), /a Promise/],
    [new ReadableStream(), /a ReadableStream/],
    [new Request('http://x/'), /a Request/],
    [new Model(), /a Model/],
    [['a.gguf', ''], /each should be a File or bytes/],
    [{ 'a.gguf': 'text' }, /"a.gguf" is a? ?.*; each should be a File or bytes/],
    [[bytes, 'x'], /each should be a File or bytes/],
    [{ kind: 'directory', name: 'd', values: () => [] }, /each should be a File or bytes/],
  ];
  test.each(inputs)('%p', async (input, message) => {
    for (const take of [openModel, cloneable] as ((input: ModelInput) => Promise<unknown>)[])
      await expect(take(input as ModelInput)).rejects.toMatchObject({
        name: 'InputError',
        code: 'argument',
        message: expect.stringMatching(message),
      });
  });

  test('a response that is no file', async () => {
    const read = new Response(bytes);
    await read.arrayBuffer();
    await expect(openModel(read)).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringMatching(/read already/),
    });
    await expect(openModel(new Response('no', { status: 404 }))).rejects.toMatchObject({
      name: 'StorageError',
      message: expect.stringMatching(/404/),
    });
  });

  test('single files of other kinds', async () => {
    const alone = writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } });
    for (const input of [alone, new File([alone], 'model.safetensors'), [new File([alone], 'model.safetensors')]])
      await expect(openModel(input)).rejects.toMatchObject({
        name: 'FileError',
        code: 'unsupported',
        message: expect.stringMatching(/safetensors file on its own.*config\.json/),
      });
    await expect(openModel(new TextEncoder().encode('PK\u0003\u0004'))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/PyTorch/),
    });
    await expect(openModel('hf:o/r/model.safetensors')).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringMatching(/name the repository \(hf:o\/r\)/),
    });
    const folder = {
      'config.json': new TextEncoder().encode('{}'),
      'pytorch_model.bin': new TextEncoder().encode('PK'),
    };
    await expect(openModel(folder)).rejects.toMatchObject({
      code: 'missing',
      message: expect.stringMatching(/PyTorch files.*are not read/),
    });
  });

  test.each<[string, object, RegExp]>([
    ['quantize', { quantize: 'q3' }, /quantize: "q3"; it is 'q8' or 'q4'/],
    ['quantize', { quantize: 8 }, /quantize: 8/],
    ['sha256', { sha256: 5 }, /sha256: a number/],
    ['sha256', { sha256: 'abc' }, /64 hexadecimal digits/],
    ['sha256', { sha256: { 'model.gguf': 5 } }, /64 hexadecimal digits/],
  ])('the option %s: %p', async (option, options, message) => {
    await expect(openModel(bytes, options)).rejects.toMatchObject({
      name: 'InputError',
      facts: { option },
      message: expect.stringMatching(message),
    });
  });
});

test('a file URL that names no file here is refused, with what is wrong', async () => {
  for (const url of ['file:///a%2Fb.gguf', 'file://%'])
    await expect((async () => createNodeFace().input(url))()).rejects.toMatchObject({
      name: 'InputError',
      code: 'argument',
      message: expect.stringContaining(url),
    });
  expect(nodeFiles.fromUrl(new URL('file:///a.gguf'))).toMatch(/a\.gguf$/);
});
