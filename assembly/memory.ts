/**
 * The only file that allocates: a first-fit allocator with an address-ordered free list and coalescing.
 * Only the engine's thread calls it; pool threads get pointers. Everything is aligned to 64 bytes.
 *
 *   block:  | size: u32 (payload, multiple of 64) | next free: u32 | 56 bytes unused | payload ... |
 */

const HEADER: usize = 64;
/** 64 KiB pages by which memory grows at least: 16 MiB; a quarter of what there is once that is more, at most 64 MiB. */
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

/** Grows memory so that the heap has a block of `size` payload bytes at its end. Returns its header, or 0 when the engine refuses. */
function extend(size: usize): usize {
  if (heapEnd == 0) heapEnd = (__heap_base + 63) & ~(<usize>63);
  const at = heapEnd;
  const need = <u64>at + <u64>HEADER + <u64>size;
  if (need > 0xffff0000) return 0;
  const have = <u64>memory.size() << 16;
  if (need > have) {
    const pages = <i32>((need - have + 0xffff) >> 16);
    // Every growth costs the engine a view of the whole memory and often a collection, so steps are large; but some systems count pages that were never touched.
    const step = max<i32>(max<i32>(pages, STEP), min<i32>(LONGEST_STEP, <i32>(have >> 18)));
    if (memory.grow(step) < 0 && memory.grow(pages) < 0) return 0;
  }
  heapEnd = <usize>need;
  block(at).size = <u32>size;
  return at;
}

/** Bytes `[p, p + size)`, uninitialised, 64-byte aligned. 0 when there is no memory left. */
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

/** Returns a block that `alloc` gave; 0 is ignored. Neighbouring free blocks are joined. */
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

/** Payload bytes handed out and not released. */
export function allocated(): usize {
  return inUse;
}

/** AssemblyScript's abort hook: no strings cross the border, the engine sees a trap. */
export function trap(_message: usize, _file: usize, _line: u32, _column: u32): void {
  unreachable();
}
