// In the page: one measured run of Octavo's built package. Returns the same figures as the other engines.
import { Octavo } from '/dist/index.js';

globalThis.run = async ({ threads, build, promptTokens, newTokens }) => {
  const file = document.querySelector('#file').files[0];
  const started = performance.now();
  const model = await Octavo.load(file, { device: 'wasm', threads, wasmBuild: build, contextWindow: promptTokens + newTokens + 64, store: false });
  const loadMs = performance.now() - started;
  const arrivals = [];
  const begin = performance.now();
  const stream = model.complete('a'.repeat(promptTokens), { maxTokens: newTokens, temperature: 0, ignoreEos: true, onToken: () => arrivals.push(performance.now()) });
  for await (const text of stream) void text;
  const result = { engine: 'octavo', device: model.device.description, isolated: crossOriginIsolated, tokens: arrivals.length, loadMs, prefill: promptTokens / ((arrivals[0] - begin) / 1000), decode: (arrivals.length - 1) / ((arrivals.at(-1) - arrivals[0]) / 1000) };
  await model.destroy();
  return result;
};
globalThis.ready = true;
