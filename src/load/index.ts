/** From whatever a caller has (file, bytes, URL, folder, Hugging Face name) to a `ModelFile`. */
import { FileError, InputError, StorageError } from '../errors.ts';
import { ModelStore } from '../store/model-store.ts';
import { BlobSource, BytesSource, type ByteSource } from './byte-source.ts';
import type { Quantization } from './convert.ts';
import { downloadToStore } from './download.ts';
import { isPlainName, type FileSet } from './file-set.ts';
import type { FileSystemReader } from './file-system.ts';
import { openGguf } from './gguf/file.ts';
import { DEFAULT_RETRY, displayName, HttpSource, type Network, type RetryPolicy } from './http.ts';
import type { HubFile } from './hub.ts';
import type { ModelFile, ReadOptions } from './model-file.ts';

/**
 * A URL (of a GGUF; of a Hugging Face folder if it ends with `/`), a path (Node), `hf:owner/repo[@revision][/file.gguf]`;
 * a file; its bytes; all files of a split model or of a Hugging Face folder, as a list of Files or by names.
 */
export type ModelInput =
  | string
  | URL
  | Blob
  | Uint8Array
  | readonly Blob[]
  | { readonly [name: string]: Blob | Uint8Array };

export interface OpenOptions extends ReadOptions {
  /** Quantises F32, F16 and BF16 matrices while they stream in: Q8_0, or Q4_0 with embeddings in Q8_0. */
  readonly quantize?: Quantization;
  /** Where downloads are kept; false: nowhere. By default this origin's store where there is IndexedDB. */
  readonly store?: ModelStore | false;
  /** Node's files, given by the platform. */
  readonly files?: FileSystemReader;
  readonly fetch?: typeof fetch;
  /** What the file should hash to, or each file by name; checked while downloading or reading. */
  readonly sha256?: string | Readonly<Record<string, string>>;
  /** Where `hf:` names are looked up. */
  readonly hub?: string;
  readonly retry?: RetryPolicy;
}

/** Reads the header (downloading first where there is a store). Throws `FileError`, `StorageError`, `InputError`; the taker closes it. */
export async function openModel(input: ModelInput, options: OpenOptions = {}): Promise<ModelFile> {
  options.signal?.throwIfAborted();
  if (input instanceof URL) return openAddress(input.href, options);
  if (typeof input === 'string') return openAddress(input, options);
  if (isBytes(input) || input instanceof Blob) {
    const name = nameOf(input) ?? 'model.gguf';
    return openGguf(memorySource(name, input, expected(options, name)), async () => undefined, options);
  }
  if (typeof input !== 'object' || input === null)
    throw new InputError(
      'argument',
      `the model is a ${typeof input}; give a URL, a File, bytes, a path or hf:owner/repository`,
    );
  return openSet(byName(input), options);
}

function openAddress(address: string, options: OpenOptions): Promise<ModelFile> {
  if (address.startsWith('hf:')) return openHub(address, options);
  // A letter and a colon is a Windows drive.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme === 'file' && options.files !== undefined)
    return openPath(options.files.fromUrl(new URL(address)), options.files, options);
  if (scheme === 'blob' || scheme === 'data') return openBlobUrl(address, options);
  if (scheme !== undefined) return openUrl(address, options);
  if (options.files !== undefined) return openPath(address, options.files, options);
  const base = (globalThis as { location?: { href?: string } }).location?.href;
  if (base === undefined || !URL.canParse(address, base))
    throw new InputError('argument', `${JSON.stringify(address)} is no URL, and paths cannot be read here`, {
      input: address,
    });
  return openUrl(new URL(address, base).href, options);
}

// Memory

function isBytes(input: unknown): input is Uint8Array {
  return (
    input instanceof Uint8Array ||
    (ArrayBuffer.isView(input) && Object.prototype.toString.call(input) === '[object Uint8Array]')
  );
}

function nameOf(data: Blob | Uint8Array): string | undefined {
  return 'name' in data && typeof data.name === 'string' && data.name !== '' ? data.name : undefined;
}

