/** The parts of a ZIP archive, unpacked by the platform's own inflater, no more than they may be. */
import { FileError } from '../../errors.ts';
import { MOST_PARTS, MOST_UNPACKED } from '../limits.ts';

export interface Archive {
  /** Undefined where there is no such part. */
  read(name: string): Promise<Uint8Array | undefined>;
}

interface Part {
  readonly method: number;
  readonly packed: number;
  readonly offset: number;
}

/** The directory's end has 22 bytes and a comment of up to 65,535. */
const END_BYTES = 22;
const END_SEARCH = END_BYTES + 0xffff;

/** Throws `FileError` for what is no archive. */
export function openZip(bytes: Uint8Array, file: string): Archive {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const damaged = (problem: string, offset: number): FileError =>
    new FileError('malformed', { file, field: 'archive', offset }, problem);
  let end = bytes.length - END_BYTES;
  const least = Math.max(0, bytes.length - END_SEARCH);
  while (end >= least && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < least || end < 0) throw damaged('it has no directory; the file is cut short or damaged', bytes.length);
  const count = view.getUint16(end + 10, true);
  if (count > MOST_PARTS) throw damaged(`it lists ${count} parts, more than ${MOST_PARTS}`, end);
  const parts = new Map<string, Part>();
  const utf8 = new TextDecoder();
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50)
      throw damaged('its directory is damaged', at);
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [
      number,
      number,
      number,
    ];
    if (at + 46 + name > bytes.length) throw damaged('its directory is damaged', at);
    if ((view.getUint16(at + 8, true) & 1) === 1)
      throw new FileError('unsupported', { file, field: 'archive' }, 'it is encrypted; save it without a password');
    parts.set(utf8.decode(bytes.subarray(at + 46, at + 46 + name)), {
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + name + extra + comment;
  }
  return {
    async read(name) {
      const part = parts.get(name);
      if (part === undefined) return undefined;
      const { method, packed, offset } = part;
      if (offset + 30 > bytes.length || view.getUint32(offset, true) !== 0x04034b50)
        throw damaged(`${name} is not where the directory says`, offset);
      const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
      if (start + packed > bytes.length) throw damaged(`${name} goes beyond the file's end`, start);
      const data = bytes.subarray(start, start + packed);
      if (method === 0) return data;
      if (method !== 8)
        throw new FileError(
          'unsupported',
          { file, field: name },
          `it is packed by method ${method}; only deflate is read`,
        );
      try {
        return await inflate(data, file, name);
      } catch (cause) {
        if (cause instanceof FileError) throw cause;
        throw new FileError('malformed', { file, field: name }, 'it cannot be unpacked; the file is damaged', {
          cause,
        });
      }
    },
  };
}

async function inflate(data: Uint8Array, file: string, name: string): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream('deflate-raw'));
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of chunks(stream)) {
    length += piece.length;
    if (length > MOST_UNPACKED)
      throw new FileError('limit', { file, field: name }, `it unpacks to more than ${MOST_UNPACKED} bytes`);
    pieces.push(piece);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Not every browser's streams can be iterated. */
async function* chunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
