/**
 * The language model of the AI SDK (specification V4). The SDK sends the whole conversation with every call; the last call's session is kept and goes
 * on where the new one continues it, so that only the new turns are read.
 */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
  LanguageModelV4Usage,
} from '@ai-sdk/provider';
import { linkedSignal } from '../face/signals.ts';
import type { AnswerReport, Availability, Message, ModelInput } from '../public.ts';
import { readCall } from './call.ts';
import { keep, open, type ChatModel, type SessionDefaults } from './conversation.ts';
import { ModelSource } from './source.ts';
import type { OctavoProviderSettings } from './settings.ts';

/** The AI SDK's language model, and what `@browser-ai/core` has beside it. */
export interface OctavoLanguageModel extends LanguageModelV4 {
  /** Whether the model is there, or has to be downloaded first. */
  availability(): Promise<Availability>;
  /** Loads the model, so that the first call need not; `onProgress` hears shares from 0 to 1. */
  createSessionWithProgress(onProgress?: (progress: number) => void): Promise<OctavoLanguageModel>;
}

export function languageModel(given: ChatModel | ModelInput, settings: OctavoProviderSettings): OctavoLanguageModel {
  const source = new ModelSource<ChatModel>(given, 'createSession', settings.load);
  const defaults = settings.session ?? {};
  const made: OctavoLanguageModel = {
    specificationVersion: 'v4',
    provider: 'octavo',
    modelId: source.id,
    supportedUrls: {},
    doGenerate: async (options) => generate(await source.open(), defaults, options),
    doStream: async (options) => stream(await source.open(), defaults, options),
    availability: () => source.availability(),
    createSessionWithProgress: async (onProgress) => {
      await source.open(({ loaded, total }) => onProgress?.(total > 0 ? loaded / total : 0));
      onProgress?.(1);
      return made;
    },
  };
  return made;
}

/** Adds a part of a stream to the answer in one piece. */
function addTo(content: LanguageModelV4Content[], part: LanguageModelV4StreamPart): void {
  const last = content.at(-1);
  switch (part.type) {
    case 'text-start':
    case 'reasoning-start':
      content.push({ type: part.type === 'text-start' ? 'text' : 'reasoning', text: '' });
      break;
    case 'text-delta':
    case 'reasoning-delta':
      if (last?.type === 'text' || last?.type === 'reasoning') last.text += part.delta;
      break;
    case 'tool-call':
      content.push(part);
      break;
    default:
  }
}

async function generate(
  model: ChatModel,
  defaults: SessionDefaults,
  options: LanguageModelV4CallOptions,
): Promise<LanguageModelV4GenerateResult> {
  const content: LanguageModelV4Content[] = [];
  let warnings: LanguageModelV4GenerateResult['warnings'] = [];
  let finish: Extract<LanguageModelV4StreamPart, { type: 'finish' }> | undefined;
  for await (const part of answer(model, defaults, options)) {
    if (part.type === 'stream-start') ({ warnings } = part);
    else if (part.type === 'finish') finish = part;
    else addTo(content, part);
  }
  // The generator ends with it, or throws.
  if (finish === undefined) throw new Error('the answer ended without a report');
  const { finishReason, usage } = finish;
  return { content, finishReason, usage, warnings, response: { modelId: model.name } };
}

async function stream(
  model: ChatModel,
  defaults: SessionDefaults,
  options: LanguageModelV4CallOptions,
): Promise<LanguageModelV4StreamResult> {
  const cancelled = new AbortController();
  const link = linkedSignal(options.abortSignal, cancelled.signal);
  const parts = async function* (): AsyncGenerator<LanguageModelV4StreamPart, void> {
    try {
      yield* answer(model, defaults, { ...options, abortSignal: link.signal });
    } catch (error) {
      yield { type: 'error', error };
    } finally {
      link.unlink();
    }
  };
  const iterator = parts();
  return {
    stream: new ReadableStream<LanguageModelV4StreamPart>({
      pull: async (controller) => {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: async (reason) => {
        // A part may be waited for, until a long prompt is read.
        cancelled.abort(reason);
        await iterator.return();
      },
    }),
  };
}

/** The parts of an answer, from `stream-start` with the call's warnings to `finish`. Where the reader stops early the session ends. */
async function* answer(
  model: ChatModel,
  defaults: SessionDefaults,
  options: LanguageModelV4CallOptions,
): AsyncGenerator<LanguageModelV4StreamPart, void> {
  const call = readCall(options);
  const { session, fresh } = await open(model, defaults, call);
  let done = false;
  let text = '';
  try {
    yield { type: 'stream-start', warnings: call.warnings };
    yield { type: 'response-metadata', modelId: model.name };
    const answered = session.promptParts(call.last, call.options);
    const blocks = new Blocks();
    for await (const part of answered) {
      switch (part.type) {
        case 'text':
          text += part.text;
          yield* blocks.piece('text', part.text);
          break;
        case 'thinking':
          yield* blocks.piece('reasoning', part.text);
          break;
        case 'tool-call-start':
          yield* blocks.close();
          yield { type: 'tool-input-start', id: part.id, toolName: part.name };
          break;
        case 'tool-call-delta':
          yield { type: 'tool-input-delta', id: part.id, delta: part.delta };
          break;
        case 'tool-call':
          yield { type: 'tool-input-end', id: part.id };
          yield {
            type: 'tool-call',
            toolCallId: part.id,
            toolName: part.name,
            input: JSON.stringify(part.arguments),
          };
          break;
        // No tool has a function here.
        case 'tool-result':
          break;
        default:
          part satisfies never;
      }
    }
    yield* blocks.close();
    const report = await answered.finished;
    await keep(model, defaults, call, session, said(text, report));
    done = true;
    yield {
      type: 'finish',
      finishReason: finishReason(report),
      usage: usage(report, fresh),
    };
  } finally {
    if (!done) session.destroy();
  }
}

/** Text and thoughts in blocks of their own, each with a start and an end. */
class Blocks {
  #open: { readonly kind: 'text' | 'reasoning'; readonly id: string } | undefined;
  #next = 0;

  *piece(kind: 'text' | 'reasoning', delta: string): Generator<LanguageModelV4StreamPart> {
    if (this.#open?.kind !== kind) {
      yield* this.close();
      this.#open = { kind, id: String(this.#next++) };
      yield { type: `${kind}-start`, id: this.#open.id };
    }
    yield { type: `${kind}-delta`, id: this.#open.id, delta };
  }

  *close(): Generator<LanguageModelV4StreamPart> {
    if (this.#open !== undefined) yield { type: `${this.#open.kind}-end`, id: this.#open.id };
    this.#open = undefined;
  }
}

/** The answer as the SDK will send it with the next call. */
function said(text: string, { toolCalls = [] }: AnswerReport): Message {
  const calls = toolCalls.map(({ id, name, arguments: given }) => ({ id, name, arguments: given }));
  return { role: 'assistant', content: text, ...(calls.length === 0 ? {} : { toolCalls: calls }) };
}

function finishReason({ finishReason: reason }: AnswerReport): LanguageModelV4FinishReason {
  return { unified: reason === 'loop' ? 'other' : reason, raw: reason };
}

/** Token counts. A fresh session has read its history for this call, so none of it counts as cached. */
function usage({ tokens }: AnswerReport, fresh: boolean): LanguageModelV4Usage {
  const cached = fresh ? 0 : tokens.cached;
  return {
    inputTokens: { total: tokens.prompt, noCache: tokens.prompt - cached, cacheRead: cached, cacheWrite: undefined },
    outputTokens: { total: tokens.generated, text: tokens.generated, reasoning: undefined },
  };
}
