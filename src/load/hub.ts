/** Repositories on huggingface.co (or a mirror): `hf:owner/repo[@revision][/path]`, with sizes and SHA-256 from the tree listing. */
import { FileError, InputError, StorageError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import type { FileSet } from './file-set.ts';
import { expectationOf } from './expectation.ts';
import { checkUrl, stalling, withOwnSignal, type Network } from './http.ts';
import { isProjector, openFolder, openGgufOf } from './index.ts';
import { isObject } from './json.ts';
import type { JsonValue, ModelFile } from './model-file.ts';
import { memberHash, type OpenOptions } from './options.ts';
import { healing, networkOf, openRemote, storeOf } from './remote.ts';
import { Break, withRetries } from './retry.ts';

export const DEFAULT_HUB = 'https://huggingface.co';
/** Listings have pages of up to 1,000 files. */
const MAX_PAGES = 20;
const MAX_PAGE_BYTES = 8 << 20;
/**
 * A revision with slashes (a branch `feature/x`) is written with %2F; the names of the hub itself (`refs/pr/1`) are
 * also accepted unescaped.
 */
const NAME = /^hf:([\w.-]+)\/([\w.-]+)(?:@(refs\/[\w.-]+\/[^/@]+|[^/@]+))?(?:\/(.+))?$/;

export interface HubName {
  readonly repository: string;
  readonly revision: string;
  /** A file, or undefined for the repository. */
  readonly path: string | undefined;
}

export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** The SHA-256 of files in LFS, which include all weights. */
  readonly sha256?: string;
}

export function parseHubName(input: string): HubName {
  const [, owner = '', repository = '', written = 'main', path] = NAME.exec(input) ?? [];
  const revision = decoded(written);
  const parts = [owner, repository, ...revision.split('/'), ...(path?.split('/') ?? [])];
  if (owner === '' || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new InputError(
      'argument',
      `${JSON.stringify(input)} should be like hf:owner/repository or hf:owner/repository/file.gguf (with @revision after the repository for a revision other than main)`,
      { input },
    );
  }
  return { repository: `${owner}/${repository}`, revision, path };
}

function decoded(revision: string): string {
  try {
    return decodeURIComponent(revision);
  } catch {
    return revision;
  }
}

