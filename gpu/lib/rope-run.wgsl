// Tokens at positions that follow each other, on every axis.

fn rope_position(token: u32, pair: u32) -> u32 {
  return params.first + token;
}
