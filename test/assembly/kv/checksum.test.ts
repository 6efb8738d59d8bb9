/** XXH64 of stored pages against the published vectors and hash-wasm's own implementation. */
import { describe, expect, test } from '@jest/globals';
import { xxhash64 } from 'hash-wasm';
import { Checksums, ownerOf } from '../../../src/kv/checksum.ts';
import { random } from '../../support/random.ts';
import { openWasm, TEST_BUILDS } from '../../support/wasm.ts';

const hex = (sums: Uint32Array, i = 0): string =>
  [sums[2 * i + 1]!, sums[2 * i]!].map((word) => word.toString(16).padStart(8, '0')).join('');
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe.each(TEST_BUILDS)('%s', (build) => {
  // Seed 0; from the specification's sample implementation (xxhsum -H64).
  test.each([
    ['', 'ef46db3751d8e999'],
    ['a', 'd24ec4f1a98c6e5b'],
    ['abc', '44bc2cf5ad770999'],
    ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
  ])('%p', async (input, sum) => {
    const bytes = text(input);
    expect(hex(new Checksums(await openWasm(build)).of(bytes, Uint32Array.of(bytes.length), 0, 0))).toBe(sum);
  });

  test('every length to 200, empty pieces between, seeds of 64 bits, bytes that begin anywhere; nothing is left allocated', async () => {
    const wasm = await openWasm(build);
    const before = wasm.exports.allocated();
    const next = random(5);
    const lengths = Uint32Array.from({ length: 401 }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
    const bytes = Uint8Array.from({ length: 3 + lengths.reduce((sum, n) => sum + n, 0) }, () =>
      next.integer(0, 256),
    ).subarray(3);
    const owner = 0xfedc_ba98;
    const sums = new Checksums(wasm).of(bytes, lengths, 0xffff_f000, owner);
    let at = 0;
    for (const [i, length] of lengths.entries()) {
      expect(hex(sums, i)).toBe(await xxhash64(bytes.slice(at, at + length), 0xffff_f000 + i, owner));
      at += length;
    }
    expect(wasm.exports.allocated()).toBe(before);
  });

  test('more than is hashed at once', async () => {
    const wasm = await openWasm(build);
    const lengths = Uint32Array.of(5_000_000, 4_000_001, 9_000_003, 7);
    const bytes = new Uint8Array(18_000_011).map((_, i) => (i * 2_654_435_761) >>> 13);
    const sums = new Checksums(wasm).of(bytes, lengths, 7, 9);
    let at = 0;
    for (const [i, length] of lengths.entries()) {
      expect(hex(sums, i)).toBe(await xxhash64(bytes.subarray(at, at + length), 7 + i, 9));
      at += length;
    }
  });
});

test('generations have owners of their own', () => {
  const owners = Array.from({ length: 100 }, () => ownerOf(crypto.randomUUID()));
  expect(new Set(owners).size).toBe(100);
});
