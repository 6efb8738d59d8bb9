/** Time and calls by operation; off unless a benchmark turns it on. */

export interface ProfileEntry {
  readonly calls: number;
  readonly milliseconds: number;
}

export class Profile {
  enabled = false;
  readonly #entries = new Map<string, { calls: number; milliseconds: number }>();

  add(name: string, milliseconds: number): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) this.#entries.set(name, { calls: 1, milliseconds });
    else {
      entry.calls++;
      entry.milliseconds += milliseconds;
    }
  }
  /** Returns what was added since the last call of `take`. */
  take(): ReadonlyMap<string, ProfileEntry> {
    const entries = new Map(this.#entries);
    this.#entries.clear();
    return entries;
  }
}
