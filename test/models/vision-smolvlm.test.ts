/** SmolVLM and Idefics3 against upstream. */
import { expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import { loadModel } from '../../src/models/model.ts';
import { stretchPlan } from '../../src/models/vision/idefics3.ts';
import { Session } from '../../src/session.ts';
import { random } from '../support/random.ts';
import { conversation, ggufPair } from '../support/vision-fixtures.ts';
import { describeVision } from '../support/vision-parity.ts';

await describeVision('smolvlm', {
  more: ({ fixture, engine }) => {
    test('sides that were reckoned once are whole tiles, and stay so', () => {
      const { integer } = random(5);
      for (let i = 0; i < 2000; i++) {
        const [width, height, tile] = [integer(1, 3000), integer(1, 3000), [32, 384, 512][i % 3]!];
        const longest = tile * integer(1, 5);
        const plan = stretchPlan({ width, height }, longest, tile);
        expect([plan.width % tile, plan.height % tile]).toEqual([0, 0]);
        const again = stretchPlan(plan, longest, tile);
        expect([again.width, again.height]).toEqual([plan.width, plan.height]);
        expect(again.first).toEqual({ width: plan.width, height: plan.height });
      }
    });

    test('sizes, routes, and a file without its projector', async () => {
      const session = (visual: object): Session => new Session(engine(), { temperature: 0, maxTokens: 4, visual });
      expect(() => session({ size: 48 })).toThrow('use 32, 64, 96, 128');
      expect(() => session({ route: 'mar' })).toThrow('leave it out');
      const small = session({ size: 32 });
      expect((await small.prompt(conversation(fixture))).tokens.prompt).toBeLessThan(fixture.expected.ids.length / 2);
      await small.destroy();
      const { backend } = (await engine().deviceSequence(32)).model;
      const alone = await loadModel(await openModel(ggufPair(fixture)['text.gguf']!), backend);
      expect(alone.vision).toBeUndefined();
      expect(alone.missing.join()).toContain('mmproj');
      alone.free();
    });
  },
});
