/** What presets mean, by memory and by the length of prompts. */
import { describe, expect, test } from '@jest/globals';
import { chooseContext, needsLeastBits, type ContextFacts } from '../../src/select/presets.ts';
import type { ContextOptions } from '../../src/select/options.ts';

const MB = 1e6;
/** 100 KB a token in f16, 200 in f32: a window of 10,000 takes 2,000 MB, at 8 bits 563, at 4 bits 313. */
const facts = (room: number, tokens = 0): ContextFacts => ({
  window: 10_000,
  tokens,
  token: { half: 100_000, open: 200_000 },
  room: room * MB,
  least: { kvBits: 4, reason: 'four will do' },
});
const chosen = (given: ContextOptions, room = 4000, tokens = 0): ReturnType<typeof chooseContext> =>
  chooseContext(given, facts(room, tokens));
const SPARSE = { method: 'blocks', budget: 0.25 };

describe('auto', () => {
  test.each([
    [2000, {}],
    [1999, { kvBits: 8 }],
    [563, { kvBits: 8 }],
    [562, { kvBits: 4 }],
  ])('with room for %i MB', (room, options) => {
    expect(chosen({ preset: 'auto' }, room).options).toEqual(options);
    expect(needsLeastBits({ preset: 'auto' }, facts(room))).toBe(room === 562);
  });

  test('reads the longest prompts sparsely, and says what decided', () => {
    expect(chosen({ preset: 'auto' }, 4000, 8191).options).toEqual({});
    const long = chosen({ preset: 'auto' }, 4000, 8192);
    expect(long.options).toEqual({ prefill: SPARSE });
    expect(long.reason).toMatch(
      /10,000 tokens take 2,000 MB, and there is room for 4,000 MB; .*8,192 tokens .* 1.9 times/,
    );
    expect(chosen({ preset: 'auto' }, 100, 10).reason).toMatch(/563 MB at 8 bits.*100 MB; four will do/);
  });
});

test('the other presets take no notice of memory', () => {
  for (const room of [1, 4000]) {
    expect(chosen({ preset: 'exact' }, room, 9000)).toEqual({
      preset: 'exact',
      tokens: 9000,
      options: {},
      reason: 'everything is kept and seen',
    });
    expect(chosen({ preset: 'balanced' }, room, 4095).options).toEqual({ kvBits: 8 });
    expect(chosen({ preset: 'balanced' }, room, 4096).options).toEqual({ kvBits: 8, prefill: SPARSE });
    expect(chosen({ preset: 'small' }, room).options).toEqual({ kvBits: 4 });
  }
});

test('other members win, and what they leave open is chosen', () => {
  const own = { preset: 'small', kvBits: 2, prefill: 'dense', keep: true } as const;
  expect(chosen(own, 4000, 9000).options).toEqual({ kvBits: 2, prefill: 'dense', keep: true });
  expect(needsLeastBits(own, facts(1))).toBe(false);
  expect(chosen({ kvBits: 'auto', share: false })).toEqual({
    preset: undefined,
    tokens: 0,
    options: { kvBits: 4, share: false },
    reason: 'four will do',
  });
  expect(needsLeastBits({ kvBits: 'auto' }, facts(4000))).toBe(true);
  expect(chooseContext({ kvBits: 'auto' }, { ...facts(1), least: undefined }).options).toEqual({ kvBits: 16 });
});
