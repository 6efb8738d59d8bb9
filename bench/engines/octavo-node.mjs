// Octavo's built package in Node, in a process of its own, which finds the GPU by its environment: prints one JSON line.
// argv: file, device, threads, tokens of the context, new tokens, the context's options as JSON. stdin: the prompt.
import { readFileSync } from 'node:fs';
import { Octavo } from '../../dist/node.js';

const [file, device, threads, window, maxTokens, context] = process.argv.slice(2);
const begin = performance.now();
const model = await Octavo.load(file, { device, threads: Number(threads), contextWindow: Number(window) });
const loadMs = performance.now() - begin;
const prompt = readFileSync(0, 'utf8');
const answer = async (text, most) => {
  const session = await model.createSession({ temperature: 0, drafts: false, context: JSON.parse(context) });
  try {
    const stream = session.promptStreaming(text, { maxTokens: most, loops: 'allow' });
    for await (const _ of stream);
    return await stream.finished;
  } finally {
    session.destroy();
  }
};
// The first call compiles shaders or code.
await answer('a', 2);
const { tokens, time, rate } = await answer(prompt, Number(maxTokens));
const { description } = model.device;
await model.destroy();
console.log(
  JSON.stringify({
    device: description,
    promptTokens: tokens.prompt,
    tokens: tokens.generated,
    loadMs,
    prefillMs: time.prefill,
    prefill: rate.prefill,
    decode: rate.decode,
  }),
);
