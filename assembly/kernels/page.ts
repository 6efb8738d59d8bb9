/**
 * The arithmetic of attention over one batch of keys. Rows of scores are 32 values apart. A row is computed in the same
 * way however many rows there are, and hidden keys after its last visible one do not change its result.
 */
import { PAGE_TOKENS } from '../kv/layout';
import { exp1, exp4, lanes, madd } from './math';

/** The score of a key that the row may not see. */
export const LOWEST: f32 = -Infinity;

/** y = x * scale */
export function scaleInto(y: usize, x: usize, n: usize, scale: f32): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const s = f32x4.splat(scale);
    for (; i + 4 <= n; i += 4) v128.store(y + (i << 2), f32x4.mul(v128.load(x + (i << 2)), s));
  }
  for (; i < n; i++) store<f32>(y + (i << 2), load<f32>(x + (i << 2)) * scale);
}

/**
 * Joins the sums of later keys to a row's sums o [d] with their maximum and `sum`, by bringing both to the same
 * maximum.
 */
export function join(
  o: usize, highest: usize, sum: usize, later: usize, laterHighest: f32, laterSum: f32, d: usize,
): void {
  if (laterHighest == LOWEST) return;
  const before = load<f32>(highest);
  const now = max<f32>(before, laterHighest);
  const a = exp1(before - now);
  const b = exp1(laterHighest - now);
  store<f32>(highest, now);
  store<f32>(sum, load<f32>(sum) * a + laterSum * b);
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const x = f32x4.splat(a);
    const y = f32x4.splat(b);
    for (; i + 16 <= d << 2; i += 16) {
      v128.store(o + i, f32x4.add(f32x4.mul(v128.load(o + i), x), f32x4.mul(v128.load(later + i), y)));
    }
  }
  for (; i < d << 2; i += 4) store<f32>(o + i, load<f32>(o + i) * a + load<f32>(later + i) * b);
}

