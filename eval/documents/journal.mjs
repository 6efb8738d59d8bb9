// Rows of single items, appended to a file as they are measured, so that a run that was stopped goes on where it was.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export class Journal {
  #path;
  /** By part, by the item's id. */
  #rows = new Map();

  /**
   * `path`: undefined keeps nothing. `facts`: plain data on which rows depend. A journal that was written under other facts is renamed, so that no row is lost, and
   * a new one is begun.
   */
  constructor(path, facts) {
    this.#path = path;
    if (path === undefined) return;
    mkdirSync(dirname(path), { recursive: true });
    const head = JSON.stringify(facts);
    if (existsSync(path)) {
      // A line without its end was being written when the run was stopped.
      const whole = readFileSync(path, 'utf8').replace(/[^\n]*$/, '');
      const [first, ...lines] = whole.split('\n').filter((line) => line !== '');
      if (first === head) {
        writeFileSync(path, whole);
        for (const line of lines) {
          const { part, id, row } = JSON.parse(line);
          this.#part(part).set(id, row);
        }
        return;
      }
      renameSync(path, `${path}.${Date.now()}.old`);
    }
    writeFileSync(path, `${head}\n`);
  }

  #part(name) {
    const rows = this.#rows.get(name) ?? new Map();
    this.#rows.set(name, rows);
    return rows;
  }

  row(part, id) {
    return this.#rows.get(part)?.get(id);
  }

  add(part, id, row) {
    this.#part(part).set(id, row);
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify({ part, id, row })}\n`);
  }
}

/** What a model said, by the items' ids, from the rows of an earlier run about one kind of documents. */
export function saidIn(path) {
  const rows = readFileSync(path, 'utf8')
    .split('\n')
    .slice(1)
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return new Map(rows.map(({ id, row }) => [id, row.said ?? row.text]));
}

/** A hash of all files of a build: rows of another one are not these. */
export function buildHash(folder) {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).toSorted())
    if (/\.(?:js|wasm)$/.test(name)) hash.update(name).update(readFileSync(new URL(name, folder)));
  return hash.digest('hex').slice(0, 16);
}
