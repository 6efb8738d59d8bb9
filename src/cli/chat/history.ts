/** What was typed in earlier conversations: one JSON string a line, in a file that only its owner can read. */
import { appendFile, chmod, mkdir, open, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** As many messages as anybody goes back through with the arrow keys. */
const MOST_ENTRIES = 1000;
/** Longer messages, such as pasted files, are not kept. */
const LONGEST_ENTRY = 20_000;
/** Only the end of a longer file is read. */
const MOST_BYTES = 4_000_000;
/** The file is appended to, and rewritten when it has this many times the lines that are kept. */
const SLACK = 2;
const PRIVATE = 0o600;

export class History {
  readonly #file: string | undefined;
  /** Newest first, each text once. */
  #entries: readonly string[];

  private constructor(file: string | undefined, entries: readonly string[]) {
    this.#file = file;
    this.#entries = entries;
  }

  /** Reads the file, or what of it can be read. A missing or damaged file is an empty history; without one nothing is kept. */
  static async open(file: string | undefined): Promise<History> {
    if (file === undefined) return new History(file, []);
    const text = await tail(file).catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    const entries = distinct(lines.flatMap(parsed).reverse());
    const history = new History(file, entries);
    if (text.length >= MOST_BYTES || lines.length > SLACK * MOST_ENTRIES) await history.#rewrite(file).catch(ignore);
    return history;
  }

  get entries(): readonly string[] {
    return this.#entries;
  }

  /** Adds a message. A file that cannot be written does not disturb the conversation. */
  async add(text: string): Promise<void> {
    if (text.trim() === '' || text.length > LONGEST_ENTRY) return;
    this.#entries = distinct([text, ...this.#entries]);
    if (this.#file !== undefined) await append(this.#file, text).catch(ignore);
  }

  async #rewrite(file: string): Promise<void> {
    const fresh = `${file}.${process.pid}`;
    const lines = this.#entries.toReversed().map((entry) => `${JSON.stringify(entry)}\n`);
    await writeFile(fresh, lines.join(''), { mode: PRIVATE });
    await rename(fresh, file);
  }
}

async function append(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await appendFile(file, `${JSON.stringify(text)}\n`, { mode: PRIVATE });
  // A file of another program's making may have other permissions.
  await chmod(file, PRIVATE);
}

const ignore = (): void => undefined;

async function tail(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, MOST_BYTES);
    const bytes = new Uint8Array(length);
    const { bytesRead } = await handle.read(bytes, 0, length, size - length);
    return new TextDecoder().decode(bytes.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

function parsed(line: string): string[] {
  try {
    const text: unknown = JSON.parse(line);
    return typeof text === 'string' && text.length <= LONGEST_ENTRY ? [text] : [];
  } catch {
    return [];
  }
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].slice(0, MOST_ENTRIES);
}
