/** What readers have noted on a page: the texts of comments and of marks such as highlights, which are shown beside it. */
import type { PdfAnnotation } from './library.ts';

/** Comments of a page that are read, and characters of one. */
const MOST_COMMENTS = 2000;
const LONGEST_COMMENT = 10_000;
/** Of PDF's flags of annotations: not shown, and not shown on a screen. */
const HIDDEN = 2 | 32;
/** Marks that may have a comment; others are links, fields, files and text that stands on the page itself. */
const MARKS = new Set(
  'Text Highlight Underline Squiggly StrikeOut Caret Line Square Circle Polygon PolyLine Ink Stamp'.split(' '),
);

export const isShown = ({ annotationFlags = 0 }: PdfAnnotation): boolean => (annotationFlags & HIDDEN) === 0;

/** `text`: of the page. A mark whose comment is what it marks says nothing of its own. */
export function commentsOn(annotations: readonly PdfAnnotation[], text: string): string[] {
  const plain = (given: string): string => given.replace(/\s+/g, ' ').trim();
  const page = plain(text);
  return annotations
    .filter((one) => MARKS.has(one.subtype ?? '') && isShown(one))
    .slice(0, MOST_COMMENTS)
    .flatMap(({ contentsObj, titleObj }) => {
      const said = plain((contentsObj?.str ?? '').slice(0, LONGEST_COMMENT));
      const by = plain((titleObj?.str ?? '').slice(0, 200));
      return said === '' || page.includes(said) ? [] : [`Comment${by === '' ? '' : ` by ${by}`}: ${said}`];
    });
}
