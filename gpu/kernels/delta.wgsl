// The gated delta rule (Yang et al. 2025), token by token: with w = beta (v - decay k S), o = decay q S + (q k) w and S = decay S + k w.
//
// qkv   [tokens, q | k | v]                   f32, rows of qkv_stride vec4: KEY_HEADS heads of KEY_DIM values, q then k; VALUE_HEADS of VALUE_DIM
// gates [tokens, VALUE_HEADS, 2]              vec4, as delta-gates.wgsl makes them
// state [VALUE_HEADS, KEY_DIM, VALUE_DIM]     f32; zeros where has_state is 0
// out   [tokens, VALUE_HEADS * VALUE_DIM]     f32, rows of out_stride
// after [VALUE_HEADS, KEY_DIM, VALUE_DIM]     f32: the state behind the last token
//
// One workgroup of 128 per (32 columns of a state, value head): a column depends on no other, and lies in the registers of 4 threads while all tokens
// pass. A thread holds BLOCKS vec4 of neighbouring rows; BLOCKS is KEY_DIM / 16, rounded up. KEY_DIM is a multiple of 4.

override KEY_HEADS: u32;
override VALUE_HEADS: u32;
override KEY_DIM: u32;
override VALUE_DIM: u32;
override TILED: u32; // value head n reads key head n % KEY_HEADS

struct Params {
  tokens: u32,
  qkv_stride: u32,
  out_stride: u32,
  has_state: u32,
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> gates: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> after: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const COLUMNS = 32u;
const SHARES = 4u;
/// (k S, q S) of a thread's rows, by turns in two halves: a token's sums are read while the next one's are written.
var<workgroup> sums: array<vec2<f32>, 2u * COLUMNS * SHARES>;

@compute @workgroup_size(COLUMNS * SHARES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = workgroup.y;
  let lane = thread % COLUMNS;
  let column = workgroup.x * COLUMNS + lane;
  let first = (thread / COLUMNS) * BLOCKS;
  let inside = column < VALUE_DIM;
  let key_head = select(head / (VALUE_HEADS / KEY_HEADS), head % KEY_HEADS, TILED == 1u);
  let query = key_head * (KEY_DIM / 4u);
  let key = query + KEY_HEADS * (KEY_DIM / 4u);
  let value = 2u * KEY_HEADS * KEY_DIM + head * VALUE_DIM + column;

  var s: array<vec4<f32>, BLOCKS>;
  for (var i = 0u; i < BLOCKS; i++) {
    let row = 4u * (first + i);
    if (params.has_state == 1u && inside && row < KEY_DIM) {
      let at = (head * KEY_DIM + row) * VALUE_DIM + column;
      s[i] = vec4<f32>(state[at], state[at + VALUE_DIM], state[at + 2u * VALUE_DIM], state[at + 3u * VALUE_DIM]);
    }
  }

  for (var t = 0u; t < params.tokens; t++) {
    let at = t * params.qkv_stride;
    var keys: array<vec4<f32>, BLOCKS>;
    var sum = vec2<f32>();
    for (var i = 0u; i < BLOCKS; i++) {
      if (4u * (first + i) < KEY_DIM) {
        keys[i] = qkv[at + key + first + i];
        sum += vec2<f32>(dot(keys[i], s[i]), dot(qkv[at + query + first + i], s[i]));
      }
    }
    let turn = (t % 2u) * COLUMNS * SHARES;
    sums[turn + thread] = sum;
    workgroupBarrier();
    sum = sums[turn + lane] + sums[turn + lane + COLUMNS] + sums[turn + lane + 2u * COLUMNS] + sums[turn + lane + 3u * COLUMNS];
    let place = 2u * (t * VALUE_HEADS + head);
    let gate = gates[place]; // decay, beta, 1 / |k|, 1 / (|q| sqrt(KEY_DIM))
    let v = qkv[at + value / 4u][value % 4u];
    let w = gate.y * gate.z * (v - gate.x * gate.z * sum.x);
    if (inside && first == 0u) {
      out[t * params.out_stride + head * VALUE_DIM + column] = gate.w * (gate.x * sum.y + gates[place + 1u].x * w);
    }
    for (var i = 0u; i < BLOCKS; i++) {
      s[i] = gate.x * s[i] + w * keys[i];
    }
  }

  for (var i = 0u; i < BLOCKS; i++) {
    let row = 4u * (first + i);
    if (inside && row < KEY_DIM) {
      let at = (head * KEY_DIM + row) * VALUE_DIM + column;
      after[at] = s[i].x;
      after[at + VALUE_DIM] = s[i].y;
      after[at + 2u * VALUE_DIM] = s[i].z;
      after[at + 3u * VALUE_DIM] = s[i].w;
    }
  }
}
