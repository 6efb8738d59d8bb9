/**
 * The least bits of keys and values that a model bears, measured on the model itself: how much worse it foretells a text
 * (sample-text.ts) with closed pages of fewer bits. The result is remembered by the model's fingerprint, so that the
 * minute it may take is spent once.
 */
import { PAGE_TOKENS } from '../backend/backend.ts';
import { encodeContext } from '../chat/prompt.ts';
import { CLOSED_TOKENS, type KvBits } from '../kv/precision.ts';
import type { LeastBits } from '../select/presets.ts';
import { score } from './score.ts';
import { SAMPLE_TEXT } from './sample-text.ts';
import type { SessionModel } from './session-cache.ts';

/** The least bits must cost less than this share of perplexity. */
const MOST_COST = 0.01;
/** Tokens that are read, in one window. */
const WINDOW = 1024;

/** In the order in which they are tried: while one is borne, fewer bits follow; where 4 are not, more bits. */
const FEWER: readonly KvBits[] = [4, { keys: 4, values: 2 }, 2];
const MORE: readonly KvBits[] = [{ keys: 8, values: 4 }, 8];
export const ALL: readonly KvBits[] = [...FEWER, ...MORE];

/** Where small facts are remembered: `ModelStore`. */
export interface Notes {
  note<T>(name: string): Promise<T | undefined>;
  setNote(name: string, value: unknown): Promise<void>;
}

/** What is remembered. */
interface Note {
  /** An index of ALL; -1: none. */
  readonly chosen: number;
  /** Its share of perplexity, and that of the next that was tried and refused. */
  readonly cost: number;
  readonly refused: number | null;
  readonly tokens: number;
}

/** `key` names the model and its device. */
export async function leastBits(
  model: SessionModel,
  { notes, key }: { readonly notes: Notes | undefined; readonly key: string },
): Promise<LeastBits> {
  const name = `kv-bits 2 ${key}`;
  const known = await notes?.note<unknown>(name).catch(() => undefined);
  if (isNote(known)) return told(known);
  const found = await measure(model);
  // Without a store it is measured again after the next load.
  await notes?.setNote(name, found).catch(() => undefined);
  return told(found);
}

async function measure(model: SessionModel): Promise<Note> {
  // One window: further ones would begin anew.
  const ids = encodeContext(model, [SAMPLE_TEXT]).ids.slice(0, Math.min(WINDOW, model.window));
  const base = await likelihoods(model, ids, 16);
  const tokens = base.length;
  // Of a shorter window nothing is closed long enough to be read.
  if (tokens < PAGE_TOKENS) return { chosen: -1, cost: 0, refused: null, tokens };
  const found = await search(async (kvBits) => {
    const closed = await likelihoods(model, ids, kvBits);
    const lost = base.reduce((sum, value, i) => sum + value - (closed[i] ?? 0), 0) / tokens;
    return Number.isNaN(lost) ? Infinity : Math.exp(lost) - 1;
  });
  return { ...found, tokens };
}

/** Returns the least bits that cost less than `MOST_COST`; `cost`: of bits, as a share of perplexity. Exported for tests. */
export async function search(
  cost: (kvBits: KvBits) => Promise<number>,
): Promise<Pick<Note, 'chosen' | 'cost' | 'refused'>> {
  let best: { readonly chosen: number; readonly cost: number } | undefined;
  let refused: number | null = null;
  for (const [i, kvBits] of ALL.entries()) {
    // More bits are of interest only where the first was refused, fewer only while all are borne.
    if (i >= FEWER.length ? best !== undefined : refused !== null) continue;
    const lost = Math.min(await cost(kvBits), Number.MAX_VALUE);
    if (lost < MOST_COST) best = { chosen: i, cost: lost };
    else refused = lost;
  }
  return { ...(best ?? { chosen: -1, cost: 0 }), refused };
}

/** Log-probabilities of the tokens that see closed pages. */
async function likelihoods(model: SessionModel, ids: Int32Array, kvBits: KvBits): Promise<Float32Array> {
  const { logProbs } = await score(model, ids, { window: model.window, context: { kvBits } });
  return logProbs.slice(CLOSED_TOKENS + 1);
}

function told({ chosen, cost, refused, tokens }: Note): LeastBits {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const kvBits = ALL[chosen];
  const of = refused === null ? '' : `, the next ${percent(refused)}`;
  if (kvBits === undefined)
    return { kvBits: 16, reason: `16 bits: fewer cost 1 % or more of perplexity (measured on ${tokens} tokens${of})` };
  return {
    kvBits,
    reason: `${bitsName(kvBits)} cost ${percent(cost)} of perplexity${of} (measured on ${tokens} tokens)`,
  };
}

function bitsName(bits: KvBits): string {
  return typeof bits === 'object' && 'keys' in bits
    ? `keys of ${bits.keys} and values of ${bits.values} bits`
    : `${String(bits)} bits`;
}

/** What another version or a damaged store gives is measured again. */
function isNote(value: unknown): value is Note {
  if (typeof value !== 'object' || value === null) return false;
  const { chosen, cost, refused, tokens } = value as Partial<Record<keyof Note, unknown>>;
  return (
    Number.isInteger(chosen) &&
    Number(chosen) >= -1 &&
    Number(chosen) < ALL.length &&
    typeof cost === 'number' &&
    Number.isInteger(tokens) &&
    (refused === null || typeof refused === 'number')
  );
}
