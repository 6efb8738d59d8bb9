/** Finds what two prompts have in common: quickly by a hash for each block, then exactly by ids and pixels. */
import { PAGE_TOKENS } from '../backend/backend.ts';
import type { Head } from './record.ts';
import type { Prompt } from '../chat/prompt.ts';

/** Only one byte in this many of an image is hashed. Images are compared completely afterwards. */
const PIXEL_STEP = 251;

/**
 * Returns for each whole block of the first `length` ids a hash of all ids and images up to its end (FNV-1a, 32 bits).
 */
export function chainOf({ ids, spans }: Prompt, length = ids.length): number[] {
  const chain: number[] = [];
  let hash = 0x811c9dc5;
  const add = (value: number): void => {
    hash = Math.imul(hash ^ (value & 0xffff), 0x01000193);
    hash = Math.imul(hash ^ (value >>> 16), 0x01000193);
  };
  const beginning = new Map(spans.map((span) => [span.at, span]));
  for (let i = 0; i + PAGE_TOKENS <= length; i += PAGE_TOKENS) {
    for (let at = i; at < i + PAGE_TOKENS; at++) {
      add(ids[at] ?? 0);
      const placed = beginning.get(at);
      if (placed === undefined) continue;
      const { image, settings } = placed.image.prepared;
      add(settings.size);
      add(placed.span);
      for (let pixel = 0; pixel < image.data.length; pixel += PIXEL_STEP) add(image.data[pixel] ?? 0);
    }
    chain.push(hash >>> 0);
  }
  return chain;
}

/** Returns how many blocks two chains share from the start. */
export function commonBlocks(a: readonly number[], b: readonly number[]): number {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  return same;
}

/**
 * Returns how many tokens a prompt and a stored head have in common from the start: equal ids, and equal spans of equal
 * images at equal positions.
 */
export function equalTokens(prompt: Prompt, { ids, facts, pixels }: Head): number {
  let same = 0;
  while (same < prompt.ids.length && same < ids.length && prompt.ids[same] === ids[same]) same++;
  let end = 0;
  const stored = facts.images.map((image) => {
    const start = end;
    end += 4 * image.width * image.height;
    return { ...image, data: pixels.subarray(start, end) };
  });
  const theirs = new Map(facts.spans.map((span) => [span.at, span]));
  for (const { at, tokens, image, span } of prompt.spans) {
    const there = theirs.get(at);
    const other = there === undefined ? undefined : stored[there.image];
    theirs.delete(at);
    const { image: shown, settings } = image.prepared;
    const equal =
      there?.span === span &&
      other !== undefined &&
      other.width === shown.width &&
      other.height === shown.height &&
      other.size === settings.size &&
      other.route === settings.route &&
      other.unique === settings.unique &&
      other.counts[span] === tokens &&
      other.question === image.selection?.question &&
      equalBytes(other.data, shown.data);
    if (!equal) same = Math.min(same, at);
  }
  for (const at of theirs.keys()) same = Math.min(same, at);
  return same;
}

function equalBytes(a: Uint8Array, b: Uint8ClampedArray): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
