/** `Octavo`, the entry point of the SDK. */
import type { DocumentSource } from '../document/options.ts';
import { DeviceError } from '../errors.ts';
import { bundledModel } from '../load/bundled.ts';
import type { ModelInput } from '../load/index.ts';
import type { LoadProgress } from '../load/model-file.ts';
import type { ModelStore, SessionStore, StoredFile } from '../store/index.ts';
import type { FallbackOptions, ServerOptions } from '../remote/index.ts';
import type { LoadSettings, ModelInfo, ModelReport } from '../worker/api.ts';
import { Caller } from '../worker/caller.ts';
import type { Endpoint } from '../worker/protocol.ts';
import { misfit } from './check.ts';
import { OctavoModel } from './model.ts';
import type { LibraryOptions, OctavoLibrary } from './library.ts';
import type { OctavoDocument, OpenDocumentOptions } from './document.ts';
import type { Documents } from './documents.ts';
import { DownloadMonitor, type MonitorCallback } from './monitor.ts';
import type * as ConnectingModule from './connecting.ts';
import type * as InspectingModule from './inspecting.ts';
import type { InspectOptions } from './inspecting.ts';
import { AVAILABILITY, LOAD } from './options.ts';
import type { ReadPicture } from './pictures.ts';
import { projectorFor } from './projector.ts';
import type { ExpectedContent } from './session.ts';
import { askToPersist, savedSessions, type SavedSessions } from './sessions.ts';

/**
 * Whether a model can be loaded: `unavailable` (never here), `downloadable` (after a download), `downloading` (a
 * load is under way), `available` (its file is kept on the device).
 */
export type Availability = 'unavailable' | 'downloadable' | 'downloading' | 'available';

/** Options of `Octavo.load`: the device, the source of the files, and who hears of the progress. */
export interface LoadOptions extends LoadSettings {
  /** Ends the load, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * As in the Prompt API: called with an EventTarget that receives `downloadprogress` events, whose `loaded` goes from
   * 0 to 1.
   */
  readonly monitor?: MonitorCallback | undefined;
  /**
   * Makes the requests for the model's files in place of the global `fetch`, in the page. It is called once for each
   * range and must honour `Range` and the signal.
   */
  readonly fetch?: typeof fetch | undefined;
  /** Called with phase, bytes and rate. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** A server that runs a model instead where this device cannot, if the app consents; `model.device` says so. Default: none. */
  readonly fallback?: FallbackOptions | undefined;
}

