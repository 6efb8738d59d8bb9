// How likely native llama.cpp (node-llama-cpp) finds ids, its KV cache in f16. argv: file, threads. stdin: JSON windows of ids. Prints one JSON line.
import { readFileSync } from 'node:fs';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const [file, threads] = [process.argv[2], Number(process.argv[3])];
const windows = JSON.parse(readFileSync(0, 'utf8'));
const length = Math.max(...windows.map((ids) => ids.length));
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: length,
  batchSize: length,
  threads: { ideal: threads, min: threads },
  flashAttention: false,
});
const sequence = context.getSequence();
let sum = 0;
let tokens = 0;
for (const ids of windows) {
  await sequence.clearHistory();
  // What the distribution behind each id says of the id that follows: its logit, the highest, and the sum of exp(logit - highest).
  const asked = ids.slice(0, -1).map((id, i) => [
    id,
    {
      generateNext: {
        logits: { filter: { tokens: [ids[i + 1]], includeTop: 1 } },
        totalLogitWeight: true,
        options: { temperature: 1, topK: 0, topP: 1, minP: 0 },
      },
    },
  ]);
  for (const [i, { next }] of (await sequence.controlledEvaluate(asked)).entries()) {
    sum -= next.logits.get(ids[i + 1]) - Math.max(...next.logits.values()) - Math.log(next.totalLogitWeight);
    tokens += 1;
  }
}
console.log(JSON.stringify({ tokens, nll: sum / tokens }));
process.exit(0);
