// x as an image [height * width, CHANNELS] whose row `token` is what the kernel of a convolution reads for output pixel
// `token`: KERNEL * KERNEL * CHANNELS values in (y, x, channel) order, zeros outside the image. With UPSAMPLE = 1 a
// pixel counts as 2 x 2. The kernel declares `x`, those overrides, STEP (the stride of the convolution), and in
// `params` cols, x_stride, height and width (after the upsampling), out_width, and top and left (the padding).

/// Coordinates of the upper left corner of the kernel. Below zero they wrap to numbers beyond any image.
alias XRow = vec2<u32>;

fn x_row(token: u32) -> XRow {
  return vec2<u32>(token % params.out_width, token / params.out_width) * STEP - vec2<u32>(params.left, params.top);
}

/// The vec4 of x at which the pixel of tap `tap` begins, or NOWHERE.
fn x_pixel(corner: XRow, tap: u32) -> u32 {
  let at = corner + vec2<u32>(tap % KERNEL, tap / KERNEL);
  if (at.x >= params.width || at.y >= params.height) {
    return NOWHERE;
  }
  return ((at.y >> UPSAMPLE) * (params.width >> UPSAMPLE) + (at.x >> UPSAMPLE)) * params.x_stride;
}

const NOWHERE = 0xffffffffu;

/// Returns vec4 i of a row; zero beyond params.cols.
fn x_vec(corner: XRow, i: u32) -> vec4<f32> {
  var out = vec4<f32>();
  if (CHANNELS % 4u == 0u) {
    let pixel = x_pixel(corner, 4u * i / CHANNELS);
    if (4u * i < params.cols && pixel != NOWHERE) {
      out = x[pixel + (4u * i % CHANNELS) / 4u];
    }
    return out;
  }
  for (var j = 0u; j < 4u; j++) {
    let k = 4u * i + j;
    let pixel = x_pixel(corner, k / CHANNELS);
    if (k < params.cols && pixel != NOWHERE) {
      let channel = k % CHANNELS;
      out[j] = x[pixel + channel / 4u][channel % 4u];
    }
  }
  return out;
}