function fileUrl(hub: string, { repository, revision }: HubName, path: string): string {
  return `${hub}/${repository}/resolve/${encodeURIComponent(revision)}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** The files of one folder of the repository, and of the folders in it. Throws `StorageError('network')`. */
export async function listFiles(
  hub: string,
  name: HubName,
  folder: string,
  network: Network,
  signal?: AbortSignal,
): Promise<HubFile[]> {
  const files: HubFile[] = [];
  const path = folder === '' ? '' : `/${folder.split('/').map(encodeURIComponent).join('/')}`;
  let url: string | undefined =
    `${hub}/api/models/${name.repository}/tree/${encodeURIComponent(name.revision)}${path}?recursive=true`;
  for (let page = 0; url !== undefined && page < MAX_PAGES; page++) {
    const at: string = url;
    const { text, next } = await withRetries(
      at,
      network.retry,
      signal,
      () => 0,
      () => fetchText(at, network, signal),
    );
    let entries: JsonValue;
    try {
      entries = JSON.parse(text);
    } catch (cause) {
      throw new StorageError('network', `${at}: the answer is not JSON`, { url: at }, { cause });
    }
    if (!Array.isArray(entries))
      throw new StorageError('network', `${at}: the answer should be a list of files`, { url: at });
    for (const entry of entries as readonly JsonValue[]) {
      if (!isObject(entry) || entry['type'] !== 'file') continue;
      const { path: file, size, lfs } = entry;
      if (typeof file !== 'string' || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) continue;
      const oid = isObject(lfs) ? lfs['oid'] : undefined;
      files.push({
        path: file,
        size,
        ...(typeof oid === 'string' && /^[0-9a-f]{64}$/.test(oid) ? { sha256: oid } : {}),
      });
    }
    url = next;
  }
  return files;
}

/** A response, with its text where it succeeds. */
async function answerOf(
  url: string,
  { fetch: get, headers, credentials, retry }: Network,
  signal: AbortSignal,
): Promise<[Response, string]> {
  const asked = get(url, {
    ...(headers === undefined ? {} : { headers }),
    ...(credentials === undefined ? {} : { credentials }),
    signal,
  });
  const response = await stalling(asked, retry.stall);
  const reader = response.ok ? response.body?.getReader() : undefined;
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; reader !== undefined;) {
    const { done, value } = await stalling(reader.read(), retry.stall);
    if (done) break;
    bytes += value.length;
    if (bytes > MAX_PAGE_BYTES)
      throw new StorageError('network', `${url}: the answer has more than ${MAX_PAGE_BYTES} bytes`, { url });
    text += decoder.decode(value, { stream: true });
  }
  return [response, text];
}

async function fetchText(
  url: string,
  network: Network,
  signal: AbortSignal | undefined,
): Promise<{ text: string; next: string | undefined }> {
  checkUrl(url);
  let response: Response;
  let text: string;
  try {
    [response, text] = await withOwnSignal(signal, (own) => answerOf(url, network, own));
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof StorageError || cause instanceof Break) throw cause;
    throw new Break('the connection failed', cause);
  }
  const { status } = response;
  if (status === 429 || status >= 500) throw new Break(`the server answers ${status}`);
  if (!response.ok) {
    const remedy =
      status === 401 || status === 403 || status === 404
        ? "there is no such repository or revision, or it is private or gated; for a private one give headers: { Authorization: 'Bearer ...' }"
        : 'check the name';
    throw new StorageError('network', `${url}: the server answers ${status}; ${remedy}`, { url, status });
  }
  const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  // A next page on another server could send the request anywhere.
  const next = link === undefined ? undefined : new URL(link, url);
  return { text, next: next === undefined || next.origin !== new URL(url).origin ? undefined : next.href };
}

/** Stores a listing, so that a stored model opens without network. */
export interface ListingNotes {
  get(): Promise<readonly HubFile[] | undefined>;
  set(files: readonly HubFile[]): Promise<void>;
  /** Whether this file is stored completely. */
  has(url: string): Promise<boolean>;
}

/**
 * Returns the files of one folder of a repository. The stored listing is used as long as the wanted file is stored
 * completely (or is known not to exist); otherwise the listing is fetched, once.
 */
export class HubFiles implements FileSet {
  readonly name: string;
  readonly #hub: string;
  readonly #hubName: HubName;
  readonly #folder: string;
  readonly #fetchListing: () => Promise<HubFile[]>;
  readonly #openUrl: (url: string, file: HubFile) => Promise<ByteSource>;
  readonly #notes: ListingNotes | undefined;
  #fresh: Promise<readonly HubFile[]> | undefined;

  constructor(parts: {
    readonly name: string;
    readonly hub: string;
    readonly hubName: HubName;
    readonly folder: string;
    readonly fetchListing: () => Promise<HubFile[]>;
    readonly openUrl: (url: string, file: HubFile) => Promise<ByteSource>;
    readonly notes?: ListingNotes | undefined;
  }) {
    this.name = parts.name;
    this.#hub = parts.hub;
    this.#hubName = parts.hubName;
    this.#folder = parts.folder;
    this.#fetchListing = parts.fetchListing;
    this.#openUrl = parts.openUrl;
    this.#notes = parts.notes;
  }

  async open(name: string): Promise<ByteSource | undefined> {
    const path = this.#path(name);
    const url = fileUrl(this.#hub, this.#hubName, path);
    const kept = this.#fresh === undefined ? await this.#notes?.get() : undefined;
    if (kept !== undefined) {
      const file = kept.find((one) => one.path === path);
      if (file === undefined) return undefined;
      if (await this.#notes?.has(url)) return this.#openUrl(url, file);
    }
    const file = (await this.#listing()).find((one) => one.path === path);
    return file === undefined ? undefined : this.#openUrl(url, file);
  }

  /** Names of the folder's own files, by the kept listing where there is one. */
  async names(): Promise<string[]> {
    const prefix = this.#path('');
    const files = (await this.#notes?.get()) ?? (await this.#listing());
    const inside = files.filter(({ path }) => path.startsWith(prefix)).map(({ path }) => path.slice(prefix.length));
    return inside.filter((name) => !name.includes('/'));
  }

  #path(name: string): string {
    return this.#folder === '' ? name : `${this.#folder}/${name}`;
  }

  /** Keeps a listing that was fetched. Call it when the model is open: what was missing may come later. */
  async keep(): Promise<void> {
    if (this.#fresh !== undefined) await this.#notes?.set(await this.#fresh);
  }

  #listing(): Promise<readonly HubFile[]> {
    this.#fresh ??= this.#fetchListing();
    return this.#fresh;
  }
}

