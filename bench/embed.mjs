// Embedding: texts and tokens a second of the built package in Node, by threads and by quantisation. --model: a folder of an embedder
// (`npm run models -- minilm`). The texts are those of test/fixtures/real/minilm.json, as one call of 100 and as single calls.
import { readFileSync } from 'node:fs';
import { Octavo } from '../dist/node.js';
import { median, table } from './statistics.mjs';

const { texts } = JSON.parse(readFileSync(new URL('../test/fixtures/real/minilm.json', import.meta.url), 'utf8'));

async function seconds(body) {
  const begun = performance.now();
  await body();
  return (performance.now() - begun) / 1000;
}

export async function run({ model: path, threads = '1,2', runs }) {
  if (path === undefined) throw new Error('--model FOLDER is missing; npm run models -- minilm fetches one');
  const results = [];
  for (const quantize of [undefined, 'q8']) {
    for (const count of threads.split(',').map(Number)) {
      const model = await Octavo.load(path, { device: 'wasm', threads: count, quantize });
      const { tokens } = await model.embed(texts);
      const [many, one] = [[], []];
      for (let i = 0; i < Number(runs); i++) {
        many.push(await seconds(() => model.embed(texts)));
        one.push(
          await seconds(async () => {
            for (const text of texts.slice(0, 20)) await model.embed([text]);
          }),
        );
      }
      results.push({
        weights: quantize ?? 'f32',
        threads: count,
        device: model.device.description,
        texts: texts.length,
        tokens,
        textsPerSecond: texts.length / median(many),
        tokensPerSecond: tokens / median(many),
        // Of the first 20 texts, which are short.
        singleCallsPerSecond: 20 / median(one),
        samples: many,
      });
      await model.destroy();
    }
  }
  console.log(
    table([
      ['weights', 'threads', 'texts/s', 'tokens/s', 'single short texts/s'],
      ...results.map((row) => [
        row.weights,
        String(row.threads),
        row.textsPerSecond.toFixed(1),
        row.tokensPerSecond.toFixed(0),
        row.singleCallsPerSecond.toFixed(1),
      ]),
    ]),
  );
  return { model: path.replace(/^.*[/\\]/, ''), results };
}
