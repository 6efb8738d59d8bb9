// Reopens closed pages, or converts f32 to f16 and back: page data[2 i] is decoded and stored in page data[2 i + 1], as
// PageVec.
//
// target  pages of the format that is written (lib/pages.ts)
// source  pages, lib/pages.ts, at binding 1
// data    [pages]  (from, to): the number of a page, and an index in target
//
// One workgroup of 128 for each page, counted over a grid of two dimensions.

override HEAD_DIM: u32;

struct Params {
  count: u32, // pages
}

@group(0) @binding(0) var<storage, read_write> target_pages: array<PageVec>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

const WORKGROUP = 128u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let pair = workgroup.y * groups.x + workgroup.x;
  if (pair >= params.count) {
    return;
  }
  let page = data[2u * pair];
  let first = data[2u * pair + 1u] * 16u * HEAD_DIM;
  for (var i = thread; i < 16u * HEAD_DIM; i += WORKGROUP) {
    let row = i / (HEAD_DIM / 4u);
    let d = i % (HEAD_DIM / 4u);
    var v: vec4<f32>;
    if (row < 32u) {
      v = key_vec(page, row, d);
    } else {
      v = value_vec(page, row - 32u, d);
    }
    target_pages[first + i] = page_store(v);
  }
}
