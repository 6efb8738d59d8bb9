/**
 * Every stage of the UniPic graph against the PyTorch of training/parity/unipic.py, which was checked against the public sources: painting with
 * injected orders and noise, both chains of denoising, seeing by both routes, editing. See test/fixtures/unipic/README.md.
 * The file is long because every stage starts from the tensors of the stage before.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { openModel } from '../../src/load/index.ts';
import { hostWriter } from '../../src/models/host-tensor.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import type { PictureDecoder } from '../../src/models/unipic/tokenizer.ts';
import { interpolateGrid } from '../../src/models/unipic/positions.ts';
import { Denoiser } from '../../src/paint/denoise.ts';
import { Painter, type Sources } from '../../src/paint/index.ts';
import { diffusionSchedule, spacedSteps } from '../../src/paint/schedule.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { testBackends } from '../support/backends.ts';
import { see } from '../support/see.ts';
import { safetensors } from '../support/fixtures.ts';
import { writeGguf, type GgufInput, type GgufWriterTensor } from '../support/gguf-writer.ts';
import { quantise } from '../support/quantise.ts';
import { recorder, type Recorder } from '../support/recorder.ts';
import { expectNmse } from '../support/tolerance.ts';
import { openWasm } from '../support/wasm.ts';

/** Relative error 1e-4 of a stage, as an NMSE. f64 loops are held to what is left of f32 within the fixtures. */
const ALLOWED = { f32: 1e-8, f64: 1e-10 } as const;

interface Task {
  readonly ids: readonly (readonly number[])[];
  readonly grid: number;
  readonly order: readonly number[];
  readonly iterations: readonly { readonly known: readonly number[]; readonly predicted: readonly number[] }[];
  readonly diffusionSteps: number;
  readonly guidance: number;
  readonly temperature: number;
}
interface Facts {
  readonly schedule: { readonly spaced: Readonly<Record<string, readonly number[]>> };
  readonly paint: Task & { readonly prompt: string };
  readonly edit: Task & { readonly instruction: string };
  readonly head: { readonly step: number };
  readonly chain: Readonly<
    Record<
      string,
      {
        readonly maxBeta: number;
        readonly steps: number;
        readonly prediction: 'eps' | 'v';
        readonly guidance: number;
        readonly temperature: number;
        readonly after: readonly number[];
      }
    >
  >;
  readonly see: {
    readonly size: number;
    readonly routes: Readonly<
      Record<'mar' | 'siglip', { readonly ids: readonly number[]; readonly greedy: readonly number[] }>
    >;
  };
}

const FOLDER = new URL('../fixtures/unipic/', import.meta.url);
const bytes = new Uint8Array(await readFile(new URL('model.gguf', FOLDER)));
const facts = JSON.parse(await readFile(new URL('fixtures.json', FOLDER), 'utf8')) as Facts;
const tensors = safetensors(new Uint8Array(await readFile(new URL('fixtures.safetensors', FOLDER))));
const wanted = (name: string): { readonly shape: readonly number[]; readonly values: Float32Array } => {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`the fixtures have no ${name}`);
  return found;
};
/** One of the tensors of a leading dimension. */
const part = (name: string, index: number): Float32Array => {
  const { shape, values } = wanted(name);
  const length = values.length / shape[0]!;
  return values.subarray(index * length, (index + 1) * length);
};
const C = 16;
const BUFFERS = 8;
const noPause = async (): Promise<void> => {};
const toPixels = (name: string): Float32Array => wanted(name).values.map((value) => (2 * value) / 255 - 1);

/** Orders and noise of a task, as the fixtures have them. */
function injected(name: 'paint' | 'edit', { order, iterations }: Task): Sources {
  return {
    order: () => Int32Array.from(order),
    noise: (step, positions) => {
      const round = iterations.findIndex(({ predicted }) => predicted.join() === positions.join());
      return step === 'initial' ? wanted(`${name}.${round}.initial`).values : part(`${name}.${round}.noise`, step);
    },
  };
}

