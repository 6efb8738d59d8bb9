// Tokens at consecutive positions, the same on every axis.

fn rope_position(token: u32, pair: u32) -> u32 {
  return params.first + token;
}
