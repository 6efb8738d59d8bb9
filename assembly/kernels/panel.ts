/**
 * The arithmetic of attention for many rows: panels of eight, a row in each lane, so that maxima, exponentials and sums need no step across lanes,
 * and every load is at a fixed distance from a pointer that moves along. Keys and values are read as they lie, one value at a time for all lanes.
 *
 *   a panel:  | Q [headDim][8], times scale | O [headDim][8] | maximum [8] | sum [8] | own position [8]: u32 |      scores: S [32][8]
 */
import { PAGE_TOKENS } from '../kv/layout';
import { exp4, madd } from './math';
import { LOWEST } from './page';

export const LANES: usize = 8;
const ROW: usize = LANES << 2;
/** Bytes of S. */
export const PANEL_SCORES: usize = PAGE_TOKENS * LANES << 2;

@inline
export function panelBytes(d: usize): usize {
  return 2 * d * ROW + 3 * ROW;
}
@inline
function sumsOf(panel: usize, d: usize): usize {
  return panel + d * ROW;
}
@inline
function statesOf(panel: usize, d: usize): usize {
  return panel + 2 * d * ROW;
}

/** A panel of which nothing is known yet; its rows come by `panelRow`. */
export function clearPanel(panel: usize, d: usize): void {
  memory.fill(panel, 0, panelBytes(d));
  v128.store(statesOf(panel, d), f32x4.splat(LOWEST));
  v128.store(statesOf(panel, d), f32x4.splat(LOWEST), 16);
}

/** Puts query x [d] into a lane. */
export function panelRow(panel: usize, lane: usize, x: usize, d: usize, scale: f32, own: usize): void {
  let to = panel + (lane << 2);
  for (let i: usize = 0; i < d; i++) {
    store<f32>(to, load<f32>(x + (i << 2)) * scale);
    to += ROW;
  }
  store<u32>(statesOf(panel, d) + 2 * ROW + (lane << 2), <u32>own);
}

/** s [32][8] = Q^T k [count][d] + biases [count]; rows of s from `count` on, up to the next multiple of four, are repeats. */
export function panelScores(s: usize, panel: usize, k: usize, biases: usize, count: usize, d: usize): void {
  const bytes = d << 2;
  const last = count - 1;
  for (let key: usize = 0; key < count; key += 4) {
    const end = k + (key + 1) * bytes;
    let x0 = k + key * bytes;
    let x1 = k + min<usize>(key + 1, last) * bytes;
    let x2 = k + min<usize>(key + 2, last) * bytes;
    let x3 = k + min<usize>(key + 3, last) * bytes;
    let q = panel;
    const bias = biases + (key << 2);
    let a0 = v128.load32_splat(bias);
    let b0 = a0;
    let a1 = v128.load32_splat(bias, 4);
    let b1 = a1;
    let a2 = v128.load32_splat(bias, 8);
    let b2 = a2;
    let a3 = v128.load32_splat(bias, 12);
    let b3 = a3;
    while (x0 < end) {
      let u = v128.load(q);
      let w = v128.load(q, 16);
      let x = v128.load32_splat(x0);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(x1);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(x2);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(x3);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
      u = v128.load(q, 32);
      w = v128.load(q, 48);
      x = v128.load32_splat(x0, 4);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(x1, 4);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(x2, 4);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(x3, 4);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
      u = v128.load(q, 64);
      w = v128.load(q, 80);
      x = v128.load32_splat(x0, 8);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(x1, 8);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(x2, 8);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(x3, 8);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
      u = v128.load(q, 96);
      w = v128.load(q, 112);
      x = v128.load32_splat(x0, 12);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(x1, 12);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(x2, 12);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(x3, 12);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
      q += 128;
      x0 += 16;
      x1 += 16;
      x2 += 16;
      x3 += 16;
    }
    const to = s + key * ROW;
    v128.store(to, a0);
    v128.store(to, b0, 16);
    v128.store(to, a1, 32);
    v128.store(to, b1, 48);
    v128.store(to, a2, 64);
    v128.store(to, b2, 80);
    v128.store(to, a3, 96);
    v128.store(to, b3, 112);
  }
}

/** Scores of keys after a row's own position become -Infinity. */
export function panelHide(s: usize, panel: usize, positions: usize, count: usize, d: usize): void {
  const own = statesOf(panel, d) + 2 * ROW;
  const own0 = v128.load(own);
  const own1 = v128.load(own, 16);
  const lowest = f32x4.splat(LOWEST);
  for (let key: usize = 0; key < count; key++) {
    const position = v128.load32_splat(positions + (key << 2));
    const to = s + key * ROW;
    v128.store(to, v128.bitselect(lowest, v128.load(to), i32x4.gt_u(position, own0)));
    v128.store(to, v128.bitselect(lowest, v128.load(to, 16), i32x4.gt_u(position, own1)), 16);
  }
}

