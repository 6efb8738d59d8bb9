/** Painting in a browser's worker, stage by stage: the painter's own parts in the painter's order, with a clock between them. Random weights; no tokenizer. */
import type { Tensor } from '../../src/backend/backend.ts';
import { createWasmBackend, type WasmBackend } from '../../src/backend/wasm.ts';
import { Held } from '../../src/layers/held.ts';
import { paced } from '../../src/layers/steps.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import type { PaintModel } from '../../src/models/paint-model.ts';
import { Denoiser } from '../../src/paint/denoise.ts';
import { seededSources } from '../../src/paint/noise.ts';
import { Pace } from '../../src/paint/pace.ts';
import { toRgba } from '../../src/paint/picture.ts';
import { costs } from '../../src/paint/progress.ts';
import { Prompts } from '../../src/paint/prompts.ts';
import { diffusionSchedule, uncoverings } from '../../src/paint/schedule.ts';
import { spawnPoolWorker } from '../../src/platform/pool-browser.ts';
import { instantiate, type WasmBuild } from '../../src/wasm.ts';

type Ask =
  | { readonly kind: 'load'; readonly file: File; readonly build: WasmBuild; readonly threads: number }
  | { readonly kind: 'stages'; readonly job: Job }
  | { readonly kind: 'decode'; readonly size: number };

interface Job {
  readonly size: number;
  /** Of a whole picture. */
  readonly iterations: number;
  readonly diffusionSteps: number;
  /** Tokens of the prompt and of the unconditional one. */
  readonly prompts: readonly number[];
  /** Which iterations are timed, from 0. */
  readonly rounds: readonly number[];
  /** How many positions the head is timed with. */
  readonly predicted: readonly number[];
  /** Denoising steps that are timed. */
  readonly steps: number;
}

type Operations = readonly (readonly [string, { readonly calls: number; readonly milliseconds: number }])[];
interface Timed {
  milliseconds: number;
  operations: Operations;
}
interface Stages {
  readonly prompt: Timed;
  readonly rounds: readonly {
    readonly known: number;
    readonly encoder: Timed;
    readonly language: Timed;
    readonly decoder: Timed;
  }[];
  /** `condition` once an iteration, `step` each denoising step. */
  readonly head: readonly {
    readonly predicted: number;
    readonly milliseconds: number;
    readonly condition: number;
    readonly step: number;
    readonly operations: Operations;
  }[];
}

const SEED = 1;
const TEMPERATURE = 1;
const GUIDANCE = 3;

class Studio {
  readonly #backend: WasmBackend;
  readonly #model: Model;
  readonly #paint: PaintModel;
  readonly #pause: () => Promise<void>;

  constructor(backend: WasmBackend, model: Model, paint: PaintModel) {
    this.#backend = backend;
    this.#model = model;
    this.#paint = paint;
    this.#pause = new Pace(backend, undefined).step;
    backend.profile.enabled = true;
  }

