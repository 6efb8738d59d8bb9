// Long contexts in the Qwen2.5-0.5B shape (random weights), WASM in Chromium, each part under six minutes on a quiet machine of two cores. The
// file is long because the parts share their methods, their page and their tables:
//   npm run bench -- context --only bytes|prefill|memory|decode|steps|reuse|similarity|reopen [--lengths 8192,32768] [--methods dense,dhsa,...] [--threads 2] [--runs 1] [--tokens 16] [--json FILE]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../tools/static-server.mjs';
import { openBrowser } from '../tools/browser.mjs';
import { bundleEngine, openEngine } from './context/octavo.mjs';
import { processorTime, status } from './engines/renderer.mjs';
import { benchFiles, SHAPES } from './files.mjs';
import { polyline } from './paint/scale.mjs';
import { generator } from '../eval/random.mjs';
import { meanDifference } from '../eval/statistics.mjs';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const mega = (bytes) => (bytes / 1e6).toFixed(1);

const SHAPE = 'qwen2.5-0.5b';
const CHUNK = 512;
/** Tokens really read; the rest of a context repeats their pages, in memory of its own. */
const READ = 2048;

/** Prefill methods at a quarter of the tokens; the learned predictor is the same work as nano's, but the random model has none. */
const PREFILL = {
  dense: {},
  dhsa: { prefill: { method: 'dhsa', budget: 0.25, boundaries: 'similarity' } },
  'dhsa 2048': { prefill: { method: 'dhsa', budget: 2048, boundaries: 'similarity' } },
  'dhsa shared': { prefill: { method: 'dhsa', budget: 0.25, boundaries: 'similarity', sharedLayer: 2 } },
  blocks: { prefill: { method: 'blocks', budget: 0.25 } },
  window: { prefill: { method: 'window', budget: 0.25 } },
  flex: { prefill: 'flex' },
  'vertical-slash': { prefill: 'vertical-slash' },
  keys: { prefill: 'keys' },
};
const DECODE = {
  '16 bits': {},
  '8 bits': { kvBits: 8 },
  '4 bits': { kvBits: 4 },
  '2 bits': { kvBits: 2 },
  staircase: { kvBits: 'staircase' },
  tokens: { decode: 'tokens' },
  'tokens 1024': { decode: { method: 'tokens', budget: 1024 } },
  sentences: { decode: 'sentences' },
  retrieve: { decode: 'retrieve' },
  window: { decode: 'window' },
  snapkv: { evict: 'snapkv' },
  compresskv: { evict: 'compresskv' },
  'half the heads': { heads: 'razor' },
};

const STEPS = {
  dense: {},
  'tokens 1024, anew': { decode: { method: 'tokens', budget: 1024, similarity: 1 } },
  'tokens 1024, anew, exact': { decode: { method: 'tokens', budget: 1024, similarity: 1, exact: true } },
  'tokens 1024, reused': { decode: { method: 'tokens', budget: 1024, similarity: 0 } },
};

function pick(all, wanted) {
  const names = wanted === undefined ? Object.keys(all) : wanted.split(',').filter((name) => name in all);
  return names.map((name) => [name, all[name]]);
}

/** Bytes of the pages of a context, by width. */
async function bytes(setting, options) {
  const { layers, kvHeads, headDim } = SHAPES[SHAPE];
  const engine = await openEngine({ build: setting.build, threads: 1 });
  try {
    const tokens = Number(list(options.lengths, '8192')[0]);
    const found = await engine.ask({ kind: 'bytes', layers, kvHeads, headDim, tokens });
    console.log(
      table([
        ['pages', `MB of ${tokens} tokens`, 'of f16'],
        ...Object.entries(found).map(([format, size]) => [format, mega(size), (size / found.f16).toFixed(3)]),
      ]),
    );
    return { tokens, bytes: found };
  } finally {
    await engine.close();
  }
}

