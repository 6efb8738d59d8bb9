/**
 * Runs a pretokeniser's automaton (made by `src/text/automaton.ts`) over UTF-8 and cuts the text into pieces. Matches
 * are leftmost-first as in Perl. Assertions look one character ahead, so it is a transition, not a state, that says "a
 * match ends before this character". Time is linear for every published pretokeniser; `STEPS_PER_BYTE` stops a hostile
 * expression that would be quadratic.
 *
 *   Automaton: | blocks: u32 | classes: u32 | transitions: u32 | stride: u32 | consumed: u32 |
 *     blocks       u16[0x110000 / 128]: code point >> 7 -> block
 *     classes      u8[blocks][128]: character class; the class `stride - 1` is the end of the text
 *     transitions  u16[states][stride]: bit 15: a match ends here; bits 0-14: next state, 0: none.
 *                  Matching starts in state 1
 *   Piece:     | start: u32 | end: u32 |   byte offsets into the text
 */
import { characterBytes, codePoint } from './utf8';

/** When there are more steps than this for each byte of text, the expression scans the same text again and again. */
const STEPS_PER_BYTE: u64 = 256;

const TOO_MANY_STEPS: u32 = 0xffffffff;

@unmanaged
class Automaton {
  blocks: u32;
  classes: u32;
  transitions: u32;
  stride: u32;
  consumed: u32;
}

// How matches and the text between them become pieces: the `behavior` of tokenizer.json.
const ISOLATED: u32 = 0;
const REMOVED: u32 = 1;
const MERGED_WITH_PREVIOUS: u32 = 2;
const MERGED_WITH_NEXT: u32 = 3;
const CONTIGUOUS: u32 = 4;

// The output address of `emit`, and its state between pieces. They are valid during one call of splitPieces.
let out: usize = 0;
let behaviour: u32 = 0;
let previousMatched: bool = false;
/** A piece of the current input piece was already written. */
let hasPrevious: bool = false;
/** MERGED_WITH_NEXT: a match is held back until the text after it is known. */
let waits: bool = false;
let waitStart: u32 = 0;
let waitEnd: u32 = 0;

@inline
function write(start: u32, end: u32): void {
  store<u32>(out, start);
  store<u32>(out, end, 4);
  out += 8;
}

function emit(start: u32, end: u32, matched: bool): void {
  switch (behaviour) {
    case ISOLATED:
      write(start, end);
      return;
    case REMOVED:
      if (!matched) write(start, end);
      return;
    case MERGED_WITH_PREVIOUS:
      if (matched && !previousMatched && hasPrevious) store<u32>(out - 8, end, 4);
      else write(start, end);
      break;
    case CONTIGUOUS:
      if (matched == previousMatched && hasPrevious) store<u32>(out - 8, end, 4);
      else write(start, end);
      break;
    case MERGED_WITH_NEXT:
      if (matched) {
        if (waits) write(waitStart, waitEnd);
        waits = true;
        waitStart = start;
        waitEnd = end;
      } else {
        write(waits ? waitStart : start, end);
        waits = false;
      }
      break;
  }
  previousMatched = matched;
  hasPrevious = true;
}

/**
 * Cuts each of `count` pieces of `text` and writes the smaller pieces to `output` (memory for one piece a byte).
 * Returns their number. `invert` swaps matches and the text between them. When `final` is 0 there is one piece, more
 * text will follow it, and only the part that can no longer change is cut; `automaton.consumed` is then the number of
 * bytes cut. Returns 2^32 - 1 when the expression needs too many steps.
 */
export function splitPieces(
  automaton: usize, text: usize, pieces: usize, count: u32, final: u32, mode: u32, invert: u32, output: usize,
): u32 {
  const a = changetype<Automaton>(automaton);
  const blocks: usize = a.blocks;
  const classes: usize = a.classes;
  const transitions: usize = a.transitions;
  const stride: u32 = a.stride;
  const ascii: usize = classes + (<usize>load<u16>(blocks) << 7);
  out = output;
  behaviour = mode;
  a.consumed = 0;
  for (let p: u32 = 0; p < count; ++p, pieces += 8) {
    const from: u32 = load<u32>(pieces);
    const to: u32 = load<u32>(pieces, 4);
    let fuel: u64 = <u64>(to - from) * STEPS_PER_BYTE + 65536;
    let gap: u32 = from;
    let at: u32 = from;
    // The last run of one state that ended without a match. Entering that state again within these bounds cannot match
    // either.
    let lostState: u32 = 0;
    let lostFrom: u32 = 0;
    let lostTo: u32 = 0;
    hasPrevious = false;
    previousMatched = false;
    waits = false;
    let open = false;
    while (at < to) {
      let state: u32 = 1;
      let position: u32 = at;
      let end: u32 = at;
      let runState: u32 = 0;
      let runFrom: u32 = at;
      while (true) {
        let kind: u32 = stride - 1;
        let size: u32 = 0;
        if (position < to) {
          const lead: u32 = load<u8>(text + position);
          if (lead < 0x80) {
            kind = load<u8>(ascii + lead);
            size = 1;
          } else {
            size = characterBytes(lead);
            const point = codePoint(text + position, size);
            kind = load<u8>(classes + (<usize>load<u16>(blocks + ((point >> 7) << 1)) << 7) + (point & 127));
          }
        } else if (!final) {
          open = true;
          break;
        }
        const transition: u32 = load<u16>(transitions + ((<usize>(state * stride + kind)) << 1));
        if (transition & 0x8000) end = position;
        state = transition & 0x7fff;
        if (state == 0 || size == 0) break;
        position += size;
        if (state != runState) {
          if (end == at && state == lostState && position >= lostFrom && position <= lostTo) break;
          runState = state;
          runFrom = position;
        }
      }
      if (open) break;
      fuel -= <u64>(position - at) + 1;
      if (<i64>fuel < 0) return TOO_MANY_STEPS;
      if (end > at) {
        if (gap < at) emit(gap, at, invert != 0);
        emit(at, end, invert == 0);
        at = end;
        gap = end;
      } else {
        lostState = runState;
        lostFrom = runFrom;
        lostTo = position;
        at += characterBytes(load<u8>(text + at));
      }
    }
    if (!final) {
      // The text between matches may continue after the end as well.
      a.consumed = gap;
      break;
    }
    if (gap < to) emit(gap, to, invert != 0);
    if (waits) write(waitStart, waitEnd);
    a.consumed = to;
  }
  return <u32>((out - output) >> 3);
}