/** s becomes exp(s - maximum); the old sums and O are brought to the new maximum. What is no number makes a row's maximum and sum none. */
export function panelSoften(s: usize, panel: usize, count: usize, d: usize): void {
  const states = statesOf(panel, d);
  const before0 = v128.load(states);
  const before1 = v128.load(states, 16);
  // pmax passes over a NaN, which the sum finds.
  let now0 = before0;
  let now1 = before1;
  const end = s + count * ROW;
  for (let at = s; at < end; at += ROW) {
    now0 = f32x4.pmax(now0, v128.load(at));
    now1 = f32x4.pmax(now1, v128.load(at, 16));
  }
  // Where nothing is visible yet, -Infinity minus itself would be NaN.
  const lowest = f32x4.splat(LOWEST);
  const base0 = v128.andnot(now0, f32x4.eq(now0, lowest));
  const base1 = v128.andnot(now1, f32x4.eq(now1, lowest));
  let total0 = v128.load(states, ROW);
  let total1 = v128.load(states, ROW + 16);
  if (v128.any_true(v128.or(f32x4.ne(now0, before0), f32x4.ne(now1, before1)))) {
    const down0 = exp4(f32x4.sub(before0, base0));
    const down1 = exp4(f32x4.sub(before1, base1));
    total0 = f32x4.mul(total0, down0);
    total1 = f32x4.mul(total1, down1);
    for (let at = sumsOf(panel, d); at < states; at += ROW) {
      v128.store(at, f32x4.mul(v128.load(at), down0));
      v128.store(at, f32x4.mul(v128.load(at, 16), down1), 16);
    }
  }
  for (let at = s; at < end; at += ROW) {
    const e = exp4(f32x4.sub(v128.load(at), base0));
    v128.store(at, e);
    total0 = f32x4.add(total0, e);
    const f = exp4(f32x4.sub(v128.load(at, 16), base1));
    v128.store(at, f, 16);
    total1 = f32x4.add(total1, f);
  }
  v128.store(states, v128.bitselect(now0, total0, f32x4.eq(total0, total0)));
  v128.store(states, v128.bitselect(now1, total1, f32x4.eq(total1, total1)), 16);
  v128.store(states, total0, ROW);
  v128.store(states, total1, ROW + 16);
}

/** O += s^T v [count][d]; four channels by eight rows at a time. */
export function panelGather(panel: usize, s: usize, v: usize, count: usize, d: usize): void {
  const bytes = d << 2;
  let o = sumsOf(panel, d);
  const end = s + count * ROW;
  const pairs = s + (count & ~1) * ROW;
  for (let c: usize = 0; c < bytes; c += 16) {
    let a0 = v128.load(o);
    let b0 = v128.load(o, 16);
    let a1 = v128.load(o, 32);
    let b1 = v128.load(o, 48);
    let a2 = v128.load(o, 64);
    let b2 = v128.load(o, 80);
    let a3 = v128.load(o, 96);
    let b3 = v128.load(o, 112);
    let at = s;
    let y = v + c;
    while (at < pairs) {
      let u = v128.load(at);
      let w = v128.load(at, 16);
      let x = v128.load32_splat(y);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(y, 4);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(y, 8);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(y, 12);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
      y += bytes;
      u = v128.load(at, 32);
      w = v128.load(at, 48);
      x = v128.load32_splat(y);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(y, 4);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(y, 8);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(y, 12);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
      y += bytes;
      at += 2 * ROW;
    }
    if (at < end) {
      const u = v128.load(at);
      const w = v128.load(at, 16);
      let x = v128.load32_splat(y);
      a0 = madd(x, u, a0);
      b0 = madd(x, w, b0);
      x = v128.load32_splat(y, 4);
      a1 = madd(x, u, a1);
      b1 = madd(x, w, b1);
      x = v128.load32_splat(y, 8);
      a2 = madd(x, u, a2);
      b2 = madd(x, w, b2);
      x = v128.load32_splat(y, 12);
      a3 = madd(x, u, a3);
      b3 = madd(x, w, b3);
    }
    v128.store(o, a0);
    v128.store(o, b0, 16);
    v128.store(o, a1, 32);
    v128.store(o, b1, 48);
    v128.store(o, a2, 64);
    v128.store(o, b2, 80);
    v128.store(o, a3, 96);
    v128.store(o, b3, 112);
    o += 4 * ROW;
  }
}

/** A lane's sums [d], times `scale`. */
export function panelSums(out: usize, panel: usize, lane: usize, d: usize, scale: f32): void {
  let from = sumsOf(panel, d) + (lane << 2);
  for (let i: usize = 0; i < d; i++) {
    store<f32>(out + (i << 2), load<f32>(from) * scale);
    from += ROW;
  }
}
@inline
export function panelHighest(panel: usize, lane: usize, d: usize): f32 {
  return load<f32>(statesOf(panel, d) + (lane << 2));
}
@inline
export function panelTotal(panel: usize, lane: usize, d: usize): f32 {
  return load<f32>(statesOf(panel, d) + (lane << 2), ROW);
}
