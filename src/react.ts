/**
 * `octavo/react`: hooks that load a model, hold a conversation and paint, with their progress and their end. What a hook made is freed when its component
 * unmounts or its input changes; calls that are under way then end silently.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import { Octavo } from 'octavo';
import type {
  EditOptions,
  LoadOptions,
  LoadProgress,
  ModelInput,
  OctavoModel,
  OctavoSession,
  PaintedPicture,
  PaintOptions,
  PaintProgress,
  PromptInput,
  PromptOptions,
  Rgba,
  SessionOptions,
} from './public.ts';

/** A value that a hook makes and frees: undefined until it is there. */
interface Made<T> {
  readonly value: T | undefined;
  readonly error: Error | undefined;
}

const NOTHING = { value: undefined, error: undefined } as const;

function errorOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Makes a value while `key` is defined, anew where `key` changes; `free` gets what is not needed any more. */
function useMade<Key, T>(
  key: Key | undefined,
  make: (key: Key, signal: AbortSignal) => Promise<T>,
  free: (value: T) => unknown,
): Made<T> {
  const [made, setMade] = useState<Made<T>>(NOTHING);
  const how = useRef({ make, free });
  how.current = { make, free };
  useEffect(() => {
    if (key === undefined) return undefined;
    const ended = new AbortController();
    const making = how.current.make(key, ended.signal);
    making.then(
      (value) => ended.signal.aborted || setMade({ value, error: undefined }),
      (error: unknown) => ended.signal.aborted || setMade({ value: undefined, error: errorOf(error) }),
    );
    return () => {
      ended.abort();
      setMade(NOTHING);
      making.then(how.current.free, () => undefined);
    };
  }, [key]);
  return made;
}

/** What `useModel` knows of a model. */
export interface ModelState {
  /** Undefined until it is loaded. */
  readonly model: OctavoModel | undefined;
  /** `idle`: no input was given. */
  readonly status: 'idle' | 'loading' | 'ready' | 'failed';
  /** The last news of the load. */
  readonly progress: LoadProgress | undefined;
  /** Why it could not be loaded. */
  readonly error: Error | undefined;
}

/**
 * Loads a model, and another one where `input` changes; `undefined` loads none. An input that is not a string must be the same object in every
 * render. `options` count when the load begins.
 */
export function useModel(
  input: ModelInput | undefined,
  options: Omit<LoadOptions, 'signal' | 'onProgress'> = {},
): ModelState {
  const [progress, setProgress] = useState<LoadProgress>();
  const { value: model, error } = useMade(
    input,
    (from, signal) => {
      setProgress(undefined);
      return Octavo.load(from, { ...options, signal, onProgress: (news) => signal.aborted || setProgress(news) });
    },
    (loaded) => loaded.destroy(),
  );
  const status =
    input === undefined ? 'idle' : error !== undefined ? 'failed' : model === undefined ? 'loading' : 'ready';
  return { model, status, progress, error };
}

/** One exchange of a conversation; `text` grows while the answer comes. */
export interface Exchange {
  /** What was asked. */
  readonly input: PromptInput;
  /** The answer, or its beginning. */
  readonly text: string;
}

/** What `useSession` knows of a conversation. */
export interface SessionState {
  /** Undefined until the initial prompts are read. */
  readonly session: OctavoSession | undefined;
  /** All exchanges, the newest last. */
  readonly exchanges: readonly Exchange[];
  /** Whether an answer is coming. */
  readonly busy: boolean;
  /** Of the session, or of the last answer. */
  readonly error: Error | undefined;
  /** Asks, and resolves with the answer; undefined where it failed or was stopped. */
  readonly send: (input: PromptInput, options?: Omit<PromptOptions, 'signal'>) => Promise<string | undefined>;
  /** Ends the answer that is coming. */
  readonly stop: () => void;
}

