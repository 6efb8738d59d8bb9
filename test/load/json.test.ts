import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { FileError } from '../../src/errors.ts';
import { parseJsonObject } from '../../src/load/json.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
function fault(text: string): FileError {
  try {
    parseJsonObject(bytes(text), 'f.json', 'JSON', 100);
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('JSON from files', () => {
  test.each<[string, number, string]>([
    ['', 0, 'truncated'],
    ['  ', 2, 'truncated'],
    ['{', 1, 'truncated'],
    ['{"a', 3, 'truncated'],
    ['{"a\\', 4, 'truncated'],
    ['{"a\\u00', 7, 'truncated'],
    ['{"a":', 5, 'truncated'],
    ['{"a":tr', 7, 'truncated'],
    ['{"a":-', 6, 'truncated'],
    ['{"a":1', 6, 'truncated'],
    ['{"a":1,', 7, 'truncated'],
    ['{"a":[1,', 8, 'truncated'],
    ['{"a":1}}', 7, 'malformed'],
    ['{"a":1,}', 7, 'malformed'],
    ['{a:1}', 1, 'malformed'],
    ['{"a" 1}', 5, 'malformed'],
    ['{"a":01}', 5, 'malformed'],
    ['{"a":[1,]}', 8, 'malformed'],
    ['{"a":[1}', 7, 'malformed'],
    ['{"a":"\n"}', 6, 'malformed'],
    ['{"a":"\\x"}', 7, 'malformed'],
    ['{"a":"\\u00g0"}', 10, 'malformed'],
    ['{"é":]}', 6, 'malformed'],
    ['{"a":nope}', 5, 'malformed'],
    ['{"a":1} x', 8, 'malformed'],
    ['{,}', 1, 'malformed'],
    ['{"a":,}', 5, 'malformed'],
    ['[]', 0, 'malformed'],
    ['5', 0, 'malformed'],
    ['{"a":1}{', 7, 'malformed'],
    ['{"a"::1}', 5, 'malformed'],
  ])('%j fails at byte %i', (text, at, code) => {
    expect(fault(text)).toMatchObject({ code, facts: { offset: 100 + at } });
  });

  test('a string of megabytes that goes wrong at its end', () => {
    const long = `{"a":"${'x'.repeat(3_000_000)}`;
    expect(fault(long)).toMatchObject({ code: 'truncated', facts: { offset: 100 + long.length } });
  });

  test('every beginning of a JSON text is truncated, at its end', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1, maxKeys: 4 }),
        fc.nat(),
        (value, cut) => {
          const text = JSON.stringify(value);
          expect(Object.keys(parseJsonObject(bytes(text), 'f', 'JSON', 0))).toEqual(
            Object.keys(JSON.parse(text) as object),
          );
          const start = text.slice(0, cut % text.length);
          // A cut between the halves of a character leaves other bytes.
          if (new TextDecoder().decode(bytes(start)) !== start) return;
          expect(fault(start)).toMatchObject({ code: 'truncated', facts: { offset: 100 + bytes(start).length } });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a byte order mark is let through', () =>
    expect(parseJsonObject(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d), 'f', 'JSON', 0)).toEqual({}));
});
