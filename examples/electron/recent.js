// The documents that were opened last, for the menu: systems have such lists, but only some show them in menus.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';

const MOST = 10;

export class RecentDocuments {
  #file;
  /** @type {string[]} */
  #paths = [];

  /** @param {string} file where the list is kept */
  constructor(file) {
    this.#file = file;
    try {
      const found = JSON.parse(readFileSync(file, 'utf8'));
      if (Array.isArray(found))
        this.#paths = found.filter((path) => typeof path === 'string' && isAbsolute(path)).slice(0, MOST);
    } catch {
      // There is none yet, or it is damaged.
    }
  }

  /** The last one first. */
  get paths() {
    return [...this.#paths];
  }

  /** @param {readonly string[]} paths */
  add(paths) {
    this.#paths = [...new Set([...paths.toReversed(), ...this.#paths])].slice(0, MOST);
    this.#write();
  }

  clear() {
    this.#paths = [];
    this.#write();
  }

  #write() {
    const draft = `${this.#file}.draft`;
    writeFileSync(draft, JSON.stringify(this.#paths));
    renameSync(draft, this.#file);
  }
}