describe('without a device', () => {
  const { chain, schedule } = facts;

  test('spaced steps', () => {
    for (const [count, steps] of Object.entries(schedule.spaced))
      expect(spacedSteps(1000, Number(count))).toEqual(steps);
  });

  test.each([...tensors.keys()].filter((name) => name.startsWith('schedule.')))('%s', (name) => {
    const [, maxBeta, steps] = /^schedule\.(.+)\.(\d+)$/.exec(name)!;
    const found = diffusionSchedule(
      { width: 1, blocks: 1, trainSteps: 1000, maxBeta: Number(maxBeta), prediction: 'eps' },
      Number(steps),
      1,
    ).toReversed();
    found.forEach(({ time, spec }, i) => {
      const { alpha, sigma, x0FromX, x0FromEps, meanFromX0, meanFromX, lowLogVariance, highLogVariance } = spec;
      const row = part(name, i);
      [time, alpha, sigma, x0FromX, x0FromEps, meanFromX0, meanFromX, lowLogVariance, highLogVariance].forEach(
        (value, column) => {
          expect(Math.abs(value - row[column]!)).toBeLessThanOrEqual(1e-6 * Math.max(1e-6, Math.abs(row[column]!)));
        },
      );
    });
    expect(Object.keys(chain)).toEqual(['eps', 'v', 'single']);
  });
});