/** Options of `Octavo.connect`: the server, and a signal. */
export interface ConnectOptions extends ServerOptions {
  /** Ends the attempt, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a page expects of a model, as in the Prompt API. */
export interface AvailabilityOptions {
  /** Kinds of input; with `audio`, no model is available. */
  readonly expectedInputs?: readonly ExpectedContent[] | undefined;
  /** Kinds of output; with anything but `text`, no model is available. */
  readonly expectedOutputs?: readonly ExpectedContent[] | undefined;
}

/** What the face does with stored models; `Store` may be able to do more. */
type KeptModels = Pick<ModelStore, 'list' | 'remove' | 'has'>;

/** The platform functions that the face needs. */
export interface FacePlatform<Store extends KeptModels = KeptModels> {
  /** Starts an engine, off this thread where possible. */
  startEngine(): Promise<Endpoint>;
  /** Converts an input so that it can be sent to the engine; the name of a bundled model becomes its location. */
  input(input: ModelInput): Promise<ModelInput>;
  /** Decodes a picture; in Node with the files and decoders that are available. */
  readonly readPicture: ReadPicture;
  /** Whether WASM or WebGPU is available at all. */
  readonly capable: boolean;
  /** Where downloads are kept; undefined where nothing can be kept. */
  store(): Promise<Store | undefined>;
  /** Where sessions are saved; undefined where nothing can be kept. */
  sessions(): Promise<Pick<SessionStore, 'list' | 'remove' | 'usage'> | undefined>;
  /** What opens documents; undefined in scopes that fetch no code, such as service workers. */
  documents?(): Promise<Documents>;
}

/** `Octavo.store`: the files of models that were downloaded, complete and partial. */
export interface StoredFiles {
  /** All of them; none where nothing can be kept. */
  list(): Promise<StoredFile[]>;
  /** Removes every file with this key, URL or model name, and resolves with their number. */
  remove(target: string): Promise<number>;
}

/** `Octavo`: loads models, opens documents and libraries, and lists what is kept on the device. */
export interface OctavoFace {
  /**
   * Whether a model could be loaded, and whether that needs a download. Of a file that is not stored here its header is
   * requested, and nothing else: a model that is not supported, needs more memory than there is, or does not see where
   * images are expected, is unavailable. So is every model with sound as input, or any output but text. An address that
   * does not answer now counts as downloadable.
   */
  availability(input: ModelInput, options?: AvailabilityOptions): Promise<Availability>;
  /**
   * What a file's header tells of a model: architecture, window, capabilities, memory, and whether it runs here or why
   * not. Nothing but the header is requested. Throws as `load` for what cannot be read; a model that does not run is
   * reported.
   */
  inspect(input: ModelInput, options?: InspectOptions): Promise<ModelReport>;
  /**
   * Loads a model: 'nano' or 'nano-text' (bundled), a URL, 'hf:owner/repo/file.gguf', a File, bytes, or in Node a path; or a list of a
   * model and its mmproj. The caller frees it by `destroy`. Downloads are verified, kept and resumed. Throws `FileError` for
   * a file that cannot be read, `ModelError` for one that this version cannot run, `StorageError` for the network and the
   * storage, `DeviceError` where no device can hold it, and the signal's reason on abort.
   */
  load(input: ModelInput, options?: LoadOptions): Promise<OctavoModel>;
  /**
   * Opens a PDF, a text, Markdown, HTML, a .docx, a CSV or, with `ocr`, a picture: for its text, its outline, and to find passages. No model is needed.
   * Throws `FileError` for what cannot be read; `FileError('password')` for an encrypted PDF without the right `password`.
   */
  openDocument(source: DocumentSource, options?: OpenDocumentOptions): Promise<OctavoDocument>;
  /**
   * A model on a server of OpenAI's shape (vLLM, llama.cpp's, Ollama, `octavo serve`), with the same sessions: what is said goes to that server. What only
   * a device can do (saved sessions, painting, scores, tokens) is refused.
   */
  connect(options: ConnectOptions): Promise<OctavoModel>;
  /**
   * Many documents that are kept on the device: read in the background by one tab, searched and asked together. Throws `StorageError('unavailable')` where nothing
   * can be kept.
   */
  openLibrary(name: string, options?: LibraryOptions): Promise<OctavoLibrary>;
  /** Models kept from earlier downloads. */
  readonly store: StoredFiles;
  /** Sessions that were saved, and prompts that were kept. */
  readonly sessions: SavedSessions;
}

/** Opens a port on which `own` answers the engine's requests as long as there is an engine. Apps that give no `fetch` do not download this code. */
async function lend(own: typeof fetch, caller: Caller): Promise<MessagePort> {
  const { lendFetch } = await import('../worker/lent-fetch.ts');
  const { port1, port2 } = new MessageChannel();
  caller.atEnd(lendFetch(own, port1));
  return port2;
}

const DOWNLOADED = /^(https?|hf):/;

function addressesOf(place: ModelInput): readonly string[] {
  return [place].flat().filter((one) => typeof one === 'string');
}

/** Loads in progress, by what is loaded. `availability` returns 'downloading' for them. */
const loading = new Map<string, number>();

const inspecting = (): Promise<typeof InspectingModule> => import('./inspecting.ts');

function isBytes(place: ModelInput): boolean {
  return ArrayBuffer.isView(place) || place instanceof ArrayBuffer;
}

const connecting = (): Promise<typeof ConnectingModule> => import('./connecting.ts');

/** What a loaded or connected model is for the page. */
export type MakeModel = (caller: Caller, info: ModelInfo) => OctavoModel;

/** A model on this device. */
async function loadHere(
  platform: FacePlatform,
  made: MakeModel,
  input: ModelInput,
  options: Omit<LoadOptions, 'fallback'>,
): Promise<OctavoModel> {
  const { signal, monitor, onProgress, fetch: own, mmproj, ...settings } = options;
  signal?.throwIfAborted();
  const place = await platform.input(input);
  const projector = await projectorFor(platform, mmproj);
  signal?.throwIfAborted();
  const [name = ''] = addressesOf(place);
  // Only pages may request persistent storage, and the download happens in a worker.
  if (DOWNLOADED.test(name)) void askToPersist(true);
  const download = monitor === undefined ? undefined : new DownloadMonitor(monitor);
  const caller = new Caller(await platform.startEngine());
  loading.set(name, (loading.get(name) ?? 0) + 1);
  try {
    const port = own && (await lend(own, caller));
    const onEvent = (progress: LoadProgress): unknown => {
      download?.report(progress);
      return onProgress?.(progress);
    };
    const info = await caller.call(
      'load',
      { input: place, settings: { ...settings, mmproj: projector }, fetch: port },
      {
        signal,
        onEvent,
        transfer: port === undefined ? [] : [port],
      },
    );
    download?.done();
    // Where the package lies is no name.
    const bundled = bundledModel(input);
    return made(caller, bundled === undefined ? info : { ...info, name: bundled.name });
  } catch (error) {
    caller.close();
    throw error;
  } finally {
    const others = (loading.get(name) ?? 1) - 1;
    if (others === 0) loading.delete(name);
    else loading.set(name, others);
  }
}

async function opener({ documents }: FacePlatform): Promise<Documents> {
  if (documents === undefined)
    throw new DeviceError(
      'unavailable',
      'octavo/in-scope fetches no code, so it opens no documents; open them in the page, in a worker of it or in Node, with Octavo of `octavo`',
    );
  return documents();
}

export function createFace(platform: FacePlatform): OctavoFace {
  const made: MakeModel = (caller, info) => new OctavoModel(caller, info, platform.readPicture, face.openDocument);
  const face: OctavoFace = {
    async availability(input, options = {}) {
      const problem = misfit('availability', options, AVAILABILITY);
      if (problem !== undefined) return problem;
      const { expectedInputs = [], expectedOutputs = [] } = options;
      const possible =
        expectedInputs.every(({ type }) => type === 'text' || type === 'image') &&
        expectedOutputs.every(({ type }) => type === 'text');
      if (!platform.capable || !possible) return 'unavailable';
      const place = await platform.input(input);
      const places = addressesOf(place).filter((one) => DOWNLOADED.test(one));
      if (places.some((one) => loading.has(one))) return 'downloading';
      const store = await platform.store();
      const stored = await Promise.all(places.map(async (one) => store?.has(one) ?? false));
      const found = stored.includes(false) ? 'downloadable' : 'available';
      const sees = expectedInputs.some(({ type }) => type === 'image');
      // Bundled models run everywhere; what is stored was loaded here; bytes would have to be copied.
      const bundled = bundledModel(input);
      const known = found === 'available' && (places.length > 0 || isBytes(place)) && !sees;
      if (bundled !== undefined) return sees && !bundled.sees ? 'unavailable' : found;
      return known || (await (await inspecting()).runsHere(platform, place, sees)) ? found : 'unavailable';
    },

    inspect: async (input, options = {}) => (await inspecting()).inspect(platform, input, options),

    async load(input, options = {}) {
      const problem = misfit('load', options, LOAD);
      if (problem !== undefined) return problem;
      const { fallback, ...here } = options;
      const load = (): Promise<OctavoModel> => loadHere(platform, made, input, here);
      return fallback === undefined ? load() : (await connecting()).orConnect(made, fallback, here.signal, load);
    },

    openDocument: async (source, options = {}) => (await opener(platform)).openDocument(source, options),
    openLibrary: async (name, options = {}) => (await opener(platform)).openLibrary(name, options),

    connect: async (options) => (await connecting()).connect(made, options),

    store: {
      list: async () => (await (await platform.store())?.list()) ?? [],
      remove: async (target) => (await (await platform.store())?.remove(target)) ?? 0,
    },
    sessions: savedSessions(() => platform.sessions()),
  };
  return face;
}
