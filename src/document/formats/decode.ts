/** Bytes of a text file to text. */
import { FileError } from '../../errors.ts';
import { MOST_TEXT_BYTES } from '../limits.ts';

/** By its byte order mark, by `declared`, as UTF-8 if it is, else as Windows-1252, which every sequence of bytes is. Line ends become \n, and soft hyphens, which are not shown, are left out. */
export function decodeText(bytes: Uint8Array, name: string, declared?: string): string {
  if (bytes.length > MOST_TEXT_BYTES)
    throw new FileError(
      'limit',
      { file: name, field: 'document' },
      `it has ${bytes.length} bytes and text is read up to ${MOST_TEXT_BYTES}; split it into several documents`,
    );
  return decoded(bytes, declared).replace(/\r\n?/g, '\n').replaceAll('\0', '\ufffd').replaceAll('\u00ad', '');
}

function decoded(bytes: Uint8Array, declared: string | undefined): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Told by the declaration, or a guess.
  }
  try {
    return new TextDecoder(declared ?? 'windows-1252').decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}