function memorySource(name: string, data: Blob | Uint8Array, sha256: string | undefined): ByteSource {
  return isBytes(data) ? new BytesSource(name, data, sha256) : new BlobSource(name, data, sha256);
}

function byName(input: readonly Blob[] | Readonly<Record<string, Blob | Uint8Array>>): Map<string, Blob | Uint8Array> {
  const entries = Array.isArray(input)
    ? (input as readonly Blob[]).map((file, i): [string, Blob] => [nameOf(file) ?? `file ${i}`, file])
    : Object.entries(input as Readonly<Record<string, Blob | Uint8Array>>);
  // Names from a directory picker may carry its path.
  return new Map(entries.map(([name, data]) => [name.replace(/^.*[/\\]/, ''), data]));
}

function openSet(files: ReadonlyMap<string, Blob | Uint8Array>, options: OpenOptions): Promise<ModelFile> {
  const open = async (name: string): Promise<ByteSource | undefined> => {
    const data = files.get(name);
    return data === undefined ? undefined : memorySource(name, data, expected(options, name));
  };
  const names = [...files.keys()].sort();
  const first =
    names.find((name) => /\.gguf$/i.test(name)) ??
    (names.length === 1 && !names.includes('config.json') ? names[0] : undefined);
  if (first === undefined || names.includes('config.json')) return openFolder({ name: 'folder', open }, options);
  return openGgufOf({ name: first, open }, first, options);
}

async function openGgufOf(files: FileSet, first: string, options: OpenOptions): Promise<ModelFile> {
  const source = await files.open(first);
  if (source === undefined)
    throw new FileError('missing', { file: `${files.name}/${first}`, field: 'file' }, 'there is no such file');
  return openGguf(source, (name) => files.open(name.replace(/^.*[/\\]/, '')), options);
}

// Paths

async function openPath(path: string, files: FileSystemReader, options: OpenOptions): Promise<ModelFile> {
  const found = await files.stat(path);
  const sha256 = expected(options, path);
  if (found?.directory !== true)
    return openGguf(
      await files.open(path, sha256),
      async (name) => ((await files.stat(name)) === undefined ? undefined : files.open(name, expected(options, name))),
      options,
    );
  const open = async (name: string): Promise<ByteSource | undefined> => {
    const at = files.join(path, name);
    return isPlainName(name) && (await files.stat(at)) !== undefined
      ? files.open(at, expected(options, name))
      : undefined;
  };
  return openFolder({ name: path, open }, options);
}

// Addresses

async function openBlobUrl(url: string, options: OpenOptions): Promise<ModelFile> {
  try {
    const blob = await (
      await networkOf(options).fetch(url, options.signal === undefined ? {} : { signal: options.signal })
    ).blob();
    return await openGguf(
      new BlobSource('model.gguf', blob, expected(options, 'model.gguf')),
      async () => undefined,
      options,
    );
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (cause instanceof FileError) throw cause;
    throw new StorageError(
      'network',
      `${url.slice(0, 80)}: it cannot be read; was it revoked?`,
      { url: url.slice(0, 80) },
      { cause },
    );
  }
}

function openUrl(url: string, options: OpenOptions): Promise<ModelFile> {
  const { pathname, search, href } = new URL(url);
  if (!pathname.endsWith('/')) {
    const sibling = (name: string): string => Object.assign(new URL(name), { search }).href;
    return openRemote(href, href, options, { sha256: expected(options, pathname) }).then((source) =>
      openGguf(
        source,
        (name) => optional(() => openRemote(sibling(name), href, options, { sha256: expected(options, name) })),
        options,
      ),
    );
  }
  return openFolder(
    { name: displayName(href).replace(/\/$/, ''), open: (name) => openPart(href, name, search, options) },
    options,
  );
}

