/** Which characters a class of this JavaScript engine's own regular expressions matches: for Unicode properties, ignored case and set notation. */
import { charSet, SCALARS, pairs, UNITS, type CharSet } from './charset.ts';

/** Classes whose members are remembered. */
const MOST_KNOWN = 256;
/** Characters that are matched at a time. */
const BLOCK = 4096;

const known = new Map<string, CharSet>();

/** The members of a class such as `\p{L}` or `[^a-f]`: code points with the flag u or v, otherwise UTF-16 units. */
export function members(source: string, flags: string): CharSet {
  const key = `${flags} ${source}`;
  let set = known.get(key);
  if (set === undefined) {
    set = find(source, flags);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, set);
  }
  return set;
}

function find(source: string, flags: string): CharSet {
  const points = /[uv]/.test(flags);
  const expression = new RegExp(`(?:${source})+`, `g${flags}`);
  const found: [number, number][] = [];
  for (const [start, end] of points ? pairs(SCALARS) : [[0, UNITS] as const]) {
    for (let from = start; from < end; from += BLOCK) {
      const codes = Array.from({ length: Math.min(BLOCK, end - from) }, (_, i) => from + i);
      const width = from >= UNITS ? 2 : 1;
      const text = points ? String.fromCodePoint(...codes) : String.fromCharCode(...codes);
      for (const match of text.matchAll(expression))
        found.push([from + match.index / width, from + (match.index + match[0].length) / width]);
    }
  }
  return charSet(found);
}
