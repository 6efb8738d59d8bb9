/** The key of the content of pages, besides their tokens. */
import type { DecidedContext } from './options.ts';

/** Returns everything on which the content of pages depends as a text that is equal when the content is. */
export function contentKey({
  kvBits = 16,
  prefill = 'dense',
  decode = 'dense',
  evict,
  heads = 'all',
  visual = 'all',
  ...rest
}: DecidedContext): string {
  const { window: _window, memory: _memory, share: _share, keep: _keep, overflow: _overflow, ...others } = rest;
  const bits = typeof kvBits === 'object' ? [kvBits.keys, kvBits.values] : kvBits;
  return JSON.stringify([bits, prefill, decode, evict ?? null, heads, visual, others]);
}
