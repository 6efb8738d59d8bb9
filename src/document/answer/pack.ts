/** What a model is shown of documents: pieces of their texts put together, and where each piece comes from. */
import type { DocumentContent } from '../content.ts';
import { sentencesOf, type Span } from '../sentences.ts';

/** Units `[start, end)` of a document's text. */
export interface Piece {
  readonly document: string;
  readonly content: DocumentContent;
  readonly start: number;
  readonly end: number;
  /** The headings above it. */
  readonly path: readonly string[];
}

export interface Pack {
  readonly text: string;
  readonly pieces: readonly (Piece & { readonly at: number })[];
}

/** A sentence that the model was shown. */
export interface Shown extends Piece {
  /** Where it begins in the pack's text. */
  readonly at: number;
}

const BETWEEN = '\n\n';

/** Pieces in the order of their documents; the headings of a piece stand before it where they were not just shown. */
export function packOf(pieces: readonly Piece[]): Pack {
  const order = [...new Set(pieces.map(({ document }) => document))];
  const sorted = pieces.toSorted((a, b) => order.indexOf(a.document) - order.indexOf(b.document) || a.start - b.start);
  let text = '';
  let heading = '';
  const placed = sorted.map((piece) => {
    const path = piece.path.join(' > ');
    if (text !== '') text += BETWEEN;
    if (path !== '' && path !== heading) text += `${path}\n`;
    heading = path;
    const at = text.length;
    text += piece.content.text.slice(piece.start, piece.end);
    return { ...piece, at };
  });
  return { text, pieces: placed };
}

/** All sentences of a pack, in their order; rows of tables are sentences of their own. */
export function sentencesShown({ pieces }: Pack): Shown[] {
  return pieces.flatMap((piece) =>
    linesOf(piece).flatMap((line) =>
      sentencesIn(piece.content, line).map(([start, end]) => ({
        ...piece,
        start,
        end,
        at: piece.at + start - piece.start,
      })),
    ),
  );
}

/** Units of a text that are a block, or a part of one. */
interface TextLine {
  readonly kind: DocumentContent['blocks'][number]['kind'];
  readonly start: number;
  readonly end: number;
}

/** The sentences of a block. A row is one, whatever its cells end with ("46 Std."). */
export function sentencesIn({ text, language }: DocumentContent, { kind, start, end }: TextLine): readonly Span[] {
  return kind === 'row' ? [[start, end]] : sentencesOf(text, start, end, language);
}

/** The blocks within a piece: a sentence does not go on from one to the next. */
function linesOf({ content, start, end }: Piece): TextLine[] {
  const inside = content.blocks.filter((block) => block.start < end && block.end > start);
  return inside.length === 0
    ? [{ kind: 'paragraph', start, end }]
    : inside.map((block) => ({
        kind: block.kind,
        start: Math.max(start, block.start),
        end: Math.min(end, block.end),
      }));
}
