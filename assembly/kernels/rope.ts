/**
 * Splits qkv, normalises and rotates q and k (RoPE, Su et al. 2021), normalises v without a weight where asked, and
 * writes k and v into their pages. The angles come as a table of cos and sin that the host computes in f64.
 */
import { KV_F32, PAGE_TOKENS, keyAt, valueAt, valuesAt } from '../kv/layout';
import { narrow } from '../kv/half';
import { hadamard } from './hadamard';
import { layerScale, normRow } from './norm';
import { scaleInto } from './page';
import { parallel } from './pool';
import { KERNEL_ROPE } from './kernels';

/** Tokens of a tile. */
const TOKENS: usize = 8;

/**
 * | pool | out | qkv | pages | firstBlock | blocks | table | count | position | heads | kvHeads | headDim | pairs |
 * | interleaved | qNorm | qBias | qEpsilon: f32 | qKind | kNorm | kBias | kEpsilon: f32 | kKind | format | width |
 * | given | vNormed | vEpsilon: f32 | hadamard |
 * A head has `width` values in qkv, and `headDim` in out and in the pages, of which those behind `width` are 0. qkv has
 * `given` KV heads, a divisor of kvHeads; each is written to kvHeads / given heads. 0: only queries, no page is written.
 * `pages` holds u32 addresses [kvHeads][blocks], of which the first is for block `firstBlock` of the sequence. `table`
 * is f32 [count][cos: pairs, sin: pairs]. `hadamard`: the `width` values of each head of v are transformed by `hadamard`.
 */
@unmanaged
export class RopeAppend {
  pool: usize;
  out: usize;
  qkv: usize;
  pages: usize;
  firstBlock: usize;
  blocks: usize;
  table: usize;
  count: usize;
  position: usize;
  heads: usize;
  kvHeads: usize;
  headDim: usize;
  pairs: usize;
  interleaved: u32;
  qNorm: usize;
  qBias: usize;
  qEpsilon: f32;
  qKind: u32;
  kNorm: usize;
  kBias: usize;
  kEpsilon: f32;
  kKind: u32;
  format: u32;
  width: usize;
  given: usize;
  vNormed: u32;
  vEpsilon: f32;
  hadamard: u32;
}

/** Returns the scratch bytes that one thread needs. */
export function ropeScratchBytes(headDim: usize): usize {
  return headDim << 2;
}

export function ropeAppend(args: usize): u32 {
  const a = changetype<RopeAppend>(args);
  return parallel(a.pool, KERNEL_ROPE, args, <u32>((a.count + TOKENS - 1) / TOKENS));
}

/**
 * y = x rotated. Pairs are (i, i + pairs), or (2 i, 2 i + 1) when interleaved; values beyond the rotary part are
 * copied. `y` may be `x`.
 */
function rotate(y: usize, x: usize, table: usize, pairs: usize, interleaved: u32, headDim: usize): void {
  let i: usize = 0;
  const sines = table + (pairs << 2);
  if (interleaved != 0) {
    for (; i < pairs; i++) {
      const c = load<f32>(table + (i << 2));
      const s = load<f32>(sines + (i << 2));
      const u = load<f32>(x + (i << 3));
      const v = load<f32>(x + (i << 3), 4);
      store<f32>(y + (i << 3), u * c - v * s);
      store<f32>(y + (i << 3), v * c + u * s, 4);
    }
  } else {
    const half = pairs << 2;
    if (ASC_FEATURE_SIMD) {
      for (; i + 4 <= pairs; i += 4) {
        const at = i << 2;
        const c = v128.load(table + at);
        const s = v128.load(sines + at);
        const u = v128.load(x + at);
        const v = v128.load(x + half + at);
        v128.store(y + at, f32x4.sub(f32x4.mul(u, c), f32x4.mul(v, s)));
        v128.store(y + half + at, f32x4.add(f32x4.mul(v, c), f32x4.mul(u, s)));
      }
    }
    for (; i < pairs; i++) {
      const at = i << 2;
      const c = load<f32>(table + at);
      const s = load<f32>(sines + at);
      const u = load<f32>(x + at);
      const v = load<f32>(x + half + at);
      store<f32>(y + at, u * c - v * s);
      store<f32>(y + half + at, v * c + u * s);
    }
  }
  if (y != x && headDim > 2 * pairs) memory.copy(y + (pairs << 3), x + (pairs << 3), (headDim - 2 * pairs) << 2);
}

@inline
function put(page: usize, format: u32, x: usize, headDim: usize): void {
  if (format == KV_F32) memory.copy(page, x, headDim << 2);
  else narrow(page, x, headDim);
}

export function ropeTile(a: RopeAppend, tile: usize, scratch: usize): void {
  const width = a.width;
  const own = width << 2;
  const bytes = a.headDim << 2;
  const rowBytes = (a.heads + 2 * a.given) * own;
  const end = min<usize>((tile + 1) * TOKENS, a.count);
  if (width < a.headDim) memory.fill(scratch + own, 0, bytes - own);
  for (let t = tile * TOKENS; t < end; t++) {
    const row = a.qkv + t * rowBytes;
    const table = a.table + ((t * 2 * a.pairs) << 2);
    for (let h: usize = 0; h < a.heads; h++) {
      const out = a.out + (t * a.heads + h) * bytes;
      let x = row + h * own;
      if (a.qNorm != 0) {
        normRow(out, x, a.qNorm, a.qBias, width, a.qKind, a.qEpsilon);
        x = out;
      }
      rotate(out, x, table, a.pairs, a.interleaved, width);
      if (width < a.headDim) memory.fill(out + own, 0, bytes - own);
    }
    if (a.given == 0) continue;
    const place = a.position + t;
    const block = place / PAGE_TOKENS - a.firstBlock;
    const token = place % PAGE_TOKENS;
    const copies = a.kvHeads / a.given;
    for (let h: usize = 0; h < a.kvHeads; h++) {
      const page = <usize>load<u32>(a.pages + ((h * a.blocks + block) << 2));
      let x = row + (a.heads + h / copies) * own;
      if (a.kNorm != 0) {
        normRow(scratch, x, a.kNorm, a.kBias, width, a.kKind, a.kEpsilon);
        x = scratch;
      }
      rotate(scratch, x, table, a.pairs, a.interleaved, width);
      put(keyAt(page, a.format, a.headDim, token), a.format, scratch, a.headDim);
      let v = row + (a.heads + a.given + h / copies) * own;
      if (a.vNormed != 0 || a.hadamard != 0 || width < a.headDim) {
        scaleInto(scratch, v, width, a.vNormed != 0 ? layerScale(v, width, 0, a.vEpsilon) : 1);
        if (a.hadamard != 0) hadamard(scratch, 1, width);
        v = scratch;
      }
      put(valueAt(valuesAt(page, a.format, a.headDim), a.format, a.headDim, token), a.format, v, a.headDim);
    }
  }
}
