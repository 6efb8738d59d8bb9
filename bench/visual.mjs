// A picture of 1,024 pixels in the UniPic 1.5B shape (4,096 tokens and 64 buffers; language model with random weights), WASM in Chromium:
//   npm run bench -- visual --only select|answer [--methods todre,int8,...] [--threads 2] [--runs 3] [--json FILE]
// `select`: stage 1 alone on one thread; `answer`: the language model until the first token, all tokens beside a tenth of them.
import { existsSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { bundleEngine, openEngine } from './context/octavo.mjs';
import { benchFiles, SHAPES } from './files.mjs';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

const SHAPE = 'qwen2.5-1.5b';
const PICTURE = { side: 64, fixed: 64, width: 1536 };
const TOKENS = PICTURE.side ** 2 + PICTURE.fixed;
/** Tokens of the question. */
const QUESTION = 24;
const METHODS = {
  todre: { method: 'todre' },
  int8: { method: 'todre', precision: 'int8' },
  center: { method: 'todre', spread: 'center' },
  divprune: { method: 'divprune' },
  cdpruner: { method: 'cdpruner' },
  showui: { method: 'showui' },
  random: { method: 'random' },
};

function pick(wanted) {
  return Object.entries(METHODS).filter(([name]) => wanted === undefined || wanted.split(',').includes(name));
}

async function select(build, options) {
  const methods = pick(options.methods);
  const samples = new Map(methods.map(([name]) => [name, []]));
  const engine = await openEngine({ entry: 'visual', build, threads: 1 });
  try {
    // 416 of those that may go, as the goal has it.
    for (const [name, selection] of methods)
      await engine
        .ask({
          kind: 'select',
          picture: { ...PICTURE, side: 16 },
          selection: { ...selection, keep: PICTURE.fixed + 25 },
        })
        .catch((error) => {
          throw new Error(`${name}: ${error.message}`, { cause: error });
        });
    for (let run = 0; run < Number(options.runs); run += 1) {
      for (const [name, selection] of methods)
        samples.get(name).push(
          (
            await engine.ask({
              kind: 'select',
              picture: PICTURE,
              selection: { ...selection, keep: PICTURE.fixed + 416 },
            })
          ).milliseconds,
        );
    }
  } finally {
    await engine.close();
  }
  const rows = methods.map(([name]) => ({
    method: name,
    milliseconds: median(samples.get(name)),
    samples: samples.get(name),
  }));
  console.log(
    `416 of ${PICTURE.side ** 2} tokens of width ${PICTURE.width}, ${PICTURE.fixed} buffers kept, one thread`,
  );
  console.log(
    table([
      ['method', 'ms', 'all runs'],
      ...rows.map((r) => [r.method, r.milliseconds.toFixed(0), r.samples.map((ms) => ms.toFixed(0)).join(' ')]),
    ]),
  );
  return { picture: PICTURE, rows };
}

async function answer(build, options) {
  const threads = Number(list(options.threads, '2')[0]);
  const engine = await openEngine({
    entry: 'visual',
    path: benchFiles({ files: options.files }, here('./files'), SHAPE, 'Q4_0')[0].path,
    build,
    threads,
  });
  const samples = { all: [], tenth: [], selection: [] };
  let bytes;
  try {
    await engine.ask({ kind: 'load' });
    await engine.ask({ kind: 'answer', picture: { ...PICTURE, side: 8 }, question: QUESTION });
    for (let run = 0; run < Number(options.runs); run += 1) {
      const all = await engine.ask({ kind: 'answer', picture: PICTURE, question: QUESTION });
      const { milliseconds, kept } = await engine.ask({
        kind: 'select',
        picture: PICTURE,
        selection: { method: 'todre', keep: Math.round(TOKENS / 10) },
      });
      const tenth = await engine.ask({ kind: 'answer', picture: PICTURE, kept, question: QUESTION });
      samples.all.push(all.milliseconds);
      samples.tenth.push(tenth.milliseconds);
      samples.selection.push(milliseconds);
      bytes = { all: all.bytes, tenth: tenth.bytes };
      process.stderr.write(
        `all ${(all.milliseconds / 1000).toFixed(1)} s, a tenth ${(tenth.milliseconds / 1000).toFixed(1)} s, selection ${milliseconds.toFixed(0)} ms; load ${loadavg()[0].toFixed(1)}\n`,
      );
    }
  } finally {
    await engine.close();
  }
  const [all, tenth, selection] = [samples.all, samples.tenth, samples.selection].map(median);
  console.log(`${TOKENS} visual tokens and ${QUESTION} of a question, ${threads} threads, language model alone`);
  console.log(
    table([
      ['', 'first token s', 'KV MB'],
      ['all tokens', (all / 1000).toFixed(2), (bytes.all / 1e6).toFixed(1)],
      ['a tenth', (tenth / 1000).toFixed(2), (bytes.tenth / 1e6).toFixed(1)],
      ['times less', (all / tenth).toFixed(2), (bytes.all / bytes.tenth).toFixed(2)],
      ['with the selection', (all / (tenth + selection)).toFixed(2), ''],
    ]),
  );
  console.log(
    `selection ${selection.toFixed(0)} ms: ${((100 * selection) / (all - tenth)).toFixed(2)} % of what it saves`,
  );
  return { threads, tokens: TOKENS, question: QUESTION, all, tenth, selection, bytes, samples };
}

const PARTS = { select, answer };

export async function run(options) {
  const wanted = list(options.only, Object.keys(PARTS).join(','));
  for (const part of wanted)
    if (!(part in PARTS)) throw new Error(`--only ${part}: take of ${Object.keys(PARTS).join(', ')}`);
  await bundleEngine('visual');
  const kept =
    options.json !== undefined && existsSync(options.json) ? JSON.parse(readFileSync(options.json, 'utf8')).parts : {};
  const parts = {};
  for (const part of wanted) {
    console.log(`\n${part}`);
    parts[part] = {
      date: new Date().toISOString().slice(0, 16),
      load: loadavg()[0],
      ...(await PARTS[part](list(options.builds, 'relaxed')[0], options)),
    };
  }
  return { shape: SHAPE, parameters: SHAPES[SHAPE], parts: { ...kept, ...parts } };
}
