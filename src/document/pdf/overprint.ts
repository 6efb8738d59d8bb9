/** Text that is drawn twice at the same place: bold type that is made so, shadows, layers of which one covers the other. */
import type { PdfTextContent, PdfTextItem } from './library.ts';

/** In font sizes: letters as near are drawn over each other. Two of the narrowest letters in a row stand twice as far apart. */
const NEAR = 0.12;
/** Points of a square in which letters are looked for, and at least as many as are near. */
const SQUARE = 4;

interface Drawn {
  /** Of all pieces. */
  readonly piece: number;
  readonly x: number;
  readonly y: number;
}

/** The pieces without those of which every letter is drawn again at the same place by others: of two, the later one stays, which covers the earlier one. */
export function withoutOverprint(items: PdfTextContent['items']): PdfTextContent['items'] {
  const letters = new Map<string, Drawn[]>();
  const own = items.map((item, piece) => {
    const drawn = 'str' in item ? lettersOf(item, piece) : [];
    for (const { letter, ...one } of drawn) {
      const key = keyOf(letter, one.x, one.y);
      const known = letters.get(key);
      if (known === undefined) letters.set(key, [one]);
      else known.push(one);
    }
    return drawn;
  });
  const dropped = new Set<number>();
  const isDrawnAgain = ({ letter, piece, x, y, size }: Letter): boolean => {
    const near = Math.min(SQUARE, NEAR * size);
    for (const across of [-SQUARE, 0, SQUARE])
      for (const down of [-SQUARE, 0, SQUARE])
        for (const other of letters.get(keyOf(letter, x + across, y + down)) ?? [])
          if (
            other.piece !== piece &&
            !dropped.has(other.piece) &&
            Math.abs(other.x - x) <= near &&
            Math.abs(other.y - y) <= near
          )
            return true;
    return false;
  };
  own.forEach((drawn, piece) => {
    if (drawn.length > 0 && drawn.every(isDrawnAgain)) dropped.add(piece);
  });
  return dropped.size === 0 ? items : items.filter((_, piece) => !dropped.has(piece));
}

interface Letter extends Drawn {
  readonly letter: string;
  readonly size: number;
}

/** The letters of a piece whose places are known. */
function lettersOf({ str, transform, width, bounds }: PdfTextItem, piece: number): Letter[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = transform;
  const length = Math.hypot(a, b);
  if (bounds === undefined || length === 0) return [];
  const size = Math.max(length, Math.hypot(c, d));
  return Array.from({ length: str.length }, (_, at) => str.charAt(at)).flatMap((letter, at) => {
    const along = ((bounds[at] ?? 0) * width) / length;
    return letter.trim() === '' ? [] : [{ letter, piece, size, x: e + a * along, y: f + b * along }];
  });
}

function keyOf(letter: string, x: number, y: number): string {
  return `${letter} ${Math.round(x / SQUARE)} ${Math.round(y / SQUARE)}`;
}
