/** Makes the planner for the context options of a session. */
import { InputError } from '../errors.ts';
import type { ContextOptions, DecodeOptions, EvictOptions, HeadOptions, PrefillOptions } from './options.ts';
import type { Planner } from '../kv/plan.ts';
import { slidingWindow } from '../kv/ranges.ts';
import { createBlocksPlanner } from './prefill/blocks.ts';
import { CombinedPlanner } from './combined.ts';
import { createDhsaPlanner } from './prefill/dhsa.ts';
import { Eviction } from './evict/evict.ts';
import type { PlannerFacts } from './facts.ts';
import { createFlexPlanner } from './prefill/flex.ts';
import { tokensOf } from './keys.ts';
import { Retrieve, RETRIEVE_DEFAULTS } from './decode/retrieve.ts';
import { SENTENCE_DEFAULTS, SentenceKV } from './decode/sentences.ts';
import { planSettings } from './methods.ts';
import { RAZOR_SHARE, STREAMING_DEFAULTS, StreamingHeads } from './heads/streaming.ts';
import { TOKEN_DEFAULTS, TokenSelect } from './decode/tokens.ts';
import { createKeysPlanner } from './prefill/single-keys.ts';
import { createTokensPlanner } from './prefill/tokens.ts';
import { createWindowPlanner } from './prefill/window.ts';

/**
 * Returns undefined when every query sees every key before it. Its owner frees it. Throws `InputError('argument')` for
 * options that are unknown, impossible or contradictory, and for methods that need missing facts; see `headsNeeded` of
 * ../heads.ts for those determined at load.
 */
export function createPlanner(options: ContextOptions, facts: PlannerFacts): Planner | undefined {
  const { prefill, decode, evict, heads } = planSettings(options);
  const parts = {
    prefill: prefillPlanner(prefill, facts),
    decode: decodePlanner(decode, facts),
    decodes: prefill.decodes,
    heads: heads && streamingHeads(heads, facts),
  };
  const evicting = evict && eviction(evict, facts, parts.heads);
  if (parts.prefill === undefined && parts.decode === undefined && parts.heads === undefined && evicting === undefined)
    return undefined;
  return new CombinedPlanner({ ...parts, evict: evicting });
}

/**
 * Throws `InputError('argument')` for options that do not fit the model, as far as that is known without measuring its
 * heads.
 */
export function checkPlan(
  options: ContextOptions,
  { wasm, layers, boundary }: Pick<PlannerFacts, 'wasm' | 'layers' | 'boundary'>,
): void {
  const { prefill } = planSettings(options);
  prefillPlanner(prefill, { wasm, boundary })?.free();
  const { sharedLayer } = prefill;
  if (sharedLayer !== undefined && sharedLayer >= layers)
    throw new InputError(
      'argument',
      `context.prefill.sharedLayer: ${sharedLayer} is not a layer; the model's layers with attention are 0 to ${layers - 1}`,
      { sharedLayer, layers },
    );
}

function prefillPlanner(
  options: PrefillOptions,
  { wasm, boundary }: Pick<PlannerFacts, 'wasm' | 'boundary'>,
): Planner | undefined {
  switch (options.method) {
    case 'dense':
      return undefined;
    case 'dhsa':
      return createDhsaPlanner(options, { wasm, boundary });
    case 'window':
      return createWindowPlanner(options);
    case 'blocks':
      return createBlocksPlanner(options, { wasm });
    case 'keys':
      return createKeysPlanner(options, { wasm });
    case 'tokens':
      return createTokensPlanner(options, { wasm });
    case 'flex':
    case 'vertical-slash':
      return createFlexPlanner(options, { wasm });
    default:
      return options.method satisfies never;
  }
}

function decodePlanner(
  { method, budget, sinks, local, similarity, exact = false, question }: DecodeOptions,
  { wasm, endsSentence }: PlannerFacts,
): Planner | undefined {
  const given = {
    ...(budget !== undefined && { budget }),
    ...(sinks !== undefined && { sinks }),
    ...(local !== undefined && { local }),
  };
  switch (method) {
    case 'dense':
      return undefined;
    case 'tokens':
      return new TokenSelect(wasm, {
        ...TOKEN_DEFAULTS,
        ...given,
        exact,
        ...(similarity !== undefined && { similarity }),
      });
    case 'sentences':
      if (endsSentence === undefined)
        throw new InputError(
          'argument',
          "decode 'sentences' needs a tokenizer that marks the ends of sentences; use 'tokens', which does not",
          {},
        );
      return new SentenceKV(wasm, { ...SENTENCE_DEFAULTS, ...given }, endsSentence);
    case 'window':
      return windowDecode(budget, sinks);
    case 'retrieve':
      return new Retrieve(wasm, { ...RETRIEVE_DEFAULTS, ...given, question });
    default:
      return method satisfies never;
  }
}

/** StreamingLLM (2309.17453) at decode: the first keys and the newest, with no state between calls. */
function windowDecode(budget = 2048, sinks = 64): Planner {
  const planner: Planner = {
    ahead: true,
    plan: ({ position, count }) =>
      slidingWindow(count, position, Math.max(1, tokensOf(budget, position + count)), sinks),
    adopts: () => true,
    fork: () => planner,
    free: () => undefined,
  };
  return planner;
}

function streamingHeads(
  { method, sinks, window, windowShare }: HeadOptions,
  { wasm, streaming }: PlannerFacts,
): StreamingHeads {
  if (streaming === undefined) {
    const remedy =
      method === 'model'
        ? "this model's file has no table of its heads (octavo.heads.streaming); use 'razor' or 'mean-query', which measure the model itself"
        : 'the heads of the model were not measured (findHeads)';
    throw new InputError('argument', `heads '${method}': ${remedy}`, { method });
  }
  return new StreamingHeads(wasm, streaming, {
    sinks: sinks ?? STREAMING_DEFAULTS.sinks,
    window: window ?? STREAMING_DEFAULTS.window,
    share: windowShare ?? (method === 'razor' ? RAZOR_SHARE : 0),
  });
}

function eviction(
  { method, keep = 0.5, window, scope = 'session' }: EvictOptions,
  { wasm, layers, heads, kvHeads, semantic }: PlannerFacts,
  streaming: StreamingHeads | undefined,
): Eviction {
  const skips = streaming && ((layer: number, head: number): boolean => streaming.streams(layer, head));
  return new Eviction({ method, keep, window, scope }, { wasm, layers, heads, kvHeads, semantic, skips });
}
