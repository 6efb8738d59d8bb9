/** Where a range of the text stands on its pages. */
import { lastAtOrBefore, WHOLE_RUN, type DocumentContent, type Rectangle, type Run } from './content.ts';
import { widthOf } from './widths.ts';

/** A rectangle on a page. */
export interface PlacedRectangle {
  /** From 1. */
  readonly page: number;
  /** In points of the displayed page. */
  readonly rectangle: Rectangle;
}

/** Units `[start, end)` of the text as rectangles, one a line, in the order of the text; none for formats that are not drawn on pages. */
export function rectanglesOf({ text, runs }: DocumentContent, start: number, end: number): PlacedRectangle[] {
  const found: PlacedRectangle[] = [];
  let from = Math.max(0, lastAtOrBefore(runs, start));
  while (from > 0 && (runs[from - 1]?.end ?? 0) > start) from--;
  for (let i = from; i < runs.length; i++) {
    const run = runs[i];
    if (run === undefined || run.start >= end) break;
    if (run.end <= start) continue;
    const rectangle = part(text, run, Math.max(start, run.start), Math.min(end, run.end));
    const last = found.at(-1);
    const merged =
      last?.page === run.page ? merge(last.rectangle, rectangle, Math.abs(run.dy) > Math.abs(run.dx)) : undefined;
    if (merged === undefined) found.push({ page: run.page, rectangle });
    else found[found.length - 1] = { page: run.page, rectangle: merged };
  }
  return found;
}

/** Where a part of a run begins and ends, as shares of it. */
function shares(text: string, run: Run, start: number, end: number): readonly [from: number, to: number] {
  if (run.whole === true) return [0, 1];
  const [known, behind] = [run.bounds?.[start - run.start], run.bounds?.[end - run.start]];
  if (known !== undefined && behind !== undefined) return [known / WHOLE_RUN, behind / WHOLE_RUN];
  let before = 0;
  let within = 0;
  let all = 0;
  for (let at = run.start; at < run.end; at++) {
    const width = widthOf(text[at] ?? '', run.family);
    all += width;
    if (at < start) before += width;
    else if (at < end) within += width;
  }
  return all === 0 ? [0, 1] : [before / all, (before + within) / all];
}

/** The box around a part of a run. */
function part(text: string, run: Run, start: number, end: number): Rectangle {
  const [from, to] = shares(text, run, start, end);
  const { x, y, dx, dy, ux, uy, descent } = run;
  const [bx, by] = [x - ux * descent, y - uy * descent];
  const xs = [bx + dx * from, bx + dx * to, bx + dx * from + ux, bx + dx * to + ux];
  const ys = [by + dy * from, by + dy * to, by + dy * from + uy, by + dy * to + uy];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** One rectangle around two that stand on one line next to each other; `downwards`: lines go up or down the page. */
function merge(a: Rectangle, b: Rectangle, downwards: boolean): Rectangle | undefined {
  const [from, to] = downwards ? ([1, 3] as const) : ([0, 2] as const);
  const [low, high] = downwards ? ([0, 2] as const) : ([1, 3] as const);
  const gap = Math.max(b[from] - a[to], a[from] - b[to]);
  if (overlap(a[low], a[high], b[low], b[high]) <= 0.5 || gap >= 1.5 * (a[high] - a[low])) return undefined;
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}

/** Of the shorter of two ranges the share that they have in common. */
function overlap(a0: number, a1: number, b0: number, b1: number): number {
  const shorter = Math.min(a1 - a0, b1 - b0);
  return shorter <= 0 ? 0 : (Math.min(a1, b1) - Math.max(a0, b0)) / shorter;
}
