/** The tokenisation algorithms as their papers put them: naive loops over arrays of strings. */

/** Sennrich et al.: merge the best pair, the leftmost of equals, until there is none. */
export function mergeReference(
  symbols: readonly string[],
  rank: (left: string, right: string) => number | undefined,
): string[] {
  const out = [...symbols];
  for (;;) {
    let best: { at: number; rank: number } | undefined;
    for (let i = 0; i + 1 < out.length; i++) {
      const r = rank(out[i]!, out[i + 1]!);
      if (r !== undefined && (best === undefined || r < best.rank)) best = { at: i, rank: r };
    }
    if (best === undefined) return out;
    out.splice(best.at, 2, out[best.at]! + out[best.at + 1]!);
  }
}

/** Kudo: the segmentation of the highest score among all; undefined stands for one unknown character. */
export function unigramReference(
  characters: readonly string[],
  scores: ReadonlyMap<string, number>,
  unknown: number,
): (string | undefined)[] {
  const best: { score: number; path: (string | undefined)[] }[] = [{ score: 0, path: [] }];
  for (let end = 1; end <= characters.length; end++) {
    let choice: { score: number; path: (string | undefined)[] } | undefined;
    for (let start = 0; start < end; start++) {
      const token = characters.slice(start, end).join('');
      const score = scores.get(token) ?? (end - start === 1 ? unknown : undefined);
      if (score === undefined) continue;
      const total = best[start]!.score + score;
      if (choice === undefined || total > choice.score)
        choice = { score: total, path: [...best[start]!.path, scores.has(token) ? token : undefined] };
    }
    best.push(choice!);
  }
  return best[characters.length]!.path;
}

/** Devlin et al.: the longest prefix, then the longest continuation, and so on; undefined when a word cannot be covered. */
export function wordPieceReference(word: string, tokens: ReadonlySet<string>): string[] | undefined {
  const characters = [...word];
  const out: string[] = [];
  for (let start = 0; start < characters.length;) {
    let end = characters.length;
    while (end > start && !tokens.has((start > 0 ? '##' : '') + characters.slice(start, end).join(''))) end--;
    if (end === start) return undefined;
    out.push((start > 0 ? '##' : '') + characters.slice(start, end).join(''));
    start = end;
  }
  return out;
}
