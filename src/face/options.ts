/** The options of all public calls, described for `check.ts`. What depends on the model is checked by the engine. */
import type { AttributionSettings } from '../generate/attribution.ts';
import { SAMPLING_LIMITS, SAMPLING_MODES } from '../generate/sampling.ts';
import { MOST_ALTERNATIVES, MOST_ROUNDS, type AnswerOptions, type ChatOptions } from '../generate/options.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import type { BrushSettings } from '../paint/settings.ts';
import type { ContextOptions } from '../select/options.ts';
import type { WasmBuild } from '../wasm.ts';
import type { DeviceRequest } from '../worker/api.ts';
import type { Constrainable } from './constraint.ts';
import type { Field, ShapeOf } from './check.ts';
import type { InspectOptions } from './inspecting.ts';
import type { CompletionOptions, RecoverOptions, ScoreOptions, TokenOptions } from './model.ts';
import type { AvailabilityOptions, LoadOptions } from './octavo.ts';
import type { EditOptions, PaintHooks, PaintOptions } from './painting.ts';
import type { Abortable, AppendOptions, MeasureOptions, PromptOptions, SessionOptions } from './session.ts';
import type { ResumeOptions, SaveOptions } from './sessions.ts';
import type { Tool } from './tools.ts';

const TEXT: Field = { is: 'string' };
const SWITCH: Field = { is: 'boolean' };
const CALLBACK: Field = { is: 'function' };
const OBJECT: Field = { is: 'object' };
const COUNT: Field = { number: [1, 2 ** 31 - 1], whole: true };
const NUMBER: Field = { number: [-Infinity, Infinity] };

const limited = (name: keyof typeof SAMPLING_LIMITS): Field => {
  const { least, most, ...rest } = SAMPLING_LIMITS[name];
  return { number: [least, most], ...rest };
};

export const ABORTABLE: ShapeOf<Required<Abortable>> = { signal: { signal: true } };

const SAMPLING: ShapeOf<Required<SamplingOptions>> = {
  temperature: limited('temperature'),
  topK: limited('topK'),
  topP: limited('topP'),
  minP: limited('minP'),
  repetitionPenalty: limited('repetitionPenalty'),
  presencePenalty: limited('presencePenalty'),
  seed: limited('seed'),
  samplingMode: { oneOf: Object.keys(SAMPLING_MODES) },
};

const ANSWER: ShapeOf<Required<AnswerOptions>> = {
  maxTokens: COUNT,
  stop: { anyOf: [TEXT, { list: TEXT }] },
  aborted: { oneOf: ['remove', 'keep'] },
  loops: { oneOf: ['stop', 'allow'] },
  drafts: SWITCH,
  templateOptions: OBJECT,
  contrast: { anyOf: [SWITCH, { members: { strength: NUMBER, tokens: COUNT, cutoff: NUMBER } }] },
  logprobs: { anyOf: [SWITCH, { number: [0, MOST_ALTERNATIVES], whole: true }] },
};

const TOOL: ShapeOf<Required<Tool>> = { name: TEXT, description: TEXT, inputSchema: OBJECT, execute: CALLBACK };

const CHAT: ShapeOf<Required<ChatOptions>> = {
  thinking: SWITCH,
  tools: { list: { members: TOOL } },
  toolChoice: { anyOf: [{ oneOf: ['auto', 'none', 'required'] }, { members: { name: TEXT } }] },
  maxToolRounds: { number: [1, MOST_ROUNDS], whole: true },
};

export const KEEP: Field = { anyOf: [SWITCH, { members: { bytes: NUMBER, days: NUMBER } }] };

const MEMBERS: ShapeOf<Required<ContextOptions>> = {
  preset: TEXT,
  window: COUNT,
  kvBits: { anyOf: [NUMBER, TEXT, OBJECT] },
  prefill: { anyOf: [TEXT, OBJECT] },
  decode: { anyOf: [TEXT, OBJECT] },
  evict: { anyOf: [TEXT, OBJECT] },
  heads: { anyOf: [TEXT, OBJECT] },
  memory: { members: { device: NUMBER, host: NUMBER } },
  share: SWITCH,
  keep: KEEP,
  overflow: { oneOf: ['read', 'move'] },
  visual: { anyOf: [TEXT, OBJECT] },
};

const CONTEXT: Field = { anyOf: [TEXT, { members: MEMBERS }] };

/**
 * The names are repeated here because importing `WASM_BUILDS` would tie the page's script to the parts that it fetches
 * on demand.
 */
const BUILDS: Readonly<Record<WasmBuild, true>> = {
  'relaxed-threads': true,
  'simd-threads': true,
  relaxed: true,
  simd: true,
  scalar: true,
};

const DEVICE: ShapeOf<Required<DeviceRequest>> = {
  device: { oneOf: ['auto', 'wasm', 'webgpu'] },
  threads: { number: [1, 64], whole: true },
  build: { oneOf: Object.keys(BUILDS) },
};

