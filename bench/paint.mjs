// One painting in the official shapes with random weights, Octavo (WASM in Chromium) beside PyTorch (CPU, f32, eager), interleaved, by stage:
//   npm run bench -- paint [--shape harmon-0.5b|unipic-1.5b] [--size 256] [--threads 1,2] [--engines octavo,torch] [--samples 4] [--steps 4] [--runs 3] [--json FILE]
//   npm run bench -- paint --memory [--shape ...] [--size 256,512] [--threads 2]
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { fileSize } from './files.mjs';
import { mappings, largestRenderer } from './engines/renderer.mjs';
import { paintFile } from './paint/model-file.mjs';
import { bundlePaint, openOctavo } from './paint/octavo.mjs';
import { SHAPES } from './paint/shapes.mjs';
import { medians, pictureFlops, STAGES, wholePicture } from './paint/scale.mjs';
import { lackOfTorch, openTorch } from './paint/torch.mjs';
import { table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');
const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2);
const mega = (bytes) => (bytes / 1e6).toFixed(0);

/** Tokens of the two prompts: a sentence of some twenty words, and `Generate an image.`, in the template's turn. */
const PROMPTS = [32, 12];
/** Of the goal: times the weights, and bytes beside that. */
const GOAL = { times: 1.2, beside: 400e6 };

export async function run(options) {
  const name = options.shape ?? 'harmon-0.5b';
  const shape = SHAPES[name];
  if (shape === undefined) throw new Error(`--shape ${name} is unknown; take one of ${Object.keys(SHAPES).join(', ')}`);
  const graph = await bundlePaint();
  const { path, parameters } = paintFile(here('./files'), name, graph);
  const bytes = fileSize(path);
  console.log(
    `${name}, random weights: ${mega(parameters.language)} M parameters of the language model (Q4_0, embeddings Q8_0), ${mega(parameters.mar)} M of MAR, head and projections (Q8_0), ${mega(parameters.vae)} M of the VAE (F16); file ${mega(bytes)} MB`,
  );
  const setting = { name, shape, graph, path, bytes, parameters, build: list(options.builds, 'relaxed')[0] };
  return options.memory ? memory(setting, options) : times(setting, options);
}

/** Which iterations are measured: the first, the last, and some at even distances of known tokens between. */
function sampled(plan, count) {
  const most = plan.at(-1).known;
  const wanted = Array.from({ length: count }, (_, i) => (count === 1 ? most : (most * i) / (count - 1)));
  const nearest = (known) =>
    plan.reduce((best, round, i) => (Math.abs(round.known - known) < Math.abs(plan[best].known - known) ? i : best), 0);
  return [...new Set(wanted.map(nearest))];
}

const numbersOf = ({ prompt, rounds, head, decode }) => ({
  prompt: prompt.milliseconds,
  rounds: rounds.map((round) => ({
    known: round.known,
    encoder: round.encoder.milliseconds,
    language: round.language.milliseconds,
    decoder: round.decoder.milliseconds,
  })),
  head: head.map(({ predicted, condition, step }) => ({ predicted, condition, step })),
  decode: decode.milliseconds,
});

