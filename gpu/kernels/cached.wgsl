// Decodes cached keys or values: out[t, h] = the row of position start + t in KV head h; zeros where there is no page.
//
// table [layers, KV_HEADS, blocks]         page numbers of the sequence, 32 positions each
// out   [positions, KV_HEADS * HEAD_DIM]   f32, rows of `width` vec4
// pages                                    lib/pages.ts, from binding 2 on
//
// One thread for each vec4 of out (lib/elements.wgsl).

override HEAD_DIM: u32;
override VALUES: u32; // 0 keys, 1 values

struct Params {
  count: u32, // vec4 of out
  width: u32,
  start: u32,
  table_start: u32, // layer * KV_HEADS * blocks
  blocks: u32,
}

@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = element(workgroup, groups, thread);
  if (i < params.count) {
    out[i] = row_vec(params.start + i / params.width, i % params.width);
  }
}
