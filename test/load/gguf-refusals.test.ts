/** Damaged and hostile GGUF files: each is refused, with the field and the place. */
import { describe, expect, test } from '@jest/globals';
import { FileError } from '../../src/errors.ts';
import { openModel } from '../../src/load/index.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';

async function fault(file: Uint8Array): Promise<FileError> {
  const result = await openModel(file).catch((error: unknown) => error);
  if (!(result instanceof FileError)) throw new Error(`no FileError: ${String(result)}`);
  return result;
}

/** The file with the number at `offset` overwritten. */
function patched(file: Uint8Array, offset: number, value: bigint | number, width: 4 | 8 = 8): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  if (width === 8) view.setBigUint64(offset, BigInt(value), true);
  else view.setUint32(offset, Number(value), true);
  return copy;
}

/** Where `text` begins, as GGUF stores it (its length lies 8 bytes before). */
function find(file: Uint8Array, text: string): number {
  return Buffer.from(file.buffer, file.byteOffset, file.byteLength).indexOf(text);
}

describe('bad GGUF', () => {
  const good = writeGguf({ 'general.architecture': 'llama', list: ['a', 'b'] }, [
    f32Tensor('first', [2, 32], new Float32Array(64)),
    f32Tensor('other', [32], new Float32Array(32)),
  ]);
  const table = find(good, 'first') + 5;

  test.each<[string, string, Uint8Array, string, RegExp]>([
    ['nothing', 'truncated', new Uint8Array(0), 'magic', /4 bytes/],
    ['three bytes', 'truncated', good.slice(0, 3), 'magic', /ends after 3/],
    ['another magic', 'malformed', new TextEncoder().encode('what is this'), 'magic', /not a GGUF file/],
    ['a PyTorch file', 'unsupported', new TextEncoder().encode('PK\u0003\u0004 archive/data.pkl'), 'magic', /PyTorch/],
    ['a pickle', 'unsupported', Uint8Array.of(0x80, 2, 0x8a, 10), 'magic', /PyTorch/],
    ['an HTML page', 'malformed', new TextEncoder().encode('\n<!DOCTYPE html><p>'), 'magic', /HTML page/],
    [
      'a Git LFS pointer',
      'malformed',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\n'),
      'magic',
      /git lfs pull/,
    ],
    [
      'a safetensors file alone',
      'unsupported',
      writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } }),
      'magic',
      /whole folder/,
    ],
    ['a configuration alone', 'unsupported', new TextEncoder().encode('{"model_type": "llama"}'), 'magic', /JSON file/],
    ['a GGML file', 'unsupported', new TextEncoder().encode('tjgg and more'), 'magic', /before GGUF/],
    ['big-endian', 'unsupported', patched(good, 4, 0x03000000, 4), 'version', /big-endian/],
    ['version 1', 'unsupported', patched(good, 4, 1, 4), 'version', /version 1/],
    ['version 4', 'unsupported', patched(good, 4, 4, 4), 'version', /version 4/],
    ['too many tensors', 'truncated', patched(good, 8, 2n ** 63n), 'tensor count', /announced/],
    ['too many entries', 'truncated', patched(good, 16, 2n ** 64n - 1n), 'metadata count', /announced/],
    ['a key beyond the end', 'truncated', patched(good, 24, 2n ** 40n), 'metadata key 0', /announced/],
    [
      'a value type',
      'malformed',
      patched(good, find(good, 'general.architecture') + 20, 13, 4),
      'general.architecture',
      /type is 13/,
    ],
    ['an array of arrays', 'unsupported', patched(good, find(good, 'list') + 8, 9, 4), 'list', /array of arrays/],
    ['an endless array', 'truncated', patched(good, find(good, 'list') + 12, 2n ** 50n), 'list, length', /announced/],
    [
      'an endless string in an array',
      'truncated',
      patched(good, find(good, 'list') + 20, 2n ** 33n),
      'list, string 0',
      /announced/,
    ],
    ['five dimensions', 'malformed', patched(good, table, 5, 4), 'first', /5 dimensions/],
    ['a dimension of zero', 'malformed', patched(good, table + 4, 0), 'first', /dimension 0 is 0/],
    ['a huge dimension', 'truncated', patched(good, table + 4, 2n ** 62n), 'first', /should be at/],
    ['an unaligned offset', 'malformed', patched(good, table + 24, 7), 'first', /not a multiple/],
    ['an offset beyond the end', 'truncated', patched(good, table + 24, 2n ** 45n), 'first', /should be at/],
    ['overlapping tensors', 'malformed', patched(good, find(good, 'other') + 5 + 16, 0), 'other', /overlaps/],
    ['IQ3_XXS', 'unsupported', patched(good, table + 20, 18, 4), 'first', /IQ3_XXS; take the model in Q3_K_S/],
    ['Q8_1', 'unsupported', patched(good, table + 20, 9, 4), 'first', /Q8_1/],
    ['TQ1_0', 'unsupported', patched(good, table + 20, 34, 4), 'first', /TQ1_0; take the model in Q2_K/],
    ['an unknown type', 'unsupported', patched(good, table + 20, 4242, 4), 'first', /number 4242/],
    ['rows that are no blocks', 'malformed', patched(good, table + 20, 12, 4), 'first', /blocks of 256/],
    ['truncated data', 'truncated', good.slice(0, -1), 'other', /incomplete/],
    [
      'a name twice',
      'malformed',
      writeGguf({}, [f32Tensor('same', [1], [1]), f32Tensor('same', [1], [1])]),
      'same',
      /twice/,
    ],
    ['an alignment of 3', 'malformed', writeGguf({ 'general.alignment': 3 }), 'general.alignment', /power of two/],
    [
      'an alignment that is text',
      'malformed',
      writeGguf({ 'general.alignment': 'x' }),
      'general.alignment',
      /power of two/,
    ],
    ['a boolean of 2', 'malformed', patchedByte(writeGguf({ flag: true }), 'flag', 8, 2), 'flag', /0 or 1/],
  ])('%s', async (_, code, file, field, message) => {
    const error = await fault(file);
    expect(error.code).toBe(code);
    expect(error.facts['field']).toBe(field);
    expect(typeof error.facts['offset']).toBe('number');
    expect(error.message).toMatch(message);
    expect(error.message.startsWith('model.gguf: ')).toBe(true);
  });

  test('a key twice', async () => {
    const file = writeGguf({ aaaa: 1, bbbb: 2 });
    file.set(new TextEncoder().encode('aaaa'), find(file, 'bbbb'));
    expect(await fault(file)).toMatchObject({ code: 'malformed', facts: { field: 'aaaa' } });
  });
});

function patchedByte(file: Uint8Array, text: string, behind: number, value: number): Uint8Array {
  const copy = file.slice();
  copy[find(file, text) + text.length - 4 + behind] = value;
  return copy;
}
