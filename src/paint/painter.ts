/**
 * Paints and edits. A picture is uncovered in rounds: the MAR encoder encodes the known tokens, the language model reads them after the
 * prompt, the MAR decoder computes a condition for each unknown position, and the diffusion head draws tokens for some of those. With guidance, language
 * model, decoder and head run for the prompt and for the unconditional prompt; the encoder and the tokens are shared.
 */
import type { Tensor } from '../backend/backend.ts';
import type { Sequence } from '../kv/sequence.ts';
import { DeviceError, InputError, ModelError } from '../errors.ts';
import { Held } from '../layers/held.ts';
import { paced } from '../layers/steps.ts';
import type { LanguageModel, Model } from '../models/model.ts';
import { cannotPaint, type PaintModel } from '../models/paint-model.ts';
import type { EncodeOptions } from '../text/tokenizer.ts';
import { checkCheckpoint, type PaintCheckpoint } from './checkpoint.ts';
import { Denoiser } from './denoise.ts';
import { EncodedSources, pixelsKey, type EncodedSource } from './encoded-sources.ts';
import { seededSources, type Sources } from './noise.ts';
import { Pace } from './pace.ts';
import { toRgba, type Picture } from './picture.ts';
import { Clock, costs, iterationWork, type Costs } from './progress.ts';
import { Prompts, type PaintPrompt } from './prompts.ts';
import { planOf, type PaintPlan, type PaintRequest } from './request.ts';
import { diffusionSchedule, uncoverings, type DiffusionStep, type Uncovering } from './schedule.ts';

export interface PainterOptions {
  /** The progress of the painter whose device was lost. */
  readonly interrupted?: PaintCheckpoint | undefined;
}

/** One call of `paint`. */
interface Job {
  readonly plan: PaintPlan;
  readonly request: PaintRequest;
  readonly source: EncodedSource | undefined;
  /** The sequence of the prompt and, with guidance, that of the unconditional prompt. */
  readonly sequences: readonly Sequence[];
  readonly denoiser: Denoiser;
  readonly pace: Pace;
  readonly clock: Clock;
}

/** One picture of a job. */
interface Canvas {
  readonly index: number;
  readonly sources: Sources;
  readonly tokens: Float32Array<ArrayBuffer>; // (N, C); 0 where unknown
  readonly rounds: readonly Uncovering[];
}

/** What the painter needs of a tokenizer. */
interface TextEncoding {
  encode(text: string, options?: EncodeOptions): Int32Array;
}

export class Painter {
  readonly #language: LanguageModel;
  readonly #model: PaintModel;
  readonly #missing: readonly string[];
  readonly #tokenizer: TextEncoding;
  readonly #costs: Costs;
  readonly #sources: EncodedSources;
  readonly #schedules = new Map<string, readonly DiffusionStep[]>();
  #prompts: Prompts | undefined;
  #interrupted: PaintCheckpoint | undefined;
  #busy = false;

  /** Throws `InputError('argument')` for a model that cannot paint. */
  constructor(
    { language, paint, missing }: Pick<Model, 'language' | 'paint' | 'missing'>,
    tokenizer: TextEncoding,
    { interrupted }: PainterOptions = {},
  ) {
    if (paint === undefined) throw cannotPaint(false, missing);
    this.#language = language;
    this.#model = paint;
    this.#missing = missing;
    this.#tokenizer = tokenizer;
    this.#costs = costs(language.config, paint.config);
    this.#sources = new EncodedSources(paint);
    this.#interrupted = interrupted;
  }

  /** Set when a lost device ended a painting: pass it to the next painter, and the same request continues from there. */
  get interrupted(): PaintCheckpoint | undefined {
    return this.#interrupted;
  }

