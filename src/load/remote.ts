/** Models by their address: through the store where there is one, else straight. Fetched only by pages that load from an address. */
import { FileError, InputError, StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';
import { ModelStore } from '../store/model-store.ts';
import { HEAD_BYTES, readBytes, type ByteSource } from './byte-source.ts';
import { downloadToStore } from './download.ts';
import { expectationOf, GGUF, type Expectation } from './expectation.ts';
import { openGguf } from './gguf/file.ts';
import { checkUrl, createNetwork, type Network } from './http.ts';
import { HttpSource } from './http-source.ts';
import { openFolder } from './index.ts';
import type { ModelFile } from './model-file.ts';
import { expectedHash, memberHash, type OpenOptions } from './options.ts';
import { DEFAULT_RETRY } from './retry.ts';

export async function openUrl(url: string, options: OpenOptions): Promise<ModelFile> {
  checkUrl(url);
  const network = networkOf(options);
  const store = storeOf(options);
  const { pathname, search, href } = new URL(url);
  const known = (name: string, expectation: Expectation): Known => ({
    sha256: expectedHash(options, name),
    expectation,
  });
  if (!pathname.endsWith('/')) {
    const sibling = (name: string): string => Object.assign(new URL(name), { search }).href;
    return healing(store, () =>
      openRemote(href, href, options, network, known(pathname, GGUF)).then((source) =>
        openGguf(
          source,
          (name) => optional(() => openRemote(sibling(name), href, options, network, known(name, GGUF))),
          options,
        ),
      ),
    );
  }
  // That a file is not there is noted, for a reload without network, once the folder has been opened without it.
  const absent = new Set(await store?.note<string[]>(href).catch(() => undefined));
  const noted = absent.size;
  const open = async (name: string): Promise<ByteSource | undefined> => {
    if (absent.has(name)) return undefined;
    const at = Object.assign(new URL(name.split('/').map(encodeURIComponent).join('/'), href), { search }).href;
    const source = await optional(() =>
      openRemote(at, href, options, network, { sha256: memberHash(options, name), expectation: expectationOf(name) }),
    );
    if (source === undefined) absent.add(name);
    return source;
  };
  const file = await healing(store, () => openFolder({ name: displayName(href).replace(/\/$/, ''), open }, options));
  if (absent.size > noted) await store?.setNote(href, [...absent]).catch(() => {});
  return file;
}

/** Runs `open` again where it met a damaged stored copy, which the store has removed by then. */
export async function healing(store: ModelStore | undefined, open: () => Promise<ModelFile>): Promise<ModelFile> {
  try {
    return await open();
  } catch (fault) {
    if (store === undefined || !(fault instanceof StorageError) || fault.code !== 'checksum') throw fault;
    if (fault.facts['part'] === undefined) throw fault;
    return open();
  }
}

/** Undefined where the server has no such file: by its status, or by a page that it sends for every address. */
export async function optional<T>(open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open();
  } catch (fault) {
    if (fault instanceof StorageError && (fault.facts['status'] === 404 || fault.facts['status'] === 410))
      return undefined;
    if (fault instanceof FileError && fault.facts['field'] === 'content') return undefined;
    throw fault;
  }
}

export interface Known {
  readonly sha256?: string | undefined;
  readonly size?: number;
  readonly expectation: Expectation;
}

export async function openRemote(
  url: string,
  model: string,
  options: OpenOptions,
  network: Network,
  known: Known,
): Promise<ByteSource> {
  const { signal, monitor } = options;
  const store = storeOf(options);
  if (store !== undefined && (options.headerOnly !== true || (await isStored(store, url)))) {
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
      // Private windows and full disks can leave a browser without IndexedDB: the model loads all the same, and is not kept.
      if (!(fault instanceof StorageError) || fault.code !== 'unavailable') throw fault;
    }
  }
  const { expectation, sha256 } = known;
  const source = await HttpSource.open(url, network, expectation, signal, sha256);
  // Weights are looked at when their header is read; that a text is none must be known before it is taken for one.
  if (Number.isFinite(expectation.limit))
    await expectation.begin(
      await readBytes(source, 0, Math.min(source.size, HEAD_BYTES), signal),
      source.name,
      source.size,
    );
  return source;
}

async function isStored(store: ModelStore, url: string): Promise<boolean> {
  return (await store.find(url).catch(() => undefined))?.complete === true;
}

export function networkOf({ fetch: own, retry = DEFAULT_RETRY, headers, credentials }: OpenOptions): Network {
  if (headers !== undefined) {
    try {
      void new Headers(headers);
    } catch {
      // The engine's own message would show the value.
      throw new InputError(
        'argument',
        `headers: not valid as HTTP headers (${Object.keys(headers).join(', ').slice(0, 80)}); give names and strings`,
        { option: 'headers' },
      );
    }
  }
  return createNetwork({ fetch: own ?? ((...request) => fetch(...request)), retry, headers, credentials });
}

export function storeOf(options: OpenOptions): ModelStore | undefined {
  if (options.store === false) return undefined;
  return options.store ?? (ModelStore.supported ? new ModelStore() : undefined);
}
