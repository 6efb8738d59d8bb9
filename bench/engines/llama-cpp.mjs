// Native llama.cpp (node-llama-cpp's prebuilt binaries) in a process of its own: prints one JSON line.
// argv: file, threads, tokens of the context, new tokens. stdin: the prompt.
import { readFileSync } from 'node:fs';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const [file, threads, window, newTokens] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
const started = performance.now();
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const load = performance.now() - started;
const context = await model.createContext({
  contextSize: window,
  threads: { ideal: threads, min: threads },
  batchSize: Math.max(512, window),
  flashAttention: true,
});
const sequence = context.getSequence();
const prompt = model.tokenize(readFileSync(0, 'utf8'));
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
    version: '3.22.1',
    promptTokens: prompt.length,
    tokens: arrivals.length,
    loadMs: load,
    prefill: prompt.length / ((arrivals[0] - begin) / 1000),
    decode: (arrivals.length - 1) / ((arrivals.at(-1) - arrivals[0]) / 1000),
    peak,
  }),
);
process.exit(0);
