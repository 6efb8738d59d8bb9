// Ranged attention over KV pages: out[t, h] = sum_j softmax_j(scale * q[t, h] . k[j] + bias) v[j], where j runs over
// the keys that the ranges give for the query block of t and the KV head of h; causal: j <= position + t. The softmax
// is computed online over tiles of keys (Milakov & Gimelshein 2018; FlashAttention, Dao 2022), in f32. A query that may
// see no key gives zeros.
//
// q     [tokens, HEADS * HEAD_DIM]  f32, rows of q_stride vec4
// table [layers, KV_HEADS, blocks]  page numbers of the sequence, 32 positions each
// out   [tokens, HEADS * OUT_DIM]   f32, rows of out_stride vec4: the first values of each head; in MODE 1 and 2,
//       results of shares (below)
// pages                             lib/pages.ts, from binding 3 on
// data                              lib/runs.wgsl
//
// Few queries over many keys are split (Flash-Decoding, Dao et al. 2023): workgroup.z computes one of `shares` equal
// shares of a list's keys. MODE 0: out is the result (one share). MODE 1: out [share, token, head] is (maximum, sum, -,
// -), then DIM4 vec4 of weighted values that are not divided yet; attention-merge.wgsl joins them. MODE 2: from vec4
// out_start on, only (maximum, sum, -, -), which the probe uses.
//
// One workgroup of 128 per (query tile, KV head, tile of its query heads, share): ROWS = QUERIES * TILE_HEADS rows of q
// share the reading of keys and values. For each tile of KEYS keys: (1) a thread computes the scores of one key for
// some rows; (2) eight threads for each row update the maximum (WIDTH of them join theirs by lib/joined.ts) and compute the weights; (3) a thread accumulates four
// channels, for a part of the rows (ROW_GROUPS) or, in decode, for a part of the keys.
// STAGED: decoding closed pages costs more than the products of a few rows, so they are decoded once for each tile, in
// parts, into workgroup memory.
// HEAD_DIM is a multiple of 4, at most 512; KEYS divides 128; ROWS <= 16; ROWS / (128 / KEYS) and ROWS / ROW_GROUPS at
// most 8.

override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override QUERIES: u32; // queries of a workgroup
override TILE_HEADS: u32; // query heads of a workgroup
override HEAD_TILES: u32; // ceil(HEADS / KV_HEADS / TILE_HEADS)
override KEYS: u32; // keys of a tile
override ROW_GROUPS: u32; // groups of rows in step 3
override STAGED: u32;
override OUT_DIM: u32;
override MODE: u32; // 0 result, 1 shares, 2 maximum and sum only

const WORKGROUP = 128u;
const STAGE = 256u; // vec4 decoded at a time where STAGED
const LANES = 8u; // threads a row in step 2
const NONE = -3.0e38; // the score of a key that may not be seen

struct Params {
  tokens: u32,
  position: u32,
  q_stride: u32,
  table_start: u32, // layer * KV_HEADS * blocks
  blocks: u32,
  query_block: u32,
  block_tiles: u32, // query tiles of a block
  range_heads: u32, // KV_HEADS, or 1 when shared
  runs_start: u32,
  bias_start: u32,
  causal: u32,
  scale: f32,
  shares: u32,
  out_start: u32,
  out_stride: u32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

override ROWS = QUERIES * TILE_HEADS;
override DIM4 = HEAD_DIM / 4u;
override OUT4 = OUT_DIM / 4u;

var<workgroup> queries: array<vec4<f32>, ROWS * DIM4>;
var<workgroup> scores: array<f32, ROWS * KEYS>;
var<workgroup> key_pages: array<u32, KEYS>;
var<workgroup> key_rows: array<u32, KEYS>;
var<workgroup> lanes: array<f32, WORKGROUP>;
var<workgroup> rescale: array<f32, ROWS>;
var<workgroup> staged: array<vec4<f32>, STAGE>; // at the end: shares of a row's values

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let block = workgroup.x / params.block_tiles;
  let query0 = block * params.query_block + (workgroup.x % params.block_tiles) * QUERIES;
  let query_end = min(min(params.tokens, (block + 1u) * params.query_block), query0 + QUERIES);
  let kv_head = workgroup.y / HEAD_TILES;
  let group = HEADS / KV_HEADS;
  let head_start = (workgroup.y % HEAD_TILES) * TILE_HEADS; // within the group
  if (query0 >= query_end) {
    return;
  }