/** One call at a time that can be stopped, and ends with its component or where the model changes. */
function useCall(model: OctavoModel | undefined): {
  readonly busy: boolean;
  readonly error: Error | undefined;
  readonly run: <T>(call: (signal: AbortSignal) => Promise<T>) => Promise<T | undefined>;
  readonly stop: () => void;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const current = useRef<AbortController>(undefined);
  const stop = useCallback(() => current.current?.abort(), []);
  useEffect(() => stop, [model, stop]);
  const run = useCallback(async <T>(call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> => {
    current.current?.abort();
    const own = new AbortController();
    current.current = own;
    setBusy(true);
    setError(undefined);
    try {
      return await call(own.signal);
    } catch (reason) {
      if (!own.signal.aborted) setError(errorOf(reason));
      return undefined;
    } finally {
      if (current.current === own) setBusy(false);
    }
  }, []);
  return { busy, error, run, stop };
}

/** A conversation on `model`, and another one where the model changes. `options` count when it begins. A new question ends the answer that is coming. */
export function useSession(model: OctavoModel | undefined, options: Omit<SessionOptions, 'signal'> = {}): SessionState {
  const [exchanges, setExchanges] = useState<readonly Exchange[]>([]);
  const { value: session, error } = useMade(
    model,
    (on, signal) => {
      setExchanges([]);
      return on.createSession({ ...options, signal });
    },
    (made) => made.destroy(),
  );
  const { busy, error: failure, run, stop } = useCall(model);
  const send = useCallback(
    (input: PromptInput, asked: Omit<PromptOptions, 'signal'> = {}) =>
      run(async (signal) => {
        if (session === undefined) throw new Error('the session is not there yet; wait until `session` is defined');
        let text = '';
        setExchanges((before) => [...before, { input, text }]);
        for await (const piece of session.promptStreaming(input, { ...asked, signal })) {
          text += piece;
          if (!signal.aborted) setExchanges((before) => [...before.slice(0, -1), { input, text }]);
        }
        return text;
      }),
    [session, run],
  );
  return { session, exchanges, busy, error: error ?? failure, send, stop };
}

/** Options of a painting without those that `usePaint` sets itself. */
export type BrushOptions<Options> = Omit<Options, 'signal' | 'onProgress' | 'onPreview'>;

/** What `usePaint` knows of the last call. */
export interface PaintState {
  /** Of the last call; empty while it runs. */
  readonly pictures: readonly PaintedPicture[];
  /** The unfinished picture. */
  readonly preview: Rgba | undefined;
  /** How far it has come. */
  readonly progress: PaintProgress | undefined;
  /** Whether it is under way. */
  readonly busy: boolean;
  /** Why it failed. */
  readonly error: Error | undefined;
  /** Paints, and resolves with the pictures; undefined where it failed or was stopped. */
  readonly paint: (options: BrushOptions<PaintOptions>) => Promise<readonly PaintedPicture[] | undefined>;
  /** Edits, and resolves with the pictures; undefined where it failed or was stopped. */
  readonly edit: (options: BrushOptions<EditOptions>) => Promise<readonly PaintedPicture[] | undefined>;
  /** Ends the call that is under way. */
  readonly stop: () => void;
}

/** Paints and edits with `model`; a new call ends the one that is under way. `previews: false` saves their decoding. */
export function usePaint(
  model: OctavoModel | undefined,
  { previews = true }: { readonly previews?: boolean } = {},
): PaintState {
  const [pictures, setPictures] = useState<readonly PaintedPicture[]>([]);
  const [preview, setPreview] = useState<Rgba>();
  const [progress, setProgress] = useState<PaintProgress>();
  const { busy, error, run, stop } = useCall(model);
  const make = useCallback(
    (options: BrushOptions<PaintOptions> | BrushOptions<EditOptions>) =>
      run(async (signal) => {
        if (model === undefined) throw new Error('the model is not there yet; wait until `model` is defined');
        setPictures([]);
        setPreview(undefined);
        const hooks = {
          signal,
          onProgress: (news: PaintProgress) => signal.aborted || setProgress(news),
          ...(previews && { onPreview: (picture: Rgba) => signal.aborted || setPreview(picture) }),
        };
        const count = options.count ?? 1;
        const made = await ('instruction' in options
          ? model.edit({ ...options, ...hooks, count })
          : model.paint({ ...options, ...hooks, count }));
        if (!signal.aborted) setPictures(made);
        return made;
      }),
    [model, previews, run],
  );
  return { pictures, preview, progress, busy, error, paint: make, edit: make, stop };
}
