// Octavo, wllama and transformers.js (WASM in Chromium) and native llama.cpp on the same files: prefill and decode rates, load time, peak memory.
// Runs are interleaved (every engine once, then again), medians are reported, ratios are between medians of the same invocation.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chosen, LONG_METHODS } from '../eval/methods.mjs';
import { serve } from '../tools/static-server.mjs';
import { barChart } from './chart.mjs';
import { runInBrowser } from './engines/browser.mjs';
import { benchFiles, fileSize } from './files.mjs';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (value, fallback) => (value ?? fallback).split(',');

/** Every engine by name: (file, threads, options) -> one run's figures. */
function engines(server, builds, dists, contexts, onnx) {
  const octavo = (build, [label, dist], { title, context }) => ({
    name: `octavo ${build}${label}${title === 'dense' ? '' : `, ${title}`}`,
    kind: 'octavo',
    run: (file, threads, o) =>
      runInBrowser(server, 'octavo.mjs', file, {
        ...o,
        dist,
        context,
        threads,
        build: threads > 1 ? `${build}-threads` : build,
      }),
    can: (threads) => threads === 1 || build !== 'scalar',
  });
  const all = [
    ...builds.flatMap((build) => dists.flatMap((dist) => contexts.map((context) => octavo(build, dist, context)))),
    {
      name: 'wllama',
      kind: 'wllama',
      run: (file, threads, o) => runInBrowser(server, 'wllama.mjs', file, { ...o, threads }),
      can: () => true,
    },
    // The same weights, exported and quantised anew: transformers.js reads no GGUF.
    ...(onnx === undefined ? [] : ['q8', 'q4']).map((dtype) => ({
      name: `transformers.js ${dtype}`,
      kind: 'transformers',
      run: (file, threads, o) =>
        runInBrowser(server, 'transformers.mjs', file, { ...o, onnx: basename(onnx), dtype, threads }),
      can: () => true,
    })),
    {
      name: 'llama.cpp native',
      kind: 'native',
      run: (file, threads, o) =>
        JSON.parse(
          execFileSync(
            process.execPath,
            [here('./engines/llama-cpp.mjs'), file, String(threads), String(o.window), String(o.newTokens)],
            { input: o.prompt, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] },
          )
            .trim()
            .split('\n')
            .at(-1),
        ),
      can: () => true,
    },
  ];
  return all;
}

export async function run(options) {
  const shape = options.shape ?? 'qwen2.5-0.5b';
  const runs = Number(options.runs);
  const lengths = { promptTokens: Number(options.prompt ?? 256), newTokens: Number(options.tokens ?? 32) };
  // A real text may have more tokens than were asked for.
  const window = 2 * lengths.promptTokens + lengths.newTokens + 64;
  const wanted = list(options.engines, 'octavo,wllama,transformers,native');
  const server = await serve({
    mounts: {
      '/pages/': here('./pages'),
      '/dist/': here('../dist'),
      ...(options.onnx !== undefined && {
        '/onnx/': dirname(resolve(options.onnx)),
        '/transformers/': here('./node_modules/@huggingface/transformers/dist'),
        '/ort/': here('./node_modules/onnxruntime-web/dist'),
      }),
      ...(options.old !== undefined && { '/old/': resolve(options.old) }),
      '/wllama/': here('./node_modules/@wllama/wllama/esm'),
    },
  });
  const dists = [['', '/dist'], ...(options.old === undefined ? [] : [[' (old)', '/old']])];
  const contexts = chosen(options.methods ?? 'dense', LONG_METHODS).map(([, method]) => method);
  const contenders = engines(server, list(options.builds, 'relaxed,simd'), dists, contexts, options.onnx).filter((e) =>
    wanted.includes(e.kind),
  );
  const results = [];
  try {
    for (const { name: mix, path: file, prompt } of benchFiles(options, here('./files'), shape, 'Q4_0,Q8_0,Q4_K_M')) {
      const ask = { prompt: prompt(lengths.promptTokens), newTokens: lengths.newTokens, window };
      for (const threads of list(options.threads, '1,2').map(Number)) {
        const samples = new Map(contenders.filter((e) => e.can(threads)).map((e) => [e, []]));
        for (let turn = 0; turn < runs; turn += 1) {
          for (const [engine, kept] of samples) {
            const sample = await engine.run(file, threads, ask);
            kept.push(sample);
            process.stderr.write(
              `${mix} ${threads}t ${engine.name}: prefill ${sample.prefill.toFixed(1)} decode ${sample.decode.toFixed(1)} tokens/s\n`,
            );
          }
        }
        for (const [engine, kept] of samples) {
          const of = (field) => median(kept.map((s) => s[field]));
          results.push({
            file: mix,
            bytes: fileSize(file),
            threads,
            engine: engine.name,
            prefill: of('prefill'),
            decode: of('decode'),
            loadMs: of('loadMs'),
            peak: of('peak'),
            blank: of('blank'),
            samples: kept,
          });
        }
      }
    }
  } finally {
    await server.close();
  }
  const find = (r, name) => results.find((o) => o.file === r.file && o.threads === r.threads && o.engine === name);
  const ratio = (r, name, field) => {
    const other = find(r, name);
    return other && r.engine !== name ? (r[field] / other[field]).toFixed(2) : '';
  };
  const rows = [
    [
      'file threads engine',
      'prefill t/s',
      'decode t/s',
      'load s',
      'peak MB',
      'peak/file',
      'without blank page',
      'decode/wllama',
      'prefill/wllama',
      'decode/native',
      'prefill/native',
      ...(options.old === undefined ? [] : ['decode/old', 'prefill/old']),
    ],
  ];
  for (const r of results) {
    rows.push([
      `${r.file} ${r.threads} ${r.engine}`,
      r.prefill.toFixed(1),
      r.decode.toFixed(1),
      (r.loadMs / 1000).toFixed(2),
      (r.peak / 1e6).toFixed(0),
      (r.peak / r.bytes).toFixed(2),
      r.blank ? ((r.peak - r.blank) / r.bytes).toFixed(2) : '',
      ratio(r, 'wllama', 'decode'),
      ratio(r, 'wllama', 'prefill'),
      ratio(r, 'llama.cpp native', 'decode'),
      ratio(r, 'llama.cpp native', 'prefill'),
      ...(options.old === undefined
        ? []
        : [ratio(r, `${r.engine} (old)`, 'decode'), ratio(r, `${r.engine} (old)`, 'prefill')]),
    ]);
  }
  console.log(table(rows));
  if (options.chart)
    writeFileSync(
      options.chart,
      barChart(
        `Decode, tokens/s (${options.model === undefined ? `${shape} shape` : results[0].file})`,
        results.map((r) => ({
          label: `${r.file}, ${r.threads} thread${r.threads > 1 ? 's' : ''}: ${r.engine}`,
          value: r.decode,
          group: r.engine.split(' ')[0],
        })),
      ),
    );
  return { ...(options.model === undefined && { shape }), ...lengths, runs, results };
}