/** Returns a vector whose lane i is the sum of the lanes of the i-th argument. */
@inline
function transposedSum(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/**
 * Computes s [rows][32] = q [rows][d] times k [count][d] transposed, plus biases [count], two rows by four keys at a
 * time.
 */
export function scores(s: usize, q: usize, k: usize, biases: usize, rows: usize, count: usize, d: usize): void {
  const bytes = d << 2;
  let row: usize = 0;
  if (ASC_FEATURE_SIMD && (d & 3) == 0) {
    for (; row < rows; row += 2) {
      const q0 = q + row * bytes;
      // When the number of rows is odd, the last row is computed twice.
      const next: usize = row + 1 < rows ? 1 : 0;
      const q1 = q0 + next * bytes;
      const s0 = s + ((row * PAGE_TOKENS) << 2);
      const s1 = s0 + ((next * PAGE_TOKENS) << 2);
      let key: usize = 0;
      for (; key + 4 <= count; key += 4) {
        const x = k + key * bytes;
        let a0 = f32x4.splat(0);
        let a1 = f32x4.splat(0);
        let a2 = f32x4.splat(0);
        let a3 = f32x4.splat(0);
        let b0 = f32x4.splat(0);
        let b1 = f32x4.splat(0);
        let b2 = f32x4.splat(0);
        let b3 = f32x4.splat(0);
        const x1 = x + bytes;
        const x2 = x1 + bytes;
        const x3 = x2 + bytes;
        // Four channels a turn: two would be ordered sum by sum by WASM's optimiser, with more operands than registers.
        for (let i: usize = 0; i < bytes; i += 16) {
          const u = v128.load(q0 + i);
          const w = v128.load(q1 + i);
          let k0 = v128.load(x + i);
          a0 = madd(u, k0, a0);
          b0 = madd(w, k0, b0);
          k0 = v128.load(x1 + i);
          a1 = madd(u, k0, a1);
          b1 = madd(w, k0, b1);
          k0 = v128.load(x2 + i);
          a2 = madd(u, k0, a2);
          b2 = madd(w, k0, b2);
          k0 = v128.load(x3 + i);
          a3 = madd(u, k0, a3);
          b3 = madd(w, k0, b3);
        }
        const bias = v128.load(biases + (key << 2));
        v128.store(s0 + (key << 2), f32x4.add(transposedSum(a0, a1, a2, a3), bias));
        v128.store(s1 + (key << 2), f32x4.add(transposedSum(b0, b1, b2, b3), bias));
      }
      for (; key < count; key++) {
        const x = k + key * bytes;
        let a = f32x4.splat(0);
        let b = f32x4.splat(0);
        for (let i: usize = 0; i < bytes; i += 16) {
          const k0 = v128.load(x + i);
          a = madd(v128.load(q0 + i), k0, a);
          b = madd(v128.load(q1 + i), k0, b);
        }
        const bias = load<f32>(biases + (key << 2));
        store<f32>(s0 + (key << 2), lanes(a) + bias);
        store<f32>(s1 + (key << 2), lanes(b) + bias);
      }
    }
    return;
  }
  for (; row < rows; row++) {
    for (let key: usize = 0; key < count; key++) {
      let sum: f32 = 0;
      for (let i: usize = 0; i < bytes; i += 4) sum += load<f32>(q + row * bytes + i) * load<f32>(k + key * bytes + i);
      store<f32>(s + ((row * PAGE_TOKENS + key) << 2), sum + load<f32>(biases + (key << 2)));
    }
  }
}

/** Sets the scores of keys after the row's own position to -Infinity. */
export function hide(s: usize, rows: usize, own: usize, positions: usize, count: usize): void {
  for (let r: usize = 0; r < rows; r++) {
    const limit = load<u32>(own + (r << 2));
    for (let i: usize = 0; i < count; i++) {
      if (load<u32>(positions + (i << 2)) > limit) store<f32>(s + ((r * PAGE_TOKENS + i) << 2), LOWEST);
    }
  }
}

/**
 * The softmax step for one row and one batch: s becomes exp(s - maximum), and the earlier sums o and `sum` are scaled
 * to the new maximum. A NaN among the scores makes maximum and sum NaN.
 */
export function soften(s: usize, count: usize, o: usize, d: usize, highest: usize, sum: usize): void {
  const before = load<f32>(highest);
  let now = before;
  let end = s + (count << 2);
  if (ASC_FEATURE_SIMD) {
    for (; (end & 15) != (s & 15); end += 4) store<f32>(end, LOWEST);
    // Two chains. pmax is one instruction, unlike max; it may pass over a NaN, but then the sum is NaN.
    let m = f32x4.splat(before);
    let n = m;
    let at = s;
    for (; at + 32 <= end; at += 32) {
      m = f32x4.pmax(m, v128.load(at));
      n = f32x4.pmax(n, v128.load(at, 16));
    }
    if (at < end) m = f32x4.pmax(m, v128.load(at));
    m = f32x4.pmax(m, n);
    m = f32x4.pmax(m, v128.shuffle<f32>(m, m, 2, 3, 0, 1));
    m = f32x4.pmax(m, v128.shuffle<f32>(m, m, 1, 0, 3, 2));
    now = f32x4.extract_lane(m, 0);
  } else {
    for (let at = s; at < end; at += 4) {
      const v = load<f32>(at);
      if (v > now) now = v;
    }
  }
  // While no key is visible yet, -Infinity minus itself would be NaN.
  const base: f32 = now == LOWEST ? 0 : now;
  if (now != before) {
    const down = exp1(before - now);
    store<f32>(highest, now);
    store<f32>(sum, load<f32>(sum) * down);
    scaleInto(o, o, d, down);
  }
  let total: f32 = 0;
  if (ASC_FEATURE_SIMD) {
    const m = f32x4.splat(base);
    let t = f32x4.splat(0);
    for (let at = s; at < end; at += 16) {
      const e = exp4(f32x4.sub(v128.load(at), m));
      v128.store(at, e);
      t = f32x4.add(t, e);
    }
    total = lanes(t);
  } else {
    for (let at = s; at < end; at += 4) {
      const e = exp1(load<f32>(at) - base);
      store<f32>(at, e);
      total += e;
    }
  }
  store<f32>(sum, load<f32>(sum) + total);
  if (total != total) store<f32>(highest, NaN);
}

/**
 * `gather` for six rows, eight channels at a time, on relaxed builds: without their multiply-add the products would need
 * one register more than there are. When there are only five rows, what lies behind them is read, and not written.
 */
function gatherSix(o: usize, s: usize, v: usize, rows: usize, count: usize, bytes: usize): void {
  const o1 = o + bytes;
  const o2 = o1 + bytes;
  const o3 = o2 + bytes;
  const o4 = o3 + bytes;
  const o5 = o4 + bytes;
  for (let c: usize = 0; c < bytes; c += 32) {
    let a0 = v128.load(o + c);
    let b0 = v128.load(o + c, 16);
    let a1 = v128.load(o1 + c);
    let b1 = v128.load(o1 + c, 16);
    let a2 = v128.load(o2 + c);
    let b2 = v128.load(o2 + c, 16);
    let a3 = v128.load(o3 + c);
    let b3 = v128.load(o3 + c, 16);
    let a4 = v128.load(o4 + c);
    let b4 = v128.load(o4 + c, 16);
    let a5 = v128.load(o5 + c);
    let b5 = v128.load(o5 + c, 16);
    let x = v + c;
    for (let at = s, end = s + (count << 2); at < end; at += 4) {
      const v0 = v128.load(x);
      const v1 = v128.load(x, 16);
      let p = v128.load32_splat(at);
      a0 = madd(p, v0, a0);
      b0 = madd(p, v1, b0);
      p = v128.load32_splat(at, 4 * PAGE_TOKENS);
      a1 = madd(p, v0, a1);
      b1 = madd(p, v1, b1);
      p = v128.load32_splat(at, 8 * PAGE_TOKENS);
      a2 = madd(p, v0, a2);
      b2 = madd(p, v1, b2);
      p = v128.load32_splat(at, 12 * PAGE_TOKENS);
      a3 = madd(p, v0, a3);
      b3 = madd(p, v1, b3);
      p = v128.load32_splat(at, 16 * PAGE_TOKENS);
      a4 = madd(p, v0, a4);
      b4 = madd(p, v1, b4);
      p = v128.load32_splat(at, 20 * PAGE_TOKENS);
      a5 = madd(p, v0, a5);
      b5 = madd(p, v1, b5);
      x += bytes;
    }
    v128.store(o + c, a0);
    v128.store(o + c, b0, 16);
    v128.store(o1 + c, a1);
    v128.store(o1 + c, b1, 16);
    v128.store(o2 + c, a2);
    v128.store(o2 + c, b2, 16);
    v128.store(o3 + c, a3);
    v128.store(o3 + c, b3, 16);
    v128.store(o4 + c, a4);
    v128.store(o4 + c, b4, 16);
    if (rows > 5) {
      v128.store(o5 + c, a5);
      v128.store(o5 + c, b5, 16);
    }
  }
}

/**
 * Computes o [rows][d] += s [rows][32] times v [count][d], six rows by eight channels at a time on relaxed builds, and
 * all others two by sixteen channels.
 */
export function gather(o: usize, s: usize, v: usize, rows: usize, count: usize, d: usize): void {
  const bytes = d << 2;
  let row: usize = 0;
  if (ASC_FEATURE_SIMD && (d & 3) == 0) {
    if (ASC_FEATURE_RELAXED_SIMD && (d & 7) == 0) {
      for (; row + 5 <= rows; row += 6) {
        gatherSix(o + row * bytes, s + ((row * PAGE_TOKENS) << 2), v, rows - row, count, bytes);
      }
    }
    for (; row < rows; row += 2) {
      const next: usize = row + 1 < rows ? 1 : 0;
      const o0 = o + row * bytes;
      const o1 = o0 + next * bytes;
      const s0 = s + ((row * PAGE_TOKENS) << 2);
      const s1 = s0 + ((next * PAGE_TOKENS) << 2);
      let c: usize = 0;
      for (; c + 64 <= bytes; c += 64) {
        let a0 = v128.load(o0 + c);
        let a1 = v128.load(o0 + c, 16);
        let a2 = v128.load(o0 + c, 32);
        let a3 = v128.load(o0 + c, 48);
        let b0 = v128.load(o1 + c);
        let b1 = v128.load(o1 + c, 16);
        let b2 = v128.load(o1 + c, 32);
        let b3 = v128.load(o1 + c, 48);
        let x = v + c;
        for (let i: usize = 0; i < count << 2; i += 4) {
          const p = v128.load32_splat(s0 + i);
          const r = v128.load32_splat(s1 + i);
          const v0 = v128.load(x);
          a0 = madd(p, v0, a0);
          b0 = madd(r, v0, b0);
          const v1 = v128.load(x, 16);
          a1 = madd(p, v1, a1);
          b1 = madd(r, v1, b1);
          const v2 = v128.load(x, 32);
          a2 = madd(p, v2, a2);
          b2 = madd(r, v2, b2);
          const v3 = v128.load(x, 48);
          a3 = madd(p, v3, a3);
          b3 = madd(r, v3, b3);
          x += bytes;
        }
        v128.store(o0 + c, a0);
        v128.store(o0 + c, a1, 16);
        v128.store(o0 + c, a2, 32);
        v128.store(o0 + c, a3, 48);
        v128.store(o1 + c, b0);
        v128.store(o1 + c, b1, 16);
        v128.store(o1 + c, b2, 32);
        v128.store(o1 + c, b3, 48);
      }
      for (; c < bytes; c += 16) {
        let a = v128.load(o0 + c);
        let b = v128.load(o1 + c);
        let x = v + c;
        for (let i: usize = 0; i < count << 2; i += 4) {
          const y = v128.load(x);
          a = madd(v128.load32_splat(s0 + i), y, a);
          b = madd(v128.load32_splat(s1 + i), y, b);
          x += bytes;
        }
        v128.store(o0 + c, a);
        v128.store(o1 + c, b);
      }
    }
    return;
  }
  for (; row < rows; row++) {
    for (let c: usize = 0; c < bytes; c += 4) {
      let sum = load<f32>(o + row * bytes + c);
      for (let i: usize = 0; i < count; i++) {
        sum += load<f32>(s + ((row * PAGE_TOKENS + i) << 2)) * load<f32>(v + i * bytes + c);
      }
      store<f32>(o + row * bytes + c, sum);
    }
  }
}
