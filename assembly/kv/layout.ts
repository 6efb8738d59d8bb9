/**
 * Contract 3: the bytes of a KV page, the same in WASM memory, in a GPU buffer and in IndexedDB, all little endian. A
 * page holds PAGE_TOKENS = 32 consecutive tokens of one layer and one KV head, with keys after RoPE. D = headDim (a
 * multiple of 4), G = ceil(D / 32).
 *
 *   f32, f16:     | key of token 0 [D] | ... | key of token 31 | value of token 0 [D] | ... | value of token 31 |
 *
 *   closed:       | keys' scales [D] | keys' bits [32][row] | values' scales [32][G] | values' bits [32][row] |
 *                 (q8, q4, q2: b = 8, 4, 2 bits for keys and values; k8v4, k4v2: 8 and 4, 4 and 2, each with its row)
 *     scales      words of f16 scale (low half) and f16 minimum (high half): for keys of channel c over the page's
 *                 32 tokens, for values of token t's channels [32 g, 32 g + 32) (KIVI's axes, Liu et al. 2024)
 *     row         ceil(D b / 32) words, token-major; channel c at bit c b of its row, least significant first;
 *                 bits after the last channel are 0
 *     x ~ minimum + scale * u, u in [0, 2^b - 1]
 *
 * In all pages of a view with `hadamard` (src/backend/backend.ts), values are those of `hadamard` (kernels/hadamard.ts).
 *
 * Bytes of a page for D = 64 and 128:  f32 16384, 32768;  f16 8192, 16384;  q8 4608, 9216;  k8v4 3584, 7168;
 * q4 2560, 5120;  k4v2 2048, 4096;  q2 1536, 3072. All are multiples of 16, so an address within a 64-byte aligned slab has free low bits; page tables store the
 * page's format there. Quantised pages are closed: they always hold 32 tokens. All code that depends on the bytes of a
 * page uses this file.
 */

export const PAGE_TOKENS: usize = 32;

/** The format codes, as in `KV_FORMATS` in src/backend/backend.ts. */
export const KV_F32: u32 = 0;
export const KV_F16: u32 = 1;
export const KV_Q8: u32 = 2;
export const KV_Q4: u32 = 3;
export const KV_Q2: u32 = 4;
/** Keys as in q8, values as in q4. */
export const KV_K8V4: u32 = 5;
/** Keys as in q4, values as in q2. */
export const KV_K4V2: u32 = 6;

/** Channels of a group of a token's values. */
export const GROUP: usize = 32;

/** The low bits of a page table entry, which hold the page's format. */
const FORMAT_MASK: usize = 7;

/** Returns the format in a page table entry (address | format). */
@inline
export function formatOf(entry: usize): u32 {
  return <u32>(entry & FORMAT_MASK);
}

/** Returns the page's address in a page table entry. */
@inline
export function addressOf(entry: usize): usize {
  return entry & ~FORMAT_MASK;
}

/** Returns the format whose keys a page has: f32, f16, q8, q4 or q2. */
@inline
export function keyFormat(format: u32): u32 {
  return format < KV_K8V4 ? format : format - (KV_K8V4 - KV_Q8);
}

/** Returns the format whose values a page has. */
@inline
export function valueFormat(format: u32): u32 {
  return format < KV_K8V4 ? format : format - (KV_K8V4 - KV_Q4);
}

/** Returns the bits of a value: 32, 16, 8, 4 or 2. This and `rowBytes` take a format of equal keys and values. */
@inline
export function bitsOf(format: u32): usize {
  return <usize>32 >> format;
}

/** Returns the number of groups of a token's values, each of which has a scale and a minimum. */
@inline
export function groupsOf(headDim: usize): usize {
  return (headDim + GROUP - 1) / GROUP;
}

/** Returns the bytes of one token's keys or values (for the quantised formats, of their bits). */
@inline
export function rowBytes(format: u32, headDim: usize): usize {
  return ((headDim * bitsOf(format) + 31) >> 5) << 2;
}

/** Returns the bytes of a page. */
export function pageBytes(format: u32, headDim: usize): usize {
  const rows = PAGE_TOKENS * (rowBytes(keyFormat(format), headDim) + rowBytes(valueFormat(format), headDim));
  return format < KV_Q8 ? rows : rows + ((headDim + PAGE_TOKENS * groupsOf(headDim)) << 2);
}

/** Returns the address of a token's keys (for the quantised formats, of their bits). */
@inline
export function keyAt(page: usize, format: u32, headDim: usize, token: usize): usize {
  return page + (format < KV_Q8 ? 0 : headDim << 2) + token * rowBytes(keyFormat(format), headDim);
}

/** Quantised pages: returns the address of the word of scale and minimum for a channel of the keys. */
@inline
export function keyScaleAt(page: usize, channel: usize): usize {
  return page + (channel << 2);
}

/** Returns the address at which the values begin, with their scales in quantised pages. */
@inline
export function valuesAt(page: usize, format: u32, headDim: usize): usize {
  return keyAt(page, format, headDim, PAGE_TOKENS);
}

/** Returns the address of a token's values, which begin at `values` in their own format (`valueFormat`). */
@inline
export function valueAt(values: usize, format: u32, headDim: usize, token: usize): usize {
  const scales: usize = format < KV_Q8 ? 0 : (PAGE_TOKENS * groupsOf(headDim)) << 2;
  return values + scales + token * rowBytes(format, headDim);
}

/** Quantised pages: returns the address of the word of scale and minimum for a group of a token's values. */
@inline
export function valueScaleAt(values: usize, headDim: usize, token: usize, group: usize): usize {
  return values + ((token * groupsOf(headDim) + group) << 2);
}
