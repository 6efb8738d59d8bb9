// What a constraint costs while a real model decodes on WASM: the host's time for masks and for advancing, as a share of the time for decoding, with
// nothing computed before (cold) and with what another session has computed (warm); and the rates of free and constrained answers, interleaved.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const text = { type: 'string' };
const SCHEMAS = {
  'a flat object': {
    type: 'object',
    properties: {
      name: text,
      age: { type: 'integer', minimum: 0, maximum: 150 },
      email: { type: 'string', format: 'email' },
      born: { type: 'string', format: 'date' },
      role: { enum: ['engineer', 'painter', 'farmer'] },
    },
    required: ['name', 'age', 'email', 'born', 'role'],
    additionalProperties: false,
  },
  'lists of objects': {
    type: 'object',
    properties: {
      title: { type: 'string', maxLength: 60 },
      steps: {
        type: 'array',
        minItems: 4,
        maxItems: 8,
        items: {
          type: 'object',
          properties: {
            text: { type: 'string', minLength: 10, maxLength: 120 },
            minutes: { type: 'number', minimum: 0 },
          },
          required: ['text', 'minutes'],
          additionalProperties: false,
        },
      },
      tags: { type: 'array', items: text, maxItems: 5 },
    },
    required: ['title', 'steps', 'tags'],
    additionalProperties: false,
  },
  'any JSON': true,
};
const QUESTIONS = {
  'a flat object': 'Invent a person. Answer as JSON.',
  'lists of objects': 'How do I bake bread? Answer as JSON.',
  'any JSON': 'List five large cities with their countries and populations, as JSON.',
};

export async function run({ model, runs, threads, tokens }) {
  if (model === undefined) throw new Error('--model FILE.gguf: the file to decode with (npm run models -- qwen)');
  mkdirSync(here('./out'), { recursive: true });
  await build({
    entryPoints: [here('./entries/constrain.ts')],
    outfile: here('./out/constrain.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    loader: { '.wgsl': 'text' },
    logLevel: 'error',
  });
  const { open } = await import(pathToFileURL(here('./out/constrain.mjs')).href);
  const count = Number(threads ?? 1);
  const most = Number(tokens ?? 200);
  const bench = await open(resolve(model), count, new URL('../build/wasm/', import.meta.url));
  const results = {};
  const share = ({ constraint, decode }) => constraint / decode;
  const rate = ({ tokens: made, decode }) => (1000 * made) / decode;
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const grammar = { kind: 'json', schema };
    const cold = [];
    const warm = [];
    const free = [];
    const compile = [];
    for (let turn = 0; turn < Number(runs); turn++) {
      bench.forget();
      compile.push(bench.compile(grammar));
      cold.push(await bench.constrained(QUESTIONS[name], grammar, most));
      free.push(await bench.free(QUESTIONS[name], most));
      warm.push(await bench.constrained(QUESTIONS[name], grammar, most));
    }
    const [first] = warm;
    results[name] = {
      compile: median(compile),
      tokens: first.tokens,
      coldShare: median(cold.map(share)),
      warmShare: median(warm.map(share)),
      coldMillisecondsPerToken: median(cold.map((one) => one.constraint / one.tokens)),
      warmMillisecondsPerToken: median(warm.map((one) => one.constraint / one.tokens)),
      slowestMask: median(cold.map((one) => one.slowest)),
      freeRate: median(free.map(rate)),
      coldRate: median(cold.map(rate)),
      warmRate: median(warm.map(rate)),
      answer: first.text,
    };
  }
  console.log(
    table([
      [
        'schema',
        'tokens',
        'compile ms',
        'cold %',
        'warm %',
        'cold ms a token',
        'slowest mask ms',
        'free tokens/s',
        'cold',
        'warm',
      ],
      ...Object.entries(results).map(([name, one]) => [
        name,
        String(one.tokens),
        one.compile.toFixed(1),
        (100 * one.coldShare).toFixed(2),
        (100 * one.warmShare).toFixed(2),
        one.coldMillisecondsPerToken.toFixed(3),
        one.slowestMask.toFixed(1),
        one.freeRate.toFixed(1),
        one.coldRate.toFixed(1),
        one.warmRate.toFixed(1),
      ]),
    ]),
  );
  console.log(`the vocabulary is read once a model, in ${bench.vocabulary.toFixed(0)} ms`);
  return { threads: count, vocabularyMilliseconds: bench.vocabulary, schemas: results };
}
