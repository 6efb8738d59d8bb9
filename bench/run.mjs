// npm run bench -- text|tokenize|profile|memory|loads|pictures|paint|context|visual|perplexity|constrain|drafts|embed|documents|gpu|nano [--json FILE] [...]: each benchmark is a file of its own; all print machine, versions and the command.
import { cpus, totalmem } from 'node:os';
import { readFileSync, writeFileSync } from 'node:fs';
import { fail, readCommandLine } from '../tools/command-line.mjs';

const benchmarks = {
  text: () => import('./text.mjs'),
  tokenize: () => import('./tokenize.mjs'),
  profile: () => import('./profile.mjs'),
  memory: () => import('./memory.mjs'),
  loads: () => import('./loads.mjs'),
  pictures: () => import('./kernels/pictures.mjs'),
  paint: () => import('./paint.mjs'),
  context: () => import('./context.mjs'),
  visual: () => import('./visual.mjs'),
  perplexity: () => import('./perplexity.mjs'),
  constrain: () => import('./constrain.mjs'),
  drafts: () => import('./drafts.mjs'),
  embed: () => import('./embed.mjs'),
  documents: () => import('./documents.mjs'),
  gpu: () => import('./gpu.mjs'),
  nano: () => import('./nano.mjs'),
};

const OPTIONS = {
  json: { type: 'string' },
  chart: { type: 'string' },
  runs: { type: 'string', default: '3' },
  files: { type: 'string' },
  threads: { type: 'string' },
  builds: { type: 'string' },
  engines: { type: 'string' },
  shape: { type: 'string' },
  quantize: { type: 'string' },
  model: { type: 'string' },
  old: { type: 'string' },
  onnx: { type: 'string' },
  prompt: { type: 'string' },
  tokens: { type: 'string' },
  size: { type: 'string' },
  samples: { type: 'string' },
  steps: { type: 'string' },
  memory: { type: 'boolean' },
  only: { type: 'string' },
  lengths: { type: 'string' },
  methods: { type: 'string' },
  text: { type: 'string' },
  from: { type: 'string' },
  characters: { type: 'string' },
};
const usage = `usage: npm run bench -- ${Object.keys(benchmarks).join('|')} [options]

bench/README.md says what each of them measures.`;
const { values, positionals } = readCommandLine(process.argv.slice(2), OPTIONS, usage, true);
const name = positionals[0] ?? '';
if (!Object.hasOwn(benchmarks, name))
  fail(name === '' ? 'no benchmark is named' : `no benchmark '${name}'`, OPTIONS, usage);

const octavo = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memory: totalmem(),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
};
const command = `npm run bench -- ${process.argv.slice(2).join(' ')}`;
console.log(
  `${command}\n${machine.cpu}, ${machine.cores} cores, ${(machine.memory / 2 ** 30).toFixed(0)} GiB, Node ${machine.node}, octavo ${octavo.version}\n`,
);

const { run } = await benchmarks[name]();
const result = {
  benchmark: name,
  command,
  date: new Date().toISOString(),
  machine,
  octavo: octavo.version,
  ...(await run(values)),
};
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`);