/** Chunks of 512 queries at five depths; a whole prefill is the sum over all chunks, on the straight lines between those measured. */
async function prefill(setting, options) {
  const results = [];
  for (const length of list(options.lengths, '8192,32768').map(Number)) {
    const depths = [0, 0.25, 0.5, 0.75].map((part) => Math.round((part * length) / CHUNK) * CHUNK);
    depths.push(length - CHUNK);
    const engine = await openEngine({ path: setting.path, build: setting.build, threads: setting.threads });
    try {
      const { read } = await engine.ask({ kind: 'load', length, read: Math.min(READ, length) });
      console.log(
        `\n${length} tokens: ${READ} read (${(read / 1000).toFixed(1)} s), the others are copies of their pages; chunks of ${CHUNK} at ${depths.join(', ')}, the rest of the chunks interpolated; load ${loadavg()[0].toFixed(1)}`,
      );
      const methods = pick(PREFILL, options.methods);
      const samples = new Map(methods.map(([name]) => [name, depths.map(() => [])]));
      await engine.ask({ kind: 'chunk', context: {}, position: 0, promptEnd: length });
      for (let run = 0; run < Number(options.runs); run += 1) {
        for (const [i, position] of depths.entries()) {
          for (const [name, context] of methods) {
            const sample = await engine.ask({ kind: 'chunk', context, position, promptEnd: length });
            samples.get(name)[i].push(sample);
            process.stderr.write(
              `${name} at ${position}: ${sample.milliseconds.toFixed(0)} ms, attention ${sample.attention.toFixed(0)}, planning ${sample.planning.toFixed(0)}\n`,
            );
          }
        }
      }
      const whole = (name, field) => {
        const points = depths.map((position, i) => [
          position,
          median(samples.get(name)[i].map((sample) => sample[field])),
        ]);
        return Array.from({ length: length / CHUNK }, (_, chunk) => polyline(points, chunk * CHUNK)).reduce(
          (sum, ms) => sum + ms,
          0,
        );
      };
      const rows = methods.map(([name]) => ({
        method: name,
        milliseconds: whole(name, 'milliseconds'),
        attention: whole(name, 'attention'),
        planning: whole(name, 'planning'),
        samples: samples.get(name),
      }));
      const dense = rows.find(({ method }) => method === 'dense');
      console.log(
        table([
          ['method', 'prefill s', 'attention s', 'planning s', 'times faster', 'last chunk ms', 'its keys'],
          ...rows.map((r) => [
            r.method,
            ...[r.milliseconds, r.attention, r.planning].map((ms) => (ms / 1000).toFixed(1)),
            dense === undefined ? '' : (dense.milliseconds / r.milliseconds).toFixed(2),
            median(r.samples.at(-1).map((s) => s.milliseconds)).toFixed(0),
            r.samples.at(-1)[0].keys.toFixed(0),
          ]),
        ]),
      );
      results.push({ length, depths, readMs: read, rows });
    } finally {
      await engine.close();
    }
  }
  return { chunk: CHUNK, read: READ, threads: setting.threads, results };
}

/** What the renderer's peak rises by while one layer reads a chunk at the end of a context: from the kernel, whose mark is set back right before. */
async function memory(setting, options) {
  const lengths = list(options.lengths, '2048,4096,8192,16384,32768,65536').map(Number);
  const jobs = {
    attention: { kind: 'attention' },
    probe: { kind: 'probe' },
    dhsa: { kind: 'planned', context: PREFILL.dhsa },
    blocks: { kind: 'planned', context: PREFILL.blocks },
    flex: { kind: 'planned', context: PREFILL.flex },
  };
  const rows = [];
  for (const length of lengths) {
    for (const [name, job] of pick(jobs, options.methods)) {
      const engine = await openEngine({ build: setting.build, threads: setting.threads });
      try {
        // A short one first, in the same worker: what code and stacks take is none of the question.
        await engine.ask({ kind: 'layer', length: 1024 });
        await engine.ask(job);
        const kv = await engine.ask({ kind: 'layer', length });
        const pid = engine.pid();
        writeFileSync(`/proc/${pid}/clear_refs`, '5');
        const before = status(pid).resident;
        await engine.ask(job);
        rows.push({ length, job: name, kv, before, rise: status(pid).peak - before });
      } finally {
        await engine.close();
      }
    }
  }
  const names = [...new Set(rows.map(({ job }) => job))];
  console.log("Rise of the renderer's peak over one layer's chunk of 512 queries at the end of the context, MB");
  console.log(
    table([
      ['tokens', 'KV of the layer', ...names, 'a square of scores would be'],
      ...lengths.map((length) => [
        length,
        mega(rows.find((r) => r.length === length).kv),
        ...names.map((job) => mega(rows.find((r) => r.length === length && r.job === job).rise)),
        mega(14 * length * length * 4),
      ]),
    ]),
  );
  return { threads: setting.threads, rows };
}