  /**
   * Paints `request.count` pictures, or edits `request.source`. Rejects with `InputError` for invalid requests,
   * `ModelError('non-finite')` when the model computes values that are not numbers, `DeviceError('lost')` when the
   * device is lost, and with an abort's own reason. `randomness` replaces the random numbers of the seed. A request
   * with `resume` paints what it would have painted without the interruption.
   */
  async paint(request: PaintRequest, randomness?: Sources): Promise<readonly Picture[]> {
    if (this.#busy) throw new InputError('busy', 'this painter is painting; wait for it, or abort it first');
    this.#busy = true;
    try {
      return await this.#paint(request, randomness);
    } finally {
      this.#busy = false;
    }
  }

  /** Frees prompts and sources, but not the model. */
  free(): void {
    this.#prompts?.free();
    this.#prompts = undefined;
    this.#sources.free();
  }

  async #paint(request: PaintRequest, randomness: Sources | undefined): Promise<readonly Picture[]> {
    const { config, source } = this.#model;
    request.signal?.throwIfAborted();
    if (request.source !== undefined && source === undefined) throw cannotPaint(true, this.#missing);
    const plan = planOf(request, config);
    const sourceKey = request.source && pixelsKey(request.source);
    const key = JSON.stringify({ ...plan, source: sourceKey });
    const { resume } = request;
    if (resume !== undefined) checkCheckpoint(resume, key, { plan, channels: config.channels });
    const resumed = resume ?? (this.#interrupted?.request === key ? this.#interrupted : undefined);
    this.#interrupted = undefined;
    const pictures = [...(resumed?.pictures ?? [])];
    let canvas: Canvas | undefined;
    let iteration = 0;
    let job: Job | undefined;
    try {
      const begin = (index: number): Canvas => {
        const sources = randomness ?? seededSources((plan.seed + index) % 2 ** 32);
        const tokens = new Float32Array(plan.grid * plan.grid * config.channels);
        return { index, sources, tokens, rounds: uncoverings(sources.order(plan.grid * plan.grid), plan.iterations) };
      };
      canvas = begin(pictures.length);
      if (resumed !== undefined) {
        canvas.tokens.set(resumed.tokens);
        iteration = resumed.iteration;
      }
      job = await this.#prepare(request, plan, sourceKey, this.#work(plan, canvas.rounds, pictures.length, iteration));
      for (;;) {
        for (; iteration < plan.iterations; iteration++) {
          this.#report(job, canvas, iteration);
          await this.#round(job, canvas, iteration);
          const { tokens } = canvas;
          request.onCheckpoint?.({
            request: key,
            pictures: [...pictures],
            tokens: tokens.slice(),
            iteration: iteration + 1,
          });
          if (iteration < plan.iterations - 1) await this.#preview(job, canvas);
        }
        this.#report(job, canvas, iteration);
        pictures.push({
          data: await this.#decode(job, canvas.tokens),
          width: plan.size,
          height: plan.size,
          seed: (plan.seed + canvas.index) % 2 ** 32,
        });
        job.clock.add(this.#costs.pixel * plan.size ** 2);
        if (pictures.length === plan.count) return pictures;
        canvas = begin(pictures.length);
        iteration = 0;
      }
    } catch (error) {
      if (!(error instanceof DeviceError && error.code === 'lost')) throw error;
      this.#interrupted = { request: key, pictures, tokens: canvas?.tokens ?? new Float32Array(0), iteration };
      throw new DeviceError(
        'lost',
        `the device was lost after ${iteration} of ${plan.iterations} rounds of picture ${pictures.length + 1} of ${plan.count}; load the model again and paint the same request: it continues from there (${error.message})`,
        { iteration, iterations: plan.iterations, picture: pictures.length + 1 },
        { cause: error },
      );
    } finally {
      quietly(() => job?.denoiser.free());
    }
  }

  async #prepare(request: PaintRequest, plan: PaintPlan, sourceKey: string | undefined, work: number): Promise<Job> {
    const { backend, config } = this.#model;
    const pace = new Pace(backend, request.signal);
    const clock = new Clock(work);
    const { paint, paintUnconditional, edit, editUnconditional } = config.templates;
    const [template, unconditional] = sourceKey === undefined ? [paint, paintUnconditional] : [edit, editUnconditional];
    const guided = plan.guidance !== 1;
    const prompts = (guided ? [template, unconditional] : [template]).map((text) =>
      this.#encode(text, plan, sourceKey),
    );
    const source =
      request.source && sourceKey !== undefined
        ? await this.#sources.encode(request.source, sourceKey, pace.step)
        : undefined;
    this.#prompts ??= new Prompts(
      this.#language,
      this.#room(Math.max(...config.sizes) / config.patch),
      this.#costs.language,
    );
    const sequences: Sequence[] = [];
    for (const prompt of prompts) sequences.push(await this.#prompts.sequence(prompt, source?.visual, pace.step));
    const schedule = `${plan.diffusionSteps} ${plan.temperature}`;
    const steps =
      this.#schedules.get(schedule) ?? diffusionSchedule(config.diffusion, plan.diffusionSteps, plan.temperature);
    this.#schedules.set(schedule, steps);
    return {
      plan,
      request,
      source,
      sequences,
      denoiser: new Denoiser(this.#model, steps),
      pace,
      clock,
    };
  }

  /** Returns the number of rows that are appended to a prompt when all tokens are known. */
  #room(grid: number): number {
    return this.#model.config.mar.buffers + grid * grid;
  }

  /** Returns the ids of a template with the prompt inserted as text, in which no control tokens are read. */
  #ids(part: string, prompt: string): Int32Array {
    const place = /\{(?:prompt|instruction)\}/.exec(part);
    if (place === null) return this.#tokenizer.encode(part);
    const { 0: name, index } = place;
    const text = part.slice(0, index) + prompt + part.slice(index + name.length);
    return this.#tokenizer.encode(text, { literal: [index, index + prompt.length] });
  }

  /** Throws `InputError('too-long')` when prompt and picture do not fit into the context. */
  #encode(template: string, { prompt, grid }: PaintPlan, sourceKey: string | undefined): PaintPrompt {
    const { imageToken } = this.#model.config;
    const { contextWindow } = this.#language.config;
    const tokens = this.#room(grid);
    const at = sourceKey === undefined ? -1 : template.indexOf('{image}');
    const [before, after] = at < 0 ? [template, ''] : [template.slice(0, at), template.slice(at + '{image}'.length)];
    const first = this.#ids(before, prompt);
    const last = at < 0 ? new Int32Array(0) : this.#ids(after, prompt);
    const ids = Int32Array.from([...first, ...(at < 0 ? [] : new Int32Array(tokens).fill(imageToken)), ...last]);
    if (ids.length + tokens > contextWindow) {
      throw new InputError(
        'too-long',
        `the prompt has ${ids.length} tokens and the picture ${tokens}; the model's window holds ${contextWindow}: shorten the prompt, or take a smaller size`,
        {
          tokens: ids.length,
          picture: tokens,
          window: contextWindow,
        },
      );
    }
    return {
      ids,
      ...(sourceKey !== undefined && at >= 0 && { picture: { at: first.length, tokens, key: sourceKey } }),
    };
  }

