// The sums of a product with few rows (decode): a workgroup of 64 computes TOKENS rows of x by GROUPS * 4 columns.
//
// LANES threads share the units of a column, and every thread computes 4 columns, so that x is read once for four. WIDTH
// neighbouring lanes add up their sums (lib/joined.ts). There is one barrier, after the partial sums were written to
// workgroup memory, where the kernel adds up each output.
// The kernel declares norm, the declarations that x-vec.wgsl requires, tokens in `params`, and weight_row(place, group,
// r): slot and row of column r of the four of a group.

override TOKENS: u32 = 1u; // 1 .. 4
override NORM: u32 = 0u; // x * norm * inverseSqrt(mean(x^2) + epsilon); the sum of squares is computed with the product

override LANES: u32 = 16u; // divides 64; a multiple of WIDTH

override GROUPS = 64u / LANES;
override PARTS = LANES / WIDTH; // of a column's sum

// partial[(token * GROUPS + group) * PARTS + part]: the sums of four columns. squares[part]: of the rows of x.
var<workgroup> partial: array<vec4<f32>, GROUPS * PARTS * TOKENS>;
var<workgroup> squares: array<vec4<f32>, PARTS>;

/// Fills `partial` and `squares` for the rows of x from token0 on.
fn partial_sums(place: Slot, token0: u32, thread: u32) {
  let lane = thread % LANES;
  let group = thread / LANES;
  let units = (params.cols + 31u) / 32u;
  var sums = array<vec4<f32>, 4>();
  var square = vec4<f32>();
  for (var unit = lane; unit < units; unit += LANES) {
    for (var t = 0u; t < TOKENS; t++) {
      let row = x_row(min(token0 + t, params.tokens - 1u));
      var v: array<vec4<f32>, 8>;
      for (var i = 0u; i < 8u; i++) {
        v[i] = x_vec(row, unit * 8u + i);
        if (NORM == 1u) {
          square[t] += dot(v[i], v[i]);
          v[i] *= norm[unit * 8u + i];
        }
      }
      for (var r = 0u; r < 4u; r++) {
        let at = weight_row(place, group, r);
        let w = decode(at.x, at.y, unit, units);
        var sum = 0.0;
        for (var i = 0u; i < 8u; i++) {
          sum += dot(w[i], v[i]);
        }
        sums[t][r] += sum;
      }
    }
  }
  for (var t = 0u; t < TOKENS; t++) {
    let sum = joined(sums[t]);
    if (lane % WIDTH == 0u) {
      partial[(t * GROUPS + group) * PARTS + lane / WIDTH] = sum;
    }
  }
  if (NORM == 1u) {
    let sum = joined(square);
    if (group == 0u && lane % WIDTH == 0u) {
      squares[lane / WIDTH] = sum;
    }
  }
  workgroupBarrier();
}

/// The sum of column r of a group, before the norm's scale.
fn column_sum(t: u32, group: u32, r: u32) -> f32 {
  var sum = 0.0;
  for (var p = 0u; p < PARTS; p++) {
    sum += partial[(t * GROUPS + group) * PARTS + p][r];
  }
  return sum;
}

/// The factor by which the norm multiplies the sums of row t.
fn norm_scale(t: u32) -> f32 {
  if (NORM == 0u) {
    return 1.0;
  }
  var sum = 0.0;
  for (var p = 0u; p < PARTS; p++) {
    sum += squares[p][t];
  }
  return inverseSqrt(sum / f32(params.cols) + params.epsilon);
}
