// What Octavo (WASM in Node, f32 pages) and native llama.cpp (f16 cache) say of the same ids: mean negative log-likelihood, in windows that start anew.
// npm run bench -- perplexity --model FILE.gguf --text FILE [--from TEXT] [--characters N] [--size 512] [--threads 2] [--engines octavo,native]
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readText } from '../eval/perplexity.mjs';
import { table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function native(file, threads, windows) {
  const { stdout, status } = spawnSync(
    process.execPath,
    [here('./engines/llama-cpp-score.mjs'), file, String(threads)],
    {
      input: JSON.stringify(windows),
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  if (status !== 0) throw new Error(`llama.cpp ended with ${status}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

export async function run({
  model: file,
  text: path,
  from,
  characters,
  size = '512',
  threads = '2',
  engines = 'octavo,native',
}) {
  if (file === undefined || path === undefined) throw new Error('give --model FILE.gguf and --text FILE');
  const { Octavo } = await import('../dist/node.js');
  const text = readText(path, from, characters);
  const window = Number(size);
  const model = await Octavo.load(file, { device: 'wasm', threads: Number(threads) });
  const results = [];
  try {
    const ids = [...(await model.tokenize(text))];
    const windows = Array.from({ length: Math.ceil(ids.length / window) }, (_, i) =>
      ids.slice(i * window, (i + 1) * window),
    );
    if (engines.includes('octavo')) {
      // Ids go in as they are: what a model puts before each text is left out on both sides.
      const { tokens, nll } = await model.score(Int32Array.from(ids), { window });
      results.push({ engine: `octavo ${model.device.description}`, tokens, nll });
    }
    if (engines.includes('native'))
      results.push({ engine: 'llama.cpp of node-llama-cpp 3.22.1', ...native(file, threads, windows) });
  } finally {
    await model.destroy();
  }
  const rows = results.map(({ engine, tokens, nll }) => [engine, tokens, nll.toFixed(4), Math.exp(nll).toFixed(3)]);
  console.log(table([['engine', 'tokens', 'nats', 'perplexity'], ...rows]));
  return { model: basename(file), text: { file: basename(path), from, characters: text.length }, window, results };
}
