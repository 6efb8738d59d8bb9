/**
 * Decodes the strings of a vocabulary together. Decoding 150,000 slices one by one costs a call into the engine for
 * each; here their bytes are joined and decoded in one call, and the text is cut where the strings end.
 */

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

export function decodeString(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

/**
 * `count` strings, each a 64-bit length and its UTF-8, beginning at `start`; the caller has checked every length.
 * Bytes that are not UTF-8 become U+FFFD, within their own string.
 */
export function decodeStrings(bytes: Uint8Array, start: number, count: number): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let total = 0;
  for (let i = 0, at = start; i < count; i++) {
    const length = view.getUint32(at, true);
    at += 8 + length;
    total += length;
  }
  const packed = new Uint8Array(total);
  /** UTF-16 units of each string, if its bytes are UTF-8. */
  const units = new Uint32Array(count);
  let sound = true;
  let filled = 0;
  let expected = 0;
  for (let i = 0, at = start; i < count; i++) {
    const length = view.getUint32(at, true);
    at += 8;
    const end = at + length;
    // A string that begins inside a character could complete the one before it.
    if (length > 0 && isContinuation(bytes[at] as number)) sound = false;
    let n = length;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      packed[filled++] = byte;
      // Continuation bytes add nothing; the first of four makes a surrogate pair.
      if (byte >= 0x80) n += isContinuation(byte) ? -1 : byte >= 0xf0 ? 1 : 0;
    }
    units[i] = n;
    expected += n;
  }
  const text = sound ? decodeStrict(packed) : undefined;
  const strings: string[] = [];
  if (text !== undefined && text.length === expected) {
    for (let i = 0, at = 0; i < count; i++) {
      const end = at + (units[i] as number);
      strings.push(text.slice(at, end));
      at = end;
    }
    return strings;
  }
  for (let i = 0, at = start; i < count; i++) {
    const length = view.getUint32(at, true);
    strings.push(lenient.decode(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + length;
  }
  return strings;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function decodeStrict(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
