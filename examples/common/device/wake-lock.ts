/** Keeps the screen on during long work, where the browser can. Locks end when a page is hidden; this one comes back with it. */
export class ScreenLock {
  #wanted = 0;
  #lock: WakeLockSentinel | undefined;

  constructor() {
    document.addEventListener('visibilitychange', () => void this.#renew());
  }

  /** Runs `work` with the screen on; `enabled` is a setting of the user's. */
  async during<T>(enabled: boolean, work: () => Promise<T>): Promise<T> {
    if (!enabled) return work();
    this.#wanted++;
    await this.#renew();
    try {
      return await work();
    } finally {
      this.#wanted--;
      await this.#renew();
    }
  }

  async #renew(): Promise<void> {
    try {
      if (this.#wanted === 0) {
        const lock = this.#lock;
        this.#lock = undefined;
        await lock?.release();
      } else if (document.visibilityState === 'visible' && (this.#lock === undefined || this.#lock.released)) {
        this.#lock = await navigator.wakeLock?.request('screen');
      }
    } catch {
      // Refused (a low battery, a policy): the work goes on, and the screen may go dark.
    }
  }
}
