/** How a session stores and reads its context. Plain data: it crosses to the engine's worker. */
import type { KvBits } from '../kv/precision.ts';
import type { ContextMemory } from '../kv/tiers.ts';
import type { KeepLimits } from '../store/index.ts';
import type { VisualMethod, VisualSelection } from './visual/index.ts';

/** Which keys the queries of a prompt may see. */
export type PrefillMethod = 'dense' | 'dhsa' | 'window' | 'blocks' | 'flex' | 'vertical-slash' | 'keys' | 'tokens';

/** Which keys the queries of a prompt may see, and how many. */
export interface PrefillOptions {
  /**
   * `dhsa` (arXiv 2510.24606), `window` (2309.17453), `blocks` (top-k blocks of 32 keys), `flex` (FlexPrefill,
   * 2502.20766), `vertical-slash` (the keys and the distances with the most attention of the last 64 queries;
   * MInference, 2407.02490, without its search of patterns, as DHSA's authors now recommend), `keys` (single keys with
   * the most attention of the mean of every 32 queries), `tokens` (the keys with
   * the most votes of the mean query of each call; TokenSelect, 2411.02886), or `dense`.
   */
  readonly method: PrefillMethod;
  /**
   * Tokens that a query may see: at most 1 is a share of those before it, above 1 a number. Default .25; `flex`: enough
   * to hold `gamma` of the attention; `tokens`: 2688.
   */
  readonly budget?: number | undefined;
  /** The first tokens, which are always visible. Default 4; `window` 64, `tokens` 128. */
  readonly sinks?: number | undefined;
  /** The newest tokens, which are always visible. Default 128; `keys` 32; `window`: the budget; `tokens` 512. */
  readonly local?: number | undefined;
  /** The last queries of the prompt, which see everything. Default 64. */
  readonly instruction?: number | undefined;
  /** dhsa: `learned` needs a model with a boundary predictor. Default: learned if the model has one. */
  readonly boundaries?: 'learned' | 'similarity' | undefined;
  /** flex: the share of a head's attention that its choice covers, above 0 and at most 1. Default .9 */
  readonly gamma?: number | undefined;
  /**
   * flex: the distance of a head's attention from the estimate by mean keys (a Jensen-Shannon distance, 0 to 1) from
   * which it takes lines instead of blocks. Default .1
   */
  readonly tau?: number | undefined;
  /** flex: the least number of tokens that a choice covers. Default 0. */
  readonly minBudget?: number | undefined;
  /** dhsa, blocks: the layer that chooses the keys for all layers above it; undefined: every layer chooses. */
  readonly sharedLayer?: number | undefined;
  /**
   * dhsa, blocks: whether generated tokens choose among the prompt's keys, too, instead of `decode`; what was generated
   * stays visible. Default false.
   */
  readonly decodes?: boolean | undefined;
}

/**
 * Which keys a generated token may see besides the first and the newest. `tokens`: those with the most attention,
 * summed over all heads (TokenSelect); `sentences`: whole sentences nearest to the query (SentenceKV); `retrieve`:
 * blocks of 32 nearest to the question, for the whole answer (ReKV); `window`: none.
 */
export type DecodeMethod = 'dense' | 'tokens' | 'sentences' | 'window' | 'retrieve';

/** Which keys a generated token may see, and how many. */
export interface DecodeOptions {
  /** `tokens` (TokenSelect, arXiv 2411.02886), `sentences` (SentenceKV, 2504.00970), `retrieve` (ReKV, 2503.00540), `window`, or `dense`. */
  readonly method: DecodeMethod;
  /**
   * The number of chosen tokens: at most 1 is a share of the context, above 1 a number. Default 2048, `sentences` 1024;
   * `window`: the newest tokens, 2048.
   */
  readonly budget?: number | undefined;
  /** The first tokens, which are always visible. Default: `tokens` 128, `sentences` 4, `retrieve` 32, `window` 64. */
  readonly sinks?: number | undefined;
  /**
   * The newest tokens, which are always visible; not for `window`. Default: `tokens` 512, `sentences` 128, `retrieve`
   * 512 and the whole answer.
   */
  readonly local?: number | undefined;
  /**
   * tokens: the least cosine, 0 to 1, between a token's queries and those of an earlier one whose choice it reuses.
   * Default .95; the paper's .9 is faster and costs some models accuracy
   */
  readonly similarity?: number | undefined;
  /**
   * tokens: whether a choice on the CPU scores keys in full, which takes longer, and not by copies at 7 bits. WebGPU
   * always does. Default false
   */
  readonly exact?: boolean | undefined;
  /**
   * retrieve: the prompt's last tokens, which ask. Default: those of the last paragraph of the message that is answered,
   * at most 512; the last 64 of a prompt without messages.
   */
  readonly question?: number | undefined;
}

/**
 * Which of a prompt's keys and values are kept after it was read, in pages of 32 tokens of one KV head: `snapkv` uses
 * the attention of the prompt's last 32 queries, head by head; `compresskv` that of the last 8 queries, in heads that
 * attend to whole passages, and keeps more in layers that lose more.
 */
