/** What the benchmark of pictures measures, on any backend: operations by themselves, one layer of each model, and a whole VAE decoder. */
import type { Backend, KvView, Tensor } from '../../src/backend/backend.ts';
import type { WasmBackend } from '../../src/backend/wasm.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { PAGE_TOKENS } from '../../src/backend/backend.ts';
import { bidirectional } from '../../src/kv/ranges.ts';
import { vaeDecoder } from './vae.ts';
import { randomWeights } from './weights.ts';

export interface PictureTiming {
  readonly what: string;
  readonly format: string;
  readonly milliseconds: number;
  /** Multiplications and additions; 0 where bytes count. */
  readonly flops: number;
  /** Read and written, for what does not multiply. */
  readonly bytes: number;
}
export interface PictureResults {
  readonly timings: readonly PictureTiming[];
  /** Of one decoder: by operation, then `total`. */
  readonly decoder: readonly {
    readonly format: string;
    readonly flops: number;
    readonly operations: readonly (readonly [string, { readonly calls: number; readonly milliseconds: number }])[];
    readonly milliseconds: number;
  }[];
}

const NOISE = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i * 12.9898) + Math.sin(i * 78.233));

/** Milliseconds that are spent on one operation at least, and on its pieces. */
const SPENT = 250;

/**
 * The fast tenth of many short runs: shorter than a scheduler's slice, so that other processes, which only ever slow one down, miss some of them.
 * The shapes are chosen so that a run takes a few milliseconds.
 */
async function fast(backend: Backend, runs: number, body: () => void): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 3; i++) backend.scope(body);
  const until = performance.now() + SPENT * runs;
  while (times.length < 10 || performance.now() < until) {
    const start = performance.now();
    backend.scope(body);
    await backend.idle();
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 10)] ?? NaN;
}

function tensor(backend: Backend, rows: number, cols: number): Tensor {
  const data = new Float32Array(rows * cols);
  for (let at = 0; at < data.length; at += NOISE.length)
    data.set(NOISE.subarray(0, Math.min(NOISE.length, data.length - at)), at);
  return backend.keep(backend.upload(data, [rows, cols]));
}

export interface Bare {
  /** 1e9 multiplications and additions a second of one thread, in int8 and in f32. */
  readonly dot: number;
  readonly multiplyAdd: number;
}

/** What the dot and the multiply-add of relaxed SIMD give with nothing else (bare.ts). */
export async function bareRates(module: WebAssembly.Module): Promise<Bare> {
  const { exports } = await WebAssembly.instantiate(module, {
    env: { memory: new WebAssembly.Memory({ initial: 64, maximum: 65536 }) },
  });
  const rate = (name: string, each: number): number => {
    const run = exports[name] as (at: number, turns: number) => number;
    let best = 0;
    for (let i = 0; i < 200; i++) {
      const start = performance.now();
      run(1024, 2e5);
      best = Math.max(best, (12 * each * 2e5) / (performance.now() - start) / 1e6);
    }
    return best;
  };
  return { dot: rate('dots', 32), multiplyAdd: rate('multiplyAdds', 8) };
}

