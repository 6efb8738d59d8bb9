/**
 * ShowUI's graph of a screenshot (2411.17465): adjacent patches with similar colours belong to one component.
 * Union-find with path halving; the root of a component is its first patch.
 */

function root(labels: usize, i: usize): usize {
  while (true) {
    const up = <usize>load<u32>(labels + (i << 2));
    if (up == i) return i;
    const next = load<u32>(labels + (up << 2));
    store<u32>(labels + (i << 2), next);
    i = <usize>next;
  }
}

function join(labels: usize, a: usize, b: usize): void {
  const u = root(labels, a);
  const v = root(labels, b);
  if (u < v) store<u32>(labels + (v << 2), <u32>u);
  else store<u32>(labels + (u << 2), <u32>v);
}

/** Returns the mean squared difference of two f32 [width], in f64. */
function difference(a: usize, b: usize, width: usize): f64 {
  let sum: f64 = 0;
  for (let i: usize = 0; i < width; i++) {
    const gap = <f64>load<f32>(a + (i << 2)) - <f64>load<f32>(b + (i << 2));
    sum += gap * gap;
  }
  return sum / <f64>width;
}

/**
 * Writes labels u32 [rows * columns]: the first patch of the component of each patch. x is f32 [rows * columns, width].
 * Neighbours to the right and below are joined where the root of their mean squared difference is at most `threshold`.
 * Returns the number of components.
 */
export function components(labels: usize, x: usize, rows: usize, columns: usize, width: usize, threshold: f64): u32 {
  const n = rows * columns;
  const most = threshold * threshold;
  const bytes = width << 2;
  for (let i: usize = 0; i < n; i++) store<u32>(labels + (i << 2), <u32>i);
  for (let i: usize = 0; i < n; i++) {
    const at = x + i * bytes;
    if ((i + 1) % columns != 0 && difference(at, at + bytes, width) <= most) join(labels, i, i + 1);
    if (i + columns < n && difference(at, at + columns * bytes, width) <= most) join(labels, i, i + columns);
  }
  let count: u32 = 0;
  for (let i: usize = 0; i < n; i++) {
    const first = root(labels, i);
    store<u32>(labels + (i << 2), <u32>first);
    if (first == i) count++;
  }
  return count;
}
