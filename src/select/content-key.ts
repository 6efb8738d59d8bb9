/** What the content of pages depends on besides their tokens. */
import { transformsValues } from '../kv/precision.ts';
import type { DecidedContext } from './options.ts';

/** Returns everything on which the content of pages depends as a text that is equal when the content is. */
export function contentKey(options: DecidedContext): string {
  const { kvBits = 16, prefill = 'dense', decode = 'dense', evict, heads = 'all', visual = 'all', ...rest } = options;
  const { window: _window, memory: _memory, share: _share, keep: _keep, overflow: _overflow, ...others } = rest;
  const bits = typeof kvBits === 'object' ? Object.entries(kvBits).toSorted(([a], [b]) => (a < b ? -1 : 1)) : kvBits;
  const hadamard = transformsValues(kvBits) ? ['hadamard'] : [];
  return JSON.stringify([bits, prefill, decode, evict ?? null, heads, visual, others, ...hadamard]);
}
