/**
 * CDPruner (2506.10967): selects tokens by a determinantal point process conditioned on the question, with the kernel K
 * = diag(r) cos(x_i, x_j) diag(r). Its most probable set is approximated greedily (Chen et al. 2018): the token with
 * the largest d_i^2 is kept, and for every other one `e_i = (K_ji - c_j . c_i) / d_j`, `c_i = [c_i, e_i]`, `d_i^2 =
 * d_i^2 - e_i^2`. All arithmetic is f64. Values of d^2 within TIE are equal, and the lowest index wins. The same rule
 * decides at the end, among tokens that add nothing to the kept ones.
 *
 * work: | inverse, gain, row f64 [n] each | c f64 [k][n] | taken u8 [n] |
 */
import { addScaled, addWide, dot, dotWide, inverseNorms, rowOf, TIE } from './vectors';

export function cdprunerWorkBytes(n: usize, k: usize): usize {
  return 24 * n + 8 * k * n + n + 64;
}

/**
 * Computes how relevant tokens are to the question: out f64 [n] is the mean cosine of token i with the rows of question
 * f32 [asked, d], scaled to 0 for the least and 1 for the most relevant token, or reversed where `negated`. It is 1 for
 * all tokens when they are equal within TIE. work: f64 [n + d] and 64 bytes. `order` u32 [asked] is 0, 1, ... Returns
 * 0, or -1 - i when token i is not finite, or 1 + i when row i of the question is not finite.
 */
export function relevance(
  out: usize, x: usize, rows: usize, n: usize, d: usize, question: usize, order: usize, asked: usize, negated: u32,
  work: usize,
): i32 {
  const mean = (work + 15) & ~15;
  const inverse = mean + (d << 3);
  memory.fill(mean, 0, d << 3);
  for (let i: usize = 0; i < asked; i++) {
    const row = rowOf(question, order, i, d);
    const square = dot(row, row, d);
    if (!isFinite<f64>(square)) return 1 + <i32>i;
    if (square > 0) addWide(mean, row, 1 / (sqrt<f64>(square) * <f64>asked), d);
  }
  const bad = inverseNorms(inverse, x, rows, n, d);
  if (bad < n) return -1 - <i32>bad;
  let least = Infinity;
  let most = -Infinity;
  for (let v: usize = 0; v < n; v++) {
    const alike = dotWide(rowOf(x, rows, v, d), mean, d) * load<f64>(inverse + (v << 3));
    store<f64>(out + (v << 3), alike);
    least = min<f64>(least, alike);
    most = max<f64>(most, alike);
  }
  const span = most - least;
  for (let v: usize = 0; v < n; v++) {
    const at = out + (v << 3);
    const share = span > TIE ? (load<f64>(at) - least) / span : 1;
    store<f64>(at, negated != 0 && span > TIE ? 1 - share : share);
  }
  return 0;
}

/**
 * Keeps k of n tokens; the other arguments are as for `todre`, and `relevant` is f64 [n]. Returns k, or -1 - i when the
 * row of token i is not finite.
 */
export function cdpruner(
  out: usize, x: usize, rows: usize, n: usize, d: usize, k: usize, relevant: usize, work: usize,
): i32 {
  const inverse = (work + 15) & ~15;
  const gain = inverse + (n << 3);
  const row = gain + (n << 3);
  const c = row + (n << 3);
  const taken = c + ((k * n) << 3);
  const bad = inverseNorms(inverse, x, rows, n, d);
  if (bad < n) return -1 - <i32>bad;
  memory.fill(taken, 0, n);
  for (let v: usize = 0; v < n; v++) {
    const r = load<f64>(relevant + (v << 3));
    store<f64>(gain + (v << 3), load<f64>(inverse + (v << 3)) > 0 ? r * r : 0);
  }
  for (let kept: usize = 0; kept < k; kept++) {
    let most = -Infinity;
    for (let v: usize = 0; v < n; v++) if (load<u8>(taken + v) == 0) most = max<f64>(most, load<f64>(gain + (v << 3)));
    let next: usize = 0;
    while (load<u8>(taken + next) != 0 || load<f64>(gain + (next << 3)) < most - TIE) next++;
    store<u32>(out + (kept << 2), <u32>next);
    store<u8>(taken + next, 1);
    const own = load<f64>(gain + (next << 3));
    // When d^2 of the chosen token is 0, there is nothing to divide by, and the d^2 of the others do not change.
    const e = c + ((kept * n) << 3);
    if (own <= TIE) {
      memory.fill(e, 0, n << 3);
      continue;
    }
    const chosen = rowOf(x, rows, next, d);
    const r = load<f64>(relevant + (next << 3)) * load<f64>(inverse + (next << 3));
    for (let v: usize = 0; v < n; v++) {
      const at = v << 3;
      const alike = load<u8>(taken + v) != 0
        ? 0
        : dot(chosen, rowOf(x, rows, v, d), d) * load<f64>(inverse + at) * load<f64>(relevant + at) * r;
      store<f64>(e + at, alike);
    }
    for (let j: usize = 0; j < kept; j++) {
      const before = c + ((j * n) << 3);
      addScaled(e, before, -load<f64>(before + (next << 3)), n);
    }
    const over = 1 / sqrt<f64>(own);
    for (let v: usize = 0; v < n; v++) {
      const at = v << 3;
      const part = load<f64>(e + at) * over;
      store<f64>(e + at, part);
      store<f64>(gain + at, load<f64>(gain + at) - part * part);
    }
  }
  return <i32>k;
}