/** Greedy steps behind a context; pages closed to each width, keys chosen by each policy. */
async function decode(setting, options) {
  const length = Number(list(options.lengths, '8192')[0]);
  const engine = await openEngine({ path: setting.path, build: setting.build, threads: setting.threads });
  try {
    await engine.ask({ kind: 'load', length, read: Math.min(READ, length) });
    const methods = pick(DECODE, options.methods);
    const samples = new Map(methods.map(([name]) => [name, []]));
    for (let run = 0; run < Number(options.runs); run += 1) {
      for (const [name, context] of methods) {
        const sample = await engine.ask({ kind: 'decode', context, steps: Number(options.tokens ?? 16) });
        samples.get(name).push(sample);
        process.stderr.write(`${name}: ${(1000 / median(sample.milliseconds)).toFixed(1)} tokens/s\n`);
      }
    }
    const rows = methods.map(([name]) => {
      const all = samples.get(name);
      return {
        method: name,
        tokensPerSecond: 1000 / median(all.flatMap(({ milliseconds }) => milliseconds)),
        bytes: all[0].bytes,
        samples: all,
      };
    });
    const base = rows.find(({ method }) => method === '16 bits');
    console.log(
      table([
        ['context', 'tokens/s', 'of 16 bits', 'KV MB'],
        ...rows.map((r) => [
          r.method,
          r.tokensPerSecond.toFixed(1),
          base === undefined ? '' : (r.tokensPerSecond / base.tokensPerSecond).toFixed(2),
          mega(r.bytes),
        ]),
      ]),
    );
    return { length, threads: setting.threads, rows };
  } finally {
    await engine.close();
  }
}

/**
 * Greedy steps behind contexts whose pages hold random keys and values, so that nothing is read beforehand, by the processor's time, so that other work on
 * the machine matters little. The methods take turns. A choice of keys is made anew in every layer ('anew'), or reused in all of them: how often a model's
 * queries allow it is a question for its real weights (`--only reuse`).
 */
