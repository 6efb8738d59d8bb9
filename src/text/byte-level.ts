/**
 * GPT-2's way to write bytes as printable characters: those that are printable represent themselves, the other 68 are
 * U+0100 and above.
 */

const CHARACTERS: readonly string[] = (() => {
  const characters: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    characters.push(String.fromCharCode(prints ? byte : next++));
  }
  return characters;
})();

/** U+0000 to U+0143 -> byte, or -1. */
const BYTES = (() => {
  const bytes = new Int16Array(0x144).fill(-1);
  CHARACTERS.forEach((c, byte) => {
    bytes[c.charCodeAt(0)] = byte;
  });
  return bytes;
})();

/** Returns the character that represents a byte. */
export function byteCharacter(byte: number): string {
  return CHARACTERS[byte] ?? '';
}

/**
 * Writes the bytes that `text` represents to `target` at `at`, or its ASCII unchanged; returns how many, or -1 when a
 * character represents none.
 */
export function writeByteLevel(text: string, target: Uint8Array, at: number, byteLevel = true): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const byte = byteLevel ? (code < 0x144 ? (BYTES[code] ?? -1) : -1) : code;
    if (byte < 0) return -1;
    target[at + i] = byte;
  }
  return text.length;
}

/** Returns the bytes that `text` represents, or undefined. */
export function byteLevelBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  return writeByteLevel(text, bytes, 0) < 0 ? undefined : bytes;
}