  /** Draws the tokens of a round into the canvas. */
  async #round(job: Job, { tokens, rounds, sources }: Canvas, iteration: number): Promise<void> {
    const { plan, sequences, denoiser, pace, clock } = job;
    const round = rounds[iteration];
    if (round === undefined || round.wanted.length === 0) return;
    const { channels, mar } = this.#model.config;
    const { guidance } = plan;
    const total = plan.grid * plan.grid;
    const held = new Held(this.#model.backend);
    try {
      const conditions = await this.#conditions(job, round, tokens, held);
      const now = plan.guidanceSchedule === 'linear' ? 1 + ((guidance - 1) * (total - round.length)) / total : guidance;
      const drawn = await denoiser.run(
        {
          conditions,
          positions: round.wanted,
          tokens: total,
          channels,
          sources,
          guidance: sequences.length === 2 ? now : undefined,
        },
        pace.step,
      );
      if (!drawn.every(Number.isFinite)) throw nonFinite(`round ${iteration + 1} of ${plan.iterations} drew tokens`);
      round.wanted.forEach((position, row) =>
        tokens.set(drawn.subarray(row * channels, (row + 1) * channels), position * channels),
      );
      clock.add(iterationWork(round, this.#costs, plan, mar.buffers, sequences.length));
    } finally {
      quietly(() => held.free());
    }
  }

  /**
   * Returns the conditions of the diffusion head for the wanted positions: [n, W] for each prompt, one after the other.
   */
  async #conditions(
    { plan, sequences, source, pace }: Job,
    { known, wanted }: Uncovering,
    tokens: Float32Array,
    held: Held,
  ): Promise<Tensor> {
    const { backend, config, encoder, decoder, toLanguage, fromLanguage } = this.#model;
    const { channels } = config;
    const { grid } = plan;
    const prompts = this.#prompts;
    if (prompts === undefined) throw new InputError('destroyed', 'the painter was freed while it painted');
    const values = new Float32Array(known.length * channels);
    known.forEach((position, row) =>
      values.set(tokens.subarray(position * channels, (position + 1) * channels), row * channels),
    );
    const given = known.length === 0 ? undefined : held.step(() => backend.upload(values, [known.length, channels]));
    const x = await paced(encoder.forward(given, known, grid, held), pace.step);
    const rows = held.step(() => toLanguage(x));
    const conditions: Tensor[] = [];
    for (const sequence of sequences) {
      const hidden = await prompts.behind(sequence, rows, held, pace.step);
      const fused = held.next(hidden, () => fromLanguage(x, hidden));
      conditions.push(
        await paced(decoder.forward(fused, { grid, known, wanted, beneath: source?.beneath }, held), pace.step),
      );
      held.drop(fused);
    }
    held.drop(x);
    held.drop(rows);
    return held.step(() => backend.stack(conditions));
  }

  async #preview(job: Job, { tokens }: Canvas): Promise<void> {
    const { onPreview } = job.request;
    if (onPreview !== undefined) onPreview(await this.#decode(job, tokens), job.plan.size);
  }

  async #decode({ plan, pace }: Job, tokens: Float32Array): Promise<Uint8ClampedArray<ArrayBuffer>> {
    const { backend, pictures } = this.#model;
    const held = new Held(backend);
    try {
      const values = new Float32Array(plan.size * plan.size * 3);
      let at = 0;
      for (const part of await paced(pictures.decode(tokens, plan.size, held), pace.step)) {
        const some = await backend.download(part);
        held.drop(part);
        values.set(some, at);
        at += some.length;
      }
      if (!values.every(Number.isFinite)) throw nonFinite('the image tokenizer made pixels');
      return toRgba(pictures.arrange(values, plan.size));
    } finally {
      quietly(() => held.free());
    }
  }

