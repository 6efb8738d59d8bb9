import { failTokenizer } from './failure.ts';

/** The most characters that one character of the text may become: U+FDFA becomes 18 in NFKC. */
const MOST_GROWTH = 32;
/** A short text may grow by more: every space may become a marker of several characters. */
const FREE_GROWTH = 65536;

/**
 * Refuses text that has grown beyond what any published normaliser makes of `before`, since a file's replacements may
 * double it again and again.
 */
export function bounded(before: string, after: string): string {
  if (after.length <= FREE_GROWTH + MOST_GROWTH * before.length) return after;
  return failTokenizer(
    `normalising makes ${after.length} characters of ${before.length}; at most ${MOST_GROWTH} for each are supported`,
    { length: after.length },
  );
}
