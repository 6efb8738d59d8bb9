/**
 * WordPiece: takes the longest token that begins the word, then the longest that continues it, and so on (Devlin et al.
 * 2019). A word that cannot be covered, or that has more than `wordLimit` characters, is one unknown token. Entries
 * that begin a word start with the byte 0xff.
 */
import { HASH_START, NONE, Vocabulary, hashEnd, hashStep } from './vocabulary';
import { put } from './output';
import { characterBytes } from './utf8';

/** As findHashed, for an entry of `lead` (0 or 1) bytes 0xff followed by the `length` bytes at `at`. */
function findLed(v: Vocabulary, at: usize, length: u32, lead: u32, hash: u32): u32 {
  let slot = hash & v.slotMask;
  while (true) {
    const s: usize = <usize>v.slots + ((<usize>slot) << 3);
    const id = load<u32>(s, 4);
    if (id == NONE) return NONE;
    if (load<u32>(s) == hash) {
      const o: usize = <usize>v.offsets + ((<usize>id) << 2);
      const bytes: usize = <usize>v.bytes + load<u32>(o);
      if (load<u32>(o, 4) - load<u32>(o) == length + lead && (lead == 0 || load<u8>(bytes) == 0xff)) {
        let i: u32 = 0;
        while (i < length && load<u8>(bytes + lead + i) == load<u8>(at + i)) ++i;
        if (i == length) return id;
      }
    }
    slot = (slot + 1) & v.slotMask;
  }
}

export function wordPiece(v: Vocabulary, text: usize, from: u32, to: u32, output: usize): u32 {
  let characters: u32 = 0;
  for (let at = from; at < to; at += characterBytes(load<u8>(text + at))) characters++;
  let count: u32 = 0;
  let at = from;
  let lead: u32 = 1;
  while (at < to && characters <= v.wordLimit) {
    const last = min<u32>(to, at + v.longest);
    let hash = lead ? hashStep(HASH_START, 0xff) : HASH_START;
    let found = NONE;
    let foundEnd = at;
    for (let end = at; end < last; ) {
      const size = characterBytes(load<u8>(text + end));
      for (let b: u32 = 0; b < size; ++b) hash = hashStep(hash, load<u8>(text + end + b));
      end += size;
      const id = findLed(v, text + at, end - at, lead, hashEnd(hash));
      if (id != NONE) {
        found = id;
        foundEnd = end;
      }
    }
    if (found == NONE) break;
    put(output, count++, found, at, foundEnd);
    at = foundEnd;
    lead = 0;
  }
  if (at >= to) return count;
  if (v.unknown == NONE) return 0;
  put(output, 0, v.unknown, from, to);
  return 1;
}