const EXPECTED: ShapeOf<Required<AvailabilityOptions>> = {
  expectedInputs: { list: OBJECT },
  expectedOutputs: { list: OBJECT },
};

export const AVAILABILITY = EXPECTED;

export const INSPECT: ShapeOf<Required<InspectOptions>> = {
  ...ABORTABLE,
  device: DEVICE.device,
  contextWindow: COUNT,
  mmproj: { anyOf: [TEXT, OBJECT, { oneOf: [false] }] },
  store: SWITCH,
  headers: OBJECT,
  credentials: { oneOf: ['omit', 'same-origin', 'include'] },
  hub: TEXT,
};

export const LOAD: ShapeOf<Required<LoadOptions>> = {
  ...DEVICE,
  ...ABORTABLE,
  contextWindow: COUNT,
  mmproj: { anyOf: [TEXT, OBJECT, { oneOf: [false] }] },
  quantize: { oneOf: ['q8', 'q4'] },
  store: SWITCH,
  sha256: { anyOf: [TEXT, OBJECT] },
  headers: OBJECT,
  credentials: { oneOf: ['omit', 'same-origin', 'include'] },
  hub: TEXT,
  fallback: OBJECT,
  fetch: CALLBACK,
  monitor: CALLBACK,
  onProgress: CALLBACK,
};

export const RECOVER: ShapeOf<Required<RecoverOptions>> = { ...DEVICE, ...ABORTABLE, onProgress: CALLBACK };

export const SESSION: ShapeOf<Required<SessionOptions>> = {
  ...SAMPLING,
  ...ANSWER,
  ...CHAT,
  ...ABORTABLE,
  ...EXPECTED,
  initialPrompts: { list: OBJECT },
  context: CONTEXT,
  visual: { members: { size: COUNT, route: { oneOf: ['mar', 'siglip'] }, unique: SWITCH } },
  monitor: CALLBACK,
};

export const ATTRIBUTE: ShapeOf<Required<AttributionSettings>> = {
  text: TEXT,
  spans: { list: NUMBER },
  layers: { list: NUMBER },
};

export const APPEND: ShapeOf<Required<AppendOptions>> = { ...ABORTABLE, onPrefill: CALLBACK };

const CONSTRAINT: ShapeOf<Required<Constrainable>> = { responseConstraint: { anyOf: [SWITCH, OBJECT] } };

export const MEASURE: ShapeOf<Required<MeasureOptions>> = {
  ...ABORTABLE,
  ...CONSTRAINT,
  omitResponseConstraintInput: SWITCH,
};

export const PROMPT: ShapeOf<Required<PromptOptions>> = {
  ...SAMPLING,
  ...ANSWER,
  ...CHAT,
  ...APPEND,
  ...MEASURE,
  onToken: CALLBACK,
};

export const COMPLETE: ShapeOf<Required<CompletionOptions>> = {
  ...SAMPLING,
  ...ANSWER,
  ...APPEND,
  onToken: CALLBACK,
  ...CONSTRAINT,
  special: SWITCH,
};

export const SCORE: ShapeOf<Required<ScoreOptions>> = {
  ...ABORTABLE,
  context: CONTEXT,
  window: COUNT,
  prompt: { number: [0, 2 ** 31 - 1], whole: true },
  special: SWITCH,
  templateOptions: OBJECT,
  onProgress: CALLBACK,
};

export const IDS: Field = { anyOf: [{ list: NUMBER }, { view: true }] };
export const TEXT_OR_IDS: Field = { anyOf: [TEXT, { view: true }] };
export const SCORED: Field = { anyOf: [TEXT, { view: true }, { list: OBJECT }] };

export const TOKENS: ShapeOf<Required<TokenOptions>> = { special: SWITCH };

export const RESUME: ShapeOf<Required<ResumeOptions>> = { ...ABORTABLE, tools: CHAT.tools };

export const SAVE: ShapeOf<Required<SaveOptions>> = {
  ...ABORTABLE,
  persist: { anyOf: [SWITCH, CALLBACK] },
  evict: SWITCH,
};

const BRUSH: ShapeOf<Required<BrushSettings & PaintHooks>> = {
  ...ABORTABLE,
  size: COUNT,
  seed: limited('seed'),
  steps: COUNT,
  diffusionSteps: COUNT,
  guidance: NUMBER,
  guidanceSchedule: { oneOf: ['constant', 'linear'] },
  temperature: NUMBER,
  count: COUNT,
  onProgress: CALLBACK,
  onPreview: CALLBACK,
  resume: OBJECT,
  onCheckpoint: CALLBACK,
};

export const PAINT: ShapeOf<Required<PaintOptions>> = { ...BRUSH, prompt: TEXT };

export const EDIT: ShapeOf<Required<EditOptions>> = {
  ...BRUSH,
  instruction: TEXT,
  image: { anyOf: [TEXT, OBJECT] },
};