  async stages(job: Job): Promise<Stages> {
    const { language } = this.#model;
    const { config } = this.#paint;
    const grid = job.size / config.patch;
    const schedule = diffusionSchedule(config.diffusion, job.diffusionSteps, TEMPERATURE);
    const room = config.mar.buffers + (Math.max(...config.sizes) / config.patch) ** 2;
    const prompts = new Prompts(language, room, costs(language.config, config).language);
    try {
      // The whole schedule's times belong to what is done once for each picture.
      const prompt = await this.#timed(async () => {
        for (const ids of this.#prompts(job)) await prompts.sequence({ ids }, undefined, this.#pause);
        new Denoiser(this.#paint, schedule).free();
      });
      const all = uncoverings(seededSources(SEED).order(grid * grid), job.iterations);
      const rounds: Stages['rounds'][number][] = [];
      for (const i of job.rounds) {
        const round = all[i];
        if (round === undefined) throw new Error(`there is no iteration ${i} of ${job.iterations}`);
        rounds.push({ known: round.known.length, ...(await this.#round(round, grid, prompts, job)) });
      }
      const denoiser = new Denoiser(this.#paint, schedule.slice(0, job.steps));
      const timed: Stages['head'][number][] = [];
      for (const predicted of job.predicted)
        timed.push({ predicted, ...(await this.#denoise(denoiser, predicted, grid, job)) });
      denoiser.free();
      return { prompt, rounds, head: timed };
    } finally {
      prompts.free();
    }
  }

  async decode(size: number): Promise<Timed> {
    const { config } = this.#paint;
    const { pictures } = this.#paint;
    const tokens = seededSources(SEED).noise(
      'initial',
      Int32Array.from({ length: (size / config.patch) ** 2 }, (_, i) => i),
      { tokens: (size / config.patch) ** 2, channels: config.channels },
    );
    return this.#timed(async () => {
      const held = new Held(this.#backend);
      const values = new Float32Array(size * size * 3);
      let at = 0;
      for (const part of await paced(pictures.decode(tokens, size, held), this.#pause)) {
        const some = await this.#backend.download(part);
        held.drop(part);
        values.set(some, at);
        at += some.length;
      }
      held.free();
      finite('the picture', values);
      toRgba(pictures.arrange(values, size));
    });
  }

  /** Ids apart from the first, so that the prompts share no pages. */
  #prompts({ prompts }: Job): readonly Int32Array[] {
    return prompts.map((count, row) => Int32Array.from({ length: count }, (_, i) => 100 + 1000 * row + i));
  }

  async #round(
    { known, wanted }: { readonly known: Int32Array; readonly wanted: Int32Array },
    grid: number,
    prompts: Prompts,
    job: Job,
  ): Promise<Omit<Stages['rounds'][number], 'known'>> {
    const backend = this.#backend;
    const { channels } = this.#paint.config;
    const { encoder, decoder, toLanguage, fromLanguage } = this.#paint;
    const held = new Held(backend);
    const values = seededSources(SEED).noise(0, known, { tokens: grid * grid, channels });
    const parts: { encoder: Timed; language: Timed[]; decoder: Timed[] } = {
      encoder: { milliseconds: 0, operations: [] },
      language: [],
      decoder: [],
    };
    try {
      const sequences = [];
      for (const ids of this.#prompts(job)) sequences.push(await prompts.sequence({ ids }, undefined, this.#pause));
      let x: Tensor | undefined;
      parts.encoder = await this.#timed(async () => {
        const given =
          known.length === 0 ? undefined : held.step(() => backend.upload(values, [known.length, channels]));
        x = await paced(encoder.forward(given, known, grid, held), this.#pause);
      });
      if (x === undefined) throw new Error('the encoder gave nothing');
      const encoded = x;
      let rows: Tensor | undefined;
      for (const sequence of sequences) {
        let fused: Tensor | undefined;
        parts.language.push(
          await this.#timed(async () => {
            rows ??= held.step(() => toLanguage(encoded));
            const hidden = await prompts.behind(sequence, rows, held, this.#pause);
            fused = held.next(hidden, () => fromLanguage(encoded, hidden));
          }),
        );
        if (fused === undefined) throw new Error('the language model gave nothing');
        const given = fused;
        let conditions: Tensor | undefined;
        parts.decoder.push(
          await this.#timed(async () => {
            conditions = await paced(decoder.forward(given, { grid, known, wanted }, held), this.#pause);
          }),
        );
        held.drop(given);
        if (conditions !== undefined) finite('the conditions', await backend.download(conditions));
      }
    } finally {
      held.free();
    }
    return { encoder: parts.encoder, language: together(parts.language), decoder: together(parts.decoder) };
  }

  async #denoise(
    denoiser: Denoiser,
    predicted: number,
    grid: number,
    { steps }: Job,
  ): Promise<Omit<Stages['head'][number], 'predicted'>> {
    const backend = this.#backend;
    const { channels, mar } = this.#paint.config;
    const { head } = this.#paint;
    const sources = seededSources(SEED);
    const positions = Int32Array.from({ length: predicted }, (_, i) => i);
    const values = sources.noise(
      0,
      Int32Array.from({ length: 2 * predicted }, (_, i) => i),
      { tokens: 2 * predicted, channels: mar.width },
    );
    const conditions = backend.keep(backend.upload(values, [2 * predicted, mar.width]));
    try {
      const condition = await this.#timed(async () => backend.scope(() => void head.condition(conditions)));
      const { milliseconds, operations } = await this.#timed(async () => {
        finite(
          'the tokens',
          await denoiser.run(
            { conditions, positions, tokens: grid * grid, channels, sources, guidance: GUIDANCE },
            this.#pause,
          ),
        );
      });
      return {
        milliseconds,
        condition: condition.milliseconds,
        step: (milliseconds - condition.milliseconds) / steps,
        operations,
      };
    } finally {
      backend.free(conditions);
    }
  }

  async #timed(body: () => Promise<void>): Promise<Timed> {
    const { profile } = this.#backend;
    profile.take();
    const start = performance.now();
    await body();
    return { milliseconds: performance.now() - start, operations: [...profile.take()] };
  }
}

function together(parts: readonly Timed[]): Timed {
  const operations = new Map<string, { calls: number; milliseconds: number }>();
  for (const [name, { calls, milliseconds }] of parts.flatMap((part) => part.operations)) {
    const before = operations.get(name) ?? { calls: 0, milliseconds: 0 };
    operations.set(name, { calls: before.calls + calls, milliseconds: before.milliseconds + milliseconds });
  }
  return { milliseconds: parts.reduce((sum, part) => sum + part.milliseconds, 0), operations: [...operations] };
}

/** Random weights are scaled so that nothing overflows: what is no number would be timed differently. */
function finite(what: string, values: Float32Array): void {
  if (!values.every(Number.isFinite)) throw new Error(`${what} are not all finite`);
}

let studio: Studio | undefined;
let backend: WasmBackend | undefined;

async function answer(ask: Ask): Promise<unknown> {
  if (ask.kind === 'load') {
    const module = await WebAssembly.compileStreaming(fetch(new URL(`./octavo.${ask.build}.wasm`, import.meta.url)));
    const start = performance.now();
    backend = await createWasmBackend({
      wasm: await instantiate(ask.build, module),
      threads: ask.threads,
      spawn: spawnPoolWorker,
    });
    const model = await loadModel(await openModel(ask.file), backend);
    if (model.paint === undefined) throw new Error('the file has no picture parts');
    studio = new Studio(backend, model, model.paint);
    return { milliseconds: performance.now() - start, memory: backend.memory() };
  }
  if (studio === undefined || backend === undefined) throw new Error('nothing is loaded');
  const result = ask.kind === 'stages' ? await studio.stages(ask.job) : await studio.decode(ask.size);
  return { ...result, memory: backend.memory() };
}

globalThis.onmessage = async ({ data }: MessageEvent<Ask>): Promise<void> => {
  try {
    globalThis.postMessage({ result: await answer(data) });
  } catch (error) {
    globalThis.postMessage({
      failed: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error),
    });
  }
};
