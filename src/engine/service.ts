/** The engine behind an endpoint: what the page may call. One model a service; sessions are told apart by number. */
import { contentKey } from '../select/settings.ts';
import { InputError, StorageError } from '../errors.ts';
import type { PromptInput } from '../chat/messages.ts';
import type { Score, ScoreSettings } from '../generate/score.ts';
import type { AnswerReport, CompletionSettings, PromptSettings, SessionSettings } from '../generate/options.ts';
import type { ModelInput } from '../load/index.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { MemoryUse } from '../backend/backend.ts';
import type { Picture } from '../paint/index.ts';
import type { Platform } from '../platform/platform.ts';
import { Session } from '../session.ts';
import type { Rgba } from '../vision/image.ts';
import { packError, type Endpoint } from '../worker/protocol.ts';
import { respond, type CallContext, type Handler } from '../worker/responder.ts';
import type { DeviceInfo, DeviceRequest } from './device.ts';
import type { LoadSettings } from './loaded.ts';
import { EngineModel, type Capabilities, type OpenDevice } from './model.ts';
import type { Library, Saved } from '../saved/library.ts';
import type { EditSettings, PaintSettings } from './painting.ts';

/** What the page keeps of a model. */
export interface ModelFacts {
  readonly name: string;
  readonly fingerprint: string;
  readonly bytes: number;
  readonly device: DeviceInfo;
  readonly contextWindow: number;
  readonly architecture: string;
  readonly parameters: number;
  readonly vocabulary: number;
  readonly capabilities: Capabilities;
}

export interface SessionFacts {
  readonly session: number;
  readonly usage: number;
  readonly window: number;
}

export interface AnswerFacts extends AnswerReport {
  readonly usage: number;
}

export interface MemoryFacts extends MemoryUse {
  /** KV pages in use by sessions. */
  readonly pages: number;
  /** Bytes of all KV pages in use, those that are remembered for sessions to come among them. */
  readonly pageBytes: number;
  /** Bytes of pages that are not on the device now: in host memory, and on the disk. */
  readonly parked: { readonly host: number; readonly disk: number };
}

/** What a prompt sends on the way. */
export type PromptEvent =
  | { readonly kind: 'overflow' }
  | { readonly kind: 'prefill'; readonly done: number; readonly total: number };

/** Prefill progress is sent at most this often, in milliseconds. */
const PROGRESS_INTERVAL = 50;

