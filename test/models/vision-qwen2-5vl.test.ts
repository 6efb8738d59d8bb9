/** Qwen2.5-VL against upstream: windows in the tower. And PixelPrune's cells that repeat no other. */
import { expect, test } from '@jest/globals';
import { uniqueCells } from '../../src/models/vision/unique.ts';
import { Session } from '../../src/session.ts';
import type { Rgba } from '../../src/vision/image.ts';
import { random } from '../support/random.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';
import { picture } from '../support/vision-fixtures.ts';
import { describeVision } from '../support/vision-parity.ts';

const CELL = 8;

/** A grid of flat cells, each of one of the given levels. */
function cells(columns: number, levels: readonly number[]): Rgba {
  const rows = levels.length / columns;
  const [width, height] = [columns * CELL, rows * CELL];
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const level = levels[Math.floor(y / CELL) * columns + Math.floor(x / CELL)]!;
      data.set([level, 255 - level, level ^ 85], 4 * (y * width + x));
    }
  return { data, width, height };
}

await describeVision('qwen2_5vl', {
  more: ({ engine }) => {
    test('cells that repeat no other: the first of each kind, by every pixel', () => {
      const { integer } = random(3);
      for (let i = 0; i < 50; i++) {
        const columns = integer(1, 9);
        const levels = Array.from({ length: columns * integer(1, 9) }, () => integer(0, 12));
        const image = cells(columns, levels);
        const firsts = levels.flatMap((level, at) => (levels.indexOf(level) === at ? [at] : []));
        expect([...uniqueCells(image, CELL)]).toEqual(firsts);
      }
      const almost = cells(4, [7, 7, 7, 7]);
      almost.data[4 * (4 * CELL * 7 + 15) + 2]! ^= 1;
      expect([...uniqueCells(almost, CELL)]).toEqual([0, 1]);
    });

    test('visual.unique: nothing changes without repetitions; with them, the others keep their places', async () => {
      const { images } = engine();
      const { backend } = (await engine().deviceSequence(32)).model;
      const embedded = async (image: Rgba, unique: boolean): Promise<Float32Array> => {
        const shown = images.register(image, 'image', { unique });
        await images.encode(shown);
        return backend.download(images.embeddings(shown).embeddings);
      };
      const varied = picture(48, 32);
      expectNmse(await embedded(varied, true), await embedded(varied, false), TOLERANCE.reduction, 'no repetitions');

      const levels = Array.from({ length: 24 }, (_, i) => (i % 5 === 0 ? 10 * i : 200));
      const shown = images.register(cells(6, levels), 'image', { unique: true });
      const firsts = levels.flatMap((level, at) => (levels.indexOf(level) === at ? [at] : []));
      const [span] = shown.prepared.spans;
      expect(span).toMatchObject({ tokens: firsts.length, rows: 4, columns: 6, selectable: firsts.length });
      const [{ offsets, advance } = { offsets: new Int32Array(), advance: 0 }] = shown.positions;
      expect(advance).toBe(6);
      expect([...offsets]).toEqual([
        ...firsts.map(() => 0),
        ...firsts.map((cell) => Math.floor(cell / 6)),
        ...firsts.map((cell) => cell % 6),
      ]);
      expect((await embedded(cells(6, levels), true)).length).toBe(32 * firsts.length);
    });

    test('visual.unique in a session, alone and with a selection', async () => {
      const content = [
        {
          type: 'image' as const,
          value: cells(
            6,
            Array.from({ length: 24 }, (_, i) => (i < 4 ? i : 9)),
          ),
        },
        { type: 'text' as const, value: 'What?' },
      ];
      const tokens = async (more: object): Promise<number> => {
        const session = new Session(engine(), { temperature: 0, maxTokens: 3, ...more });
        try {
          return (await session.prompt([{ role: 'user', content }])).tokens.prompt;
        } finally {
          await session.destroy();
        }
      };
      const all = await tokens({});
      expect(await tokens({ visual: { unique: true } })).toBe(all - 24 + 5);
      const context = { visual: { method: 'todre', keep: 2 } };
      expect(await tokens({ visual: { unique: true }, context })).toBe(all - 24 + 2);
      await expect(tokens({ visual: { unique: true }, context: { visual: 'showui' } })).rejects.toThrow('all cells');
    });

    test('images of a shape and size that this model does not see', () => {
      const { images } = engine();
      expect(() => images.register(picture(2010, 10), 'image')).toThrow('at most 200 times the shorter');
      expect(() => images.settings({ size: 7 })).toThrow('a square of 8 to 61 pixels');
      expect(images.register(picture(60, 60), 'image', { size: 32 }).prepared.spans[0]!.tokens).toBe(16);
      expect(() => images.settings({ route: 'mar' })).toThrow('leave it out');
    });
  },
});