/** A file of a folder on a plain server; that it is not there is noted, for a reload without network. */
async function openPart(
  folder: string,
  name: string,
  search: string,
  options: OpenOptions,
): Promise<ByteSource | undefined> {
  const store = storeOf(options);
  const absent = new Set(await store?.note<string[]>(folder).catch(() => undefined));
  if (absent.has(name)) return undefined;
  const url = Object.assign(new URL(encodeURIComponent(name), folder), { search }).href;
  const source = await optional(() => openRemote(url, folder, options, { sha256: expected(options, name) }));
  if (source === undefined) await store?.setNote(folder, [...absent, name]).catch(() => {});
  return source;
}

async function optional<T>(open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open();
  } catch (fault) {
    if (fault instanceof StorageError && (fault.facts['status'] === 404 || fault.facts['status'] === 410))
      return undefined;
    throw fault;
  }
}

/** Through the store where there is one, else straight. */
async function openRemote(
  url: string,
  model: string,
  options: OpenOptions,
  known: { readonly sha256?: string | undefined; readonly size?: number },
): Promise<ByteSource> {
  const { signal, monitor } = options;
  const network = networkOf(options);
  const store = storeOf(options);
  if (store !== undefined) {
    try {
      return await downloadToStore({
        url,
        model,
        network,
        store,
        ...known,
        ...(signal === undefined ? {} : { signal }),
        ...(monitor === undefined ? {} : { monitor }),
      });
    } catch (fault) {
      // Private windows and full disks can leave a browser without IndexedDB: the model loads all the same, unkept.
      if (!(fault instanceof StorageError) || fault.code !== 'unavailable') throw fault;
    }
  }
  return HttpSource.open(url, network, signal, known.sha256);
}

function networkOf(options: OpenOptions): Network {
  return { fetch: options.fetch ?? ((...request) => fetch(...request)), retry: options.retry ?? DEFAULT_RETRY };
}

function storeOf(options: OpenOptions): ModelStore | undefined {
  if (options.store === false) return undefined;
  return options.store ?? (ModelStore.supported ? new ModelStore() : undefined);
}

/** What the caller says a file should hash to. */
function expected({ sha256 }: OpenOptions, path: string): string | undefined {
  const hash = typeof sha256 === 'string' ? sha256 : sha256?.[path.replace(/^.*[/\\]/, '')];
  if (hash === undefined) return undefined;
  if (!/^[0-9a-f]{64}$/i.test(hash))
    throw new InputError('argument', `sha256: ${JSON.stringify(hash)} is not 64 hexadecimal digits`, { sha256: hash });
  return hash.toLowerCase();
}

// Hugging Face

/** Pages that name no repository do not download it. */
async function openHub(address: string, options: OpenOptions): Promise<ModelFile> {
  const { DEFAULT_HUB, HubFiles, listFiles, onlyGguf, parseHubName } = await import('./hub.ts');
  const hub = (options.hub ?? DEFAULT_HUB).replace(/\/+$/, '');
  const hubName = parseHubName(address);
  const { path } = hubName;
  const slash = path?.lastIndexOf('/') ?? -1;
  const folder = path === undefined || slash < 0 ? '' : path.slice(0, slash);
  const store = storeOf(options);
  const files = new HubFiles({
    name: address,
    hub,
    hubName,
    folder,
    fetchListing: () => listFiles(hub, hubName, folder, networkOf(options), options.signal),
    openUrl: (url, { path: file, size, sha256 }) =>
      openRemote(url, address, options, { size, sha256: expected(options, file) ?? sha256 }),
    notes: store && {
      get: () => store.note<readonly HubFile[]>(address).catch(() => undefined),
      set: (listing) => store.setNote(address, listing).catch(() => {}),
      has: async (url) => (await store.find(url).catch(() => undefined))?.complete === true,
    },
  });
  if (path !== undefined) return openGgufOf(files, path.slice(slash + 1), options);
  const names = await files.names();
  if (names.includes('config.json') && names.some((name) => name.endsWith('.safetensors')))
    return openFolder(files, options);
  return openGgufOf(files, onlyGguf(address, names), options);
}

/** Pages that load GGUF files do not download it. */
async function openFolder(files: FileSet, options: OpenOptions): Promise<ModelFile> {
  const { openFolder: open } = await import('./huggingface/folder.ts');
  return open(files, options);
}