describe.each(await testBackends())('unipic on $name', ({ name, create }) => {
  const allowed = name === 'reference' ? ALLOWED.f64 : ALLOWED.f32;
  let backend: Backend;
  let recording: Recorder;
  let model: Model;
  let tokenizer: Tokenizer;
  const compare = (found: Float32Array | undefined, values: Float32Array, what: string): void =>
    expectNmse(found ?? [], values, allowed, what);

  beforeAll(async () => {
    backend = await create();
    recording = recorder(backend);
    const file = await openModel(bytes);
    tokenizer = await createTokenizer(await openWasm('scalar'), file.metadata);
    model = await loadModel(file, recording.backend);
  });
  afterAll(() => {
    model.free();
    tokenizer.free();
    backend.destroy();
  });

  /** Runs a painter with the fixtures' order and noise; what it decoded, round by round, and the picture. */
  async function painted(task: 'paint' | 'edit'): Promise<{ tokens: Float32Array[]; data: Uint8ClampedArray }> {
    recording.reset();
    const { prompt, instruction, grid, iterations, diffusionSteps, guidance, temperature } = {
      ...facts.paint,
      ...facts.edit,
      ...facts[task],
    } as typeof facts.paint & typeof facts.edit;
    const size = 4 * grid;
    const { pictures } = model.paint!;
    const decode = pictures.decode.bind(pictures);
    const tokens: Float32Array[] = [];
    Reflect.set(
      pictures,
      'decode',
      (...args: Parameters<PictureDecoder['decode']>) => (tokens.push(args[0].slice()), decode(...args)),
    );
    const painter = new Painter(model, tokenizer);
    try {
      const [picture] = await painter.paint(
        {
          size,
          iterations: iterations.length,
          diffusionSteps,
          guidance,
          temperature,
          seed: 0,
          onPreview: () => {},
          ...(task === 'paint'
            ? { prompt }
            : { prompt: instruction, source: { pixels: toPixels('edit.source'), size } }),
        },
        injected(task, facts[task]),
      );
      return { tokens, data: picture!.data };
    } finally {
      painter.free();
      Reflect.deleteProperty(pictures, 'decode');
    }
  }

  test('positions of other grids', () => {
    if (name !== 'reference') return;
    const native = (kind: string, fixed: number): Float32Array =>
      wanted(`positions.${kind}.6`).values.subarray(fixed * 160);
    for (const grid of [4, 6, 8]) {
      for (const [kind, fixed] of [
        ['encoder', BUFFERS],
        ['decoder', BUFFERS],
        ['diffusion', 0],
      ] as const) {
        compare(
          interpolateGrid(native(kind, fixed), 6, grid, 160),
          wanted(`positions.${kind}.${grid}`).values.subarray(fixed * 160),
          `${kind} at ${grid}`,
        );
      }
    }
  });

  test('painting: every stage of two rounds, the tokens of four, the picture', async () => {
    const { tokens, data } = await painted('paint');
    const { iterations } = facts.paint;
    expect([
      ...tokenizer.encode(
        `<|im_start|>user\nGenerate an image: ${facts.paint.prompt}<|im_end|>\n<|im_start|>assistant\n`,
      ),
    ]).toEqual(facts.paint.ids[0]);
    const each = async (
      key: string,
      body: (round: number, row: number) => string,
      rows: number,
      skip = 0,
    ): Promise<void> => {
      const found = await recording.of(key);
      for (let round = 0; round < 2; round++)
        for (let row = 0; row < rows; row++)
          compare(
            found[skip + round * rows + row],
            rows === 1 ? wanted(body(round, row)).values : part(body(round, row), row),
            body(round, row),
          );
    };
    await each('mar.z_proj_ln.weight', (s) => `paint.${s}.z_proj_ln`, 1);
    for (let block = 0; block < 2; block++)
      await each(`mar.encoder_blocks.${block}.mlp.fc2.weight`, (s) => `paint.${s}.encoder.${block}`, 1);
    await each('mar.encoder_norm.weight', (s) => `paint.${s}.x_enc`, 1);
    // Two prompts go through the language model first.
    for (let layer = 0; layer < 3; layer++)
      await each(`blk.${layer}.ffn_down.weight`, (s) => `paint.${s}.language.${layer}`, 2, 2);
    for (let block = 0; block < 2; block++)
      await each(`mar.decoder_blocks.${block}.mlp.fc2.weight`, (s) => `paint.${s}.decoder.${block}`, 2);
    tokens.forEach((found, s) => compare(found, wanted(`paint.${s}.tokens`).values, `tokens after round ${s}`));
    expect(tokens).toHaveLength(iterations.length);
    const off = wanted('paint.picture').values.filter(
      (value, i) => Math.abs(value - data[Math.floor(i / 3) * 4 + (i % 3)]!) > (name === 'reference' ? 0 : 1),
    );
    expect(off).toHaveLength(0);
  });

  test("painting: the image tokenizer's decoder, level by level", async () => {
    // Of four decodings the last.
    const last = async (weight: string): Promise<Float32Array | undefined> =>
      (await recording.of(`vae.decoder.${weight}.weight`)).at(-1);
    compare(
      (await recording.of('vae.post_quant_conv.weight')).at(-1),
      wanted('vae.decoder.post_quant_conv').values,
      'post_quant_conv',
    );
    compare(await last('conv_in'), wanted('vae.decoder.conv_in').values, 'conv_in');
    compare(await last('mid.block_2.conv2'), wanted('vae.decoder.mid').values, 'mid');
    for (const level of [2, 1])
      compare(await last(`up.${level}.upsample.conv`), wanted(`vae.decoder.up.${level}`).values, `up.${level}`);
    compare(await last('up.0.block.1.conv2'), wanted('vae.decoder.up.0').values, 'up.0');
    compare(await last('conv_out'), wanted('vae.decoder.pixels').values, 'pixels');
  });

  test('causality: what comes later changes nothing before it', async () => {
    const { language } = model;
    const { shape, values } = wanted('causality.visual');
    const states = await behind(facts.paint.ids[0]!, values, shape[0]!);
    compare(states, wanted('causality.norm').values, 'states behind the prompt');
    const before = await behind(facts.paint.ids[0]!, wanted('paint.1.visual').values, shape[0]!);
    const width = language.config.hidden;
    for (let i = 0; i < 3 * width; i++) expect(states[i]).toBe(before[i]);
    expect(states.subarray(3 * width, 4 * width)).not.toEqual(before.subarray(3 * width, 4 * width));
  });

  /** States after the final norm of rows behind a prompt. */
  async function behind(ids: readonly number[], rows: Float32Array, count: number): Promise<Float32Array> {
    const { language } = model;
    const { layers, kvHeads, headDim, hidden } = language.config;
    const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
    const sequence = new Sequence(new PageAllocator(pool), ids.length + count);
    const ring = backend.ids(ids.length);
    backend.writeIds(ring, 0, Int32Array.from(ids));
    sequence.ensure(ids.length + count);
    const states = backend.scope(() => {
      language.forward(language.embed(ring, 0, ids.length), {
        kv: sequence,
        position: 0,
        ranges: denseCausal(ids.length, ids.length),
      });
      return backend.norm(
        language.forward(backend.upload(rows, [count, hidden]), {
          kv: sequence,
          position: ids.length,
          ranges: denseCausal(count, ids.length + count),
        }),
        language.finalNorm,
      );
    });
    const out = await backend.download(states);
    backend.free(states);
    backend.free(ring);
    pool.free();
    return out;
  }

  test('the diffusion head: time, blocks, output', async () => {
    recording.reset();
    const { head } = model.paint!;
    const out = backend.scope(() => {
      const time = head.times([facts.head.step]);
      return head.predict(
        backend.upload(wanted('head.x').values, [6, C]),
        time,
        head.condition(backend.upload(wanted('head.z').values, [6, 160])),
      );
    });
    // One step for all rows.
    compare((await recording.of('mar.diffloss.net.time_embed.mlp.2.weight'))[0], part('head.time', 0), 'time');
    const blocks = await recording.of('gatedAdd');
    expect(blocks).toHaveLength(3);
    blocks.forEach((found, block) => compare(found, wanted(`head.block.${block}`).values, `block ${block}`));
    compare(await backend.download(out), wanted('head.out').values, 'output');
    backend.free(out);
  });

  test.each(['eps', 'v', 'single'])('the chain %s: x after many steps, with injected noise', async (kind) => {
    recording.reset();
    const { maxBeta, steps, prediction, guidance, temperature, after } = facts.chain[kind]!;
    const { diffusion } = model.paint!.config;
    const denoiser = new Denoiser(
      model.paint!,
      diffusionSchedule({ ...diffusion, maxBeta, prediction }, steps, temperature),
    );
    const guided = kind !== 'single';
    const conditions = backend.upload(guided ? wanted('chain.z').values : part('chain.z', 0).slice(), [
      guided ? 12 : 6,
      160,
    ]);
    const sources: Sources = {
      order: () => new Int32Array(0),
      noise: (step) => (step === 'initial' ? wanted('chain.initial').values : part('chain.noise', step)),
    };
    await denoiser.run(
      {
        conditions,
        positions: Int32Array.of(0, 1, 2, 3, 4, 5),
        tokens: 6,
        channels: C,
        sources,
        guidance: guided ? guidance : undefined,
      },
      noPause,
    );
    const found = await recording.of('denoise');
    expect(found).toHaveLength(steps);
    after.forEach((step, i) => compare(found[step - 1], part(`chain.${kind}`, i), `${kind} after ${step} steps`));
    denoiser.free();
    backend.free(conditions);
  });

  test.each(['mar', 'siglip'] as const)('seeing by %s: every stage, and eight greedy ids', async (route) => {
    recording.reset();
    const { size, routes } = facts.see;
    const { ids, greedy } = routes[route];
    const visual = backend.scope(() => see(model, wanted('see.pixels').values, size, route));
    const count = visual.shape[0]!;
    const one = async (weight: string): Promise<Float32Array | undefined> =>
      (await recording.of(`${weight}.weight`))[0];
    if (route === 'mar') {
      compare(await one('vae.encoder.conv_in'), wanted('vae.encoder.conv_in').values, 'conv_in');
      for (const level of [0, 1])
        compare(
          await one(`vae.encoder.down.${level}.downsample.conv`),
          wanted(`vae.encoder.down.${level}`).values,
          `down.${level}`,
        );
      compare(await one('vae.encoder.mid.block_2.conv2'), wanted('vae.encoder.mid').values, 'mid');
      compare(await one('vae.quant_conv'), wanted('vae.encoder.moments').values, 'moments');
      compare((await recording.of('standardise.weight'))[0], wanted('see.mar.tokens').values, 'tokens');
      compare(await one('mar.z_proj_ln'), wanted('see.mar.z_proj_ln').values, 'z_proj_ln');
      for (const block of [0, 1])
        compare(
          await one(`mar.encoder_blocks.${block}.mlp.fc2`),
          wanted(`see.mar.encoder.${block}`).values,
          `encoder.${block}`,
        );
      compare(await one('mar.encoder_norm'), wanted('see.mar.x_enc').values, 'x_enc');
    } else {
      compare(await one('siglip2.embeddings.patch_embedding'), wanted('see.siglip.embeddings').values, 'embeddings');
      for (const layer of [0, 1])
        compare(
          await one(`siglip2.encoder.layers.${layer}.mlp.fc2`),
          wanted(`see.siglip.layer.${layer}`).values,
          `layer ${layer}`,
        );
      compare(await one('siglip2.post_layernorm'), wanted('see.siglip.output').values, 'output');
    }
    compare(await backend.download(visual), wanted(`see.${route}.visual`).values, 'visual tokens');

    const { language } = model;
    const { layers, kvHeads, headDim, vocabulary } = language.config;
    const pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
    const total = ids.length + greedy.length;
    const sequence = new Sequence(new PageAllocator(pool), total);
    const ring = backend.ids(total);
    backend.writeIds(ring, 0, Int32Array.from([...ids, ...greedy]));
    sequence.ensure(total);
    const at = ids.indexOf(model.vision!.placeholder);
    const forward = (x: ReturnType<Backend['rows']>, start: number): typeof x =>
      language.forward(x, { kv: sequence, position: start, ranges: denseCausal(x.shape[0]!, start + x.shape[0]!) });
    const logits = backend.scope(() => {
      forward(language.embed(ring, 0, at), 0);
      forward(visual, at);
      const start = at + count;
      const text = forward(language.embed(ring, start, total - start - 1), start);
      return language.logits(backend.rows(text, ids.length - 1 - start, greedy.length));
    });
    const found = await backend.download(logits);
    compare(found, wanted(`see.${route}.logits`).values, 'logits');
    greedy.forEach((id, i) => {
      const row = found.subarray(i * vocabulary, (i + 1) * vocabulary);
      expect(row.indexOf(Math.max(...row))).toBe(id);
    });
    for (const tensor of [logits, visual, ring]) backend.free(tensor);
    pool.free();
  });

  test('editing: what is seen of the source, both rounds', async () => {
    const { tokens } = await painted('edit');
    compare((await recording.of('standardise.weight'))[0], wanted('edit.see.tokens').values, 'tokens of the source');
    compare((await recording.of('mar.encoder_norm.weight'))[0], wanted('edit.see.x_enc').values, 'x_enc of the source');
    tokens.forEach((found, s) => compare(found, wanted(`edit.${s}.tokens`).values, `tokens after round ${s}`));
    expect(tokens).toHaveLength(2);
  });
});

