/** The input and output of a command, and the progress line. */
import type { Readable, Writable } from 'node:stream';
import type { ModelStore } from '../store/model-store.ts';
import type { FacePlatform, OctavoFace } from '../face/octavo.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { Platform } from '../platform/platform.ts';

export interface CliContext {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
  /** `columns`: of a terminal. */
  readonly errors: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly face: OctavoFace;
  readonly place: FacePlatform<ModelStore>;
  readonly platform: Platform;
  /** The version of the package. */
  readonly version: string;
}

/**
 * Waits until the text is written, so that nothing is lost when the process ends, and a slow reader slows the command
 * down.
 */
export function write(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) =>
    stream.write(text, (error) => (error === null || error === undefined ? resolve() : reject(error))),
  );
}

/** Reads a whole stream as text. Bytes that are not UTF-8 become U+FFFD; a byte order mark counts as text. */
export async function readAll(input: Readable): Promise<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  for await (const chunk of input) text += decoder.decode(chunk as Uint8Array, { stream: true });
  return text + decoder.decode();
}

/** Yields the lines of a stream, without their line ends, as they arrive. */
export async function* readLines(input: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parts: string[] = [];
  const whole = (end: string): string => {
    parts.push(end);
    const line = parts.join('');
    parts.length = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  };
  for await (const chunk of input) {
    const lines = decoder.decode(chunk as Uint8Array, { stream: true }).split('\n');
    const last = lines.pop() ?? '';
    for (const line of lines) yield whole(line);
    parts.push(last);
  }
  const rest = whole(decoder.decode());
  if (rest !== '') yield rest;
}

/**
 * Characters that can move the cursor, change colours or the order of letters; newlines and tabs are not among them.
 */
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Makes text from files and servers safe for a terminal: control characters are shown by their codes, and nothing is
 * hidden.
 */
export function visible(text: string): string {
  return text.replace(CONTROLS, (mark) => {
    const code = mark.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** A model's output: unchanged for a program that reads it, with visible control characters for a terminal. */
export function writeAnswer(stream: Writable & { readonly isTTY?: boolean }, text: string): Promise<void> {
  return write(stream, stream.isTTY === true ? visible(text) : text);
}

const UNITS = ['B', 'kB', 'MB', 'GB'] as const;

/** 1234567 -> '1.2 MB' */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? 'GB'}`;
}

const WIDTH = 24;

/** Shows progress on one line of the terminal; silent when errors do not go to a terminal. */
export class ProgressLine {
  readonly #errors: CliContext['errors'];
  #shown = false;
  #warned = false;

  constructor(errors: CliContext['errors']) {
    this.#errors = errors;
  }

  readonly show = ({ phase, loaded, total, rate, resumable }: LoadProgress): void => {
    if (resumable === false && !this.#warned) {
      this.#warned = true;
      this.clear();
      if (this.#errors.isTTY === true)
        this.#errors.write('the server cannot resume: if the connection breaks, the download starts again\n');
    }
    this.bar(phase, loaded, total, `${size(loaded)} of ${size(total)}${rate > 0 ? `, ${size(rate)}/s` : ''}`);
  };

  readonly bar = (label: string, done: number, total: number, detail: string): void => {
    if (this.#errors.isTTY !== true) return;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * WIDTH);
    const begin = label.padEnd(9);
    const end = ` ${(share * 100).toFixed(0).padStart(3)} %  ${detail}`;
    const drawn = `[${'='.repeat(filled)}${' '.repeat(WIDTH - filled)}]`;
    // A line that wraps cannot be taken back. Terminals that do not know their width say 0.
    const room = (this.#errors.columns || Infinity) - 1;
    const fits = begin.length + drawn.length + end.length <= room;
    this.#errors.write(`\r\x1b[2K${fits ? begin + drawn + end : (begin.trimEnd() + end).slice(0, Math.max(0, room))}`);
    this.#shown = true;
  };

  clear(): void {
    if (this.#shown) this.#errors.write('\r\x1b[2K');
    this.#shown = false;
  }
}
