/** Ids of a made-up document for timing: sentences of 8 to 40 tokens, each drawn from two dozen ids of its own, so that keys change at their ends as they do in texts. */
const LETTERS = 256;
const WORDS = 24;

export function documentIds(count: number, seed = 1): Int32Array {
  let state = seed >>> 0;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const ids = new Int32Array(count);
  for (let at = 0; at < count;) {
    const words = Array.from({ length: WORDS }, () => next(LETTERS));
    const end = Math.min(count, at + 8 + next(33));
    for (; at < end; at++) ids[at] = words[next(WORDS)] ?? 0;
  }
  return ids;
}
