/** SHA-256 by the platform and by the library: the same digests. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { sha256, streamingSha256 } from '../src/hash.ts';

const { crypto } = globalThis;
afterEach(
  () => void Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true, writable: true }),
);

describe.each(['with crypto.subtle', 'without a secure context'])('%s', (place) => {
  test.each([
    [[]],
    [['']],
    [['abc']],
    [['é', new Uint8Array([1, 2, 3]), 'x']],
    [[new Uint8Array(100_003).map((_, i) => i), new Uint8Array(0), new Uint8Array(64)]],
  ])('parts one after another: case %#', async (parts) => {
    if (place === 'without a secure context')
      Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true, writable: true });
    const truth = createHash('sha256');
    for (const part of parts) truth.update(part);
    const expected = truth.digest('hex');
    expect(await sha256(...parts)).toBe(expected);
    const streaming = (await streamingSha256()).init();
    for (const part of parts) streaming.update(part);
    expect(streaming.digest('hex')).toBe(expected);
  });
});
