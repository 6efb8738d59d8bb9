// Results as a file that several runs add to: what one measured is kept as long as it was measured under the same facts.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** `facts`: plain data that must agree for results to stand in one file; `machine` may differ. */
export class ResultFile {
  #path;
  #facts;
  #machine;

  constructor(path, facts, machine) {
    this.#path = path;
    this.#facts = facts;
    this.#machine = machine;
  }

  /** The parts measured so far: { part: { key: result } }. */
  get parts() {
    if (this.#path === undefined || !existsSync(this.#path)) return {};
    const { parts, machine: _machine, date: _date, ...facts } = JSON.parse(readFileSync(this.#path, 'utf8'));
    return JSON.stringify(facts) === JSON.stringify(this.#facts) ? parts : {};
  }

  /** Puts one result in, in the order of `keys`; what another process wrote meanwhile stays. */
  add(part, key, result, keys) {
    if (this.#path === undefined) return;
    const { parts } = this;
    const all = { ...parts[part], [key]: result };
    parts[part] = Object.fromEntries(keys.filter((name) => name in all).map((name) => [name, all[name]]));
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(
      this.#path,
      `${JSON.stringify({ ...this.#facts, machine: this.#machine, date: new Date().toISOString().slice(0, 10), parts }, null, 1)}\n`,
    );
  }
}
