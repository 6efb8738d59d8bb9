/** Progress reports: bytes so far and their rate over the last seconds. */
import type { LoadPhase, LoadProgress } from './model-file.ts';

/** The rate is computed over this many milliseconds, so that it follows the network without jumping. */
const WINDOW_MS = 3000;

export class Meter {
  readonly #phase: LoadPhase;
  readonly #file: string;
  readonly #total: number;
  readonly #monitor: ((progress: LoadProgress) => void) | undefined;
  readonly #marks: { time: number; loaded: number }[] = [];
  readonly #resumable: boolean;
  #loaded = 0;

  /**
   * `loaded` bytes existed before (a resumed download) and do not count for the rate; `resumable`: see `LoadProgress`.
   */
  constructor(
    monitor: ((progress: LoadProgress) => void) | undefined,
    phase: LoadPhase,
    file: string,
    total: number,
    loaded = 0,
    resumable = true,
  ) {
    this.#monitor = monitor;
    this.#phase = phase;
    this.#file = file;
    this.#total = total;
    this.#loaded = loaded;
    this.#resumable = resumable;
    this.add(0);
  }

  add(bytes: number): void {
    this.#loaded += bytes;
    if (this.#monitor === undefined) return;
    const time = performance.now();
    const marks = this.#marks;
    marks.push({ time, loaded: this.#loaded });
    while (marks.length > 2 && time - (marks[1]?.time ?? time) > WINDOW_MS) marks.shift();
    const first = marks[0] ?? { time, loaded: this.#loaded };
    const seconds = (time - first.time) / 1000;
    const rate = seconds > 0 ? (this.#loaded - first.loaded) / seconds : 0;
    this.#monitor({
      phase: this.#phase,
      loaded: this.#loaded,
      total: this.#total,
      rate,
      file: this.#file,
      ...(this.#resumable ? {} : { resumable: false }),
    });
  }
}
