/**
 * Contract 3: the bytes of a KV page, the same in WASM memory, in a GPU buffer and in IndexedDB.
 * A page holds PAGE_TOKENS = 32 consecutive tokens of one layer and one KV head, keys after RoPE.
 *
 *   f32, f16:   | key of token 0 [headDim] | ... | key of token 31 | value of token 0 [headDim] | ... | value of token 31 |
 *
 * The quantised widths keep this order: the keys' scales and minima (per channel over the page's tokens), the keys' bits, the values' scales
 * and minima (per token in groups of 32 channels), the values' bits. Everything that knows the bytes of a page goes through this file.
 */

export const PAGE_TOKENS: usize = 32;

export const KV_F32: u32 = 0;
export const KV_F16: u32 = 1;

@inline
export function rowBytes(format: u32, headDim: usize): usize {
  return format == KV_F32 ? headDim << 2 : headDim << 1;
}

/** Bytes of a page. */
export function pageBytes(format: u32, headDim: usize): usize {
  return 2 * PAGE_TOKENS * rowBytes(format, headDim);
}

@inline
export function keyAt(page: usize, format: u32, headDim: usize, token: usize): usize {
  return page + token * rowBytes(format, headDim);
}

@inline
export function valueAt(page: usize, format: u32, headDim: usize, token: usize): usize {
  return page + (PAGE_TOKENS + token) * rowBytes(format, headDim);
}