describe.each([
  ['F16', ['F16', 'F16']],
  ['Q8_0', ['Q8_0', 'F16']],
] as const)('weights in %s', (_name, [format, otherwise]) => {
  test('stages point the same way', async () => {
    const { create, name } = (await testBackends()).find(({ name }) => name === 'wasm simd')!;
    const backend = await create();
    const file = await openModel(bytes);
    const tensors: GgufWriterTensor[] = [];
    await file.read((info) => {
      const inner = hostWriter(info, (values) => {
        const matrix =
          info.shape.length === 2 && !/pos_embed|fake_latent|mask_token|position_embedding/.test(info.name);
        const to: WeightFormat = matrix ? (info.shape[1]! % 32 === 0 ? format : otherwise) : 'F32';
        tensors.push({ name: info.name, shape: info.shape, format: to, data: quantise(to, values) });
      });
      return inner;
    });
    const metadata = file.metadata.kind === 'gguf' ? Object.fromEntries(file.metadata.values) : {};
    const model = await loadModel(await openModel(writeGguf(metadata as Record<string, GgufInput>, tensors)), backend);
    const { head } = model.paint!;
    const results = backend.scope(() => [
      see(model, wanted('see.pixels').values, 32, 'mar'),
      see(model, wanted('see.pixels').values, 32, 'siglip'),
      head.predict(
        backend.upload(wanted('head.x').values, [6, C]),
        head.times([facts.head.step]),
        head.condition(backend.upload(wanted('head.z').values, [6, 160])),
      ),
    ]);
    for (const [i, key] of ['see.mar.visual', 'see.siglip.visual', 'head.out'].entries()) {
      const [found, expected] = [await backend.download(results[i]!), wanted(key).values];
      const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, j) => sum + value * b[j]!, 0);
      const cosine = dot(found, expected) / Math.sqrt(dot(found, found) * dot(expected, expected));
      if (!(cosine > 0.999)) throw new Error(`${key} in ${format} on ${name}: cosine ${cosine}`);
    }
    model.free();
    backend.destroy();
  });
});
