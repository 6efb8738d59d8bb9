// npm run fuzz -- gguf|safetensors|tokenizer|template|image|session|http|constraint|all [--count N] [--seed S] [--from N] [--json]
// Damages files of one kind at random, N times, and counts what becomes of them. An untyped error, a wrong result, a case that takes longer than
// LIMIT_MS or a thread that dies is a failure: exit code 1, with the case's number, which --from N --count 1 runs again. Needs the WASM builds (npm run asc).
import { mkdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';

const KINDS = ['gguf', 'safetensors', 'tokenizer', 'template', 'image', 'session', 'http', 'constraint'];
const COUNTS = {
  gguf: 1_000_000,
  safetensors: 100_000,
  tokenizer: 20_000,
  template: 100_000,
  image: 5000,
  session: 1000,
  http: 2000,
  constraint: 10_000,
};
/** A case takes milliseconds; a machine may be busy. */
const LIMIT_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' }, json: { type: 'boolean' } },
});
const [wanted] = positionals;
if (positionals.length !== 1 || (wanted !== 'all' && !KINDS.includes(wanted))) {
  console.error(`Usage: npm run fuzz -- ${KINDS.join('|')}|all [--count N] [--seed S] [--from N] [--json]`);
  process.exit(2);
}

mkdirSync('build/fuzz', { recursive: true });
const outfile = 'build/fuzz/worker.mjs';
await build({
  entryPoints: ['test/fuzz/worker.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  loader: { '.wgsl': 'text' },
  logLevel: 'error',
});

/** Resolves with the report; `hang` and `death` are failures of their own. */
function run(kind) {
  const progress = new SharedArrayBuffer(4);
  const running = new Int32Array(progress);
  const count = Number(values.count ?? COUNTS[kind]);
  const options = { count, seed: Number(values.seed ?? 1), from: Number(values.from ?? 0) };
  return new Promise((resolve) => {
    const worker = new Worker(pathToFileURL(outfile), { workerData: { kind, options, progress } });
    let [seen, since] = [-1, Date.now()];
    const end = (report) => {
      clearInterval(watch);
      void worker.terminate();
      resolve(report);
    };
    const failed = (outcome, problem) =>
      end({
        kind,
        cases: running[0] - options.from,
        outcomes: { [outcome]: 1 },
        failures: [{ case: running[0], problem }],
      });
    const watch = setInterval(() => {
      const now = Atomics.load(running, 0);
      if (now !== seen) [seen, since] = [now, Date.now()];
      else if (Date.now() - since > LIMIT_MS) failed('HANG', `the case takes longer than ${LIMIT_MS} ms`);
    }, 500);
    worker.once('message', end);
    worker.once('error', (error) => failed('THREAD DIED', error.stack ?? String(error)));
    worker.once('exit', (code) => failed('THREAD DIED', `exit code ${code}`));
  });
}

let bad = false;
for (const kind of wanted === 'all' ? KINDS : [wanted]) {
  const report = await run(kind);
  bad ||= report.failures.length > 0;
  if (values.json) console.log(JSON.stringify(report));
  else {
    const rate =
      report.seconds === undefined
        ? ''
        : ` in ${report.seconds.toFixed(1)} s (${Math.round(report.cases / report.seconds)} a second)`;
    console.log(`${kind}: ${report.cases} cases${rate}`);
    for (const [outcome, count] of Object.entries(report.outcomes).sort((a, b) => b[1] - a[1]))
      console.log(`  ${String(count).padStart(9)}  ${outcome}`);
    for (const failure of report.failures) console.error(`  case ${failure.case}: ${failure.problem}`);
  }
}
process.exit(bad ? 1 : 0);
