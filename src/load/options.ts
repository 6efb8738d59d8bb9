/** The options of `openModel`, and the checks that name a wrong one. */
import { InputError } from '../errors.ts';
import type { ModelStore } from '../store/model-store.ts';
import { QUANTIZATIONS, type Quantization } from './convert.ts';
import type { FileSystemReader } from './file-system.ts';
import type { ModelInput } from './inputs.ts';
import type { ReadOptions } from './model-file.ts';
import type { RetryPolicy } from './retry.ts';

export interface OpenOptions extends ReadOptions {
  /**
   * The projector ("mmproj") of a GGUF model, which holds the vision part. A name without a folder is looked for beside
   * a model that has a URL or an `hf:` name. By default the one beside the model in an `hf:` repository is used; false:
   * none.
   */
  readonly mmproj?: ModelInput | false;
  /** Quantises F32, F16 and BF16 matrices while they stream in: Q8_0, or Q4_0 with embeddings in Q8_0. */
  readonly quantize?: Quantization;
  /** Where downloads are kept; false: nowhere. By default this origin's store, where there is IndexedDB. */
  readonly store?: ModelStore | false;
  /**
   * Reads headers and configurations only: of what is not stored already, nothing else is requested, and nothing is
   * kept. The result's weights are not to be read.
   */
  readonly headerOnly?: boolean;
  /** Access to files in Node, given by the platform. */
  readonly files?: FileSystemReader;
  readonly fetch?: typeof fetch;
  /** Sent with every request for the model's files, for instance `Authorization`. Never stored or shown. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether cookies are sent to other origins: see `fetch`. */
  readonly credentials?: RequestCredentials;
  /** The expected SHA-256 of the file, or of each file by name; checked while downloading or reading. */
  readonly sha256?: string | Readonly<Record<string, string>>;
  /** The server for `hf:` names. */
  readonly hub?: string;
  readonly retry?: RetryPolicy;
}

/** Throws `InputError` for invalid values of options. */
export function checkOptions({ quantize, sha256 }: OpenOptions): void {
  if (quantize !== undefined && !QUANTIZATIONS.includes(quantize))
    throw new InputError(
      'argument',
      `quantize: ${JSON.stringify(quantize) ?? typeof quantize}; it is ${QUANTIZATIONS.map((name) => `'${name}'`).join(' or ')}`,
      { option: 'quantize' },
    );
  if (sha256 !== undefined && typeof sha256 !== 'string' && (typeof sha256 !== 'object' || sha256 === null))
    throw new InputError(
      'argument',
      `sha256: a ${typeof sha256}; it is 64 hexadecimal digits, or an object of them by file name`,
      { option: 'sha256' },
    );
}

/** Returns the SHA-256 that the caller expects of a file. */
export function expectedHash({ sha256 }: OpenOptions, path: string): string | undefined {
  const name = path.replace(/^.*[/\\]/, '');
  const hash: unknown =
    typeof sha256 === 'string' || sha256 === undefined || !Object.hasOwn(sha256, name) ? sha256 : sha256[name];
  if (hash === undefined || typeof hash === 'object') return undefined;
  if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/i.test(hash))
    throw new InputError('argument', `sha256: ${JSON.stringify(hash)?.slice(0, 80)} is not 64 hexadecimal digits`, {
      option: 'sha256',
    });
  return hash.toLowerCase();
}

/** The same for a file of a folder: one that lies deeper (1_Pooling/config.json) is named with its path, since names repeat. */
export function memberHash(options: OpenOptions, name: string): string | undefined {
  if (!name.includes('/')) return expectedHash(options, name);
  const { sha256 } = options;
  const hash = typeof sha256 === 'object' && Object.hasOwn(sha256, name) ? sha256[name] : undefined;
  return hash === undefined ? undefined : expectedHash({ sha256: hash }, name);
}

/** A folder has many files, so a single hash is ambiguous. */
export function refuseSingleHash({ sha256 }: OpenOptions, folder: string): void {
  if (typeof sha256 === 'string')
    throw new InputError(
      'argument',
      `sha256: one hash was given, and ${folder} has several files; give an object: { 'model.safetensors': '...', 'config.json': '...' }`,
      { option: 'sha256' },
    );
}
