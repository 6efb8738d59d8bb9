/** What a command reads and writes, and the progress line. */
import type { Readable, Writable } from 'node:stream';
import type { FacePlatform, OctavoFace } from '../face/octavo.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { Platform } from '../platform/platform.ts';

export interface CliContext {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable & { readonly isTTY?: boolean };
  readonly face: OctavoFace;
  readonly place: FacePlatform;
  readonly platform: Platform;
}

/** Waits until the text is taken, so that nothing is lost when the process ends, and a slow reader slows us down. */
export function write(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) =>
    stream.write(text, (error) => (error === null || error === undefined ? resolve() : reject(error))),
  );
}

/** All of a stream as text. Bytes that are not UTF-8 become U+FFFD; a byte order mark is text. */
export async function readAll(input: Readable): Promise<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  for await (const chunk of input) text += decoder.decode(chunk as Uint8Array, { stream: true });
  return text + decoder.decode();
}

/** Lines of a stream, without their ends, as they come. */
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

/** Progress on one line of the terminal; silent where errors do not go to one. */
export class ProgressLine {
  readonly #errors: CliContext['errors'];
  #shown = false;

  constructor(errors: CliContext['errors']) {
    this.#errors = errors;
  }

  readonly show = ({ phase, loaded, total, rate }: LoadProgress): void => {
    this.bar(phase, loaded, total, `${size(loaded)} of ${size(total)}${rate > 0 ? `, ${size(rate)}/s` : ''}`);
  };

  readonly bar = (label: string, done: number, total: number, detail: string): void => {
    if (this.#errors.isTTY !== true) return;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * WIDTH);
    this.#errors.write(
      `\r\x1b[2K${label.padEnd(9)}[${'='.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${(share * 100).toFixed(0).padStart(3)} %  ${detail}`,
    );
    this.#shown = true;
  };

  clear(): void {
    if (this.#shown) this.#errors.write('\r\x1b[2K');
    this.#shown = false;
  }
}