export function serveEngine(endpoint: Endpoint, platform: Platform, open?: OpenDevice): void {
  let model: EngineModel | undefined;
  const sessions = new Map<number, Session>();
  let next = 1;

  const loaded = (): EngineModel => {
    if (model === undefined)
      throw new InputError('destroyed', 'the model was destroyed, or is not loaded yet; load it again');
    return model;
  };
  const library = async (): Promise<Library> => {
    const found = await loaded().library();
    if (found === undefined)
      throw new StorageError(
        'unavailable',
        'sessions cannot be saved here: there is no IndexedDB (a private window, or a page without an origin)',
      );
    return found;
  };
  const session = (id: number): Session => {
    const found = sessions.get(id);
    if (found === undefined) throw new InputError('destroyed', 'the session was destroyed; create another one');
    return found;
  };
  const add = (made: Session): SessionFacts => {
    sessions.set(next, made);
    return { session: next++, usage: made.usage, window: made.window };
  };
  const facts = (from: EngineModel): ModelFacts => ({
    name: from.name,
    fingerprint: from.fingerprint,
    bytes: from.bytes,
    device: from.device,
    contextWindow: from.window,
    architecture: from.config.architecture,
    parameters: from.parameters,
    vocabulary: from.config.vocabulary,
    capabilities: from.capabilities,
  });
  const listener = (context: CallContext) => ({
    signal: context.signal,
    onText: (text: string) => context.item(text),
    onOverflow: () => context.event({ kind: 'overflow' } satisfies PromptEvent),
    onPrefill: throttle((done, total) => context.event({ kind: 'prefill', done, total } satisfies PromptEvent)),
  });

  const loadListener = (context: CallContext) => ({
    signal: context.signal,
    monitor: (progress: LoadProgress) => context.event(progress),
  });

  const handlers = {
    load: async (
      { input, settings }: { input: ModelInput; settings: LoadSettings },
      context: CallContext,
    ): Promise<ModelFacts> => {
      model = await EngineModel.load(platform, input, settings, loadListener(context), open);
      return facts(model);
    },
    recover: async ({ request }: { request: DeviceRequest }, context: CallContext): Promise<ModelFacts> => {
      await loaded().recover(request, loadListener(context));
      return facts(loaded());
    },
    /** Sends an event for every lost device, and lasts as long as the model. */
    watch: (_: unknown, context: CallContext): Promise<void> => {
      loaded().onLost = (error) => context.event(packError(error));
      return new Promise((resolve) => context.signal.addEventListener('abort', () => resolve()));
    },
    memory: (): MemoryFacts => ({
      ...loaded().memory(),
      pages: loaded().pagesUsed,
      pageBytes: loaded().pageBytes,
      parked: { host: loaded().tiers.use.host, disk: loaded().tiers.use.disk },
    }),
    free: async (): Promise<void> => {
      // What is under way ends, this call included, whose signal nobody asks.
      cancelAll();
      await Promise.all([...sessions.values()].map((each) => each.destroy()));
      sessions.clear();
      await model?.settled();
      await model?.gate.alone(undefined, async () => model?.free());
      model = undefined;
    },
    encode: ({ text, special }: { text: string; special: boolean }): Int32Array =>
      loaded().tokenizer.encode(text, { special }),
    decode: ({ ids, special }: { ids: Int32Array; special: boolean }): string =>
      loaded().tokenizer.decode(ids, { special }),

    createSession: async ({ settings }: { settings: SessionSettings }, context: CallContext): Promise<SessionFacts> => {
      const made = new Session(loaded(), settings);
      try {
        await made.start(listener(context));
      } catch (error) {
        void made.destroy();
        throw error;
      }
      return add(made);
    },
    /** Resolves when all of it is on the disk; the session goes on meanwhile. */
    saveSession: async (
      { session: id, name, evict }: { session: number; name: string; evict: boolean },
      { signal }: CallContext,
    ): Promise<Saved> => {
      // Asked for at once: what is said while the store's code comes is not of this save.
      const snapshot = session(id).snapshot(signal);
      const [keeper, { state, sequence }] = await Promise.all([library(), snapshot]).catch(async (error: unknown) => {
        (await snapshot.catch(() => undefined))?.sequence?.free();
        throw error;
      });
      return keeper.save(name, state, sequence, contentKey(state.settings.context ?? {}), { evict, signal });
    },
    resumeSession: async ({ name }: { name: string }, { signal }: CallContext): Promise<SessionFacts> => {
      const { state, fill } = await (await library()).open(name, signal);
      return add(await Session.restored(loaded(), state, (sequence) => fill(sequence, signal), signal));
    },
    cloneSession: async ({ session: id }: { session: number }, { signal }: CallContext): Promise<SessionFacts> =>
      add(await session(id).clone(signal)),
    destroySession: async ({ session: id }: { session: number }): Promise<void> => {
      const ended = sessions.get(id);
      sessions.delete(id);
      await ended?.destroy();
    },
    prompt: async (
      call: { session: number; input: PromptInput; settings: PromptSettings },
      context: CallContext,
    ): Promise<AnswerFacts> => {
      const asked = session(call.session);
      const { text: _text, ...report } = await asked.prompt(call.input, call.settings, listener(context));
      return { ...report, usage: asked.usage };
    },
    append: async (call: { session: number; input: PromptInput }, context: CallContext): Promise<number> => {
      const asked = session(call.session);
      await asked.append(call.input, listener(context));
      return asked.usage;
    },
    measure: (call: { session: number; input: PromptInput }, { signal }: CallContext): Promise<number> =>
      session(call.session).measure(call.input, signal),
    /** Raw continuation, in a session of its own. */
    complete: async (
      call: { input: string | Int32Array; settings: CompletionSettings },
      context: CallContext,
    ): Promise<AnswerFacts> => {
      const once = new Session(loaded());
      try {
        const { text: _text, ...report } = await once.complete(call.input, call.settings, listener(context));
        return { ...report, usage: once.usage };
      } finally {
        await once.destroy();
      }
    },
    score: async (
      call: { input: string | Int32Array; settings: ScoreSettings },
      context: CallContext,
    ): Promise<Score> => {
      // Pages that score nothing do not download it.
      const { score } = await import('../generate/score.ts');
      const { signal } = context;
      const onProgress = throttle((done, total) => context.event({ done, total }));
      const found = await score(loaded(), call.input, call.settings, { signal, onProgress });
      context.transfer(found.ids.buffer, found.logProbs.buffer);
      return found;
    },
    /** Painted pixels, as many pictures as were asked for; `preview`: what is to be seen so far goes to the page whenever it has room. */
    paint: async (
      call: { settings: PaintSettings | EditSettings; preview: boolean },
      context: CallContext,
    ): Promise<readonly Picture[]> => {
      const onPreview = (rgba: Uint8ClampedArray, size: number): void => {
        const data = new Uint8ClampedArray(rgba);
        context.latest({ data, width: size, height: size } satisfies Rgba, [data.buffer]);
      };
      const painted = await loaded().paint(call.settings, {
        signal: context.signal,
        onProgress: (progress) => context.event(progress),
        ...(call.preview ? { onPreview } : {}),
      });
      context.transfer(...painted.map(({ data }) => data.buffer));
      return painted;
    },
  } satisfies Record<string, Handler>;
  const cancelAll = respond(endpoint, handlers);
}

function throttle(send: (done: number, total: number) => void): (done: number, total: number) => void {
  let last = 0;
  return (done, total) => {
    const now = performance.now();
    if (done < total && now - last < PROGRESS_INTERVAL) return;
    last = now;
    send(done, total);
  };
}
