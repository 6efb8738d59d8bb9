/** Which breaks of plain text the document application keeps. */
import { expect, test } from '@jest/globals';
import { flowed } from '../../examples/document-qa/view/flowed.ts';

test('lines that were filled to a width become one, and breaks that were meant stay', () => {
  const told = [
    'I commenced by explaining the Madonna affair, but Porcupine, needless to',
    'say, knew more about it than I. Telling about my meeting Red Shirt on the',
    'Nozeri river, I called him a fool.',
    'He said nothing.',
  ].join('\n');
  const text = flowed(told);
  expect(text).toHaveLength(told.length);
  expect(text.split('\n').map((line) => line.length)).toEqual([181, 16]);
  for (const kept of [
    'Harbour office\n12 Quay Street\nDorby',
    'Shall I compare thee to a summer’s day?\nThou art more lovely and more temperate:',
    `${'a '.repeat(200)}\nb`,
    'One line.',
  ])
    expect(flowed(kept)).toBe(kept);
});
