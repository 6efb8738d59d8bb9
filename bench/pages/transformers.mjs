// In the page: one measured run of transformers.js on the CPU, on an ONNX export of the same model (onnx/export.py).
import { AutoModelForCausalLM, AutoTokenizer, TextStreamer, env } from '/transformers/transformers.min.js';

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = '/onnx/';
env.useBrowserCache = false;
env.backends.onnx.wasm.wasmPaths = '/ort/';

/** Hears every token, and keeps when it came. */
class Clock extends TextStreamer {
  arrivals = [];
  #prompt = true;
  put(ids) {
    // The first call gives the prompt.
    if (!this.#prompt) this.arrivals.push(performance.now());
    this.#prompt = false;
    void ids;
  }
  end() {}
}

globalThis.run = async ({ onnx, dtype, threads, prompt, newTokens }) => {
  env.backends.onnx.wasm.numThreads = threads;
  const started = performance.now();
  const tokenizer = await AutoTokenizer.from_pretrained(onnx);
  const model = await AutoModelForCausalLM.from_pretrained(onnx, { dtype, device: 'wasm' });
  const loadMs = performance.now() - started;
  const inputs = tokenizer(prompt);
  const promptTokens = inputs.input_ids.dims.at(-1);
  const clock = new Clock(tokenizer);
  const begin = performance.now();
  await model.generate({
    ...inputs,
    do_sample: false,
    max_new_tokens: newTokens,
    min_new_tokens: newTokens,
    streamer: clock,
  });
  const { arrivals } = clock;
  const result = {
    engine: 'transformers.js',
    version: env.version,
    isolated: crossOriginIsolated,
    promptTokens,
    tokens: arrivals.length,
    loadMs,
    prefill: promptTokens / ((arrivals[0] - begin) / 1000),
    decode: (arrivals.length - 1) / ((arrivals.at(-1) - arrivals[0]) / 1000),
  };
  await model.dispose();
  return result;
};
globalThis.ready = true;
