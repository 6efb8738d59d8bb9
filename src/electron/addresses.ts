/**
 * Addresses of the app's own scheme:
 *
 *     octavo://app/<path>               the app's pages, the only origin that has the bridge
 *     octavo://files/<folder>/<path>    a file below a folder that the main process chose
 *     octavo://granted/<token>/<name>   one file that the main process granted, such as an opened document
 *     octavo://bundled/<name>.gguf      a model that the package brings, for engine processes
 *
 * Files have origins of their own, so that what stands in them never runs with the rights of the app's pages.
 */
import type { BundledModel } from '../load/bundled.ts';

export const SCHEME = 'octavo';
export const APP_ORIGIN = `${SCHEME}://app`;
/** The hosts of files that pages read from other origins. */
export const FILE_HOSTS = ['files', 'granted'] as const;
/** The hosts whose files engines read. */
const ENGINE_HOSTS = [...FILE_HOSTS, 'app', 'bundled'] as const;
export type FileHost = (typeof ENGINE_HOSTS)[number];

/** Longest path of an address, and most names in it. */
const MOST_LENGTH = 4096;
const MOST_NAMES = 64;
/** Longest name that file systems take. */
const MOST_NAME = 255;

/** Names that Windows reads as devices, with any extension. */
const DEVICES = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

/**
 * Whether a name can only be that of a file or a folder right below the one before it. Hidden files are refused: they hold settings and keys. A colon
 * on Windows would name a drive or a stream, and trailing dots and spaces are ignored there.
 */
export function isPlainName(name: string, windows: boolean): boolean {
  if (name === '' || name.startsWith('.') || name.length > MOST_NAME) return false;
  // eslint-disable-next-line no-control-regex
  if (/[/\\\u0000-\u001f\u007f]/.test(name) || !name.isWellFormed()) return false;
  return !windows || !(/[<>:"|?*]|[. ]$/.test(name) || DEVICES.test(name));
}

/**
 * The names of a URL's path, decoded once; undefined where one of them is not plain. Decoding happens after splitting, so that an encoded slash does not
 * separate names.
 */
export function namesOf(pathname: string, windows: boolean): readonly string[] | undefined {
  if (pathname.length > MOST_LENGTH) return undefined;
  const names: string[] = [];
  for (const part of pathname.replace(/^\//, '').split('/')) {
    let name: string;
    try {
      name = decodeURIComponent(part);
    } catch {
      return undefined;
    }
    if (!isPlainName(name, windows) || names.length === MOST_NAMES) return undefined;
    names.push(name);
  }
  return names;
}

export interface FileAddress {
  readonly host: FileHost;
  readonly names: readonly string[];
  /** Whether it ends with a slash: a folder. */
  readonly folder: boolean;
}

/** An address of a file or folder; undefined for every other text. */
export function parseFileAddress(address: string, windows: boolean): FileAddress | undefined {
  if (address.length > MOST_LENGTH || !URL.canParse(address)) return undefined;
  const { protocol, username, host, pathname, search, hash } = new URL(address);
  const known = ENGINE_HOSTS.find((one) => one === host);
  if (protocol !== `${SCHEME}:` || known === undefined || username + search + hash !== '') return undefined;
  const folder = pathname.length > 1 && pathname.endsWith('/');
  const names = namesOf(folder ? pathname.slice(0, -1) : pathname, windows);
  return names === undefined ? undefined : { host: known, names, folder };
}

export function fileAddress(host: FileHost, ...names: readonly string[]): string {
  return `${SCHEME}://${host}/${names.map(encodeURIComponent).join('/')}`;
}

/** The address of a model that the package brings. */
export function bundledAddress({ name }: BundledModel): string {
  return fileAddress('bundled', `${name}.gguf`);
}
