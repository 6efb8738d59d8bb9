// node tools/compare-builds.mjs OLD [NEW] [--builds simd,scalar] [--models FOLDER] [--only nano,stories] [--stories FILE] [--webgpu]
// Runs two builds of Octavo side by side on the same inputs and reports whether token ids and painted pixels are equal. OLD and NEW are `dist`
// folders (NEW: this checkout's). Each build runs on its own in a process; the bundled model answers text and pictures, paints and edits;
// text models answer a greedy prompt. The exit code is 1 where anything differs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(import.meta.url);
const root = join(here, '..', '..');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    builds: { type: 'string', default: 'simd,scalar' },
    models: { type: 'string', default: process.env.OCTAVO_MODELS ?? join(root, '.cache', 'models') },
    stories: {
      type: 'string',
      default: join(root, '..', 'shared', 'data', 'weights', 'stories260K', 'stories260K-f32.gguf'),
    },
    only: { type: 'string', default: '' },
    webgpu: { type: 'boolean', default: false },
    /** A process of its own: runs one build and prints a line of JSON a result. */
    run: { type: 'string' },
    build: { type: 'string', default: '' },
  },
});

/** Files of text models below the folder of models whose names contain one of these. */
const TEXT_MODELS = ['smollm2', 'qwen2.5-coder'];
const TEXT = 'Once upon a time, there was a little girl named Lily. She';
const CHAT = 'Write one sentence about the sea.';
const DOCUMENT = `${'The archive keeps letters of the harbour. '.repeat(60)}The code of the vault is 4711. ${'Ships come and go in the morning. '.repeat(60)}`;

/** A picture that is not a square, with shapes of several colours: the same numbers in every run. */
function picture(width, height) {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const inside = (x - 0.3 * width) ** 2 + (y - 0.6 * height) ** 2 < (0.2 * width) ** 2;
      data.set(inside ? [200, 30, 40] : [(x * 3) % 256, (y * 5) % 256, (x ^ y) % 256], at);
    }
  }
  return { data, width, height };
}

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

async function answer(session, input, options = {}) {
  const stream = session.promptStreaming(input, { temperature: 0, maxTokens: 24, ...options });
  for await (const _ of stream);
  const { ids, tokens } = await stream.finished;
  return { ids: [...ids], prompt: tokens.prompt };
}

/** Cases of the bundled model: [name, (model) => result]. */
const NANO = [
  [
    'text',
    async (model) =>
      answer(await model.createSession({ temperature: 0 }), 'What is the code of the vault? The code is 4711.'),
  ],
  [
    'long text',
    async (model) =>
      answer(await model.createSession({ temperature: 0 }), `${DOCUMENT.slice(0, 1500)}\nWhat is the code?`),
  ],
  [
    'long text, 4 bits, sparse',
    async (model) =>
      answer(
        await model.createSession({ temperature: 0, context: { kvBits: 4, prefill: 'dhsa' } }),
        `${DOCUMENT.slice(0, 1500)}\nWhat is the code?`,
      ),
  ],
  ['see', (model) => see(model, {})],
  ['see, ToDRE', (model) => see(model, { visual: { method: 'todre', keep: 0.3, release: true } })],
  ['see, ToDRE until repeated', (model) => see(model, { visual: { method: 'todre', keep: 'auto' } })],
  ['see, by the question', (model) => see(model, { visual: 'cdpruner' })],
  ['see, components', (model) => see(model, { visual: 'showui' })],
  ['see, contrasted', (model) => see(model, {}, { contrast: true })],
  [
    'paint',
    async (model) => pixels(await model.paint({ prompt: 'a red circle', seed: 7, steps: 4, diffusionSteps: 6 })),
  ],
  [
    'edit',
    async (model) =>
      pixels(
        await model.edit({
          instruction: 'make the circle blue',
          image: picture(90, 60),
          seed: 7,
          steps: 4,
          diffusionSteps: 6,
        }),
      ),
  ],
];

