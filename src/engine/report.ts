/** What a file's header tells: the model, and whether it runs here. Fetched by pages that ask before they load. */
import { OctavoError } from '../errors.ts';
import type { ModelInput } from '../load/index.ts';
import type { ModelFile } from '../load/model-file.ts';
import { DEFAULT_RETRY } from '../load/retry.ts';
import { planModel } from '../models/model.ts';
import { architectureName, encoderOf } from '../models/registry.ts';
import type { Platform } from '../platform/platform.ts';
import { describeTokenizer } from '../text/tokenizer.ts';
import type { Capabilities, LoadSettings, MemoryNeed, ModelReport } from '../worker/api.ts';
import { availableBytes } from './available.ts';
import { embeddingOf, ranks } from './embedding.ts';
import { contextFormat, openFile, parameters, tokenBytes } from './loaded.ts';
import { quantizationOf } from './quantization.ts';

/** The context without which a model is of no use. */
const LEAST_CONTEXT = 512;
const USUAL_CONTEXT = 4096;
/** Snapshots of states, for models that have any, beside the newest one. */
const SNAPSHOTS = 3;

interface ReportOptions {
  readonly signal?: AbortSignal | undefined;
  /** Asks the network once, without retries. */
  readonly once?: boolean;
}

/**
 * Reads headers only: of a file that is not stored here, a few ranges are requested. Throws as loading does for what
 * cannot be read; a readable file that does not run here is reported, with the reason.
 */
export async function report(
  platform: Platform,
  input: ModelInput,
  settings: LoadSettings,
  { signal, once = false }: ReportOptions = {},
): Promise<ModelReport> {
  const retry = once ? { retry: { ...DEFAULT_RETRY, attempts: 1 } } : {};
  const file = await openFile(platform, input, settings, { signal }, { headerOnly: true, ...retry });
  try {
    return await reportOn(platform, file, settings);
  } finally {
    await file.close();
  }
}

/** What is known of a model that is supported. */
interface Known {
  readonly capabilities: Capabilities;
  readonly window: number;
  readonly weights: number;
  /** Bytes of a token of the context. */
  readonly token: number;
  /** Bytes of states, which do not grow with the context. */
  readonly states: number;
}

async function reportOn(platform: Platform, file: ModelFile, settings: LoadSettings): Promise<ModelReport> {
  const { metadata } = file;
  const license = metadata.kind === 'gguf' ? metadata.values.get('general.license') : undefined;
  const { device, largest } = await deviceHere(platform, settings);
  const told = {
    name: file.name,
    format: metadata.kind,
    architecture: architectureName(metadata),
    parameters: parameters(file),
    bytes: file.bytes,
    quantization: quantizationOf(file),
    license: typeof license === 'string' ? license : undefined,
    device,
  };
  let known: Known;
  try {
    known = (await encoderFacts(file)) ?? (await modelFacts(file, device, settings));
  } catch (error) {
    if (!(error instanceof OctavoError)) throw error;
    const { code, message } = error;
    const nothing = { contextWindow: undefined, capabilities: undefined, memory: undefined };
    return { ...told, runs: false, problem: { code, message }, ...nothing };
  }
  const { capabilities, window: contextWindow, weights, token, states } = known;
  const available = availableBytes(device, platform.memory);
  const bytes = (tokens: number): number => weights + states + token * Math.min(tokens, contextWindow);
  const free = available - weights - states;
  const memory: MemoryNeed = {
    weights,
    token,
    at4k: bytes(USUAL_CONTEXT),
    full: bytes(contextWindow),
    available,
    room: token === 0 ? contextWindow : Math.max(0, Math.min(contextWindow, Math.floor(free / token))),
  };
  const huge = [...file.tensors.values()].find((tensor) => tensor.bytes > largest);
  const problem =
    bytes(LEAST_CONTEXT) > available
      ? `it needs ${megabytes(bytes(LEAST_CONTEXT))} with a short context, and there are ${megabytes(available)} for it here${device === 'wasm' ? ' (WASM has 4 GiB at most)' : ''}; take a smaller model, or one of fewer bits`
      : huge === undefined
        ? undefined
        : `its tensor ${huge.name} has ${megabytes(huge.bytes)}, and this GPU allows ${megabytes(largest)} in one piece; load it with device: 'wasm', or take a smaller model`;
  return {
    ...told,
    runs: problem === undefined,
    problem: problem === undefined ? undefined : { code: 'out-of-memory', message: problem },
    contextWindow,
    capabilities,
    memory,
  };
}

async function encoderFacts(file: ModelFile): Promise<Known | undefined> {
  const plan = await encoderOf(file);
  if (plan === undefined) return undefined;
  const ranking = plan.spec.score !== undefined;
  return {
    capabilities: {
      generate: false,
      embed: !ranking,
      rerank: ranking,
      chat: false,
      see: false,
      paint: false,
      edit: false,
      missing: [],
    },
    window: plan.window,
    weights: sum([...file.tensors.values()].map(({ bytes }) => bytes)),
    // Texts are computed one after another in pages that are written anew.
    token: 0,
    states: 0,
  };
}

async function modelFacts(file: ModelFile, device: 'wasm' | 'webgpu', settings: LoadSettings): Promise<Known> {
  const { spec, parts, missing, bytes: weights } = await planModel(file, settings.contextWindow);
  const { config } = spec;
  const window = Math.min(settings.contextWindow ?? config.contextWindow, config.contextWindow);
  // Of a folder that is not here, the tokenizer's file is not read.
  const { metadata, tensors } = file;
  const tokenizer =
    metadata.kind === 'gguf' || metadata.tokenizer !== undefined ? await describeTokenizer(metadata) : undefined;
  const template =
    tokenizer?.facts.chatTemplate ??
    (metadata.kind === 'huggingface'
      ? (metadata.chatTemplate ?? metadata.tokenizerConfig?.['chat_template'])
      : undefined);
  const classes = tensors.get('cls.output.weight')?.shape[0] ?? 0;
  return {
    capabilities: {
      generate: true,
      embed: (await embeddingOf(file, { config }, window)) !== undefined,
      rerank: ranks(file, { classes, config }),
      chat: template !== undefined,
      ...parts,
      missing,
    },
    window,
    weights,
    token: tokenBytes(config, contextFormat(device, config, window)),
    states: (1 + SNAPSHOTS) * (spec.states?.bytes(spec.layers) ?? 0),
  };
}

/** The device that would be taken, without opening it; `largest`: the most bytes of one tensor. */
async function deviceHere(
  platform: Platform,
  { device = 'auto' }: LoadSettings,
): Promise<{ readonly device: 'wasm' | 'webgpu'; readonly largest: number }> {
  const wasm = { device: 'wasm', largest: Infinity } as const;
  if (device === 'wasm') return wasm;
  const gpu = await platform.gpu();
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (adapter === undefined || adapter === null) return wasm;
  const { describeAdapter } = await import('../backend/webgpu.ts');
  if (device === 'auto' && describeAdapter(adapter).software) return wasm;
  return { device: 'webgpu', largest: adapter.limits.maxBufferSize };
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
