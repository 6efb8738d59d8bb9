/** Pictures of text, as a scanner makes them: the same on every machine that has a sans-serif font. */
import { createCanvas, type SKRSContext2D } from '@napi-rs/canvas';

export interface Scan {
  readonly width: number;
  readonly height: number;
  /** A byte a pixel. */
  readonly gray: Uint8Array;
  readonly png: Uint8Array<ArrayBuffer>;
  /** Where words of a line are drawn, in pixels. */
  place(line: number, words: string): { readonly left: number; readonly right: number; readonly baseline: number };
}

const LEFT = 0.1;

/** `size`: of the letters, in pixels. */
export function scan(lines: readonly string[], { width = 1240, height = 1754, size = 36, top = 300 } = {}): Scan {
  const canvas = createCanvas(width, height);
  const context: SKRSContext2D = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.fillStyle = 'black';
  context.font = `${size}px "DejaVu Sans", "Helvetica", sans-serif`;
  const left = Math.round(LEFT * width);
  const baseline = (line: number): number => top + 1.3 * size * line;
  lines.forEach((line, i) => context.fillText(line, left, baseline(i)));
  const { data } = context.getImageData(0, 0, width, height);
  return {
    width,
    height,
    gray: Uint8Array.from({ length: width * height }, (_, i) => data[4 * i] ?? 0),
    png: new Uint8Array(canvas.toBuffer('image/png')),
    place: (line, words) => {
      const text = lines[line] ?? '';
      const at = text.indexOf(words);
      const widthOf = (part: string): number => context.measureText(part).width;
      const begin = left + widthOf(text.slice(0, at));
      return { left: begin, right: begin + widthOf(words), baseline: baseline(line) };
    },
  };
}