async function steps(setting, options) {
  const results = [];
  const count = Number(options.tokens ?? 4);
  for (const length of list(options.lengths, '8192,32768').map(Number)) {
    const engine = await openEngine({ path: setting.path, build: setting.build, threads: setting.threads });
    try {
      await engine.ask({ kind: 'load', length, read: 0 });
      const methods = pick(STEPS, options.methods);
      const samples = new Map(methods.map(([name]) => [name, []]));
      const pid = engine.pid();
      // The first run makes the first choices and is left out.
      for (let run = 0; run <= Number(options.runs); run += 1) {
        for (const [name, context] of methods) {
          const before = processorTime(pid);
          const { milliseconds, operations } = await engine.ask({ kind: 'steps', name, context, steps: count });
          const processor = (processorTime(pid) - before) / count;
          if (run === 0) continue;
          const each = Object.fromEntries(operations.map(([key, { milliseconds: ms }]) => [key, ms / count]));
          samples.get(name).push({ processor, milliseconds: milliseconds / count, operations: each });
          process.stderr.write(`${length}, ${name}: ${processor.toFixed(1)} ms of the processor a step\n`);
        }
      }
      const rows = methods.map(([method]) => {
        const all = samples.get(method);
        const names = [...new Set(all.flatMap(({ operations }) => Object.keys(operations)))];
        return {
          method,
          processor: median(all.map(({ processor }) => processor)),
          least: Math.min(...all.map(({ processor }) => processor)),
          milliseconds: median(all.map(({ milliseconds }) => milliseconds)),
          // The least, since the clock of an operation runs on while others have the processor.
          operations: Object.fromEntries(
            names.map((name) => [name, Math.min(...all.map(({ operations }) => operations[name] ?? 0))]),
          ),
        };
      });
      const dense = rows.find(({ method }) => method === 'dense');
      console.log(`\n${length} random keys and values; medians of ${options.runs} runs of ${count} steps`);
      console.log(
        table([
          ['decode', 'ms of the processor', 'least', 'of dense', 'attention ms', 'probe ms', 'products ms'],
          ...rows.map((r) => [
            r.method,
            r.processor.toFixed(1),
            r.least.toFixed(1),
            dense === undefined ? '' : (dense.processor / r.processor).toFixed(2),
            ...['attention', 'probe'].map((name) => (r.operations[name] ?? 0).toFixed(1)),
            Object.entries(r.operations)
              .reduce((sum, [name, ms]) => (['attention', 'probe'].includes(name) ? sum : sum + ms), 0)
              .toFixed(1),
          ]),
        ]),
      );
      results.push({ length, rows });
    } finally {
      await engine.close();
    }
  }
  return { threads: setting.threads, steps: count, runs: Number(options.runs), results };
}

/**
 * How often TokenSelect's choices are reused while a real model answers greedily behind the beginning of a text, and how often SentenceKV's ('sentences') are
 * those of the token before: `--model FILE.gguf --text FILE --methods 0.9,0.8,sentences`.
 */
async function reuse(setting, options) {
  if (options.model === undefined || options.text === undefined)
    throw new Error('reuse: --model and --text are needed');
  const length = Number(list(options.lengths, '1024')[0]);
  const count = Number(options.tokens ?? 64);
  const engine = await openEngine({ path: setting.path, build: setting.build, threads: setting.threads });
  try {
    await engine.ask({ kind: 'load', length, read: length, text: readFileSync(options.text, 'utf8') });
    const calls = async (similarity, steps) => {
      const context = { decode: { method: 'tokens', budget: 128, sinks: 32, local: 128, similarity } };
      const { operations } = await engine.ask({ kind: 'steps', name: `reuse ${similarity}`, context, steps });
      return Object.fromEntries(operations).probe?.calls ?? 0;
    };
    const rows = [];
    const methods = list(options.methods, '0.9,0.8,sentences');
    if (methods.includes('sentences')) {
      const context = { decode: { method: 'sentences', budget: 128, sinks: 32, local: 128 } };
      const repeats = await engine.ask({ kind: 'repeats', context, steps: count, newest: 128 });
      const { lists, same, shared, steps, all } = repeats;
      console.log(
        `sentences: ${((100 * same) / lists).toFixed(1)} % of ${lists} lists as at the token before, all of a token's at ${all} of ${steps}; of a list's keys ${(100 * shared).toFixed(1)} % were in the one before`,
      );
      rows.push({ method: 'sentences', ...repeats });
    }
    const cosines = methods.filter((name) => name !== 'sentences').map(Number);
    for (const similarity of cosines) {
      // The first step chooses in every layer.
      const layers = await calls(similarity, 1);
      rows.push({ similarity, layers, anew: await calls(similarity, count), steps: count });
    }
    console.log(
      table([
        ['cosine from which a choice is reused', 'reused'],
        ...rows
          .filter(({ similarity }) => similarity !== undefined)
          .map(({ similarity, layers, anew }) => [similarity, (1 - anew / (layers * count)).toFixed(3)]),
      ]),
    );
    return { model: basename(options.model), length, text: basename(options.text), rows };
  } finally {
    await engine.close();
  }
}

const NAMES = 'amber anchor basil beacon bridge candle canyon cedar cobalt copper coral cradle'.split(' ');

