/** The Prompt API's download monitor: an EventTarget for `downloadprogress` events, whose `loaded` goes from 0 to 1. */
import type { LoadProgress } from '../load/model-file.ts';

/** `ProgressEvent` with the relevant fields, since Node has no such class. */
export class DownloadProgressEvent extends Event {
  /** Always true, as the Prompt API has it. */
  readonly lengthComputable = true;
  /** 0 to 1 */
  readonly loaded: number;
  /** Always 1. */
  readonly total = 1;
  constructor(loaded: number) {
    super('downloadprogress');
    this.loaded = loaded;
  }
}

/** `addEventListener` with the type of the event. */
export type AddDownloadListener = (
  type: 'downloadprogress',
  listener: ((event: DownloadProgressEvent) => unknown) | EventListenerObject | null,
  options?: boolean | AddEventListenerOptions,
) => void;

/** The target of `downloadprogress` events. */
export class CreateMonitor extends EventTarget {
  declare addEventListener: AddDownloadListener & EventTarget['addEventListener'];
  /** Hears the same events as listeners of `downloadprogress`. */
  ondownloadprogress: ((this: CreateMonitor, event: DownloadProgressEvent) => unknown) | null = null;
}

/** Called once with the monitor, before the first event. */
export type MonitorCallback = (monitor: CreateMonitor) => void;

/** Smaller steps send no event. */
const STEP = 1 / 1000;

export class DownloadMonitor {
  readonly #monitor = new CreateMonitor();
  #shown = -1;

  constructor(callback: MonitorCallback) {
    callback(this.#monitor);
    this.#send(0);
  }

  /** Reading a kept file counts as its download. The share never decreases, and only `done` reports 1. */
  report({ phase, loaded, total }: LoadProgress): void {
    if (phase !== 'download' && phase !== 'load') return;
    const share = total > 0 ? Math.min(loaded / total, 1 - STEP) : 0;
    if (share >= this.#shown + STEP) this.#send(share);
  }

  done(): void {
    this.#send(1);
  }

  #send(share: number): void {
    this.#shown = share;
    const event = new DownloadProgressEvent(share);
    this.#monitor.ondownloadprogress?.(event);
    this.#monitor.dispatchEvent(event);
  }
}
