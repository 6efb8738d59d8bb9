/** The evaluation draws the very pictures that nano was trained on, and reads them back. */
import { describe, expect, test } from '@jest/globals';
import { inflateSync } from 'node:zlib';
import { items, scenes } from '../../eval/nano.mjs';
import { decode, same } from '../../eval/scenes.mjs';
import { share } from '../../eval/statistics.mjs';

const rgb = (data: Uint8ClampedArray): number[] => [...data].filter((_, i) => i % 4 !== 3);

describe('evaluation', () => {
  test('pictures equal those of the training renderer', () => {
    expect(items.pictures.length).toBeGreaterThanOrEqual(8);
    for (const picture of items.pictures) {
      const drawn = picture.word === undefined ? scenes.render(decode(picture.scene)) : scenes.renderWord(picture.word);
      expect(rgb(drawn.data)).toEqual([...inflateSync(Buffer.from(picture.rgb, 'base64'))]);
    }
  });

  test('scenes are read back from their pictures, and from pictures with noise', () => {
    for (const [index, [, code]] of [...items.paint.one, ...items.paint.three].slice(0, 40).entries()) {
      const scale = 1 + (index % 3);
      const picture = scenes.render(decode(code), scale);
      expect(picture.data.length).toBe(4 * (scale * items.world.size) ** 2);
      expect(same(scenes.read(picture), decode(code))).toBe(true);
      for (let i = 0; i < picture.data.length; i += 1) picture.data[i] = picture.data[i]! + ((i * 7919) % 41) - 20;
      expect(same(scenes.read(picture), decode(code))).toBe(true);
    }
    expect(same(decode('142'), decode('143'))).toBe(false);
    expect(() => scenes.read({ ...scenes.render([]), width: 48 })).toThrow('48 pixels is no multiple of 32');
  });

  test('the interval is Wilson’s', () => {
    expect(share(95, 100)).toEqual({ n: 100, right: 95, share: 0.95, low: 0.8882, high: 0.9785 });
  });
});