  /** Returns the remaining work. */
  #work(plan: PaintPlan, rounds: readonly Uncovering[], finished: number, iteration: number): number {
    const rows = plan.guidance === 1 ? 1 : 2;
    const each = rounds.map((round) => iterationWork(round, this.#costs, plan, this.#model.config.mar.buffers, rows));
    const whole = each.reduce((sum, work) => sum + work, this.#costs.pixel * plan.size ** 2);
    return whole * (plan.count - finished) - each.slice(0, iteration).reduce((sum, work) => sum + work, 0);
  }

  #report({ plan, request, clock }: Job, { index, rounds }: Canvas, iteration: number): void {
    const each = plan.grid * plan.grid;
    const uncovered = rounds.slice(0, iteration).reduce((sum, { wanted }) => sum + wanted.length, 0);
    const { secondsLeft } = clock;
    request.onProgress?.({
      picture: index,
      count: plan.count,
      iteration,
      iterations: plan.iterations,
      tokens: index * each + uncovered,
      totalTokens: plan.count * each,
      milliseconds: clock.milliseconds,
      ...(secondsLeft !== undefined && { secondsLeft }),
    });
  }
}

function nonFinite(what: string): ModelError {
  return new ModelError(
    'non-finite',
    `${what} that are not numbers; the file may be damaged, or the device computes wrongly: compare its SHA-256 with the publisher's and try device: 'wasm'`,
  );
}

/** Cleans up after a failure. A lost device has freed everything already and would throw again. */
function quietly(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof DeviceError && error.code === 'lost')) throw error;
  }
}
