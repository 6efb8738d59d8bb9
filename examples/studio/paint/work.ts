/** Paints and edits: one job at a time, which pauses while the page is hidden, and is kept after every round so that a reload loses nothing. */
import { InputError, type PaintCheckpoint, type PaintedPicture, type PaintProgress } from 'octavo';
import { visible } from '../../common/device/visibility.ts';
import { Observable } from '../../common/observable.ts';
import { isAbort } from '../../common/problem.ts';
import { toast } from '../../common/toasts.ts';
import { holder, screenLock, settings } from '../context.ts';
import { keepPicture, pictureOf, type Picture } from '../pictures/pictures.ts';
import { photoOf, type Pixels } from '../pictures/raster.ts';
import { say } from '../texts.ts';
import { forgetJob, keepJob, keptJob, knownCells, type Job, type Request } from './job.ts';

/** Why a job rests. */
type Rest = 'user' | 'hidden' | 'model';

export interface WorkState {
  readonly job: Job | undefined;
  readonly running: boolean;
  readonly rest: Rest | undefined;
  readonly progress: PaintProgress | undefined;
  readonly preview: Pixels | undefined;
  /** One a cell of the picture under way: whether it is painted; undefined before the first round. */
  readonly known: Uint8Array | undefined;
  /** The finished pictures of this job, or of the last one. */
  readonly pictures: readonly Picture[];
  readonly problem: unknown;
  /** What the pictures belong to. */
  readonly kind: Request['kind'] | undefined;
}

const PAUSE = new DOMException('the painting is paused', 'AbortError');
/** A larger preview is not kept: the next round shows it again. */
const KEPT_PREVIEW = 512;

class Work {
  readonly state = new Observable<WorkState>({
    job: undefined,
    running: false,
    rest: undefined,
    progress: undefined,
    preview: undefined,
    known: undefined,
    pictures: [],
    problem: undefined,
    kind: undefined,
  });
  #abort: AbortController | undefined;
  #running: Promise<void> | undefined;
  #saving: Promise<unknown> = Promise.resolve();

  constructor() {
    visible.subscribe((now) => {
      const { running, rest } = this.state.value;
      if (!now && running && settings.value.rest) this.#pause('hidden');
      if (now && rest === 'hidden') void this.goOn();
    });
    holder.state.subscribe(({ model }) => {
      if (model !== undefined && this.state.value.rest === 'model') void this.goOn();
    });
  }

