// Native llama.cpp (node-llama-cpp's prebuilt binaries) in a process of its own: prints one JSON line.
// argv: file, threads, prompt tokens, new tokens
import { readFileSync } from 'node:fs';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const [file, threads, promptTokens, newTokens] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
const started = performance.now();
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const load = performance.now() - started;
const context = await model.createContext({
  contextSize: promptTokens + newTokens + 64,
  threads: { ideal: threads, min: threads },
  batchSize: Math.max(512, promptTokens),
  flashAttention: false,
});
const sequence = context.getSequence();
const prompt = model.tokenize('a'.repeat(promptTokens));
const arrivals = [];
const begin = performance.now();
for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
  void token;
  arrivals.push(performance.now());
  if (arrivals.length === newTokens) break;
}
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
console.log(
  JSON.stringify({
    engine: 'llama.cpp native',
    version: '3.21.1',
    promptTokens: prompt.length,
    tokens: arrivals.length,
    loadMs: load,
    prefill: prompt.length / ((arrivals[0] - begin) / 1000),
    decode: (arrivals.length - 1) / ((arrivals.at(-1) - arrivals[0]) / 1000),
    peak,
  }),
);
process.exit(0);