async function times(setting, options) {
  const { name, shape, graph, path, build } = setting;
  const size = Number(options.size ?? shape.sizes[0]);
  const { iterations, diffusionSteps } = shape;
  const plan = graph.rounds((size / shape.patch) ** 2, iterations);
  const rounds = sampled(plan, Number(options.samples ?? 4));
  const predicted = [...new Set(plan.map((round) => round.predicted))].toSorted((a, b) => a - b);
  const job = {
    size,
    iterations,
    diffusionSteps,
    prompts: PROMPTS,
    rounds,
    predicted,
    steps: Number(options.steps ?? 4),
  };
  const engines = list(options.engines, 'octavo,torch');
  const lack = engines.includes('torch') ? lackOfTorch() : undefined;
  if (lack !== undefined) console.log(`\n${lack}\n`);
  const torch = engines.includes('torch') && lack === undefined ? await openTorch(name) : undefined;
  if (torch !== undefined) checkParameters(setting.parameters, torch.parameters);
  console.log(
    `${size} x ${size} pixels, prompts of ${PROMPTS.join(' and ')} tokens, guidance. Measured: iterations ${rounds.map((i) => `${i + 1} (${plan[i].known} known)`).join(', ')} of ${iterations}; ` +
      `${job.steps} of ${diffusionSteps} denoising steps for each number of predicted tokens that occurs (${predicted.join(', ')}); prompts and VAE whole. Medians of ${options.runs} runs.`,
  );
  const results = [];
  try {
    for (const threads of list(options.threads, '1,2').map(Number)) {
      const load = loadavg()[0];
      const octavo = engines.includes('octavo') ? await openOctavo({ path, build, threads }) : undefined;
      const all = { octavo: [], torch: [] };
      let operations;
      try {
        const turn = async (job, keep) => {
          if (octavo !== undefined) {
            const measured = {
              ...(await octavo.ask({ kind: 'stages', job })),
              decode: await octavo.ask({ kind: 'decode', size: job.size }),
            };
            operations = measured;
            if (keep) all.octavo.push(numbersOf(measured));
          }
          if (torch !== undefined) {
            const measured = await torch.measure({ ...job, rounds: job.rounds.map((i) => plan[i].known), threads });
            if (keep) all.torch.push(measured);
          }
        };
        // Compilers and allocators warm up; a small picture runs every kernel.
        await turn(
          {
            ...job,
            size: Math.min(size, 8 * shape.patch),
            iterations: 4,
            rounds: [2],
            predicted: [predicted.at(-1)],
            steps: 2,
          },
          false,
        ).catch((error) => {
          throw new Error(`warming up: ${error.message}`, { cause: error });
        });
        for (let i = 0; i < Number(options.runs); i += 1) {
          await turn(job, true);
          process.stderr.write(`${threads} threads, run ${i + 1}: load ${loadavg()[0].toFixed(1)}\n`);
        }
      } finally {
        await octavo?.close();
      }
      const result = {
        threads,
        build,
        load,
        loadAfter: loadavg()[0],
        loadMs: octavo?.loaded.milliseconds,
        ...summary(shape, { size, plan, prompts: PROMPTS, diffusionSteps }, all),
        samples: all,
      };
      print(result, operations, job);
      results.push(result);
    }
  } finally {
    torch?.close();
  }
  return {
    shape: name,
    size,
    prompts: PROMPTS,
    bytes: setting.bytes,
    parameters: setting.parameters,
    plan,
    measured: job,
    torch: torch?.versions,
    results,
  };
}

/** Both sides must paint with the same model. */
function checkParameters(ours, theirs) {
  for (const [part, count] of Object.entries(ours)) {
    if (theirs[part] !== count)
      throw new Error(
        `${part}: ${count} parameters here, ${theirs[part]} in PyTorch: bench/paint/shapes.mjs and training/convert/models.py differ`,
      );
  }
}

function summary(shape, picture, { octavo, torch }) {
  const of = (samples, savings) => {
    if (samples.length === 0) return undefined;
    const measured = medians(samples);
    const milliseconds = wholePicture(measured, picture.plan, picture.diffusionSteps);
    const each = samples.map((sample) =>
      wholePicture(sample, picture.plan, picture.diffusionSteps).reduce((a, b) => a + b),
    );
    return {
      measured,
      milliseconds,
      flops: pictureFlops(shape, picture, savings),
      total: milliseconds.reduce((a, b) => a + b),
      least: Math.min(...each),
      most: Math.max(...each),
    };
  };
  const result = { octavo: of(octavo, true), torch: of(torch, false) };
  if (result.torch !== undefined) {
    // Had PyTorch's side one row in the encoder and decoded one picture, as Octavo does.
    const { measured } = result.torch;
    const thrifty = {
      ...measured,
      rounds: measured.rounds.map((round) => ({ ...round, encoder: round.encoderOnce })),
      decode: measured.decodeOnce,
    };
    result.thrifty = { milliseconds: wholePicture(thrifty, picture.plan, picture.diffusionSteps) };
    result.thrifty.total = result.thrifty.milliseconds.reduce((a, b) => a + b);
  }
  return result;
}

