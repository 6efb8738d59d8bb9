/** Access to arrays of u32 by address and index. */

@inline
export function get(array: usize, i: u32): u32 {
  return load<u32>(array + ((<usize>i) << 2));
}

@inline
export function set(array: usize, i: u32, value: u32): void {
  store<u32>(array + ((<usize>i) << 2), value);
}
