/** Lets the message loop run between steps, so that aborts, other sessions and the page's own work are handled. */

/** Milliseconds of uninterrupted work after which a step yields: half a frame. */
const SLICE = 8;

interface Immediate {
  setImmediate?: (body: () => void) => unknown;
}

let channel: MessageChannel | undefined;
const waiting: (() => void)[] = [];

/** Resolves in a new task (timers would be clamped to 4 ms). */
export function nextTask(): Promise<void> {
  const { setImmediate } = globalThis as Immediate;
  if (setImmediate !== undefined) return new Promise((resolve) => void setImmediate(resolve));
  if (channel === undefined) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  const { port2 } = channel;
  return new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(0);
  });
}

/** Yields when the time slice is used up, otherwise returns at once. */
export class TimeSlice {
  #since = performance.now();
  async yield(): Promise<void> {
    if (performance.now() - this.#since < SLICE) return;
    await nextTask();
    this.#since = performance.now();
  }
}
