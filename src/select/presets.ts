/**
 * What the presets of a context mean. Their numbers were measured and are in docs/long-context.md: perplexity by bits on
 * three real models, the time of prefill by length, and the likelihood of answers from long prompts. Where a measurement
 * is missing, the preset does what is exact.
 */
import type { KvBits } from '../kv/precision.ts';
import type { ContextChoice, ContextOptions, ContextPreset, DecidedContext, PrefillOptions } from './options.ts';

/** Facts that decide. */
export interface ContextFacts {
  /** The most tokens of the session. */
  readonly window: number;
  /** Tokens of the longest prompt so far. */
  readonly tokens: number;
  /** Bytes of the keys and values of one token in f16, and in the format in which new ones are kept. */
  readonly token: { readonly half: number; readonly open: number };
  /** Bytes that are left for contexts beside the weights. */
  readonly room: number;
  /** The least bits that the model bears; undefined where nobody measured them. */
  readonly least?: LeastBits | undefined;
}

/** Bits by measurement, and why. */
export interface LeastBits {
  readonly kvBits: KvBits;
  readonly reason: string;
}

/** Of f16's bytes: 8 bits. */
const EIGHT = 0.563;

/**
 * Block top-k with a quarter of the keys against dense prefill, times faster: 0.5B shape, WASM with two threads
 * (results/context/prefill-8k.json; prompts of 4,096 from the times of its chunks; DHSA at 32,768).
 */
const FASTER: readonly (readonly [tokens: number, times: number])[] = [
  [32_768, 2.8],
  [8192, 1.9],
  [4096, 1.6],
];
const SPARSE: PrefillOptions = { method: 'blocks', budget: 0.25 };

/** Prompts from which a quarter of the keys is read: `auto` waits until it halves the time, nearly. */
const SPARSE_FROM: Readonly<Record<ContextPreset, number>> = {
  auto: 8192,
  exact: Infinity,
  balanced: 4096,
  small: 4096,
};

/** Tells whether a preset may need `facts.least`. */
export function needsLeastBits({ preset, kvBits }: ContextOptions, facts: Omit<ContextFacts, 'tokens'>): boolean {
  if (kvBits !== undefined) return kvBits === 'auto';
  return preset === 'small' || (preset === 'auto' && levelOf(facts).preset === 'small');
}

/** Returns what options with a preset, or with `kvBits: 'auto'`, mean. */
export function chooseContext(given: ContextOptions, facts: ContextFacts): ContextChoice {
  const { preset, kvBits: asked, ...own } = given;
  const level = preset === 'auto' ? levelOf(facts) : { preset: preset ?? 'exact', reason: undefined };
  const reasons = level.reason === undefined ? [] : [level.reason];
  const options: { -readonly [K in keyof DecidedContext]: DecidedContext[K] } = {};
  if (asked === undefined ? level.preset === 'small' : asked === 'auto') {
    const { kvBits, reason } = facts.least ?? { kvBits: 16, reason: 'the bits were not measured' };
    options.kvBits = kvBits;
    reasons.push(reason);
  } else if (asked !== undefined && asked !== 'auto') options.kvBits = asked;
  else if (level.preset === 'balanced') {
    options.kvBits = 8;
    reasons.push('8 bits cost no perplexity that could be measured');
  }
  // Keys can be moved only where every token saw all of them.
  const free = own.prefill === undefined && own.overflow !== 'move';
  if (preset !== undefined && free && facts.tokens >= SPARSE_FROM[preset]) {
    options.prefill = SPARSE;
    const times = FASTER.find(([tokens]) => facts.tokens >= tokens)?.[1];
    reasons.push(
      `prompts of ${number(facts.tokens)} tokens are read ${times} times faster with a quarter of the keys (measured)`,
    );
  }
  if (reasons.length === 0) reasons.push('everything is kept and seen');
  return { preset, tokens: facts.tokens, options: { ...options, ...own }, reason: reasons.join('; ') };
}

/** What the memory allows for the whole window. */
function levelOf({ window, token, room }: Omit<ContextFacts, 'tokens'>): {
  readonly preset: 'exact' | 'balanced' | 'small';
  readonly reason: string;
} {
  const exact = window * token.open;
  const balanced = window * token.half * EIGHT;
  const has = `there is room for ${megabytes(room)}`;
  if (exact <= room)
    return { preset: 'exact', reason: `${number(window)} tokens take ${megabytes(exact)}, and ${has}` };
  if (balanced <= room)
    return {
      preset: 'balanced',
      reason: `${number(window)} tokens take ${megabytes(exact)}, at 8 bits ${megabytes(balanced)}, and ${has}`,
    };
  return { preset: 'small', reason: `${number(window)} tokens take ${megabytes(balanced)} at 8 bits, and ${has}` };
}

function megabytes(bytes: number): string {
  return `${number(Math.round(bytes / 1e6))} MB`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}
