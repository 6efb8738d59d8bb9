// Everything that a machine with a GPU can tell, by one command: the suites that compute on it, the forms of its kernels (`octavo doctor`), and rates of prefill and
// decode beside WASM on the same machine. OCTAVO_HARDWARE_GPU=1 takes the system's Vulkan driver; without it SwiftShader is used, which shows that the command works.
// A part that fails is told, and the others go on: time on such a machine is short.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chosen, LONG_METHODS } from '../eval/methods.mjs';
import { benchFiles } from './files.mjs';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SUITES = ['test/gpu/', 'test/backend/webgpu', 'test/session/webgpu', 'test/kv/moves', 'test/generate/drafts'];
/** Minutes that the suites may take; rates take what is left of ten. */
const MOST_MINUTES = 5;
const hardware = process.env.OCTAVO_HARDWARE_GPU === '1';

/** How many tests of the suites pass, and the names of those that fail. Chromium of npm has no driver for hardware. */
function suites() {
  const folder = mkdtempSync(join(tmpdir(), 'octavo-bench-gpu-'));
  const report = join(folder, 'report.json');
  try {
    const { error } = spawnSync(
      process.execPath,
      [
        here('../tools/test.mjs'),
        ...SUITES,
        '--testPathIgnorePatterns=chromium',
        '--json',
        `--outputFile=${report}`,
        '--silent',
      ],
      {
        cwd: here('..'),
        env: { ...process.env, OCTAVO_REQUIRE_GPU: '1' },
        stdio: ['ignore', 'ignore', 'inherit'],
        timeout: MOST_MINUTES * 60_000,
      },
    );
    if (error !== undefined) return { problem: error.message };
    const { numPassedTests: passed, numPendingTests: skipped, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const failed = testResults.flatMap(({ name, message, assertionResults }) => {
      const names = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
      // A suite that could not run has no tests.
      return names.length === 0 && message !== '' && assertionResults.length === 0 ? [`${name}: ${message}`] : names;
    });
    return { passed, skipped, failed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function forms(env) {
  const kernels = hardware ? [] : ['--kernels'];
  const told = execFileSync(process.execPath, [here('../dist/cli.js'), 'doctor', '--json', ...kernels], {
    env,
    encoding: 'utf8',
  });
  return JSON.parse(told).webgpu;
}

/** Medians of interleaved runs: each device with each context, then again. */
function rates(env, options) {
  const lengths = { prompt: Number(options.prompt ?? 512), tokens: Number(options.tokens ?? 64) };
  const window = 2 * lengths.prompt + lengths.tokens + 64;
  const contexts = chosen(options.methods ?? 'kv8', LONG_METHODS);
  const results = [];
  for (const { name, path, prompt } of benchFiles(options, here('./files'), options.shape ?? 'qwen2.5-0.5b', 'Q4_0')) {
    const rows = ['webgpu', 'wasm'].flatMap((device) =>
      contexts.map(([method, { context }]) => ({ file: name, device, method, context, samples: [] })),
    );
    for (let turn = 0; turn < Number(options.runs); turn += 1)
      for (const { device, method, context, samples } of rows) {
        const said = execFileSync(
          process.execPath,
          [
            here('./engines/octavo-node.mjs'),
            path,
            device,
            options.threads ?? '2',
            String(window),
            String(lengths.tokens),
            JSON.stringify(context),
          ],
          { env, input: prompt(lengths.prompt), encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] },
        );
        const sample = JSON.parse(said.trim().split('\n').at(-1));
        samples.push(sample);
        process.stderr.write(
          `${name} ${device}, ${method}: prefill ${sample.prefill?.toFixed(1)}, decode ${sample.decode?.toFixed(1)} tokens/s\n`,
        );
      }
    for (const { context: _, ...row } of rows) {
      const of = (field) => median(row.samples.map((sample) => sample[field]));
      results.push({ ...row, prefill: of('prefill'), decode: of('decode'), loadMs: of('loadMs') });
    }
  }
  return results;
}

export async function run(options) {
  const parts = (options.only ?? 'forms,rates,suites').split(',');
  const env = {
    ...process.env,
    ...(hardware ? {} : await (await import('../tools/sparticuz.mjs')).swiftshaderEnvironment()),
  };
  const result = { hardware };
  const part = (name, measure) => {
    if (!parts.includes(name)) return;
    const begin = performance.now();
    try {
      result[name] = measure();
    } catch (error) {
      result[name] = { problem: error instanceof Error ? error.message : String(error) };
    }
    console.log(`${name}: ${Math.round((performance.now() - begin) / 1000)} s`);
    if (name !== 'rates' || !Array.isArray(result.rates)) console.log(JSON.stringify(result[name], null, 1));
    else
      console.log(
        table([
          ['file', 'device', 'context', 'prefill tokens/s', 'decode tokens/s', 'load ms'],
          ...result.rates.map(({ file, device, method, prefill, decode, loadMs }) => [
            file,
            device,
            method,
            prefill.toFixed(1),
            decode.toFixed(1),
            loadMs.toFixed(0),
          ]),
        ]),
      );
  };
  // What is quick first.
  part('forms', () => forms(env));
  part('rates', () => rates(env, options));
  part('suites', suites);
  return result;
}