/** `hf:owner/repo[@revision][/file.gguf]`. */
export async function openHub(address: string, options: OpenOptions): Promise<ModelFile> {
  const hub = (options.hub ?? DEFAULT_HUB).replace(/\/+$/, '');
  const hubName = parseHubName(address);
  const { path } = hubName;
  const slash = path?.lastIndexOf('/') ?? -1;
  const folder = path === undefined || slash < 0 ? '' : path.slice(0, slash);
  const store = storeOf(options);
  const network = networkOf(options);
  const files = new HubFiles({
    name: address,
    hub,
    hubName,
    folder,
    fetchListing: () => listFiles(hub, hubName, folder, network, options.signal),
    openUrl: (url, { path: file, size, sha256 }) =>
      openRemote(url, address, options, network, {
        size,
        sha256: memberHash(options, folder === '' ? file : file.slice(folder.length + 1)) ?? sha256,
        expectation: expectationOf(file.replace(/^.*\//, '')),
      }),
    notes: store && {
      get: () => store.note<readonly HubFile[]>(address).catch(() => undefined),
      set: (listing) => store.setNote(address, listing).catch(() => {}),
      has: async (url) => (await store.find(url).catch(() => undefined))?.complete === true,
    },
  });
  const model = await healing(store, async () => {
    if (path !== undefined) {
      if (/\.(safetensors|bin|pth?|onnx|json)$/i.test(path))
        throw new InputError(
          'argument',
          `${JSON.stringify(address)} names one file of a folder; name the repository (hf:${hubName.repository}), or a .gguf file`,
          { input: address },
        );
      return withFound(files, path.slice(slash + 1), options);
    }
    const names = await files.names();
    if (names.includes('config.json') && names.some((name) => name.endsWith('.safetensors')))
      return openFolder(files, options);
    return withFound(files, onlyGguf(address, names), options);
  });
  await files.keep();
  return model;
}

/** A GGUF of the repository and the projector beside it, if there is one and the caller did not disable it. */
async function withFound(files: HubFiles, name: string, options: OpenOptions): Promise<ModelFile> {
  const model = await openGgufOf(files, name, options);
  if (options.mmproj !== undefined || isProjector(name)) return model;
  try {
    const projector = bestProjector(await files.names());
    if (projector === undefined) return model;
    const { withProjector } = await import('./projector.ts');
    return await withProjector(model, await openGgufOf(files, projector, options), true);
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Returns the smallest precision without a visible loss; repositories have the same projector in several. */
export function bestProjector(names: readonly string[]): string | undefined {
  const all = names.filter((name) => isProjector(name) && !LATER_PART.test(name));
  const preferred = [/q8_0/i, /(?<!b)f16/i, /bf16/i, /./];
  return preferred.map((kind) => all.find((name) => kind.test(name))).find((name) => name !== undefined);
}

/** Tells whether a file belongs to a split model but is not its first. */
const LATER_PART = /-(?!00001)\d{5}-of-\d{5}\.gguf$/i;

/** Returns the GGUF of a repository that is used when none is named: the only one, or the only split set. */
export function onlyGguf(repository: string, names: readonly string[]): string {
  const files = names.filter((name) => /\.gguf$/i.test(name) && !LATER_PART.test(name) && !isProjector(name));
  const [only] = files;
  if (only !== undefined && files.length === 1) return only;
  throw new FileError(
    'missing',
    { file: repository, field: 'files' },
    only === undefined
      ? 'the repository has neither safetensors nor GGUF files (PyTorch and ONNX files are not read)'
      : `it has ${files.length} GGUF files; name one, for instance ${repository}/${files.find((name) => /q4_k_m|q8_0/i.test(name)) ?? only}`,
  );
}
