/** Ways to damage bytes and text, by a seeded generator. */
import type { Random } from '../support/random.ts';

/** Values that break what is careless with counts, lengths and signs. */
const TELLING = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0, 0, 0, 0x80],
  [0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0, 0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0, 1, 0, 0, 0],
] as const;

/** One to four changes: bits flipped, bytes set, a piece cut, dropped, doubled or moved. */
export function mutate(bytes: Uint8Array, r: Random): Uint8Array<ArrayBuffer> {
  let out = Uint8Array.from(bytes);
  for (let left = r.integer(1, 5); left > 0 && out.length > 0; left--) {
    const at = r.integer(0, out.length);
    const kind = r.integer(0, 12);
    if (kind < 4) out[at]! ^= 1 << r.integer(0, 8);
    else if (kind < 6) out[at] = r.integer(0, 256);
    else if (kind < 9) out.set(r.pick(TELLING).slice(0, out.length - at), at);
    else if (kind === 9) out = out.slice(0, at);
    else if (kind === 10) out = join(out.subarray(0, at), out.subarray(Math.min(out.length, at + r.integer(1, 40))));
    else out = join(out.subarray(0, at), out.subarray(at, at + r.integer(1, 200)), out.subarray(at));
  }
  return out;
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Text in which pieces of `dictionary` and of the text itself are put in, doubled, dropped and exchanged. */
export function mutateText(text: string, r: Random, dictionary: readonly string[]): string {
  let out = text;
  for (let left = r.integer(1, 6); left > 0; left--) {
    const at = r.integer(0, out.length + 1);
    const end = Math.min(out.length, at + r.integer(0, 30));
    const kind = r.integer(0, 4);
    if (kind === 0) out = out.slice(0, at) + out.slice(end);
    else if (kind === 1) out = out.slice(0, at) + r.pick(dictionary) + out.slice(at);
    else if (kind === 2) out = out.slice(0, at) + r.pick(dictionary) + out.slice(end);
    else out = out.slice(0, end) + out.slice(at);
  }
  return out;
}
