import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, property, string } from 'fast-check';
import { StopStrings } from '../../src/generate/stop.ts';

/** The plain truth: everything before the first stop string, or everything. */
function cut(text: string, stops: readonly string[]): string {
  const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return found.length === 0 ? text : text.slice(0, Math.min(...found));
}

describe('stop strings', () => {
  test('text is held back only while it may begin a stop string', () => {
    const stop = new StopStrings(['</end>']);
    expect(stop.push('hello <')).toBe('hello ');
    expect(stop.push('/e')).toBe('');
    expect(stop.push('gg')).toBe('</egg');
    expect(stop.push('</end')).toBe('');
    expect(stop.push('> more')).toBe('');
    expect(stop.met).toBe('</end>');
    expect(stop.push('later')).toBe('');
    expect(stop.flush()).toBe('');
  });

  test('the rest comes out at the end', () => {
    const stop = new StopStrings(['abc']);
    expect(stop.push('xab')).toBe('x');
    expect(stop.flush()).toBe('ab');
  });

  test('in any cut into pieces, exactly the text before the first stop string is shown', () => {
    const letters = string({ unit: constantFrom('a', 'b', 'c'), maxLength: 3 });
    assert(
      property(
        array(letters, { maxLength: 12 }),
        array(
          letters.filter((s) => s !== ''),
          { maxLength: 3 },
        ),
        (pieces, stops) => {
          const stop = new StopStrings(stops);
          let shown = '';
          for (const piece of pieces) shown += stop.push(piece);
          if (stop.met === undefined) shown += stop.flush();
          // Of two stop strings, the one that is complete first ends the text, though another may begin earlier.
          const ends = pieces.map((_, index) => pieces.slice(0, index + 1).join(''));
          const seen = ends.find((text) => stops.some((s) => text.includes(s))) ?? pieces.join('');
          expect(shown).toBe(cut(seen, stops));
        },
      ),
    );
  });

  test('a stop string may name control tokens, which are never shown', () => {
    const stop = new StopStrings(['<|im_start|>user', '<|tool|>']);
    expect(stop.push('a')).toBe('a');
    expect(stop.push('<|other|>', false)).toBe('');
    expect(stop.push('<|im_start|>', false)).toBe('');
    expect(stop.push('sys')).toBe('sys');
    expect(stop.push('<|im_start|>', false)).toBe('');
    expect(stop.push('use')).toBe('');
    expect(stop.push('r!')).toBe('');
    expect(stop.met).toBe('<|im_start|>user');
    const alone = new StopStrings(['<|tool|>', '<|im_end|>x']);
    expect(alone.push('ab')).toBe('ab');
    expect(alone.push('<|im_end|>', false)).toBe('');
    expect(alone.flush()).toBe('');
    expect(alone.push('c<|to')).toBe('c');
    expect(alone.push('ol|>')).toBe('');
    expect(alone.met).toBe('<|tool|>');
    expect(new StopStrings([]).push('<|im_end|>', false)).toBe('');
  });

  test('no empty and no endless stop strings', () => {
    expect(() => new StopStrings([''])).toThrow('1 to 1024');
    expect(() => new StopStrings(['x'.repeat(2000)])).toThrow('1 to 1024');
    expect(() => new StopStrings(Array.from({ length: 65 }, () => 'x'))).toThrow('at most 64');
  });
});
