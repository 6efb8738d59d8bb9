/**
 * Which KV heads keep everything, and which see only the first and the newest keys: from a model's file, or measured on
 * the model.
 */
import { InputError, ModelError } from '../../errors.ts';
import type { ModelMetadata } from '../../load/model-file.ts';
import { farSighted } from './mean-query.ts';
import { retrieving } from './razor.ts';
import type { ReadableModel } from './reading.ts';
import { semanticScores, type Encode } from './semantic.ts';
import type { ContextOptions } from '../options.ts';
import { planSettings } from '../methods.ts';

/** One flag for each layer and KV head. */
export interface HeadTable {
  readonly layers: number;
  readonly kvHeads: number;
  /** [layers * kvHeads]; 1: the head streams, 0: it keeps everything. */
  readonly streams: Uint8Array;
}

/** The facts about a model's heads that planners need. */
export interface HeadFacts {
  readonly streaming?: HeadTable | undefined;
  /** [layers * heads] */
  readonly semantic?: Float32Array | undefined;
}

const DEFAULT_KEEP = 0.5;

/** [layers * kvHeads] numbers from 0 (keeps everything) to 1 (streams). */
const METADATA = 'octavo.heads.streaming';

/**
 * Returns the part of `HeadFacts` that a session's options require, as a key for a cache of `findHeads`; undefined for
 * none.
 */
export function headsNeeded(options: ContextOptions): string | undefined {
  const { heads, evict } = planSettings(options);
  if (heads === undefined && evict?.method !== 'compresskv') return undefined;
  return JSON.stringify([heads?.method ?? 'all', heads?.keep ?? null, evict?.method === 'compresskv']);
}

/**
 * Returns the facts that a session's options require: read from the file, or measured while the model reads a few
 * hundred random tokens, or a text with needles that `encode` encodes (none of the user's), layer by layer, in KV pages that are freed afterwards. Nothing else may
 * compute meanwhile. Throws `InputError('argument')` when options require a table that the file does not have.
 */
export async function findHeads(
  model: ReadableModel,
  metadata: ModelMetadata,
  options: ContextOptions,
  encode: Encode,
  signal?: AbortSignal,
): Promise<HeadFacts> {
  const { heads, evict } = planSettings(options);
  const { cacheLayers: layers, kvHeads } = model.config;
  const semantic = evict?.method === 'compresskv' ? await semanticScores(model, encode, signal) : undefined;
  if (heads === undefined) return { semantic };
  const { keep } = heads;
  switch (heads.method) {
    case 'model':
      return { semantic, streaming: ownTable(metadata, { layers, kvHeads }, keep) };
    case 'razor':
      return {
        semantic,
        streaming: tableOf(await retrieving(model, keep ?? DEFAULT_KEEP, signal), { layers, kvHeads }),
      };
    case 'mean-query':
      return {
        semantic,
        streaming: tableOf(strongestHeads(await farSighted(model, signal), keep ?? DEFAULT_KEEP), { layers, kvHeads }),
      };
    default:
      return heads.method satisfies never;
  }
}

/** Returns the file's table. Throws `InputError('argument')` if it has none. */
export function ownTable(metadata: ModelMetadata, shape: Omit<HeadTable, 'streams'>, keep?: number): HeadTable {
  const table = fileTable(metadata, shape, keep);
  if (table !== undefined) return table;
  throw new InputError(
    'argument',
    `heads 'model': this model's file has no table of its heads (${METADATA}); use 'razor' or 'mean-query', which measure the model itself`,
    { method: 'model' },
  );
}

/**
 * Returns the file's table; undefined if it has none. Heads below a half keep everything; with `keep`, that share of
 * heads with the lowest numbers does. Throws `ModelError('config')` for a table that does not fit the model.
 */
export function fileTable(
  metadata: ModelMetadata,
  shape: Omit<HeadTable, 'streams'>,
  keep?: number,
): HeadTable | undefined {
  const found = metadata.kind === 'gguf' ? metadata.values.get(METADATA) : undefined;
  if (found === undefined) return undefined;
  const wanted = shape.layers * shape.kvHeads;
  const values = typeof found === 'object' ? Array.from(found as ArrayLike<unknown>, Number) : [];
  if (values.length !== wanted || !values.every((value) => value >= 0 && value <= 1)) {
    throw new ModelError(
      'config',
      `${METADATA} should be ${wanted} numbers from 0 to 1, one for each layer and KV head; the file may be damaged`,
      { field: METADATA, wanted },
    );
  }
  const keeping =
    keep === undefined
      ? values.flatMap((value, i) => (value < 0.5 ? [i] : []))
      : strongestHeads(
          values.map((value) => -value),
          keep,
        );
  return tableOf(keeping, shape);
}

/** Indices of the `keep` share of heads with the highest scores, at least one. Ties: the lower index. */
export function strongestHeads(scores: readonly number[], keep: number): number[] {
  const order = scores.map((_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  return order.slice(0, Math.max(1, Math.round(keep * scores.length)));
}

function tableOf(keeping: readonly number[], { layers, kvHeads }: Omit<HeadTable, 'streams'>): HeadTable {
  const streams = new Uint8Array(layers * kvHeads).fill(1);
  for (const head of keeping) streams[head] = 0;
  return { layers, kvHeads, streams };
}
