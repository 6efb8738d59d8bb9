/** LFM2-VL against upstream. */
import { expect, test } from '@jest/globals';
import { picture } from '../support/vision-fixtures.ts';
import { describeVision } from '../support/vision-parity.ts';

await describeVision('lfm2vl', {
  // torchvision rounds some pixels of what it resizes to the neighbouring level.
  tolerance: 1e-5,
  more: ({ engine }) => {
    test('visual.unique leaves out what repeats within a tile, and positions have gaps', () => {
      const flat = picture(90, 60);
      flat.data.fill(255);
      const shown = engine().images.register(flat, 'image', { unique: true });
      // Six tiles or fewer, each of one cell, and the whole image.
      expect(shown.prepared.spans.every(({ tokens }) => tokens === 1)).toBe(true);
      expect(shown.prepared.spans.length).toBeGreaterThan(2);
      expect(shown.positions[0]).toEqual({ offsets: Int32Array.of(0), advance: 16 });
    });
  },
});
