/** How a session keeps and reads its context. Plain data: it crosses to the engine's worker. */
import type { KvBits } from '../kv/precision.ts';
import type { ContextMemory } from '../kv/tiers.ts';
import type { VisualMethod, VisualSelection } from './visual/index.ts';

/** Which keys the queries of a prompt may see. */
export type PrefillMethod = 'dense' | 'dhsa' | 'window' | 'blocks' | 'flex';

export interface PrefillOptions {
  readonly method: PrefillMethod;
  /** Tokens that a query may see: a share of those before it where at most 1, a number where above. Default .25; `flex`: what holds nine tenths of the attention. */
  readonly budget?: number | undefined;
  /** First tokens that are always seen. Default 4; `window` 64. */
  readonly sinks?: number | undefined;
  /** Newest tokens that are always seen. Default 128; `window`: the budget. */
  readonly local?: number | undefined;
  /** Last queries of the prompt that see everything. Default 64. */
  readonly instruction?: number | undefined;
  /** dhsa: `learned` needs a model with a boundary predictor. Default: learned where the model has one. */
  readonly boundaries?: 'learned' | 'similarity' | undefined;
  /** dhsa, blocks: one choice of keys for all layers, made at this one; undefined: every layer chooses. */
  readonly sharedLayer?: number | undefined;
}

/**
 * Which keys a generated token may see, beside the first and the newest. `tokens`: those with the most attention, all heads together (TokenSelect); `sentences`:
 * whole sentences nearest to the query (SentenceKV); `retrieve`: blocks of 32 nearest to the question, for all of the answer (ReKV); `window`: none.
 */
export type DecodeMethod = 'dense' | 'tokens' | 'sentences' | 'window' | 'retrieve';

export interface DecodeOptions {
  readonly method: DecodeMethod;
  /** Tokens chosen: a share of the context where at most 1, a number where above. Default 2048, `sentences` 1024; `window`: the newest tokens, 2048. */
  readonly budget?: number | undefined;
  /** First tokens that are always seen. Default: `tokens` 128, `sentences` 4, `retrieve` 32, `window` 64. */
  readonly sinks?: number | undefined;
  /** Newest tokens that are always seen; not of `window`. Default: `tokens` 512, `sentences` 128, `retrieve` 512, and all of the answer. */
  readonly local?: number | undefined;
}

/**
 * What of a prompt's keys and values is kept after it was read, in pages of 32 tokens of one KV head: `snapkv` asks the prompt's last 32 queries,
 * head by head; `compresskv` the last 8, of the heads that look at whole passages, and gives more to layers that lose more.
 */
export interface EvictOptions {
  readonly method: 'snapkv' | 'compresskv';
  /** Share of the context's tokens after each prompt. The first page and those of the queries asked are always kept. Default .5 */
  readonly keep?: number | undefined;
}

/**
 * Heads that see only the first and the newest keys, and one key for the mean of the rest. `model`: the file's table; found by reading a few hundred
 * random tokens when a session first asks: `razor`, which heads find earlier copies (RazorAttention); `mean-query`, how far a head's mean query looks.
 */
export interface HeadOptions {
  readonly method: 'model' | 'razor' | 'mean-query';
  /** Share of KV heads that keep everything. Default .5; `model`: what the table says. */
  readonly keep?: number | undefined;
  /** First tokens that the others see, rounded up to whole pages of 32. Default 64. */
  readonly sinks?: number | undefined;
  /** Newest tokens that the others see, at least. Default 256. */
  readonly window?: number | undefined;
}

export interface ContextOptions {
  /** Tokens that this session may hold; at most the model's `contextWindow`. */
  readonly window?: number | undefined;
  /** Default 16: what a model's pages are anyway. */
  readonly kvBits?: KvBits | undefined;
  readonly prefill?: PrefillMethod | PrefillOptions | undefined;
  readonly decode?: DecodeMethod | DecodeOptions | undefined;
  readonly evict?: EvictOptions['method'] | EvictOptions | undefined;
  readonly heads?: 'all' | HeadOptions['method'] | HeadOptions | undefined;
  readonly memory?: ContextMemory | undefined;
  /** Whether pages of equal beginnings of prompts are shared with the model's other sessions (default true). */
  readonly share?: boolean | undefined;
  /** Whether prompts are kept on the disk, so that one that begins alike is read from there, in other sessions and after a reload (default false). */
  readonly keep?: boolean | undefined;
  /** Which of a picture's tokens are read. Default 'all'. */
  readonly visual?: 'all' | VisualMethod | VisualSelection | undefined;
}
