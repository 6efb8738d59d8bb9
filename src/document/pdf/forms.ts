/** What was written into the fields of a page's form, or over the page, which is no part of the page's own text. */
import { isShown } from './comments.ts';
import type { PdfAnnotation, PdfTextItem } from './library.ts';

/** Characters of one field that are read, and fields of a page. */
const LONGEST_VALUE = 10_000;
const MOST_FIELDS = 2000;
/** In points: of a line of a field, and above its lower edge where there is one line. */
const SIZE = 10;
const LEADING = 1.15;
/** Of the height of a line below its baseline. */
const DESCENT = 0.25;
/** Of the font size, about: the mean width of a letter. */
const LETTER = 0.5;
/** What stands for a box that is ticked. */
const TICKED = '\u2612';

/** Fields as pieces of text, each line of them where it is shown, about: fonts and alignment are not known. */
export function filledIn(annotations: readonly PdfAnnotation[]): PdfTextItem[] {
  return annotations.slice(0, MOST_FIELDS).flatMap((one) => {
    const [x0 = NaN, y0 = NaN, x1 = NaN, y1 = NaN] = one.rect ?? [];
    const lines = one.hidden === true || one.password === true || !isShown(one) ? [] : linesOf(one);
    if (lines.length === 0 || ![x0, y0, x1, y1].every(Number.isFinite)) return [];
    const height = Math.abs(y1 - y0);
    const written = one.defaultAppearanceData?.fontSize;
    const size = Math.min(written !== undefined && written > 0 ? written : SIZE, height / (lines.length * LEADING));
    // One line stands in the middle of its field, several begin at its upper edge.
    const top =
      lines.length === 1 && one.subtype !== 'FreeText' ? Math.min(y0, y1) + (height + size) / 2 : Math.max(y0, y1);
    return lines.map((str, i) => ({
      str,
      dir: 'ltr',
      transform: [size, 0, 0, size, Math.min(x0, x1) + 2, top - size * (1 - DESCENT) - i * size * LEADING],
      width: Math.min(Math.abs(x1 - x0), str.length * LETTER * size),
      height: size,
      fontName: '',
    }));
  });
}

function linesOf({ fieldType, fieldValue, subtype, textContent, contentsObj }: PdfAnnotation): string[] {
  if (fieldType === 'Btn') return typeof fieldValue === 'string' && !/^(?:Off|)$/.test(fieldValue) ? [TICKED] : [];
  const isText = subtype === 'FreeText';
  if (!isText && fieldType !== 'Tx' && fieldType !== 'Ch') return [];
  return [isText ? (textContent ?? contentsObj?.str) : fieldValue]
    .flat()
    .filter((value) => typeof value === 'string')
    .join('\n')
    .slice(0, LONGEST_VALUE)
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== '');
}
