/** Decodes UTF-8 that a TextEncoder wrote. It is always well-formed, so nothing here checks it. */

/** Returns the bytes of the character whose first byte is `lead`. */
@inline
export function characterBytes(lead: u32): u32 {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Returns the code point of the `size`-byte character at `at`; `size` is 2, 3 or 4. */
@inline
export function codePoint(at: usize, size: u32): u32 {
  const a: u32 = load<u8>(at);
  const b: u32 = load<u8>(at, 1) & 0x3f;
  if (size == 2) return ((a & 0x1f) << 6) | b;
  const c: u32 = load<u8>(at, 2) & 0x3f;
  if (size == 3) return ((a & 0x0f) << 12) | (b << 6) | c;
  return ((a & 0x07) << 18) | (b << 12) | (c << 6) | (<u32>load<u8>(at, 3) & 0x3f);
}
