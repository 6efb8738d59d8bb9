// A picture of 1,024 pixels in the UniPic 1.5B shape (4,096 tokens and 64 buffers; language model with random weights), WASM in Chromium:
//   npm run bench -- visual --only select|answer [--methods todre,int8,...] [--threads 2] [--runs 3] [--json FILE]
//   npm run bench -- visual --shape smolvlm-256m [--quantize q8] [--threads 2] [--runs 3] [--json FILE]: one tile of 512 pixels, and 17 tiles; the tower's f16 weights as Q8_0
// `select`: stage 1 alone on one thread; `answer`: the language model until the first token, all tokens beside a tenth of them.
import { existsSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { bundleEngine, openEngine } from './context/octavo.mjs';
import { benchFiles, SHAPES } from './files.mjs';
import { projectorFile } from './projector.mjs';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

const SHAPE = 'qwen2.5-1.5b';
const PICTURE = { side: 64, fixed: 64, width: 1536 };
const TOKENS = PICTURE.side ** 2 + PICTURE.fixed;
/** Tokens of the question. */
const QUESTION = 24;
const METHODS = {
  center: { method: 'todre' },
  todre: { method: 'todre', spread: 'sum' },
  int8: { method: 'todre', spread: 'sum', precision: 'int8' },
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

/** Pictures of SmolVLM: tokens that may go (a square of them), those of the overview, and those of the text between and behind them. */
const TILES = {
  'one tile': { side: 512, picture: { side: 8, fixed: 0, width: 576 }, text: 3 + QUESTION },
  '17 tiles': { side: 2048, picture: { side: 32, fixed: 64, width: 576 }, text: 39 + QUESTION },
};

/** SmolVLM: the tower, and the language model until the first token with all tokens and with a tenth, ToDRE's. */
async function tiles(build, options) {
  const threads = Number(list(options.threads, '2')[0]);
  const [text] = benchFiles({ files: options.files }, here('./files'), 'smolvlm-256m', 'Q8_0');
  const path = [text.path, projectorFile(here('./files'), SHAPES['smolvlm-256m'].hidden)];
  const engine = await openEngine({ entry: 'visual', path, build, threads });
  const results = [];
  try {
    await engine.ask({ kind: 'load', quantize: options.quantize });
    for (const [name, { side, picture, text: question }] of Object.entries(TILES)) {
      const tokens = picture.side ** 2 + picture.fixed;
      const samples = { tower: [], all: [], tenth: [], selection: [] };
      for (let run = 0; run < Number(options.runs); run += 1) {
        const tower = await engine.ask({ kind: 'encode', side });
        const all = await engine.ask({ kind: 'answer', picture, question });
        const keep = Math.max(1, Math.round(tokens / 10));
        const { milliseconds, kept } = await engine.ask({
          kind: 'select',
          picture,
          selection: { method: 'todre', keep },
        });
        const tenth = await engine.ask({ kind: 'answer', picture, kept, question });
        if (tower.tokens !== tokens) throw new Error(`${name}: ${tower.tokens} tokens of ${tower.tiles} tiles`);
        samples.tower.push(tower.milliseconds);
        samples.all.push(all.milliseconds);
        samples.tenth.push(tenth.milliseconds);
        samples.selection.push(milliseconds);
        process.stderr.write(
          `${name}: tower ${(tower.milliseconds / 1000).toFixed(1)} s, all ${(all.milliseconds / 1000).toFixed(2)} s, a tenth ${(tenth.milliseconds / 1000).toFixed(2)} s; load ${loadavg()[0].toFixed(1)}\n`,
        );
      }
      const [tower, all, tenth, selection] = Object.values(samples).map(median);
      results.push({ name, tokens, question, tower, all, tenth, selection, samples });
    }
  } finally {
    await engine.close();
  }
  console.log(`SmolVLM-256M with random weights, ${threads} threads; seconds until the first token`);
  console.log(
    table([
      ['', 'tokens', 'tower', 'language model, all', 'a tenth', 'times less', 'with the tower'],
      ...results.map((r) => [
        r.name,
        String(r.tokens),
        (r.tower / 1000).toFixed(2),
        (r.all / 1000).toFixed(2),
        ((r.tenth + r.selection) / 1000).toFixed(2),
        (r.all / (r.tenth + r.selection)).toFixed(2),
        ((r.tower + r.all) / (r.tower + r.tenth + r.selection)).toFixed(2),
      ]),
    ]),
  );
  return { threads, weights: text.name, tower: options.quantize ?? 'f16', results };
}

const PARTS = { select, answer };

export async function run(options) {
  if (options.shape === 'smolvlm-256m') {
    await bundleEngine('visual');
    return { shape: options.shape, parameters: SHAPES[options.shape], ...(await tiles('relaxed', options)) };
  }
  if (options.shape !== undefined && options.shape !== SHAPE)
    throw new Error(`--shape ${options.shape}: take ${SHAPE} or smolvlm-256m`);
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
