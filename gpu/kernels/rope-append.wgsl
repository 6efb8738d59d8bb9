// One step between the q/k/v product and attention: per-head RMS norm of q and k (where Q_NORM, K_NORM), rotation of
// both by their positions (RoPE, Su 2021; none where ROTARY is 0), k and v into the sequence's pages, q out. Where
// V_NORM, v is normalised without a weight. Where HADAMARD is above 1, each head of v is multiplied by a Hadamard matrix
// last (lib/hadamard.wgsl).
//
// qkv    [tokens, (HEADS + 2 GIVEN_KV) * GIVEN_DIM]  f32, rows of qkv_stride; its heads are followed by zeros in q and
//        in the pages, up to HEAD_DIM, and each of its KV heads is written to COPIES of the pool's
// angles [512 + n, ROTARY / 2]  vec2 (cos, sin): rows 0..511 rotate by p % 512 (times the magnitude), rows 512.. by
//        512 * (p / 512). Their complex product rotates by p, exact to a few ulp, unlike the f32 product of position
//        and frequency.
// q_norm, k_norm [GIVEN_DIM]  f32
// table  [layers, KV_HEADS, blocks]  page numbers of the sequence, 32 positions each
// pool   pages that are written token by token (lib/pages.ts)
// rope_position(token, pair) is the position by which a pair is rotated: lib/rope-run.wgsl or rope-rows.wgsl
// q      [tokens, HEADS * HEAD_DIM]  f32, rows of q_stride
//
// One workgroup of 64 per (token, head of q, k or v); a thread computes four neighbouring values. HEAD_DIM is a
// multiple of 4, ROTARY of 2.

override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override GIVEN_DIM: u32;
override GIVEN_KV: u32;
override COPIES: u32;
override ROTARY: u32;
override INTERLEAVED: u32 = 0u;
override Q_NORM: u32 = 0u;
override K_NORM: u32 = 0u;
override V_NORM: u32 = 0u;

struct Params {
  qkv_stride: u32,
  q_stride: u32,
  position: u32,
  table_start: u32, // layer * KV_HEADS * blocks
  blocks: u32,
  pages: u32,
  q_epsilon: f32,
  k_epsilon: f32,
  first: u32, // RoPE's position of token 0, where the others follow it
  tokens: u32,
  v_epsilon: f32,
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> q_norm: array<f32>;
@group(0) @binding(3) var<storage, read> k_norm: array<f32>;
@group(0) @binding(4) var<storage, read> table: array<u32>;
@group(0) @binding(5) var<storage, read_write> pool: array<PageVec>;
@group(0) @binding(6) var<storage, read_write> q: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 64u;
var<workgroup> reduction: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = workgroup.x;
  let token = workgroup.y;
  let position = params.position + token;
  let is_q = head < HEADS;
  let is_k = !is_q && head < HEADS + KV_HEADS;
  let kv_head = select(head - HEADS - KV_HEADS, head - HEADS, is_k); // of the pool
  let given = select(HEADS + select(GIVEN_KV, 0u, is_k) + kv_head / COPIES, head, is_q);
  let base = token * params.qkv_stride + given * GIVEN_DIM;

  var scale = 1.0;
  if (select(select(V_NORM, K_NORM, is_k), Q_NORM, is_q) == 1u) {
    var squares = 0.0;
    for (var d = thread; d < GIVEN_DIM; d += WORKGROUP) {
      squares += qkv[base + d] * qkv[base + d];
    }
    let epsilon = select(select(params.v_epsilon, params.k_epsilon, is_k), params.q_epsilon, is_q);
    scale = inverseSqrt(reduce_sum(squares, thread) / f32(GIVEN_DIM) + epsilon);
  }

  let transformed = HADAMARD > 1u && !is_q && !is_k; // the same for all of a workgroup
  if (transformed) {
    for (var d = thread; d < GIVEN_DIM; d += WORKGROUP) {
      head_row[d] = qkv[base + d] * scale;
    }
    hadamard(GIVEN_DIM, thread);
  }
  for (var c = thread; c < HEAD_DIM / 4u; c += WORKGROUP) {
    var v: vec4<f32>;
    for (var j = 0u; j < 4u; j++) {
      let d = 4u * c + j;
      if (d >= GIVEN_DIM) {
        v[j] = 0.0;
      } else if (transformed) {
        v[j] = head_row[d];
      } else if (is_q || is_k) {
        v[j] = rotated(base, d, token, is_q) * scale;
      } else {
        v[j] = qkv[base + d] * scale;
      }
    }
    if (is_q) {
      let at = token * params.q_stride + head * HEAD_DIM + 4u * c;
      for (var j = 0u; j < 4u; j++) {
        q[at + j] = v[j];
      }
    } else {
      let page = table[params.table_start + kv_head * params.blocks + position / 32u] - FIRST_PAGE;
      let row = select(32u, 0u, is_k) + position % 32u;
      if (page < params.pages) {
        pool[(page * 64u + row) * (HEAD_DIM / 4u) + c] = page_pack(v);
      }
    }
  }
}

/// Value d of a head, times the norm's weight but not yet times its scale.
fn weighted(base: u32, d: u32, is_q: bool) -> f32 {
  let value = qkv[base + d];
  if (is_q) {
    if (Q_NORM == 1u) {
      return value * q_norm[d];
    }
  } else if (K_NORM == 1u) {
    return value * k_norm[d];
  }
  return value;
}

fn rotated(base: u32, d: u32, token: u32, is_q: bool) -> f32 {
  let value = weighted(base, d, is_q);
  if (d >= ROTARY) {
    return value;
  }
  let pairs = ROTARY / 2u;
  var pair: u32;
  var partner: u32;
  var first: bool;
  if (INTERLEAVED == 1u) {
    pair = d / 2u;
    first = d % 2u == 0u;
    partner = d ^ 1u;
  } else {
    first = d < pairs;
    pair = select(d - pairs, d, first);
    partner = select(d - pairs, d + pairs, first);
  }
  let position = rope_position(token, pair);
  let low = angles[(position % 512u) * pairs + pair];
  let high = angles[(512u + position / 512u) * pairs + pair];
  let cosine = low.x * high.x - low.y * high.y;
  let sine = low.y * high.x + low.x * high.y;
  return value * cosine + weighted(base, partner, is_q) * select(sine, -sine, first);
}
