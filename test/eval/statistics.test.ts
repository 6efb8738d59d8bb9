/** Differences over the same items, equal ids, haystacks, and charts that every reader of SVG can read. */
import { describe, expect, test } from '@jest/globals';
import { equalIds } from '../../eval/ask.mjs';
import { Haystacks } from '../../eval/haystack.mjs';
import { difference } from '../../eval/statistics.mjs';
import { curves, heatMaps, intervals } from '../../eval/svg.mjs';
import { checkXml } from './xml.ts';

describe('differences of paired shares', () => {
  test('only items that were answered differently count', () => {
    const base = '1'.repeat(80) + '0'.repeat(20);
    expect(difference(base, base)).toMatchObject({ n: 100, won: 0, lost: 0, difference: 0 });
    // Agresti & Min with 4 won and 10 lost of 100: (4 - 10) / 102 +- 1.959964 sqrt(15 - 36 / 102) / 102.
    const other = '1'.repeat(70) + '0'.repeat(10) + '1'.repeat(4) + '0'.repeat(16);
    const found = difference(other, base);
    expect(found).toMatchObject({ won: 4, lost: 10, difference: -0.06 });
    expect(found.low).toBeCloseTo(-6 / 102 - (1.959964 * Math.sqrt(15 - 36 / 102)) / 102, 4);
    expect(found.high).toBeCloseTo(-6 / 102 + (1.959964 * Math.sqrt(15 - 36 / 102)) / 102, 4);
  });

  test('outcomes of other items are refused', () => {
    expect(() => difference('10', '101')).toThrow('paired');
  });
});

test('equal ids are counted up to the first that differs', () => {
  expect(equalIds({ ids: '1 2 3|4 5|6' }, { ids: '1 2 3|4 5|6' })).toEqual({ answers: 3, of: 3, ids: 6, ofIds: 6 });
  expect(equalIds({ ids: '1 9 3|4 5 6|' }, { ids: '1 2 3|4 5|6' })).toEqual({ answers: 0, of: 3, ids: 3, ofIds: 6 });
});

describe('haystacks', () => {
  const words = { tokenize: async (text: string): Promise<string[]> => text.trim().split(/\s+/) };

  test('are as long as they may be, hold the needle at its depth, and repeat', async () => {
    const haystacks = new Haystacks(words);
    const [first, middle, last] = await Promise.all([0, 0.5, 1].map((depth) => haystacks.item(600, depth, 3)));
    const sentences = (input: string): string[] => input.slice(0, input.lastIndexOf('\n\n')).split(/(?<=\.)\s+/);
    for (const item of [first!, middle!, last!])
      expect((await words.tokenize(item.input)).length).toBeLessThanOrEqual(600);
    expect((await words.tokenize(first!.input)).length).toBeGreaterThan(500);
    expect(sentences(first!.input)[0]).toContain(first!.expected);
    expect(sentences(last!.input).at(-1)).toContain(first!.expected);
    const place = sentences(middle!.input).findIndex((sentence) => sentence === sentences(first!.input)[0]);
    expect(Math.abs(place - sentences(middle!.input).length / 2)).toBeLessThan(2);
    expect(sentences(last!.input).slice(0, -1)).toEqual(sentences(first!.input).slice(1));
    expect(await new Haystacks(words).item(600, 0.5, 3)).toEqual(middle);
    expect((await haystacks.item(600, 0.5, 4)).input).not.toBe(middle!.input);
  });
});

describe('charts', () => {
  const title = 'A < B & "C"';

  test('are well-formed, with every number that they were given', () => {
    const heat = heatMaps({
      title,
      note: '',
      columnTitle: 'tokens',
      rowTitle: 'depth',
      columns: [256, 512, 1000],
      rows: ['0 %', '100 %'],
      panels: Array.from({ length: 5 }, (_, i) => ({
        title: `method ${i}`,
        values: [
          [0, 0.5, 1],
          [0.25, 0.75, 0.99],
        ],
      })),
    });
    checkXml(heat);
    for (const cell of ['>0<', '>50<', '>100<', '>25<', '>75<', '>99<']) expect(heat.split(cell)).toHaveLength(6);
    const lines = intervals({
      title,
      note: '',
      axis: 'points',
      rows: [
        { label: 'a', value: -1, low: -3, high: 1 },
        { label: 'b', value: 0, low: 0, high: 0 },
      ],
      goal: -2,
    });
    checkXml(lines);
    expect(lines.split('<circle')).toHaveLength(3);
    const curve = curves({
      title,
      note: '',
      xTitle: 'kept',
      yTitle: 'share',
      places: ['100 %', '50 %'],
      bases: [{ y: 0.9, name: 'all' }],
      series: Array.from({ length: 7 }, (_, i) => ({
        name: `m${i}`,
        points: [
          { x: '100 %', y: 0.9, low: 0.8, high: 0.95 },
          { x: '50 %', y: 0.1 * i },
        ],
      })),
    });
    checkXml(curve);
    expect(curve.split('<path d="M')).toHaveLength(8 + 3 * 3);
    for (const svg of [heat, lines, curve]) expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('stand on one value, and on none', () => {
    checkXml(intervals({ title, note: '', axis: '', rows: [] }));
    checkXml(
      curves({
        title,
        note: '',
        xTitle: '',
        yTitle: '',
        places: ['1'],
        series: [{ name: 'a', points: [{ x: '1', y: 0 }] }],
      }),
    );
  });
});
