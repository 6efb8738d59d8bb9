/** Encodes pieces of text as ids: by the cache first, then by the model's own algorithm. */
import { CACHED_BYTES, cacheCopy, cacheEntry, cacheHit, cacheStore } from './cache';
import { mergePiece } from './merge';
import { placeSpans } from './output';
import { unigramPiece } from './unigram';
import { MERGES, UNIGRAM, Vocabulary } from './vocabulary';
import { wordPiece } from './wordpiece';

/**
 * Encodes `count` pieces of `text` (padded with 8 readable bytes) to `output` (memory for one id a byte and 8 more).
 * Returns how many pieces were encoded: fewer than `count` when the next piece is longer than `scratchSymbols` bytes.
 * `vocabulary.produced` is the number of ids. Where `vocabulary.spans` is set, the cache is not used, since it does not
 * know positions.
 */
export function encodePieces(vocabulary: usize, text: usize, pieces: usize, count: u32, output: usize): u32 {
  const v = changetype<Vocabulary>(vocabulary);
  const kind = v.kind;
  const room = v.scratchSymbols;
  const cache: usize = v.cache;
  const cacheMask = v.cacheMask;
  const first = output;
  const spans: usize = v.spans;
  let done: u32 = 0;
  for (; done < count; ++done, pieces += 8) {
    const from = load<u32>(pieces);
    const to = load<u32>(pieces, 4);
    const length = to - from;
    if (length == 0) continue;
    let entry: usize = 0;
    if (length <= CACHED_BYTES && spans == 0) {
      entry = cacheEntry(cache, cacheMask, text + from, length);
      if (cacheHit(entry, length)) {
        output += (<usize>cacheCopy(entry, output)) << 2;
        continue;
      }
    }
    if (length > room) break;
    placeSpans(spans == 0 ? 0 : spans + ((output - first) << 1));
    let written: u32;
    if (kind == MERGES) written = mergePiece(v, text, from, to, output);
    else if (kind == UNIGRAM) written = unigramPiece(v, text, from, to, output);
    else written = wordPiece(v, text, from, to, output);
    if (entry != 0) cacheStore(entry, length, output, written);
    output += (<usize>written) << 2;
  }
  v.produced = <u32>((output - first) >> 2);
  return done;
}
