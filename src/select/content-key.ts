/** What names the content of pages, beside their tokens. */
import type { ContextOptions } from './options.ts';

/** What the content of pages depends on, as a text: equal where it is. */
export function contentKey({
  kvBits = 16,
  prefill = 'dense',
  decode = 'dense',
  evict,
  heads = 'all',
  visual = 'all',
  ...rest
}: ContextOptions): string {
  const { window: _window, memory: _memory, share: _share, keep: _keep, ...others } = rest;
  return JSON.stringify([kvBits, prefill, decode, evict ?? null, heads, visual, others]);
}