function print({ threads, build, load, loadAfter, octavo, torch, thrifty }, operations, job) {
  const rate = (flops, ms) => (flops / ms / 1e6).toFixed(0);
  const blank = (value, text) => (value === undefined ? '' : text());
  console.log(
    `\n${threads} thread${threads > 1 ? 's' : ''}, ${build}; load of the machine ${load.toFixed(1)} before, ${loadAfter.toFixed(1)} after`,
  );
  const one = (octavo ?? torch).measured;
  const milliseconds = (value) => blank(value, () => value.toFixed(1));
  const rows = [['measured, ms', 'Octavo', 'PyTorch', 'PyTorch / Octavo']];
  const row = (what, a, b) =>
    rows.push([what, milliseconds(a), milliseconds(b), a === undefined || b === undefined ? '' : (b / a).toFixed(2)]);
  row('prompt prefill', octavo?.measured.prompt, torch?.measured.prompt);
  for (const [i, { known }] of one.rounds.entries()) {
    for (const [field, title] of [
      ['encoder', 'MAR encoder'],
      ['language', 'projections, language model'],
      ['decoder', 'MAR decoder'],
    ])
      row(`${title}, ${known} known`, octavo?.measured.rounds[i][field], torch?.measured.rounds[i][field]);
  }
  for (const [i, { predicted }] of one.head.entries())
    row(`diffusion head, a step, ${predicted} predicted`, octavo?.measured.head[i].step, torch?.measured.head[i].step);
  row('VAE decoder', octavo?.measured.decode, torch?.measured.decode);
  console.log(table(rows));
  const whole = [
    [
      `one picture (${job.iterations} iterations, ${job.diffusionSteps} steps), scaled`,
      'Octavo s',
      'share',
      'GFLOP',
      'GFLOP/s',
      'PyTorch s',
      'GFLOP',
      'GFLOP/s',
      'PyTorch / Octavo',
      'with the same savings',
    ],
  ];
  const line = (what, of) => {
    const [a, b, c] = [octavo && of(octavo), torch && of(torch), thrifty && of(thrifty)];
    whole.push([
      what,
      blank(a, () => seconds(a.ms)),
      blank(a, () => `${((100 * a.ms) / octavo.total).toFixed(1)} %`),
      blank(a, () => (a.flops / 1e9).toFixed(0)),
      blank(a, () => rate(a.flops, a.ms)),
      blank(b, () => seconds(b.ms)),
      blank(b, () => (b.flops / 1e9).toFixed(0)),
      blank(b, () => rate(b.flops, b.ms)),
      a && b ? (b.ms / a.ms).toFixed(2) : '',
      a && c ? (c.ms / a.ms).toFixed(2) : '',
    ]);
  };
  STAGES.forEach((stage, i) => line(stage, (engine) => ({ ms: engine.milliseconds[i], flops: engine.flops?.[i] })));
  line('total', (engine) => ({ ms: engine.total, flops: engine.flops?.reduce((a, b) => a + b) }));
  console.log(`\n${table(whole)}`);
  const spread = (engine, name) => blank(engine, () => `${name} ${seconds(engine.least)} to ${seconds(engine.most)} s`);
  console.log(
    `totals of single runs: ${[spread(octavo, 'Octavo'), spread(torch, 'PyTorch')].filter(Boolean).join(', ')}. "With the same savings": PyTorch with one row in the encoder and one picture decoded, as Octavo does.`,
  );
  if (operations !== undefined) printOperations(operations);
}

