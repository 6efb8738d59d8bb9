// In the page: one measured run of wllama. Returns the same figures as the other engines.
import { Wllama, LoggerWithoutDebug } from '/wllama/index.js';

globalThis.run = async ({ threads, prompt, newTokens, window }) => {
  const file = document.querySelector('#file').files[0];
  const wllama = new Wllama(
    { default: '/wllama/wasm/wllama.wasm' },
    { suppressNativeLog: true, logger: LoggerWithoutDebug },
  );
  wllama.setCompat(null);
  const started = performance.now();
  await wllama.loadModel([file], {
    n_ctx: window,
    n_threads: threads,
    n_batch: Math.max(512, window),
    n_gpu_layers: 0,
    warmup: false,
  });
  const loadMs = performance.now() - started;
  const arrivals = [];
  const begin = performance.now();
  const stream = await wllama.createCompletion({
    prompt,
    max_tokens: newTokens,
    temperature: 0,
    top_k: 1,
    ignore_eos: true,
    stream: true,
    cache_prompt: false,
  });
  let timings;
  for await (const chunk of stream) {
    arrivals.push(performance.now());
    timings = chunk.timings ?? timings;
  }
  // Its own clock where it gives one: the rates that favour it most.
  const promptTokens = timings?.prompt_n ?? (await wllama.tokenize(prompt)).length;
  const prefill = timings?.prompt_per_second ?? promptTokens / ((arrivals[0] - begin) / 1000);
  const decode = timings?.predicted_per_second ?? (arrivals.length - 1) / ((arrivals.at(-1) - arrivals[0]) / 1000);
  const result = {
    engine: 'wllama',
    version: '3.13.0',
    isolated: crossOriginIsolated,
    threads: wllama.getNumThreads(),
    promptTokens,
    tokens: arrivals.length,
    loadMs,
    prefill,
    decode,
  };
  await wllama.exit();
  return result;
};
globalThis.ready = true;
