/**
 * This is the only file that allocates: a first-fit allocator with an address-ordered free list that joins neighbouring
 * free blocks. Only the engine's thread calls it; pool threads are given pointers. Every block is aligned to 64 bytes.
 *
 *   block:  | size: u32 (payload, multiple of 64) | next free: u32 | 56 bytes unused | payload ... |
 */

const HEADER: usize = 64;
/**
 * Memory grows by at least STEP pages of 64 KiB (16 MiB). From 64 MiB on it grows by a quarter of its size, at most
 * LONGEST_STEP pages (64 MiB).
 */
const STEP: i32 = 256;
const LONGEST_STEP: i32 = 1024;

@unmanaged
class Block {
  size: u32;
  next: u32;
}

let freeList: usize = 0;
let heapEnd: usize = 0;
let inUse: usize = 0;

@inline
function block(at: usize): Block {
  return changetype<Block>(at);
}

/**
 * Extends the heap by a block of `size` payload bytes. Returns the address of its header, or 0 when memory cannot grow.
 */
function extend(size: usize): usize {
  if (heapEnd == 0) heapEnd = (__heap_base + 63) & ~(<usize>63);
  const at = heapEnd;
  const need = <u64>at + <u64>HEADER + <u64>size;
  if (need > 0xffff0000) return 0;
  const have = <u64>memory.size() << 16;
  if (need > have) {
    const pages = <i32>((need - have + 0xffff) >> 16);
    // After every growth the host must make new views of the memory, and often a garbage collection follows, so steps
    // are large. They are not larger because some systems count pages that were never touched.
    const step = max<i32>(max<i32>(pages, STEP), min<i32>(LONGEST_STEP, <i32>(have >> 18)));
    if (memory.grow(step) < 0 && memory.grow(pages) < 0) return 0;
  }
  heapEnd = <usize>need;
  block(at).size = <u32>size;
  return at;
}

/** Returns the address of `size` uninitialised bytes, 64-byte aligned, or 0 when no memory is left. */
export function alloc(size: usize): usize {
  if (size > 0xfff00000) return 0;
  const want: usize = (max<usize>(size, 1) + 63) & ~(<usize>63);
  let before: usize = 0;
  let at = freeList;
  while (at != 0) {
    const b = block(at);
    if (<usize>b.size >= want) {
      const rest: usize = <usize>b.size - want;
      let next: usize = b.next;
      if (rest > HEADER) {
        const tail = at + HEADER + want;
        block(tail).size = <u32>(rest - HEADER);
        block(tail).next = <u32>next;
        next = tail;
        b.size = <u32>want;
      }
      if (before == 0) freeList = next;
      else block(before).next = <u32>next;
      inUse += b.size;
      return at + HEADER;
    }
    before = at;
    at = b.next;
  }
  const fresh = extend(want);
  if (fresh == 0) return 0;
  inUse += want;
  return fresh + HEADER;
}

/** Frees a block that `alloc` returned, and joins it with free neighbours. 0 is ignored. */
export function release(pointer: usize): void {
  if (pointer == 0) return;
  const at = pointer - HEADER;
  inUse -= block(at).size;
  let before: usize = 0;
  let after = freeList;
  while (after != 0 && after < at) {
    before = after;
    after = block(after).next;
  }
  block(at).next = <u32>after;
  if (before == 0) freeList = at;
  else block(before).next = <u32>at;
  if (after != 0 && at + HEADER + block(at).size == after) {
    block(at).size += <u32>HEADER + block(after).size;
    block(at).next = block(after).next;
  }
  if (before != 0 && before + HEADER + block(before).size == at) {
    block(before).size += <u32>HEADER + block(at).size;
    block(before).next = block(at).next;
  }
}

/** Returns the payload bytes that are allocated and not released. */
export function allocated(): usize {
  return inUse;
}

/** AssemblyScript's abort hook. No strings leave the module; the engine sees a trap. */
export function trap(_message: usize, _file: usize, _line: u32, _column: u32): void {
  unreachable();
}
