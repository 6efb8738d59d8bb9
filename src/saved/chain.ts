/** What two prompts have in common, quickly by a hash a block, and then for certain by ids and pixels. */
import { PAGE_TOKENS } from '../backend/backend.ts';
import type { Head } from './record.ts';
import type { Prompt } from '../chat/prompt.ts';

/** Every so many bytes of a picture are hashed: it is compared whole afterwards. */
const PIXEL_STEP = 251;

/** For each whole block of the first `length` ids a hash of all ids and pictures up to its end (FNV-1a, 32 bits). */
export function chainOf({ ids, pictures }: Prompt, length = ids.length): number[] {
  const chain: number[] = [];
  let hash = 0x811c9dc5;
  const add = (value: number): void => {
    hash = Math.imul(hash ^ (value & 0xffff), 0x01000193);
    hash = Math.imul(hash ^ (value >>> 16), 0x01000193);
  };
  const beginning = new Map(pictures.map(({ at, picture }) => [at, picture]));
  for (let i = 0; i + PAGE_TOKENS <= length; i += PAGE_TOKENS) {
    for (let at = i; at < i + PAGE_TOKENS; at++) {
      add(ids[at] ?? 0);
      const picture = beginning.get(at);
      if (picture === undefined) continue;
      add(picture.size);
      const { data } = picture.image;
      for (let pixel = 0; pixel < data.length; pixel += PIXEL_STEP) add(data[pixel] ?? 0);
    }
    chain.push(hash >>> 0);
  }
  return chain;
}

/** How many blocks two chains share from the start. */
export function commonBlocks(a: readonly number[], b: readonly number[]): number {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  return same;
}

/** How many tokens a prompt and a stored head have in common from the start: equal ids, and equal pictures in equal places. */
export function equalTokens(prompt: Prompt, { ids, facts, pixels }: Head): number {
  let same = 0;
  while (same < prompt.ids.length && same < ids.length && prompt.ids[same] === ids[same]) same++;
  let at = 0;
  const stored = facts.pictures.map(({ size, route, tokens, question }) => {
    const data = pixels.subarray(at, at + 4 * size * size);
    at += data.length;
    return { size, route, tokens, question, data };
  });
  const theirs = new Map(facts.placed.map(({ at: place, picture }) => [place, stored[picture]]));
  for (const { at: place, picture } of prompt.pictures) {
    const other = theirs.get(place);
    theirs.delete(place);
    const equal =
      other !== undefined &&
      other.size === picture.size &&
      other.route === picture.route &&
      other.tokens === picture.tokens &&
      other.question === picture.thinned?.question &&
      equalBytes(other.data, picture.image.data);
    if (!equal) same = Math.min(same, place);
  }
  for (const place of theirs.keys()) same = Math.min(same, place);
  return same;
}

function equalBytes(a: Uint8Array, b: Uint8ClampedArray): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