export interface EvictOptions {
  /** SnapKV (arXiv 2404.14469) or CompressKV (2508.02401). */
  readonly method: 'snapkv' | 'compresskv';
  /**
   * The share of the context's tokens that is kept after each prompt. The first page and those of the last queries are
   * always kept. Default .5
   */
  readonly keep?: number | undefined;
  /** The number of the prompt's last queries whose attention decides. Default: `snapkv` 32, `compresskv` 8. */
  readonly window?: number | undefined;
  /**
   * How long pages are left out: for the rest of the session, whose memory falls (default), or for one answer only, for
   * documents that are asked again: the pages stay, and the next prompt reads all of them.
   */
  readonly scope?: 'session' | 'answer' | undefined;
}

/**
 * Heads that see only the first and the newest keys, and one key for the mean of the rest. `model` uses the file's
 * table. The others are determined by reading a few hundred random tokens when a session first needs them: `razor`,
 * which heads find earlier copies (RazorAttention); `mean-query`, how far back a head's mean query attends.
 */
export interface HeadOptions {
  /** How the heads that keep everything are found. */
  readonly method: 'model' | 'razor' | 'mean-query';
  /** The share of KV heads that keep everything. Default .5; `model`: as in the table. */
  readonly keep?: number | undefined;
  /** The first tokens that the other heads see, rounded up to whole pages of 32. Default 64. */
  readonly sinks?: number | undefined;
  /** The newest tokens that the other heads see, at least. Default 256. */
  readonly window?: number | undefined;
  /** The least share of the context that the other heads' window holds. Default: `razor` .2, otherwise 0. */
  readonly windowShare?: number | undefined;
}

/**
 * Contexts by intent: `exact` is dense and uncompressed; `balanced` keeps 8 bits and reads long prompts sparsely; `small`
 * keeps as few bits as the model bears; `auto` is the first of these for which the device has memory, and reads the
 * longest prompts sparsely. `presets.ts` has the table, and what was measured for it.
 */
export type ContextPreset = 'auto' | 'exact' | 'balanced' | 'small';

/** How a session keeps and reads its context. Without options, attention is dense and exact. */
export interface ContextOptions {
  /** What applies where no other member says anything; chosen anew when a prompt is longer than all before it. */
  readonly preset?: ContextPreset | undefined;
  /** The most tokens of this session; at most the model's `contextWindow`. */
  readonly window?: number | undefined;
  /**
   * Default 16, the uncompressed format. `auto` takes the least bits that cost less than 1 % of perplexity, which is
   * measured once for each model, when a session first asks for it, and remembered.
   */
  readonly kvBits?: KvBits | 'auto' | undefined;
  /** Which keys the queries of a prompt may see. Default `dense`. */
  readonly prefill?: PrefillMethod | PrefillOptions | undefined;
  /** Which keys a generated token may see. Default `dense`. */
  readonly decode?: DecodeMethod | DecodeOptions | undefined;
  /** What of a prompt is dropped after it was read. Default: nothing. */
  readonly evict?: EvictOptions['method'] | EvictOptions | undefined;
  /** Heads that see only sinks and a window. Default `all` see everything. */
  readonly heads?: 'all' | HeadOptions['method'] | HeadOptions | undefined;
  /** The most bytes of pages before unused ones are moved; each has its default. */
  readonly memory?: ContextMemory | undefined;
  /** Whether pages of equal beginnings of prompts are shared with the model's other sessions (default true). */
  readonly share?: boolean | undefined;
  /**
   * Whether prompts are kept on disk, so that a prompt with the same beginning is read from there, in other sessions
   * and after a reload (default false), and how much of them: `true` has the limits' defaults.
   */
  readonly keep?: boolean | KeepLimits | undefined;
  /**
   * What happens to a conversation whose oldest exchanges are dropped because the window is full: what follows them is
   * read again (default), or its keys are moved to their new positions, which takes little time. Moved tokens keep what
   * they learnt from the dropped ones. Without methods that choose keys; images and layer states are read again.
   */
  readonly overflow?: 'read' | 'move' | undefined;
  /** Which of a picture's tokens are read. Default 'all'. */
  readonly visual?: 'all' | VisualMethod | VisualSelection | undefined;
}

/** Options in which nothing is left to be chosen. */
export interface DecidedContext extends Omit<ContextOptions, 'preset' | 'kvBits'> {
  /** As in `ContextOptions`, measured where it was `auto`. */
  readonly kvBits?: KvBits | undefined;
}

/** What was chosen for a context, and why. */
export interface ContextChoice {
  /** The preset that was asked for; undefined where only `kvBits: 'auto'` was. */
  readonly preset: ContextPreset | undefined;
  /** Tokens of the longest prompt so far. */
  readonly tokens: number;
  /** What the session uses now. */
  readonly options: DecidedContext;
  /** For people: the facts that decided. */
  readonly reason: string;
}
