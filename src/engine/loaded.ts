/** Loading a model: opens the file, puts the weights on a device, and creates the page allocator, the prefix cache and the tiers. */
import { PAGE_TOKENS, type Backend, type KvPool } from '../backend/backend.ts';
import { PageAllocator } from '../kv/sequence.ts';
import { Prefixes } from '../kv/prefixes.ts';
import type { Tiers } from '../kv/tiers.ts';
import { openModel, type ModelInput, type OpenOptions } from '../load/index.ts';
import type { LoadProgress, ModelFile } from '../load/model-file.ts';
import { loadModel, type LanguageModelConfig, type Model } from '../models/model.ts';
import type { Painter } from '../paint/index.ts';
import type { Platform } from '../platform/platform.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Wasm } from '../wasm.ts';
import type { DeviceInfo, LoadSettings } from '../worker/api.ts';
import type { Device } from './device.ts';
import { textOnly, type ImageProcessor } from '../see/images.ts';
import { openTiers, type LazySpill } from './tiers.ts';

export interface LoadListener {
  readonly signal?: AbortSignal | undefined;
  readonly monitor?: ((progress: LoadProgress) => void) | undefined;
}

/**
 * Bytes that the pages of a full context may take in f32; above that, keys and values are kept as f16. Pages are
 * allocated as they are needed, so only long contexts are affected. WASM has no f16 instructions, so f16 costs speed;
 * on phones the GPU's memory is the whole machine's.
 */
const MAX_F32_CONTEXT = { wasm: 2 ** 30, webgpu: 2 ** 28, reference: Infinity } as const;

/**
 * Bytes of pages in the prefix cache: about 5,000 tokens of a model of half a billion weights in f16, 17,000 at 4 bits.
 */
const MAX_REMEMBERED = 1 << 26;

/** The number of snapshots of states for which the prefix cache has room beside its pages. */
const REMEMBERED_STATES = 2;

/** A model on one device. After the device is lost, it is replaced by another. */
export interface Loaded {
  readonly device: DeviceInfo;
  readonly backend: Backend;
  readonly model: Model;
  readonly pool: KvPool;
  readonly pages: PageAllocator;
  readonly prefixes: Prefixes;
  readonly tiers: Tiers;
  readonly spill: LazySpill;
  readonly images: ImageProcessor;
  painter: Painter | undefined;
}

/** Opens the file behind `input` and reads its header; the caller closes it. */
export function openFile(
  platform: Platform,
  input: ModelInput,
  settings: LoadSettings,
  { signal, monitor }: LoadListener,
  more: Pick<OpenOptions, 'headerOnly' | 'retry'> = {},
): Promise<ModelFile> {
  const { quantize, sha256, store, headers, credentials, hub, mmproj } = settings;
  const { store: kept, ...access } = platform.open;
  return openModel(input, {
    ...access,
    ...more,
    ...(store === false ? { store: false } : kept === undefined ? {} : { store: kept }),
    ...(quantize === undefined ? {} : { quantize }),
    ...(headers === undefined ? {} : { headers: { ...headers } }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(hub === undefined ? {} : { hub }),
    ...(mmproj === undefined ? {} : { mmproj }),
    ...(sha256 === undefined ? {} : { sha256: typeof sha256 === 'string' ? sha256 : { ...sha256 } }),
    ...(signal === undefined ? {} : { signal }),
    ...(monitor === undefined ? {} : { monitor }),
  });
}

/** Puts the weights on the device; its owner destroys the device when that fails. */
export async function loadOn(
  file: ModelFile,
  device: Device,
  {
    platform,
    window,
    wasm,
    tokenizer,
  }: { readonly platform: Platform; readonly window: number; readonly wasm: Wasm; readonly tokenizer: Tokenizer },
  { signal, monitor }: LoadListener,
): Promise<Loaded> {
  const { backend, info } = device;
  signal?.throwIfAborted();
  const model = await loadModel(file, backend, {
    contextWindow: window,
    ...(signal === undefined ? {} : { signal }),
    ...(monitor === undefined ? {} : { monitor }),
  });
  const { cacheLayers: layers, kvHeads, headDim } = model.language.config;
  const pool = backend.kvPool({
    layers,
    kvHeads,
    headDim,
    format: contextFormat(backend.kind, model.language.config, window),
  });
  const { language, vision, missing } = model;
  const images =
    vision === undefined
      ? textOnly(missing)
      : await (await import('../see/index.ts')).createImageProcessor({ vision, language, tokenizer, wasm });
  const pages = new PageAllocator(pool);
  const prefixes = new Prefixes(
    pages,
    REMEMBERED_STATES * model.language.stateBytes +
      Math.min(MAX_REMEMBERED, Math.ceil(window / PAGE_TOKENS) * layers * kvHeads * pool.pageBytes()),
  );
  return {
    device: info,
    backend,
    model,
    pool,
    pages,
    prefixes,
    ...openTiers(backend, pages, wasm, platform),
    images,
    painter: undefined,
  };
}

type CachedShape = Pick<LanguageModelConfig, 'cacheLayers' | 'kvHeads' | 'headDim'>;

/** How a context of so many tokens is kept. */
export function contextFormat(kind: Backend['kind'], config: CachedShape, window: number): 'f16' | 'f32' {
  return window * tokenBytes(config, 'f32') > MAX_F32_CONTEXT[kind] ? 'f16' : 'f32';
}

/** Bytes of the keys and values of one token. */
export function tokenBytes({ cacheLayers, kvHeads, headDim }: CachedShape, format: 'f16' | 'f32'): number {
  return cacheLayers * kvHeads * headDim * 2 * (format === 'f16' ? 2 : 4);
}

/** The number of weights: the values of all tensors. */
export function parameters(file: ModelFile): number {
  let sum = 0;
  for (const { shape } of file.tensors.values()) sum += shape.reduce((product, size) => product * size, 1);
  return sum;
}

/**
 * The multiply-adds of one token of a prompt: the values of all tensors but those with a row for each id, since an
 * embedding is looked up and the head multiplies the last token only.
 */
export function multiplyAdds(file: Pick<ModelFile, 'tensors'>, vocabulary: number): number {
  let sum = 0;
  for (const { shape } of file.tensors.values()) {
    if (shape[0] !== vocabulary) sum += shape.reduce((product, size) => product * size, 1);
  }
  return sum;
}
