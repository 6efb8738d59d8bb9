/** Opens whatever a caller has (file, bytes, URL, folder, Hugging Face name) as a `ModelFile`. */
import { FileError, InputError, StorageError } from '../errors.ts';
import { BlobSource, BytesSource, type ByteSource } from './byte-source.ts';
import { isOwnScheme } from './own-scheme.ts';
import { isInnerName, type FileSet } from './file-set.ts';
import type { FileSystemReader } from './file-system.ts';
import { openGguf } from './gguf/file.ts';
import { fileName, isAddressList, resolveInput, type ModelInput } from './inputs.ts';
import type { ModelFile } from './model-file.ts';
import { checkOptions, expectedHash, memberHash, refuseSingleHash, type OpenOptions } from './options.ts';

export type { ModelInput } from './inputs.ts';
export type { OpenOptions } from './options.ts';

/**
 * Reads the header (after downloading if there is a store). Throws `FileError`, `StorageError`, `InputError`; the
 * caller closes the result.
 */
export async function openModel(input: ModelInput, options: OpenOptions = {}): Promise<ModelFile> {
  options.signal?.throwIfAborted();
  checkOptions(options);
  const resolved = await resolveInput(input);
  const { mmproj } = options;
  if (isAddressList(resolved) || (mmproj !== undefined && mmproj !== false))
    return (await import('./projector.ts')).openBoth(resolved, options);
  if (typeof resolved === 'string') return openAddress(resolved, options);
  if (resolved instanceof Map) return openSet(resolved, options);
  const data = resolved as Blob | Uint8Array;
  const name = fileName(data) ?? 'model.gguf';
  return openGguf(memorySource(name, data, expectedHash(options, name)), async () => undefined, options);
}

async function openAddress(address: string, options: OpenOptions): Promise<ModelFile> {
  const { files } = options;
  // A single letter and a colon is a Windows drive.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme === 'hf') return (await import('./hub.ts')).openHub(address, options);
  if (scheme === 'http' || scheme === 'https') return openUrl(address, options);
  // The files of an app that has a scheme of its own (Electron, Capacitor, Tauri) are on the device already.
  if (scheme !== undefined && isOwnScheme(`${scheme}:`)) return openUrl(address, { ...options, store: false });
  if (scheme === 'blob' || scheme === 'data') return openBlobUrl(address, options);
  if (files !== undefined) {
    if (scheme === 'file') return openPath(files.fromUrl(new URL(address)), files, options);
    // A file's name may contain a colon.
    if (!address.includes('://')) return openPath(address, files, options);
  }
  if (scheme !== undefined)
    throw new InputError(
      'argument',
      `'${scheme}:' addresses are not read; give an address of http: or https:, hf:owner/repository, a File or bytes`,
      { scheme },
    );
  const base = (globalThis as { location?: { href?: string } }).location?.href;
  if (base === undefined || !URL.canParse(address, base))
    throw new InputError(
      'argument',
      `${JSON.stringify(address.slice(0, 80))} is not a URL, and paths cannot be read here`,
      { input: address.slice(0, 80) },
    );
  return openUrl(new URL(address, base).href, options);
}

// Memory

function memorySource(name: string, data: Blob | Uint8Array, sha256: string | undefined): ByteSource {
  return data instanceof Blob ? new BlobSource(name, data, sha256) : new BytesSource(name, data, sha256);
}

async function openSet(files: ReadonlyMap<string, Blob | Uint8Array>, options: OpenOptions): Promise<ModelFile> {
  const open = async (name: string): Promise<ByteSource | undefined> => {
    const data = files.get(name);
    return data === undefined ? undefined : memorySource(name, data, memberHash(options, name));
  };
  const names = [...files.keys()].sort();
  const projector = names.find(isProjector);
  if (projector !== undefined && names.length > 1) return openPair(files, projector, options);
  const first =
    names.find((name) => /\.gguf$/i.test(name)) ??
    (names.length === 1 && !names.includes('config.json') ? names[0] : undefined);
  if (first === undefined || names.includes('config.json')) return openFolder({ name: 'folder', open }, options);
  return openGgufOf({ name: first, open }, first, options);
}

/** A language model, split or not, and its projector file. */
async function openPair(
  files: ReadonlyMap<string, Blob | Uint8Array>,
  projector: string,
  options: OpenOptions,
): Promise<ModelFile> {
  const { withProjector } = await import('./projector.ts');
  const others = new Map([...files].filter(([name]) => !isProjector(name)));
  const model = await openSet(others, options);
  try {
    const data = files.get(projector) ?? new Uint8Array();
    const source = memorySource(projector, data, expectedHash(options, projector));
    return await withProjector(model, await openGguf(source, async () => undefined, options));
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Names that llama.cpp's tools give to projector files. */
export function isProjector(name: string): boolean {
  return /mmproj/i.test(name) && /\.gguf$/i.test(name);
}

export async function openGgufOf(files: FileSet, first: string, options: OpenOptions): Promise<ModelFile> {
  const source = await files.open(first);
  if (source === undefined)
    throw new FileError('missing', { file: `${files.name}/${first}`, field: 'file' }, 'there is no such file');
  return openGguf(source, (name) => files.open(name.replace(/^.*[/\\]/, '')), options);
}

// Paths

async function openPath(path: string, files: FileSystemReader, options: OpenOptions): Promise<ModelFile> {
  const found = await files.stat(path);
  const sha256 = expectedHash(options, path);
  if (found?.directory !== true)
    return openGguf(
      await files.open(path, sha256),
      async (name) =>
        (await files.stat(name)) === undefined ? undefined : files.open(name, expectedHash(options, name)),
      options,
    );
  const open = async (name: string): Promise<ByteSource | undefined> => {
    const at = files.join(path, name);
    return isInnerName(name) && (await files.stat(at)) !== undefined
      ? files.open(at, memberHash(options, name))
      : undefined;
  };
  return openFolder({ name: path, open }, options);
}

// Addresses

/** Imported on demand: models that are not loaded from a URL do not need it. */
async function openUrl(url: string, options: OpenOptions): Promise<ModelFile> {
  return (await import('./remote.ts')).openUrl(url, options);
}

async function openBlobUrl(url: string, options: OpenOptions): Promise<ModelFile> {
  const get = options.fetch ?? ((...request) => fetch(...request));
  const name = url.slice(0, 80);
  let blob: Blob;
  try {
    blob = await (await get(url, options.signal === undefined ? {} : { signal: options.signal })).blob();
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new StorageError('network', `${name}: it cannot be read; it may have been revoked`, { url: name }, { cause });
  }
  const source = new BlobSource('model.gguf', blob, expectedHash(options, 'model.gguf'));
  return openGguf(source, async () => undefined, options);
}

/** Imported on demand: pages that load GGUF files do not need it. */
export async function openFolder(files: FileSet, options: OpenOptions): Promise<ModelFile> {
  refuseSingleHash(options, files.name);
  const { openFolder: open } = await import('./huggingface/folder.ts');
  return open(files, options);
}
