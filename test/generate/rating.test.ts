/** session.rate: texts that are read side by side are as likely as each alone, read behind the prompt in the usual way. */
import { describe, expect, test } from '@jest/globals';
import { score } from '../../src/generate/score.ts';
import { Session } from '../../src/session.ts';
import { loadTest } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const file = tinyModel();
const PROMPT = 'the harbour is closed when the ice reaches the outer mole; who closes it?';
const ANSWERS = ['the harbour', 'ice', 'the outer mole', 'a', 'closed when', ''];

describe('session.rate', () => {
  test.each([16, 8] as const)('gives each text the likelihood that it has alone (%d bits)', async (kvBits) => {
    const model = await loadTest(file);
    const session = new Session(model, { context: { kvBits } });
    const { ids, tokens } = await session.complete(PROMPT, { temperature: 0, maxTokens: 6, loops: 'allow' });
    const rated = await session.rate({ answers: ANSWERS, most: 4 });
    expect(rated).toHaveLength(4);
    const { bos } = model.tokenizer.facts;
    const prompt = [...(tokens.prompt > PROMPT.length ? [bos!] : []), ...model.tokenizer.encode(PROMPT)];
    expect(prompt).toHaveLength(tokens.prompt);
    for (const { index, ends, logProbs } of rated) {
      const text = ANSWERS[index]!;
      const own = [...model.tokenizer.encode(text)];
      // One more token, so that the last one is read, too.
      const alone = await score(model, Int32Array.from([...prompt, ...own]), {
        prompt: prompt.length,
        context: { kvBits },
      });
      expect([...ends]).toEqual(own.map((_, i) => i + 1));
      own.forEach((_, i) => expect(logProbs[i]).toBeCloseTo(alone.logProbs[prompt.length + i]!, 2));
    }
    // The likeliest first tokens first, and as many as were asked for.
    const firsts = rated.map(({ logProbs }) => logProbs[0]!);
    expect(firsts).toEqual(firsts.toSorted((a, b) => b - a));
    // Nothing changed: the conversation goes on as it would have.
    const more = await session.complete(Int32Array.from([...prompt, ...ids, ...model.tokenizer.encode(' and')]), {
      temperature: 0,
      maxTokens: 4,
      loops: 'allow',
    });
    const fresh = await new Session(model, { context: { kvBits } }).complete(
      Int32Array.from([...prompt, ...ids, ...model.tokenizer.encode(' and')]),
      { temperature: 0, maxTokens: 4, loops: 'allow' },
    );
    expect(more.ids).toEqual(fresh.ids);
    await session.destroy();
  });
});
