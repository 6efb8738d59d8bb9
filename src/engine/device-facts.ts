/** What a model's device has for contexts. */
import { PAGE_TOKENS, type Backend, type KvPool } from '../backend/backend.ts';
import type { DeviceFacts } from '../generate/context-choice.ts';
import type { Platform } from '../platform/platform.ts';
import { ModelStore } from '../store/model-store.ts';
import { availableBytes } from './available.ts';

export function deviceFacts(
  fingerprint: string,
  platform: Pick<Platform, 'memory' | 'open'>,
  { pool, backend }: { readonly pool: KvPool; readonly backend: Pick<Backend, 'kind' | 'memory'> },
): DeviceFacts {
  const { layers, kvHeads } = pool.spec;
  const token = (format: 'f16' | 'f32'): number => (layers * kvHeads * pool.pageBytes(format)) / PAGE_TOKENS;
  const { store } = platform.open;
  const usual = ModelStore.supported ? new ModelStore() : undefined;
  return {
    key: `${fingerprint} ${backend.kind}`,
    token: { half: token('f16'), open: token(pool.spec.format) },
    room: Math.max(0, availableBytes(backend.kind, platform.memory) - backend.memory().weights),
    notes: store === false ? undefined : (store ?? usual),
  };
}
