/** The letter that stands for each byte in byte-level BPE vocabularies (GPT-2's table), in byte order. */
export function byteLetters(): string[] {
  const shown = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(shown(byte) ? byte : next++));
}
