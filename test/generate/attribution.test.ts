/** session.attribute: the masses are those of softmax attention computed in f64 from the layer's own queries and keys, and nothing else changes. */
import { describe, expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import type { AttributionSettings } from '../../src/generate/attribution.ts';
import { loadModel } from '../../src/models/model.ts';
import { readTokens } from '../../src/select/heads/reading.ts';
import { Session } from '../../src/session.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { loadTest, testFace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const file = tinyModel();
const TEXT = 'the harbour is closed when the ice reaches the outer mole';

/** The masses by the f64 loops: [rows, spans], the mean over heads and layers. */
async function expected(
  ids: Int32Array,
  first: number,
  rows: number,
  spans: readonly number[],
  layers: readonly number[],
): Promise<number[]> {
  const backend = createReferenceBackend();
  const { language } = await loadModel(await openModel(file), backend);
  const { heads, kvHeads, headDim } = language.config;
  const out = Array.from({ length: (rows * spans.length) / 2 }, () => 0);
  await readTokens(language, ids, async (layer, q, kv) => {
    if (!layers.includes(layer)) return;
    const queries = await backend.download(q);
    const cached = backend.keep(backend.scope(() => backend.cached(kv, layer, 'keys', 0, ids.length)));
    const keys = await backend.download(cached);
    backend.free(cached);
    for (let row = 0; row < rows; row++) {
      for (let head = 0; head < heads; head++) {
        const group = Math.floor(head / (heads / kvHeads));
        const scores = Array.from({ length: first + row + 1 }, (_, key) => {
          let sum = 0;
          for (let i = 0; i < headDim; i++)
            sum +=
              queries[(first + row) * heads * headDim + head * headDim + i]! *
              keys[key * kvHeads * headDim + group * headDim + i]!;
          return Math.exp(sum * language.attention.scale);
        });
        const total = scores.reduce((a, b) => a + b, 0);
        for (let span = 0; span < spans.length / 2; span++) {
          const mass = scores.slice(spans[2 * span], spans[2 * span + 1]).reduce((a, b) => a + b, 0) / total;
          out[(row * spans.length) / 2 + span]! += mass / heads / layers.length;
        }
      }
    }
  });
  backend.destroy();
  return out;
}

describe('session.attribute', () => {
  test('gives the attention of the positions that predict the answer, span by span', async () => {
    const model = await loadTest(file);
    const session = new Session(model);
    const before = `${'x'.repeat(50)} ${TEXT} `;
    const answer = await session.complete(before, { temperature: 0, maxTokens: 12, loops: 'allow' });
    const again = await session.attribute({ text: TEXT, spans: [0, 11, 12, 21, 0, TEXT.length], layers: [0, 2] });
    expect(again.tokens).toHaveLength(answer.ids.length);
    expect(again.tokens.join('')).toBe(answer.text);
    // Bytes are tokens here; the model puts its BOS before them.
    const prompt = model.tokenizer.encode(before);
    const bos = answer.tokens.prompt - prompt.length;
    const ids = Int32Array.from([...(bos === 1 ? [model.tokenizer.facts.bos!] : []), ...prompt, ...answer.ids]);
    const at = bos + before.indexOf(TEXT);
    const wanted = await expected(
      ids,
      answer.tokens.prompt - 1,
      answer.ids.length,
      [at, at + 11, at + 12, at + 21, at, at + TEXT.length],
      [0, 1],
    );
    for (const [i, mass] of again.masses.entries()) expect(Math.abs(mass - wanted[i]!)).toBeLessThan(2e-3);
    expect(Math.max(...wanted)).toBeGreaterThan(0.05);
    // It leaves no trace: the next answer is that of a session that was not asked.
    const other = new Session(model);
    await other.complete(before, { temperature: 0, maxTokens: 12, loops: 'allow' });
    const next = (one: Session): Promise<string> =>
      one
        .complete(`${before}${answer.text} and`, { temperature: 0, maxTokens: 8, loops: 'allow' })
        .then(({ text }) => text);
    expect(await next(session)).toBe(await next(other));
    await session.destroy();
    await other.destroy();
    model.free();
  });

  test('refuses without an answer, and a text that is not there', async () => {
    const model = await testFace().load(file, { device: 'wasm', threads: 1 });
    const session = await model.createSession({ temperature: 0, maxTokens: 4 });
    await expect(session.attribute({ text: 'hello', spans: [] })).rejects.toMatchObject({ code: 'empty' });
    await session.prompt('hello there');
    await expect(session.attribute({ text: 'good bye', spans: [0, 4] })).rejects.toMatchObject({ code: 'argument' });
    await expect(session.attribute({ text: 'hello', spans: [0] })).rejects.toMatchObject({ code: 'argument' });
    await expect(session.attribute({} as AttributionSettings)).rejects.toMatchObject({ facts: { name: 'text' } });
    const { masses } = await session.attribute({ text: 'hello there', spans: [0, 5, 6, 11] });
    expect(masses.every((mass) => mass >= 0 && mass <= 1)).toBe(true);
    await session.append('more');
    await expect(session.attribute({ text: 'hello', spans: [0, 5] })).rejects.toMatchObject({ code: 'empty' });
    await model.destroy();
  });
});
