/**
 * What a file that is being downloaded should be: stated before its first byte, and compared with its bytes as they
 * arrive, so that an error page, a wrong file or an endless body is refused early, and only a verified file is kept.
 */
import { FileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { MoreBytes } from './gguf/cursor.ts';
import { ggufEnd, readGgufHeader } from './gguf/header.ts';

/** Bytes after the last tensor, since some writers pad their files. */
const MOST_TRAILING = 1 << 20;
const MiB = 1 << 20;
/** Configurations have some kB; tokenizers of 256,000 tokens some 35 MB; an index has a line for each tensor. */
export const JSON_LIMITS = { config: 8 * MiB, tokenizer: 128 * MiB, index: 32 * MiB, template: 4 * MiB } as const;

export interface Expectation {
  /** The most bytes of such a file; `Infinity` when only its own header tells. */
  readonly limit: number;
  /**
   * Checks the first bytes of the file. Resolves with the most bytes that this file can have. Throws `MoreBytes` when
   * more of the file is needed, and `FileError` when it is not such a file. `size` is that of the whole file, if known.
   */
  begin(head: Uint8Array, name: string, size: number | undefined): Promise<number>;
  /** Throws `FileError` when the whole file, which `source` reads, is not as expected. */
  verify(source: ByteSource, signal?: AbortSignal): Promise<void>;
}

export const GGUF: Expectation = {
  limit: Infinity,
  async begin(head, name, size) {
    const end = await ggufEnd(head, name, size ?? Number.MAX_SAFE_INTEGER);
    return size ?? end + MOST_TRAILING;
  },
  async verify(source, signal) {
    await readGgufHeader(source, signal);
  },
};

const SAFETENSORS: Expectation = {
  limit: Infinity,
  async begin(head, name, size) {
    const { safetensorsEnd } = await import('./huggingface/safetensors.ts');
    return safetensorsEnd(head, name, size ?? Number.MAX_SAFE_INTEGER);
  },
  async verify(source, signal) {
    const { readSafetensorsHeader } = await import('./huggingface/safetensors.ts');
    await readSafetensorsHeader(source, signal);
  },
};

/** Text of a few megabytes at most: JSON, a chat template. */
function text(limit: number): Expectation {
  return {
    limit,
    async begin(head, name) {
      const { recognise } = await import('./recognise.ts');
      const found = recognise(head);
      if (found?.kind === 'page')
        throw new FileError('malformed', { file: name, field: 'content', offset: 0 }, found.problem);
      return limit;
    },
    verify: async () => {},
  };
}

/** Returns the expectation for a file name in its folder. */
export function expectationOf(name: string): Expectation {
  if (/\.gguf$/i.test(name)) return GGUF;
  if (/\.safetensors$/i.test(name)) return SAFETENSORS;
  if (name === 'tokenizer.json') return text(JSON_LIMITS.tokenizer);
  if (/\.index\.json$/i.test(name)) return text(JSON_LIMITS.index);
  return text(/\.jinja$/i.test(name) ? JSON_LIMITS.template : JSON_LIMITS.config);
}

/** Passes the beginning of a file that arrives in pieces to an expectation, until it has seen enough. */
export class HeadCheck {
  /** The most bytes that the file can have, as far as known. */
  most: number;
  readonly #expectation: Expectation;
  readonly #name: string;
  readonly #size: number | undefined;
  #head = new Uint8Array(0);
  #filled = 0;
  #needed = 1;
  #done = false;

  constructor(expectation: Expectation, name: string, size: number | undefined) {
    this.#expectation = expectation;
    this.#name = name;
    this.#size = size;
    this.most = expectation.limit;
  }

  get done(): boolean {
    return this.#done;
  }

  /**
   * Takes the bytes that follow those of the last call; `ended` says that they are the last ones. Throws `FileError`.
   */
  async add(chunk: Uint8Array, ended = false): Promise<void> {
    if (this.#done) return;
    if (this.#filled + chunk.length > this.#head.length) {
      const grown = new Uint8Array(Math.max(this.#filled + chunk.length, 2 * this.#head.length));
      grown.set(this.#head.subarray(0, this.#filled));
      this.#head = grown;
    }
    this.#head.set(chunk, this.#filled);
    this.#filled += chunk.length;
    if (this.#filled < this.#needed && !ended) return;
    try {
      this.most = await this.#expectation.begin(this.#head.subarray(0, this.#filled), this.#name, this.#size);
      this.#done = true;
      this.#head = new Uint8Array(0);
    } catch (fault) {
      if (!(fault instanceof MoreBytes)) throw fault;
      // The size is doubled, so that a header that arrives in small pieces is not parsed for each of them.
      this.#needed = Math.max(fault.needed, 2 * this.#filled);
    }
  }
}