/** Where Octavo's time went in the last run's samples, operation by operation; `host` is what is not in WASM. */
function printOperations({ prompt, rounds, head, decode }) {
  const stages = [
    ['prompt prefill', [prompt]],
    ['MAR encoder', rounds.map((r) => r.encoder)],
    ['projections, language model', rounds.map((r) => r.language)],
    ['MAR decoder', rounds.map((r) => r.decoder)],
    ['diffusion head', head.map((h) => ({ milliseconds: h.milliseconds, operations: h.operations }))],
    ['VAE decoder', [decode]],
  ];
  const rows = [['stage (as measured, last run)', 'ms', 'operations: ms (calls)']];
  for (const [stage, parts] of stages) {
    const sums = new Map();
    for (const [op, { calls, milliseconds }] of parts.flatMap((part) => part.operations)) {
      const before = sums.get(op) ?? { calls: 0, milliseconds: 0 };
      sums.set(op, { calls: before.calls + calls, milliseconds: before.milliseconds + milliseconds });
    }
    const total = parts.reduce((sum, part) => sum + part.milliseconds, 0);
    const inside = [...sums.values()].reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    const shown = [...sums]
      .toSorted((a, b) => b[1].milliseconds - a[1].milliseconds)
      .map(([op, { calls, milliseconds }]) => `${op} ${milliseconds.toFixed(1)} (${calls})`);
    rows.push([stage, total.toFixed(0), [...shown, `host ${(total - inside).toFixed(1)}`].join(', ')]);
  }
  const [first, second] = [0, 1].map((c) => Math.max(...rows.map((r) => r[c].length)));
  console.log(
    `\n${rows.map(([stage, ms, text]) => `${stage.padEnd(first)}  ${ms.padStart(second)}  ${text}`).join('\n')}`,
  );
}

/** Peak memory of the renderer: the model loaded, the iteration with most known tokens, the picture decoded. */
async function memory({ name, shape, graph, path, bytes, build }, options) {
  const results = [];
  for (const size of list(options.size, '256,512').map(Number)) {
    for (const threads of list(options.threads, '2').map(Number)) {
      const plan = graph.rounds((size / shape.patch) ** 2, shape.iterations);
      const job = {
        size,
        iterations: shape.iterations,
        diffusionSteps: shape.diffusionSteps,
        prompts: PROMPTS,
        rounds: [plan.length - 1],
        predicted: [plan.at(-1).predicted],
        steps: 2,
      };
      const phases = [];
      const octavo = await openOctavo({ path, build, threads });
      const mark = (phase, { memory: engine }) => {
        const { pid, ...figures } = largestRenderer();
        phases.push({ phase, ...figures, ...mappings(pid), engine });
      };
      try {
        mark('loaded', octavo.loaded);
        mark(`iteration ${plan.length} (${plan.at(-1).known} known)`, await octavo.ask({ kind: 'stages', job }));
        mark('picture decoded', await octavo.ask({ kind: 'decode', size }));
      } finally {
        await octavo.close();
      }
      const limit = GOAL.times * bytes + GOAL.beside;
      const { peak } = phases.at(-1);
      console.log(
        `\n${size} x ${size} pixels, ${threads} thread${threads > 1 ? 's' : ''}; MB of the renderer (file ${mega(bytes)})`,
      );
      console.log(
        table([
          ['phase', 'peak', 'resident', 'share (PSS)', 'WASM resident', 'weights', 'KV', 'activations'],
          ...phases.map((p) => [
            p.phase,
            mega(p.peak),
            mega(p.resident),
            mega(p.share),
            mega(p.wasm.resident),
            mega(p.engine.weights),
            mega(p.engine.kv),
            mega(p.engine.activations),
          ]),
        ]),
      );
      console.log(
        `peak ${mega(peak)} MB; goal: ${GOAL.times} x the weights + ${mega(GOAL.beside)} MB = ${mega(limit)} MB`,
      );
      results.push({ size, threads, bytes, limit, peak, phases });
    }
  }
  return { shape: name, results };
}
