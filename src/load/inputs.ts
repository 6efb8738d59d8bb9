/** Reduces the inputs of `load` to a few kinds, and refuses everything else by its name. */
import { InputError, StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';

/** A file's content. */
export type Bytes = Blob | ArrayBuffer | ArrayBufferView;

/**
 * A URL (of a GGUF, or of a Hugging Face folder if it ends with `/`), a path (Node),
 * `hf:owner/repo[@revision][/file.gguf]`, or the URLs of a model and its projector (mmproj); a file, its bytes, a
 * handle of it, or a response of `fetch`; all files of a split model, of a model and its projector (whose name contains
 * `mmproj`), or of a Hugging Face folder, as a list of Files or by name.
 */
export type ModelInput =
  | string
  | URL
  | Bytes
  | FileSystemFileHandle
  | Response
  | readonly Blob[]
  | readonly (string | URL)[]
  | { readonly [name: string]: Bytes };

/** A list contains URLs. */
export type ResolvedInput = string | readonly string[] | Blob | Uint8Array | ReadonlyMap<string, Blob | Uint8Array>;

export function isAddressList(resolved: ResolvedInput): resolved is readonly string[] {
  return Array.isArray(resolved);
}

/** Throws `InputError`, and `StorageError` or the browser's own error when a response or a handle cannot be read. */
export async function resolveInput(input: unknown): Promise<ResolvedInput> {
  if (typeof input === 'string' && input.trim() !== '') return input;
  if (input instanceof URL) return input.href;
  const bytes = asBytes(input);
  if (bytes !== undefined) return bytes;
  if (typeof input === 'object' && input !== null) {
    if (isResponse(input)) return fromResponse(input);
    if (isHandle(input)) return input.getFile();
    if (isAddresses(input)) return input.map((address) => (address instanceof URL ? address.href : address));
    const entries = Array.isArray(input) ? fromList(input) : isPlain(input) ? Object.entries(input) : undefined;
    if (entries !== undefined && entries.length > 0) return byName(entries);
  }
  throw new InputError(
    'argument',
    `the model is ${nameOf(input)}; give a URL, hf:owner/repository, a File, bytes, a FileSystemFileHandle, a Response, a list of Files, files by name, the addresses of a model and its mmproj, or (in Node) a path`,
    { given: nameOf(input) },
  );
}

/** Bytes of another realm (a jest context, an iframe) are recognised by their tag. */
function asBytes(input: unknown): Blob | Uint8Array | undefined {
  if (input instanceof Blob) return input;
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  const tag = Object.prototype.toString.call(input);
  if (tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]')
    return new Uint8Array(input as ArrayBuffer);
  return undefined;
}

function isAddresses(input: object): input is readonly (string | URL)[] {
  const isAddress = (one: unknown): boolean => one instanceof URL || (typeof one === 'string' && one.trim() !== '');
  return Array.isArray(input) && input.length > 0 && input.every(isAddress);
}

function isResponse(input: object): input is Response {
  return 'bodyUsed' in input && 'status' in input && 'blob' in input && typeof input.blob === 'function';
}

function isHandle(input: object): input is FileSystemFileHandle {
  return 'kind' in input && input.kind === 'file' && 'getFile' in input && typeof input.getFile === 'function';
}

function isPlain(input: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(input) as object | null;
  // That of another realm, too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

async function fromResponse(response: Response): Promise<Blob> {
  const name = displayName(response.url);
  if (response.bodyUsed)
    throw new InputError(
      'argument',
      `the model is a Response whose body was read already; give response.clone(), or its Blob`,
    );
  if (response.type === 'opaque' || !response.ok)
    throw new StorageError(
      'network',
      `${name === '' ? 'the Response' : name}: ${response.type === 'opaque' ? 'an opaque response (no-cors) cannot be read' : `the server answered ${response.status}`}; check response.ok first`,
      { url: name, status: response.status },
    );
  const blob = await response.blob();
  return new File([blob], name.replace(/^.*\//, '') || 'model.gguf');
}

function fromList(files: readonly unknown[]): [string, unknown][] {
  return files.map((file, i) => [(file instanceof Blob ? pathOf(file) : undefined) ?? `file ${i}`, file]);
}

/** With its folder, where a directory picker gives it. */
function pathOf(file: Blob): string | undefined {
  const path = 'webkitRelativePath' in file ? file.webkitRelativePath : undefined;
  return typeof path === 'string' && path !== '' ? path : fileName(file);
}

function byName(entries: readonly [string, unknown][]): Map<string, Blob | Uint8Array> {
  const files = new Map<string, Blob | Uint8Array>();
  const root = rootOf(entries.map(([name]) => name));
  for (const [name, data] of entries) {
    const bytes = asBytes(data);
    if (bytes === undefined)
      throw new InputError(
        'argument',
        `the model is files by name, and ${JSON.stringify(name.slice(0, 80))} is ${nameOf(data)}; each should be a File or bytes`,
        { name: name.slice(0, 80), given: nameOf(data) },
      );
    files.set(inside(name, root), bytes);
  }
  return files;
}

/** The folder of the model among names with paths: that of the config.json that lies highest. Undefined where there is none. */
function rootOf(names: readonly string[]): string | undefined {
  const configs = names.map((name) => name.replaceAll('\\', '/')).filter((name) => /(^|\/)config\.json$/.test(name));
  const [highest] = configs.sort((a, b) => a.split('/').length - b.split('/').length);
  return highest?.slice(0, -'config.json'.length);
}

/** A file's name in the model's folder; what lies elsewhere is known by its last name. */
function inside(name: string, root: string | undefined): string {
  const path = name.replaceAll('\\', '/');
  return root !== undefined && path.startsWith(root) ? path.slice(root.length) : path.replace(/^.*\//, '');
}

export function fileName(data: Blob | Uint8Array): string | undefined {
  return 'name' in data && typeof data.name === 'string' && data.name !== '' ? data.name : undefined;
}

/** Describes a value, for a message. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return 'an empty string';
  if (Array.isArray(value)) return 'an empty list';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (tag !== 'Object') return `a ${tag}`;
  const { constructor } = value as { constructor?: unknown };
  const name = typeof constructor === 'function' ? constructor.name : '';
  return name === '' || name === 'Object' ? 'an empty object' : `a ${name.slice(0, 80)}`;
}
