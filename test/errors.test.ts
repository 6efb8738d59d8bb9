import { describe, expect, test } from '@jest/globals';
import { clipped, FileError, InputError, ModelError } from '../src/errors.ts';

describe('messages and facts are bounded, whatever a file holds', () => {
  const long = '\u{1F600}x'.repeat(100_000);

  test.each([
    ['FileError', new FileError('malformed', { file: 'f', field: long }, `${long} is wrong; mend it`)],
    [
      'ModelError',
      new ModelError('tokenizer', `tokenizer: ${long} is wrong; mend it`, { token: long, list: [long, long] }),
    ],
    [
      'InputError',
      new InputError('argument', `${long} is wrong; mend it`, {
        name: long,
        all: Array.from({ length: 1000 }, () => 'x'),
      }),
    ],
  ])('%s', (_name, error) => {
    expect(error.message.length).toBeLessThanOrEqual(2000);
    expect(error.message.endsWith('is wrong; mend it')).toBe(true);
    expect(error.message.isWellFormed()).toBe(true);
    expect(JSON.stringify(error.facts).length).toBeLessThan(12_000);
  });

  test('a value that is cut says how long it was', () => {
    expect(clipped('short')).toBe('short');
    expect(clipped('y'.repeat(500), 10)).toBe('yyyyyyyyyy… (500 characters)');
  });
});
