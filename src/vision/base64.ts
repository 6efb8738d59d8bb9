/** Encodes bytes as Base64, for data URLs and JSON. */

/** The number of bytes converted to characters at once, because the number of a call's arguments is limited. */
const PIECE = 0x8000;

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(text);
}