/** A text of about `tokens` tokens in which numbers stand, and an answer that names them in another order: words and numbers by turns. */
function numbersText(text, tokens, index) {
  const next = generator(911 * index + 5);
  const paragraphs = text.split(/\n\s*\n/).map((paragraph) => paragraph.replace(/\s+/g, ' ').trim());
  const hay = [];
  // About four letters a token.
  for (let at = Math.floor(next() * paragraphs.length), letters = 0; letters < 4 * tokens; at += 1) {
    const paragraph = paragraphs[at % paragraphs.length];
    if (paragraph.length < 100) continue;
    hay.push(paragraph);
    letters += paragraph.length;
  }
  const shuffled = (items) =>
    items
      .map((item) => [next(), item])
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item);
  const numbers = shuffled(NAMES)
    .slice(0, 6)
    .map((name) => ({ name, number: 10_000 + Math.floor(90_000 * next()) }));
  for (const { name, number } of numbers)
    hay.splice(Math.floor(next() * (hay.length + 1)), 0, `The special magic number for ${name} is ${number}.`);
  const asked = shuffled(numbers);
  return {
    text: `${hay.join('\n\n')}\n\nThese are the special magic numbers mentioned in the text above.`,
    parts: asked.flatMap(({ name, number }) => [` The special magic number for ${name} is`, ` ${number}`, '.']),
  };
}

/**
 * What reusing TokenSelect's choices costs on a real model, and what scoring keys at 7 bits does: numbers that stand in a text are copied behind it, given
 * token by token, from `--methods` cosines on; 1 chooses anew in every layer, '1-exact' by the keys in full. Each of `--runs` texts is read once. Beside dense,
 * by texts.
 */
async function similarity(setting, options) {
  if (options.model === undefined || options.text === undefined)
    throw new Error('similarity: --model and --text are needed');
  const length = Number(list(options.lengths, '1500')[0]);
  const text = readFileSync(options.text, 'utf8');
  const cosines = list(options.methods, '1,1-exact,0.9,0.8,0.7');
  const texts = [];
  for (let index = 0; index < Number(options.runs); index += 1) {
    const engine = await openEngine({ path: setting.path, build: setting.build, threads: setting.threads });
    try {
      const { tokens, layers, parts } = await engine.ask({ kind: 'answer', ...numbersText(text, length, index) });
      const isNumber = parts.flatMap((count, part) => Array.from({ length: count }, () => part % 3 === 1));
      const of = async (context) => {
        const { nats, likeliest, divergences, choices } = await engine.ask({ kind: 'given', context });
        const numbers = (values) => mean(values.filter((_, i) => isNumber[i]));
        return {
          nats: numbers(nats),
          right: numbers(likeliest.map(Number)),
          divergence: mean(divergences),
          reused: 1 - choices / (layers * nats.length),
        };
      };
      const found = { tokens, dense: await of({}) };
      for (const cosine of cosines) {
        const exact = cosine.endsWith('-exact');
        const similarity = Number.parseFloat(cosine);
        const decode = { method: 'tokens', budget: 128, sinks: 32, local: 64, similarity, exact };
        found[cosine] = await of({ decode });
      }
      texts.push(found);
      process.stderr.write(`${JSON.stringify(found)}\n`);
    } finally {
      await engine.close();
    }
  }
  const rows = ['dense', ...cosines].map((name) => {
    const all = (field) => texts.map((found) => found[name][field]);
    const beside = (field) =>
      meanDifference(
        all(field),
        texts.map(({ dense }) => dense[field]),
      );
    return {
      name,
      ...Object.fromEntries(['nats', 'right', 'divergence', 'reused'].map((field) => [field, mean(all(field))])),
      againstDense: { nats: beside('nats'), right: beside('right') },
    };
  });
  const interval = ({ difference, low, high }, factor, digits) =>
    [difference, low, high].map((x) => (factor * x).toFixed(digits)).join(', ');
  console.log(
    table([
      ['cosine', 'reused', "nats of a number's token", 'against dense', 'likeliest %', 'against dense', 'divergence'],
      ...rows.map(({ name, reused, nats, right, divergence, againstDense }) => [
        name,
        name === 'dense' ? '' : reused.toFixed(2),
        nats.toFixed(3),
        name === 'dense' ? '' : interval(againstDense.nats, 1, 3),
        (100 * right).toFixed(1),
        name === 'dense' ? '' : interval(againstDense.right, 100, 1),
        divergence.toFixed(4),
      ]),
    ]),
  );
  return { model: basename(options.model), length, text: basename(options.text), rows, texts };
}