  for (var i = thread; i < ROWS * DIM4; i += WORKGROUP) {
    let row = i / DIM4;
    let query = min(query0 + row / TILE_HEADS, query_end - 1u);
    let head = kv_head * group + min(head_start + row % TILE_HEADS, group - 1u);
    queries[i] = q[query * params.q_stride + head * DIM4 + i % DIM4] * params.scale;
  }

  // The key and rows of this thread in step 1.
  let key = thread % KEYS;
  let row_share = (ROWS + (WORKGROUP / KEYS) - 1u) / (WORKGROUP / KEYS);
  let score_row = (thread / KEYS) * row_share;
  // The row of this thread in step 2, its running maximum, and this lane's part of the sum.
  let soft_row = thread / LANES;
  let lane = thread % LANES;
  var maximum = NONE;
  var sum = 0.0;
  // The channels and rows of this thread in step 3.
  let channel = thread % DIM4;
  let owner = thread / DIM4;
  let key_groups = max(1u, (WORKGROUP / DIM4) / ROW_GROUPS);
  let row_group = owner % ROW_GROUPS;
  let key_group = owner / ROW_GROUPS;
  let accumulates = key_group < key_groups;
  let rows_owned = (ROWS + ROW_GROUPS - 1u) / ROW_GROUPS;
  var acc = array<vec4<f32>, 8>();

  let list = block * params.range_heads + select(kv_head, 0u, params.range_heads == 1u);
  let first_run = data[list];
  let end_run = data[list + 1u];
  var slots = 0u;
  if (params.causal == 1u) {
    slots = slots_below(first_run, end_run, params.position + query_end);
  } else if (end_run > first_run) {
    slots = run_slots(end_run - 1u);
  }
  let share = ((slots + KEYS - 1u) / KEYS + params.shares - 1u) / params.shares * KEYS;
  let end = min(slots, (workgroup.z + 1u) * share);
  for (var slot0 = workgroup.z * share; slot0 < end; slot0 += KEYS) {
    workgroupBarrier();
    // 1. Scores.
    let slot = slot0 + key;
    let seen = slot < end;
    var position = 0u;
    var page = 0u;
    var bias = 0.0;
    if (seen) {
      let run = run_of_slot(first_run, end_run, slot);
      position = run_start(run) + slot - slots_before(first_run, run);
      page = table[params.table_start + kv_head * params.blocks + position / 32u];
      bias = run_bias(run);
    }
    if (thread < KEYS) {
      key_pages[key] = page;
      key_rows[key] = position % 32u;
    }
    var s = array<f32, 8>(); // initialised explicitly: SwiftShader zeroes a variable in a loop body only once
    if (STAGED == 1u) {
      for (var d0 = 0u; d0 < DIM4; d0 += STAGE / KEYS) {
        workgroupBarrier();
        for (var i = thread; i < STAGE; i += WORKGROUP) {
          let d = d0 + i / KEYS; // of this thread's key
          var k = vec4<f32>();
          if (seen && d < DIM4) {
            k = key_vec(page, position % 32u, d);
          }
          staged[i] = k;
        }
        workgroupBarrier();
        for (var d = d0; d < min(DIM4, d0 + STAGE / KEYS); d++) {
          let k = staged[(d - d0) * KEYS + key];
          for (var r = 0u; r < row_share; r++) {
            s[r] += dot(queries[min(score_row + r, ROWS - 1u) * DIM4 + d], k);
          }
        }
      }
    } else if (seen) {
      for (var d = 0u; d < DIM4; d++) {
        let k = key_vec(page, position % 32u, d);
        for (var r = 0u; r < row_share; r++) {
          s[r] += dot(queries[min(score_row + r, ROWS - 1u) * DIM4 + d], k);
        }
      }
    }
    for (var r = 0u; r < row_share; r++) {
      let row = score_row + r;
      if (row < ROWS) {
        let visible = seen && (params.causal == 0u || position <= params.position + query0 + row / TILE_HEADS);
        scores[row * KEYS + key] = select(NONE, s[r] + bias, visible);
      }
    }
    workgroupBarrier();
    // 2. Weights.
    var local_maximum = NONE;
    if (soft_row < ROWS) {
      for (var j = lane; j < KEYS; j += LANES) {
        local_maximum = max(local_maximum, scores[soft_row * KEYS + j]);
      }
    }
    local_maximum = joined_max(local_maximum);
    if (WIDTH < LANES) {
      lanes[thread] = local_maximum;
      workgroupBarrier();
    }
    if (soft_row < ROWS) {
      var updated = max(maximum, local_maximum);
      if (WIDTH < LANES) {
        for (var l = 0u; l < LANES; l += WIDTH) {
          updated = max(updated, lanes[soft_row * LANES + l]);
        }
      }
      let factor = exp(maximum - updated);
      maximum = updated;
      sum *= factor;
      for (var j = lane; j < KEYS; j += LANES) {
        let score = scores[soft_row * KEYS + j];
        let weight = select(exp(score - updated), 0.0, score == NONE);
        scores[soft_row * KEYS + j] = weight;
        sum += weight;
      }
      if (lane == 0u) {
        rescale[soft_row] = factor;
      }
    }
    if (MODE == 2u) {
      continue;
    }
    workgroupBarrier();
    // 3. Weighted values.
    if (accumulates) {
      for (var a = 0u; a < rows_owned; a++) {
        acc[a] *= rescale[min(row_group + a * ROW_GROUPS, ROWS - 1u)];
      }
    }
    let count = min(KEYS, end - slot0);
    if (STAGED == 1u) {
      let part = STAGE / DIM4; // keys
      for (var j0 = 0u; j0 < count; j0 += part) {
        workgroupBarrier();
        for (var i = thread; i < part * DIM4; i += WORKGROUP) {
          let j = j0 + i / DIM4;
          var v = vec4<f32>();
          if (j < count) {
            v = value_vec(key_pages[j], key_rows[j], i % DIM4);
          }
          staged[i] = v;
        }
        workgroupBarrier();
        if (accumulates) {
          for (var j = j0 + key_group; j < min(count, j0 + part); j += key_groups) {
            let v = staged[(j - j0) * DIM4 + channel];
            for (var a = 0u; a < rows_owned; a++) {
              acc[a] += scores[min(row_group + a * ROW_GROUPS, ROWS - 1u) * KEYS + j] * v;
            }
          }
        }
      }
    } else if (accumulates) {
      for (var j = key_group; j < count; j += key_groups) {
        let v = value_vec(key_pages[j], key_rows[j], channel);
        for (var a = 0u; a < rows_owned; a++) {
          acc[a] += scores[min(row_group + a * ROW_GROUPS, ROWS - 1u) * KEYS + j] * v;
        }
      }
    }
  }

