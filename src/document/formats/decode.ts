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
    return decodedAs(declared ?? 'windows-1252', bytes);
  } catch {
    return decodedAs('windows-1252', bytes);
  }
}

/** What the bytes from 0x80 on are in Windows-1252; ISO 8859-1 has control characters there, which no text has. */
const FROM_80 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/** Node 20 takes Windows-1252 for ISO 8859-1. */
function decodedAs(encoding: string, bytes: Uint8Array): string {
  const decoder = new TextDecoder(encoding);
  const text = decoder.decode(bytes);
  if (decoder.encoding !== 'windows-1252') return text;
  return text.replace(/[\u0080-\u009f]/g, (control) => FROM_80[control.charCodeAt(0) - 0x80] ?? control);
}