/** A document of 8k letters read by the built package in a page, saved, and resumed in another page: time to the first token of a question. */
async function reopen(setting, options) {
  const tokens = Number(list(options.lengths, '8192')[0]);
  const server = await serve({ mounts: { '/pages/': here('./pages'), '/dist/': here('../dist') } });
  const browser = await openBrowser();
  const rows = [];
  try {
    const open = async () => {
      const page = await browser.context.newPage();
      page.on('pageerror', (error) => console.error('page:', error.message));
      page.setDefaultTimeout(0);
      await page.goto(`${server.origin}/pages/blank.html`);
      await page.addScriptTag({ url: '/pages/reopen.mjs', type: 'module' });
      await page.waitForFunction(() => globalThis.ready === true);
      await page.setInputFiles('#file', setting.path);
      return page;
    };
    const widths = (options.methods ?? '16,8,4').split(',').map((bits) => (bits === 'staircase' ? bits : Number(bits)));
    for (const kvBits of widths) {
      const ask = {
        threads: setting.threads,
        build: setting.threads > 1 ? `${setting.build}-threads` : setting.build,
        tokens,
        kvBits,
        name: `document ${kvBits}`,
      };
      const first = await open();
      const read = await first.evaluate((o) => globalThis.read(o), ask);
      await first.close();
      const second = await open();
      const resumed = await second.evaluate((o) => globalThis.resume(o), ask);
      await second.close();
      rows.push({ kvBits, read, resumed });
    }
  } finally {
    await browser.close();
    await server.close();
  }
  console.log(`${tokens} tokens; time to the first token of a question, model loaded in both`);
  console.log(
    table([
      ['KV bits', 'read anew s', 'resumed s', 'times faster', 'save s', 'stored MB', 'resume s', 'question s'],
      ...rows.map(({ kvBits, read, resumed }) => [
        kvBits,
        (read.firstToken / 1000).toFixed(2),
        (resumed.firstToken / 1000).toFixed(3),
        (read.firstToken / resumed.firstToken).toFixed(1),
        (read.save / 1000).toFixed(2),
        mega(read.stored),
        (resumed.resume / 1000).toFixed(3),
        ((resumed.firstToken - resumed.resume) / 1000).toFixed(3),
      ]),
    ]),
  );
  return { tokens, threads: setting.threads, rows };
}

const PARTS = { bytes, prefill, memory, decode, steps, reuse, similarity, reopen };

export async function run(options) {
  const wanted = list(
    options.only,
    Object.keys(PARTS)
      .filter((part) => part !== 'reuse' && part !== 'similarity')
      .join(','),
  );
  for (const part of wanted)
    if (!(part in PARTS)) throw new Error(`--only ${part}: take of ${Object.keys(PARTS).join(', ')}`);
  const build = list(options.builds, 'relaxed')[0];
  const threads = Number(list(options.threads, '2')[0]);
  await bundleEngine('context');
  const path = benchFiles(options, here('./files'), SHAPE, 'Q4_0')[0].path;
  const kept =
    options.json !== undefined && existsSync(options.json) ? JSON.parse(readFileSync(options.json, 'utf8')).parts : {};
  const parts = {};
  for (const part of wanted) {
    console.log(`\n${part}`);
    parts[part] = {
      date: new Date().toISOString().slice(0, 16),
      load: loadavg()[0],
      ...(await PARTS[part]({ path, build, threads }, options)),
    };
  }
  return {
    ...(options.model === undefined ? { shape: SHAPE } : { model: basename(path) }),
    parts: { ...kept, ...parts },
  };
}