  workgroupBarrier();
  lanes[thread] = sum;
  if (lane == 0u && soft_row < ROWS) {
    rescale[soft_row] = maximum;
  }
  workgroupBarrier();
  if (MODE != 0u && thread < ROWS) {
    let query = query0 + thread / TILE_HEADS;
    let head = head_start + thread % TILE_HEADS;
    if (query < query_end && head < group) {
      let at = (workgroup.z * params.tokens + query) * HEADS + kv_head * group + head;
      out[params.out_start + at * select(1u, DIM4 + 1u, MODE == 1u)] = vec4<f32>(rescale[thread], row_sum(thread), 0.0, 0.0);
    }
  }
  if (MODE == 2u) {
    return;
  }
  for (var a = 0u; a < rows_owned; a++) {
    workgroupBarrier();
    staged[thread] = acc[a];
    workgroupBarrier();
    let row = row_group + a * ROW_GROUPS;
    let query = query0 + row / TILE_HEADS;
    let head = head_start + row % TILE_HEADS;
    if (key_group == 0u && row < ROWS && query < query_end && head < group) {
      var value = vec4<f32>();
      for (var g = 0u; g < key_groups; g++) {
        value += staged[(g * ROW_GROUPS + row_group) * DIM4 + channel];
      }
      if (MODE == 1u) {
        let at = (workgroup.z * params.tokens + query) * HEADS + kv_head * group + head;
        out[at * (DIM4 + 1u) + 1u + channel] = value;
      } else if (channel < OUT4) {
        let total = row_sum(row);
        out[query * params.out_stride + (kv_head * group + head) * OUT4 + channel] = select(value / total, vec4<f32>(), total == 0.0);
      }
    }
  }
}

fn row_sum(row: u32) -> f32 {
  var total = 0.0;
  for (var l = 0u; l < LANES; l++) {
    total += lanes[row * LANES + l];
  }
  return total;
}
