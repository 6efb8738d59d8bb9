// Attention mass of keys: out[h, j] = 1 / tokens sum_t exp(scale * q[t, h] . k[j] + bias - m[t, h]) / sum[t, h]. The
// maxima m and the sums over all keys that a query sees were computed before (attention.wgsl, MODE 2). One thread adds
// up the queries of a key in order, so that no matrix [tokens, keys] is stored, and the result does not depend on how
// the GPU schedules threads.
//
// q     [tokens, HEADS * HEAD_DIM]  f32, rows of q_stride vec4
// table [layers, KV_HEADS, blocks]  page numbers of the sequence, 32 positions each
// out   [HEADS, keys]               f32, rows of out_stride; behind it, from word sums_start on,
//                                   [shares, tokens, HEADS] (maximum, sum, -, -)
// pages                             lib/pages.ts, from binding 3 on
// data                              lib/runs.wgsl
//
// One workgroup of 128 per (128 keys, KV head, tile of its query heads); each thread computes one key. HEAD_DIM is a
// multiple of 4, at most 512; ROWS = QUERIES * TILE_HEADS <= 8.

override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override QUERIES: u32; // queries taken at a time
override TILE_HEADS: u32; // query heads of a workgroup
override HEAD_TILES: u32; // ceil(HEADS / KV_HEADS / TILE_HEADS)

const WORKGROUP = 128u;

struct Params {
  tokens: u32,
  position: u32,
  q_stride: u32,
  table_start: u32, // layer * KV_HEADS * blocks
  blocks: u32,
  query_block: u32,
  range_heads: u32, // KV_HEADS, or 1 when shared
  runs_start: u32,
  bias_start: u32,
  causal: u32,
  scale: f32,
  keys: u32,
  out_stride: u32,
  sums_start: u32,
  shares: u32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

override ROWS = QUERIES * TILE_HEADS;
override DIM4 = HEAD_DIM / 4u;

var<workgroup> queries: array<vec4<f32>, ROWS * DIM4>;
var<workgroup> maxima: array<f32, ROWS>;
var<workgroup> factors: array<f32, ROWS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let key0 = workgroup.x * WORKGROUP;
  let position = key0 + thread;
  let kv_head = workgroup.y / HEAD_TILES;
  let group = HEADS / KV_HEADS;
  let head_start = (workgroup.y % HEAD_TILES) * TILE_HEADS; // within the group
  let page = table[params.table_start + kv_head * params.blocks + min(position / 32u, params.blocks - 1u)];
  var mass = array<f32, 8>();

  let query_blocks = (params.tokens + params.query_block - 1u) / params.query_block;
  for (var block = 0u; block < query_blocks; block++) {
    let block_end = min(params.tokens, (block + 1u) * params.query_block);
    let list = block * params.range_heads + select(kv_head, 0u, params.range_heads == 1u);
    let first_run = data[list];
    let end_run = data[list + 1u];
    let unseen = params.causal == 1u && key0 >= params.position + block_end;
    if (unseen || slots_below(first_run, end_run, key0) == slots_below(first_run, end_run, key0 + WORKGROUP)) {
      continue;
    }
    let after = run_from(first_run, end_run, position + 1u);
    var seen = after > first_run;
    var bias = 0.0;
    if (seen) {
      let run = after - 1u;
      seen = position - run_start(run) < run_slots(run) - slots_before(first_run, run);
      bias = run_bias(run);
    }
    for (var query0 = block * params.query_block; query0 < block_end; query0 += QUERIES) {
      workgroupBarrier();
      for (var i = thread; i < ROWS * DIM4; i += WORKGROUP) {
        let row = i / DIM4;
        let query = min(query0 + row / TILE_HEADS, block_end - 1u);
        let head = kv_head * group + min(head_start + row % TILE_HEADS, group - 1u);
        queries[i] = q[query * params.q_stride + head * DIM4 + i % DIM4] * params.scale;
      }
      if (thread < ROWS) {
        let query = min(query0 + thread / TILE_HEADS, block_end - 1u);
        sums_of(query, kv_head * group + min(head_start + thread % TILE_HEADS, group - 1u), thread);
      }
      workgroupBarrier();
      var s = array<f32, 8>();
      if (seen) {
        for (var d = 0u; d < DIM4; d++) {
          let k = key_vec(page, position % 32u, d);
          for (var r = 0u; r < ROWS; r++) {
            s[r] += dot(queries[r * DIM4 + d], k);
          }
        }
        for (var r = 0u; r < ROWS; r++) {
          let query = query0 + r / TILE_HEADS;
          if (query < block_end && (params.causal == 0u || position <= params.position + query)) {
            mass[r % TILE_HEADS] += exp(s[r] + bias - maxima[r]) * factors[r];
          }
        }
      }
    }
  }

  if (position < params.keys) {
    for (var h = 0u; h < TILE_HEADS; h++) {
      if (head_start + h < group) {
        out[(kv_head * group + head_start + h) * params.out_stride + position] = mass[h] / f32(params.tokens);
      }
    }
  }
}

/// The maximum of a row, and 1 / sum (0 where it sees no key), over all shares.
fn sums_of(query: u32, head: u32, row: u32) {
  var maximum = -3.0e38;
  for (var share = 0u; share < params.shares; share++) {
    maximum = max(maximum, out[params.sums_start + 4u * ((share * params.tokens + query) * HEADS + head)]);
  }
  var sum = 0.0;
  for (var share = 0u; share < params.shares; share++) {
    let at = params.sums_start + 4u * ((share * params.tokens + query) * HEADS + head);
    sum += exp(out[at] - maximum) * out[at + 1u];
  }
  maxima[row] = maximum;
  factors[row] = select(1.0 / sum, 0.0, sum == 0.0);
}