export async function measurePictures(
  backend: WasmBackend,
  formats: readonly WeightFormat[],
  runs: number,
): Promise<PictureResults> {
  const operations = await backend.pictureOperations();
  const timings: PictureTiming[] = [];
  const decoder: PictureResults['decoder'][number][] = [];
  const time = async (what: string, format: string, flops: number, bytes: number, body: () => void): Promise<void> => {
    timings.push({ what, format, milliseconds: await fast(backend, runs, body), flops, bytes });
  };
  for (const format of formats) {
    const random = randomWeights(backend, format);
    for (const [side, channels, rows, kernel, upsample, normed] of [
      [32, 128, 128, 3, false, true],
      [16, 256, 256, 3, false, true],
      [16, 512, 512, 3, false, true],
      [8, 512, 512, 3, true, false],
      [64, 128, 3, 3, false, true],
      [64, 3, 128, 3, false, false],
      [16, 512, 512, 1, false, true],
    ] as const) {
      const x = tensor(backend, side * side, channels);
      const weight = await random.matrix(rows, kernel * kernel * channels);
      const [scale, shift] = [await random.vector(channels, 1), await random.vector(channels, 0)];
      const moments = normed ? backend.keep(operations.moments([x], 32, 1e-6)) : undefined;
      const after = upsample ? 2 * side : side;
      const what = `conv ${kernel}x${kernel} ${channels} -> ${rows}, ${after} px${normed ? ', norm' : ''}${upsample ? ', upsampled' : ''}`;
      await time(what, weight.format, 2 * after ** 2 * rows * kernel ** 2 * channels, 0, () => {
        const pad = kernel >> 1;
        operations.conv2d(x, weight, {
          height: side,
          width: side,
          kernel,
          padding: [pad, pad, pad, pad],
          upsample,
          ...(moments ? { norm: { moments, weight: scale, bias: shift, activation: 'silu' } } : {}),
        });
      });
      backend.free(x);
      if (moments) backend.free(moments);
    }
    random.free();
    for (const [model, count, width, heads, headDim, mlp] of [
      ['ViT', 64, 1152, 16, 72, 4304],
      ['MAR', 64, 1280, 16, 80, 5120],
    ] as const) {
      const x = tensor(backend, count, width);
      const qkv = await random.matrix(3 * width, width);
      const out = await random.matrix(width, width);
      const up = await random.matrix(mlp, width);
      const down = await random.matrix(width, mlp);
      const inner = tensor(backend, count, mlp);
      await time(
        `${model} q/k/v ${width} -> ${3 * width}, ${count} rows`,
        qkv.format,
        6 * count * width * width,
        0,
        () => void backend.linear(x, [qkv]),
      );
      await time(
        `${model} output ${width} -> ${width}`,
        out.format,
        2 * count * width * width,
        0,
        () => void backend.linear(x, [out], { residual: x }),
      );
      await time(
        `${model} up ${width} -> ${mlp}, gelu`,
        up.format,
        2 * count * width * mlp,
        0,
        () => void backend.linear(x, [up], { activation: 'geluTanh' }),
      );
      await time(
        `${model} down ${mlp} -> ${width}`,
        down.format,
        2 * count * width * mlp,
        0,
        () => void backend.linear(inner, [down]),
      );
      if (format === formats[0]) {
        // 64 queries of four heads on 1024 keys.
        const kvHeads = heads / 4;
        const pool = backend.kvPool({ layers: 1, kvHeads, headDim, format: 'f32' });
        const blocks = 32;
        pool.reserve(kvHeads * blocks);
        const view: KvView = {
          pool,
          blocks,
          table: Int32Array.from({ length: kvHeads * blocks }, (_, i) => i),
          version: 1,
        };
        const all = tensor(backend, blocks * PAGE_TOKENS, 3 * kvHeads * headDim);
        await time(
          `${model} append, ${kvHeads} heads of ${headDim}`,
          '',
          0,
          8 * all.shape[0]! * all.shape[1]!,
          () => void backend.ropeAppend(all, view, 0, 0, { heads: kvHeads }),
        );
        const queries = tensor(backend, count, kvHeads * headDim);
        const keys = blocks * PAGE_TOKENS;
        const ranges = bidirectional(count, keys);
        await time(
          `${model} attention, ${count} x ${keys}, ${kvHeads} heads of ${headDim}`,
          '',
          4 * count * keys * kvHeads * headDim,
          0,
          () =>
            void backend.attention(queries, view, 0, keys - count, ranges, { heads: kvHeads, scale: headDim ** -0.5 }),
        );
        backend.free(all);
        backend.free(queries);
        pool.free();
      }
      backend.free(x);
      backend.free(inner);
      random.free();
    }
    const [rows, width] = [64, 1536];
    const x = tensor(backend, rows, width);
    const modulation = tensor(backend, rows, 3 * width);
    const wide = await random.matrix(3 * width, width);
    const square = await random.matrix(width, width);
    await time(
      `diffusion head: modulation ${width} -> ${3 * width}, ${rows} rows`,
      wide.format,
      6 * rows * width * width,
      0,
      () => void backend.linear(x, [wide]),
    );
    await time(
      `diffusion head: MLP ${width} -> ${width}`,
      square.format,
      2 * rows * width * width,
      0,
      () => void backend.linear(x, [square], { activation: 'silu' }),
    );
    if (format === formats[0]) {
      await time(
        'diffusion head: modulate',
        '',
        0,
        16 * rows * width,
        () => void backend.modulate(x, { modulation, shift: 0, scale: width, epsilon: 1e-6 }),
      );
      await time(
        'diffusion head: gatedAdd',
        '',
        0,
        16 * rows * width,
        () => void backend.gatedAdd(x, x, modulation, 2 * width),
      );
      const picture = tensor(backend, 64 * 64, 128);
      const moments = backend.keep(operations.moments([picture], 32, 1e-6));
      const [weight, bias] = [await random.vector(128, 1), await random.vector(128, 0)];
      await time(
        'moments, 64 px, 128 channels',
        '',
        0,
        4 * picture.shape[0]! * 128,
        () => void operations.moments([picture], 32, 1e-6),
      );
      await time(
        'groupNorm and silu, the same',
        '',
        0,
        8 * picture.shape[0]! * 128,
        () => void operations.groupNorm(picture, { moments, weight, bias, activation: 'silu' }),
      );
      for (const it of [picture, moments]) backend.free(it);
    }
    for (const it of [x, modulation]) backend.free(it);
    random.free();

    const vae = await vaeDecoder(backend, random);
    const latents = tensor(backend, 256, 16);
    backend.profile.enabled = true;
    let best: PictureResults['decoder'][number] | undefined;
    for (let i = 0; i < 2; i++) {
      backend.profile.take();
      const start = performance.now();
      backend.scope(() => void vae.run(latents));
      const milliseconds = performance.now() - start;
      if (best === undefined || milliseconds < best.milliseconds)
        best = { format, flops: vae.flops, operations: [...backend.profile.take()], milliseconds };
    }
    backend.profile.enabled = false;
    if (best) decoder.push(best);
    backend.free(latents);
    random.free();
  }
  return { timings, decoder };
}
