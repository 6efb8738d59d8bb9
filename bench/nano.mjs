// How long one waits for nano, the bundled model, in Chromium: a question about a picture of 128 pixels that was not seen before, until the first token and until the end of the answer;
// a painting and an edit of 64 pixels.
//   npm run bench -- nano [--threads 1,2] [--runs 10] [--model FILE.gguf] [--json FILE]
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { serve } from '../tools/static-server.mjs';
import { runInBrowser } from './engines/browser.mjs';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** What is measured -> its goal in milliseconds. */
const GOALS = {
  loaded: undefined,
  'question, first token': 700,
  'question, whole answer': 700,
  painting: 1500,
  edit: undefined,
};

export async function run({ threads = '1,2', runs, model = here('../models/nano/nano.gguf') }) {
  const server = await serve({ mounts: { '/pages/': here('./pages'), '/dist/': here('../dist') } });
  const results = [];
  try {
    for (const count of threads.split(',').map(Number)) {
      const load = loadavg()[0];
      results.push({
        threads: count,
        load,
        ...(await runInBrowser(server, 'nano.mjs', model, { threads: count, runs: Number(runs) })),
      });
    }
  } finally {
    await server.close();
  }
  const milliseconds = (samples) => (samples.length === 0 ? '' : `${median(samples).toFixed(0)} ms`);
  console.log(results.map(({ device }) => device).join('\n'));
  console.log(
    table([
      ['median', ...results.map(({ threads: count }) => `${count} thread${count === 1 ? '' : 's'}`), 'goal'],
      ...Object.entries(GOALS).map(([name, goal]) => [
        name,
        ...results.map(({ samples }) => milliseconds(samples[name])),
        goal === undefined ? '' : `${goal} ms`,
      ]),
    ]),
  );
  return { results };
}
