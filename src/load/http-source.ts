/** A file read directly from its URL, without storing anything. */
import { FileError, StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';
import { CHUNK_BYTES, type ByteSource } from './byte-source.ts';
import { HeadCheck, type Expectation } from './expectation.ts';
import { request, sameFile, type Network, type RemoteBody, type Validator } from './http.ts';
import { Break, withRetries } from './retry.ts';

interface Facts {
  readonly size: number;
  readonly ranges: boolean;
  readonly validator: Validator;
}

export class HttpSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly sequential?: boolean;
  readonly unvalidated?: boolean;
  readonly expectedSha256?: string;
  readonly #url: string;
  readonly #validator: Validator;
  readonly #network: Network;

  private constructor(url: string, { size, ranges, validator }: Facts, network: Network, sha256: string | undefined) {
    this.#url = url;
    this.name = displayName(url);
    this.size = size;
    if (!ranges) this.sequential = true;
    if (validator.etag === undefined && validator.lastModified === undefined) this.unvalidated = true;
    if (sha256 !== undefined) this.expectedSha256 = sha256;
    this.#validator = validator;
    this.#network = network;
  }

  /** Requests one byte to learn the size, the validator and whether ranges are served. */
  static async open(
    url: string,
    network: Network,
    expectation: Expectation,
    signal?: AbortSignal,
    sha256?: string,
  ): Promise<HttpSource> {
    const facts = await withRetries(
      url,
      network.retry,
      signal,
      () => 0,
      async (): Promise<Facts> => {
        const answer = await request(url, 0, 1, {}, network, signal);
        const { size, ranges, validator } = answer;
        if (!ranges && size === undefined) return measure(answer, url, expectation);
        await answer.cancel();
        // A server that hides the size of the whole file reports that of the one byte.
        if (size !== undefined && !(ranges && size === 1)) return { size, ranges, validator };
        const whole = await request(url, 0, undefined, {}, network, signal);
        if (whole.size === undefined) return measure(whole, url, expectation);
        await whole.cancel();
        return { size: whole.size, ranges: whole.ranges, validator: whole.validator };
      },
    );
    if (facts.size > expectation.limit) throw tooLarge(displayName(url), facts.size, expectation.limit);
    return new HttpSource(url, facts, network, sha256);
  }

  async *stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let position = start;
    // A generator cannot yield from inside `withRetries`, so each try returns what it received.
    let chunks: AsyncIterator<Uint8Array> | undefined;
    try {
      while (position < end) {
        const step = await withRetries(
          this.#url,
          this.#network.retry,
          signal,
          () => position,
          async () => {
            chunks ??= this.#from(position, end, signal);
            try {
              const next = await chunks.next();
              if (next.done === true) throw new Break('the connection ended too early');
              return next.value;
            } catch (fault) {
              chunks = undefined;
              throw fault;
            }
          },
        );
        position += step.length;
        yield step;
      }
    } finally {
      await chunks?.return?.();
    }
  }

  async close(): Promise<void> {}

  /**
   * Yields chunks of `[start, end)` from one request, gathered to `CHUNK_BYTES`; what was received before a break is
   * yielded first.
   */
  async *#from(start: number, end: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const answer = await request(this.#url, start, end, this.#validator, this.#network, signal);
    if (
      !sameFile(this.#validator, answer.validator) ||
      (!answer.ranges && answer.size !== undefined && answer.size !== this.size)
    ) {
      await answer.cancel();
      throw new StorageError(
        'changed',
        `${this.name}: the file changed on the server while it was read; load it again`,
        {
          url: this.name,
        },
      );
    }
    let skip = start - answer.start;
    let left = end - start;
    let gathered = new Uint8Array(Math.min(left, CHUNK_BYTES));
    let filled = 0;
    let broken: Break | undefined;
    try {
      for await (let chunk of answer.bytes()) {
        if (skip > 0) {
          const drop = Math.min(skip, chunk.length);
          skip -= drop;
          chunk = chunk.subarray(drop);
        }
        while (chunk.length > 0 && left > 0) {
          const piece = chunk.subarray(0, Math.min(gathered.length - filled, left));
          gathered.set(piece, filled);
          filled += piece.length;
          left -= piece.length;
          chunk = chunk.subarray(piece.length);
          if (filled < gathered.length) continue;
          yield gathered;
          gathered = new Uint8Array(Math.min(left, CHUNK_BYTES));
          filled = 0;
        }
        if (left === 0) return;
      }
    } catch (fault) {
      if (!(fault instanceof Break)) throw fault;
      broken = fault;
    }
    if (filled > 0) yield gathered.subarray(0, filled);
    if (broken !== undefined) throw broken;
  }
}

/**
 * Determines the size by reading everything, for servers that do not report it or hide it from this origin.
 * `expectation` bounds how much is read.
 */
async function measure(answer: RemoteBody, url: string, expectation: Expectation): Promise<Facts> {
  const { ranges, validator } = answer;
  const head = new HeadCheck(expectation, displayName(url), undefined);
  let size = 0;
  for await (const chunk of answer.bytes()) {
    size += chunk.length;
    await head.add(chunk);
    if (size > head.most) throw tooLarge(displayName(url), size, head.most);
  }
  return { size, ranges, validator };
}

export function tooLarge(name: string, size: number, most: number): FileError {
  return new FileError(
    'limit',
    { file: name, field: 'size' },
    `${size} bytes or more; the file should have ${most} at most: the server sends something else, or the file is damaged`,
  );
}
