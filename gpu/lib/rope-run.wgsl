// Tokens at positions that follow each other.

fn rope_position(token: u32) -> u32 {
  return params.first + token;
}