function pixels({ data, width, height }) {
  return { pixels: hash(data), width, height };
}

async function see(model, context, options = {}) {
  const session = await model.createSession({ temperature: 0, context });
  const image = (value) => ({ type: 'image', value });
  const first = await answer(
    session,
    [{ role: 'user', content: [image(picture(90, 60)), { type: 'text', value: 'What is in the picture?' }] }],
    options,
  );
  const second = await answer(
    session,
    [
      {
        role: 'user',
        content: [{ type: 'text', value: 'And here?' }, image(picture(50, 80)), image(picture(90, 60))],
      },
    ],
    options,
  );
  return { first, second };
}

function casesOf(name) {
  if (name === 'nano') return NANO;
  const complete = async (model) => {
    const { ids } = await model.complete(TEXT, { temperature: 0, maxTokens: 40 });
    return { ids: [...ids] };
  };
  const chat = async (model) => answer(await model.createSession({ temperature: 0 }), CHAT);
  return name === 'stories'
    ? [['text', complete]]
    : [
        ['text', complete],
        ['chat', chat],
      ];
}

async function runBuild(dist) {
  const { Octavo } = await import(pathToFileURL(resolve(dist, 'node.js')).href);
  for (const [name, file] of models()) {
    const device = values.webgpu ? { device: 'webgpu' } : { device: 'wasm', build: values.build, threads: 1 };
    const model = await Octavo.load(file, device);
    for (const [label, run] of casesOf(name)) {
      let result;
      try {
        result = await run(model);
      } catch (error) {
        result = { error: `${error.code ?? error.name}: ${error.message}` };
      }
      console.log(JSON.stringify({ name: `${name}: ${label}`, result }));
    }
    await model.destroy();
  }
  process.exit(0);
}

/** [name, what `Octavo.load` takes] of the models that are there. */
function models() {
  const only = values.only === '' ? undefined : values.only.split(',');
  const files = existsSync(values.models) ? readdirSync(values.models) : [];
  const found = [
    ['nano', 'nano'],
    ...(existsSync(values.stories) ? [['stories', values.stories]] : []),
    ...TEXT_MODELS.flatMap((wanted) =>
      files
        .filter((file) => file.endsWith('.gguf') && file.toLowerCase().includes(wanted))
        .map((file) => [wanted, join(values.models, file)]),
    ),
  ];
  return found.filter(([name]) => only === undefined || only.some((wanted) => name.includes(wanted)));
}

function resultsOf(dist, build) {
  const child = spawnSync(
    process.execPath,
    [
      here,
      `--run=${dist}`,
      `--build=${build}`,
      `--models=${values.models}`,
      `--stories=${values.stories}`,
      `--only=${values.only}`,
      ...(values.webgpu ? ['--webgpu'] : []),
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 },
  );
  if (child.status !== 0) throw new Error(`${dist} ended with ${child.status}`);
  return new Map(
    child.stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .map(({ name, result }) => [name, JSON.stringify(result)]),
  );
}

if (values.run !== undefined) await runBuild(values.run);
const [old, fresh = join(root, 'dist')] = positionals;
if (old === undefined) {
  console.error('usage: node tools/compare-builds.mjs OLD [NEW]: two dist folders');
  process.exit(2);
}
let differing = 0;
for (const build of values.webgpu ? ['webgpu'] : values.builds.split(',')) {
  const [before, after] = [resultsOf(old, build), resultsOf(fresh, build)];
  for (const [name, result] of before) {
    const equal = after.get(name) === result;
    if (!equal) differing++;
    console.log(`${build.padEnd(8)} ${name.padEnd(34)} ${equal ? 'equal' : 'DIFFERENT'} ${result.slice(0, 90)}`);
    if (!equal) console.log(`${''.padEnd(52)} ${after.get(name)?.slice(0, 90) ?? 'missing'}`);
  }
}
console.log(differing === 0 ? 'all equal' : `${differing} different`);
process.exit(differing === 0 ? 0 : 1);