  /** Takes up what was under way when the page was last closed. */
  async start(): Promise<void> {
    const job = await keptJob();
    if (job === undefined || this.state.value.job !== undefined) return;
    const { checkpoint, preview, done, request } = job;
    this.#change({
      job,
      preview,
      kind: request.kind,
      known: checkpoint && this.#known(checkpoint),
      pictures: done.map((id) => pictureOf(id)).filter((one) => one !== undefined),
      rest: 'model',
    });
    if (checkpoint !== undefined) toast(say('wentOn'));
    if (holder.model !== undefined) void this.goOn();
  }

  /** Ends what is under way. */
  async begin(request: Request): Promise<void> {
    const { model } = holder;
    if (model === undefined) return;
    await this.discard();
    const { fingerprint } = model;
    const job: Job = {
      id: crypto.randomUUID(),
      request,
      fingerprint,
      checkpoint: undefined,
      done: [],
      preview: undefined,
    };
    this.#change({ job, pictures: [], preview: undefined, known: undefined, progress: undefined, kind: request.kind });
    this.#keep(job);
    await this.goOn();
  }

  pause(): void {
    this.#pause('user');
  }

  async goOn(): Promise<void> {
    const { job, running } = this.state.value;
    const { model } = holder;
    if (job === undefined || running || this.#running !== undefined) return;
    if (model === undefined || model.fingerprint !== job.fingerprint) {
      this.#change({ rest: 'model' });
      return;
    }
    // Before the state says that it runs, so that a pause at any later moment is heard, also while the screen's lock is awaited.
    const abort = new AbortController();
    this.#abort = abort;
    this.#change({ running: true, rest: undefined, problem: undefined });
    this.#running = screenLock
      .during(settings.value.awake, () => this.#run(job, abort.signal))
      .finally(() => {
        this.#running = undefined;
        if (this.#abort === abort) this.#abort = undefined;
      });
    await this.#running;
  }

  /** The same words from the beginning, with the model in use. */
  async anew(): Promise<void> {
    const { job } = this.state.value;
    if (job !== undefined) await this.begin(job.request);
  }

  async discard(): Promise<void> {
    this.#abort?.abort();
    await this.#running;
    this.#change({
      job: undefined,
      running: false,
      rest: undefined,
      progress: undefined,
      preview: undefined,
      known: undefined,
      problem: undefined,
    });
    await this.#saving;
    await forgetJob();
  }

  /** Shows no pictures of an earlier job any more. */
  clear(): void {
    if (this.state.value.job === undefined) this.#change({ pictures: [], kind: undefined, problem: undefined });
  }

  #pause(rest: Rest): void {
    if (!this.state.value.running) return;
    this.#change({ rest });
    this.#abort?.abort(PAUSE);
  }

  async #run({ id, request, checkpoint }: Job, signal: AbortSignal): Promise<void> {
    const { model } = holder;
    if (model === undefined) return;
    const { words, kind, from, seed, count, size, steps, guidance } = request;
    try {
      const source = kind === 'edit' ? pictureOf(from) : undefined;
      if (kind === 'edit' && source === undefined) {
        await this.#end(id);
        return;
      }
      const options = {
        seed,
        count,
        size,
        steps,
        guidance,
        resume: checkpoint,
        signal,
        onProgress: (progress: PaintProgress) => this.#change({ progress }),
        onPreview: (preview: Pixels) => this.#change({ preview }),
        onCheckpoint: (made: PaintCheckpoint) => this.#note(id, made),
      };
      const painted =
        source === undefined
          ? await model.paint({ ...options, prompt: words })
          : await model.edit({ ...options, instruction: words, image: source.blob });
      await this.#saving;
      await this.#finished(painted);
      await this.#end(id);
    } catch (error) {
      if (isAbort(error)) {
        this.#change({ running: false });
        return;
      }
      // A checkpoint of other settings or another version: from the beginning, with the same seed.
      if (checkpoint !== undefined && error instanceof InputError && error.facts?.['name'] === 'resume') {
        const { job } = this.state.value;
        if (job?.id === id) await this.#run({ ...job, checkpoint: undefined }, signal);
        return;
      }
      this.#change({ running: false, problem: error });
    }
  }

  #note(id: string, checkpoint: PaintCheckpoint): void {
    const { job, preview } = this.state.value;
    if (job?.id !== id) return;
    const kept = preview !== undefined && preview.width <= KEPT_PREVIEW ? preview : undefined;
    const now = { ...job, checkpoint, preview: kept };
    this.#change({ job: now, known: this.#known(checkpoint) });
    const fresh = checkpoint.pictures.slice(this.state.value.pictures.length);
    this.#saving = this.#saving.then(async () => {
      if (fresh.length > 0) await this.#store(fresh);
      const { job: latest } = this.state.value;
      if (latest?.id === id) await keepJob(latest);
    });
  }

  async #finished(painted: readonly PaintedPicture[]): Promise<void> {
    await this.#store(painted.slice(this.state.value.pictures.length));
  }

  async #store(painted: readonly (Pixels & { readonly seed: number })[]): Promise<void> {
    for (const picture of painted) {
      const { job, pictures } = this.state.value;
      if (job === undefined) return;
      const { kind, words, from } = job.request;
      if (pictures.some(({ seed }) => seed === picture.seed)) continue;
      const kept = await keepPicture(await photoOf(picture), {
        kind: kind === 'paint' ? 'painted' : 'edited',
        words,
        seed: picture.seed,
        from,
      });
      this.#change({
        pictures: [...this.state.value.pictures, kept],
        job: { ...job, done: [...job.done, kept.id] },
      });
    }
  }

  async #end(id: string): Promise<void> {
    if (this.state.value.job?.id !== id) return;
    this.#change({ job: undefined, running: false, preview: undefined, known: undefined, progress: undefined });
    await forgetJob();
  }

  #keep(job: Job): void {
    this.#saving = this.#saving.then(() => keepJob(job));
  }

  #known(checkpoint: PaintCheckpoint): Uint8Array | undefined {
    const cells = this.cells;
    if (cells === undefined) return undefined;
    // After its last round a picture is complete; the next one has no tokens yet.
    return knownCells(checkpoint, cells * cells);
  }

  /** Tokens a side of the picture under way. */
  get cells(): number | undefined {
    const { painting } = holder.model ?? {};
    if (painting === undefined) return undefined;
    return (this.state.value.job?.request.size ?? painting.size) / painting.patch;
  }

  #change(change: Partial<WorkState>): void {
    this.state.value = { ...this.state.value, ...change };
  }
}

export const work = new Work();
