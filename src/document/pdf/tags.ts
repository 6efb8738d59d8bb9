/**
 * A page's tags (PDF 1.7, 14.7 and 14.8): the tree in which a file says what its text is, as blocks in reading order. Which text a block has is said by the names of
 * marked content, so that its places stay those of the drawing.
 */
import type { PdfTag, PdfTextContent, PdfTextItem } from './library.ts';

/** `loose`: text of which the tree does not say what it is. `line`: a line of a table of contents. */
export type TaggedKind = 'heading' | 'paragraph' | 'item' | 'code' | 'line' | 'row' | 'picture' | 'loose';

export interface TaggedBlock {
  readonly kind: TaggedKind;
  /** Of a heading, from 1; 0 for others. */
  readonly level: number;
  /** The names of its marked content, in reading order. */
  readonly content: string[];
  /** Of a row: the content of each cell. */
  readonly cells?: readonly (readonly string[])[];
  /** Of a row: which table of the page it belongs to. */
  readonly table?: number;
  /** Of a picture: what is to be read in its place. */
  readonly alt?: string;
  /** Of a picture, in the page's own space: left, bottom, right, top. */
  readonly box?: readonly number[] | undefined;
}

/** Elements of a page's tree that are looked at: many times those of a full page. */
const MOST_TAGS = 50_000;
const MOST_LEVEL = 6;
/** Characters of a picture's description. */
const LONGEST_ALT = 2000;

/** What stands for itself; what is none of these holds others, or is a part of a line. */
const PARAGRAPHS = new Set(['P', 'Caption', 'BibEntry', 'Note', 'FENote', 'LI', 'LBody', 'TD', 'TH', 'TR']);
const BLOCKS = new Set([...PARAGRAPHS, 'H', 'Title', 'L', 'Table', 'TOCI', 'Figure']);
const isHeading = (role: string): boolean => role === 'H' || role === 'Title' || /^H\d{1,2}$/.test(role);
const isBlock = ({ role }: PdfTag): boolean => BLOCKS.has(role) || isHeading(role);
const isTag = (child: PdfTag['children'][number]): child is PdfTag => 'role' in child;

/** What programs write where nobody has described a picture, and what they add to their own descriptions. */
const NO_ALT =
  /^(?:(?:picture|image|figure|graphic|photo|logo|icon|bild|grafik|abbildung|shape|chart|diagramm?)?[\s_-]*\d*|[^\s/\\]+\.(?:png|jpe?g|gif|svg|bmp|emf|wmf|tiff?|webp))$/iu;
const ADDED =
  /\s*(?:Description automatically generated(?: with \w+ confidence)?|AI-generated content may be incorrect\.?|Automatisch generierte Beschreibung)\s*$/iu;

/** The blocks of a page's tree, in its order. */
export function taggedBlocks(root: PdfTag): TaggedBlock[] {
  const found: TaggedBlock[] = [];
  let left = MOST_TAGS;
  let tables = 0;
  const seen = new Map<PdfTag, boolean>();
  /** Whether something that stands for itself is within an element. */
  const hasBlocks = (tag: PdfTag): boolean => {
    const known = seen.get(tag);
    if (known !== undefined) return known;
    const own = tag.children.some((child) => isTag(child) && (isBlock(child) || hasBlocks(child)));
    seen.set(tag, own);
    return own;
  };
  const add = (kind: TaggedKind, content: string[], more: Partial<TaggedBlock> = {}): void => {
    if (content.length > 0 || more.cells !== undefined || more.alt !== undefined)
      found.push({ kind, level: 0, content, ...more });
  };
  const loose = (content: readonly string[]): void => {
    const last = found.at(-1);
    if (last?.kind === 'loose') for (const name of content) last.content.push(name);
    else add('loose', [...content]);
  };
  /** The content of an element's own lines; blocks within it are put into `within`. */
  const lineContent = (tag: PdfTag, within: PdfTag[]): string[] => {
    if (--left < 0) return [];
    return tag.children.flatMap((child) => {
      if (!isTag(child)) return child.type === 'content' ? [child.id] : [];
      // Some write a heading, or a note, as a paragraph in it.
      const isOwn = child.role === 'P' && tag.role !== 'P' && !hasBlocks(child);
      if (isOwn || (!isBlock(child) && !hasBlocks(child))) return lineContent(child, within);
      within.push(child);
      return [];
    });
  };
  const block = (tag: PdfTag, kind: TaggedKind, level = 0): void => {
    const within: PdfTag[] = [];
    add(kind, lineContent(tag, within), { level });
    for (const one of within) element(one, level);
  };
  const picture = (tag: PdfTag): void => {
    const within: PdfTag[] = [];
    const content = lineContent(tag, within);
    const alt = (tag.alt ?? '')
      .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
      .trim()
      .replace(ADDED, '')
      .trim()
      .slice(0, LONGEST_ALT);
    if (alt !== '' && !NO_ALT.test(alt)) add('picture', content, { alt, box: tag.bbox });
    else loose(content);
    for (const one of within) element(one, 0);
  };
  /** The first lines of an item are its label and its first paragraph. */
  const item = (tag: PdfTag): void => {
    const content: string[] = [];
    const within: PdfTag[] = [];
    let begun = false;
    const visit = (part: PdfTag): void => {
      for (const child of part.children) {
        if (--left < 0) return;
        if (!isTag(child)) {
          if (child.type === 'content') content.push(child.id);
          begun ||= part.role !== 'Lbl';
        } else if (child.role === 'LBody' || (child.role === 'P' && !begun)) {
          visit(child);
          begun ||= child.role === 'P';
        } else if (isBlock(child) || hasBlocks(child)) within.push(child);
        else {
          for (const name of lineContent(child, within)) content.push(name);
          begun ||= child.role !== 'Lbl';
        }
      }
    };
    visit(tag);
    add('item', content);
    for (const one of within) element(one, 0);
  };
  const rowsOf = (tag: PdfTag): PdfTag[] =>
    tag.children.flatMap((child) => {
      if (!isTag(child) || --left < 0 || child.role === 'Caption') return [];
      return child.role === 'TR' ? [child] : isBlock(child) ? [] : rowsOf(child);
    });
  const isCell = (child: PdfTag['children'][number]): child is PdfTag =>
    isTag(child) && (child.role === 'TD' || child.role === 'TH');
  /** Whether a cell holds what only a table that arranges a page holds. */
  const arranges = (tag: PdfTag): boolean =>
    --left < 0 ||
    tag.children.some((child) => isTag(child) && (child.role === 'Table' || isHeading(child.role) || arranges(child)));
  const table = (tag: PdfTag): void => {
    const rows = rowsOf(tag);
    const cells = rows.map((row) => row.children.filter(isCell));
    if (cells.every(({ length }) => length < 2) || cells.some((row) => row.some(arranges))) return flow(tag);
    const number = tables++;
    for (const child of tag.children) if (isTag(child) && child.role === 'Caption') element(child, 0);
    for (const row of cells) {
      const pictures: PdfTag[] = [];
      const contentOf = (part: PdfTag): string[] => {
        if (--left < 0) return [];
        return part.children.flatMap((child) => {
          if (!isTag(child)) return child.type === 'content' ? [child.id] : [];
          if (child.role === 'Figure') pictures.push(child);
          return child.role === 'Figure' ? [] : contentOf(child);
        });
      };
      const own = row.map(contentOf);
      if (own.some(({ length }) => length > 0)) add('row', [], { cells: own, table: number });
      pictures.forEach(picture);
    }
  };
  /** `level`: of the heading around it. */
  const element = (tag: PdfTag, level: number): void => {
    if (--left < 0) return;
    const { role } = tag;
    if (isHeading(role))
      block(tag, 'heading', Math.min(MOST_LEVEL, Math.max(1, Number(/\d+/.exec(role)?.[0] ?? level + 1))));
    else if (role === 'LI') item(tag);
    else if (role === 'TOCI') block(tag, 'line');
    else if (role === 'Table') table(tag);
    else if (role === 'Figure') picture(tag);
    else if (PARAGRAPHS.has(role) && !hasBlocks(tag)) block(tag, 'paragraph');
    else if (role === 'P' || role === 'Note' || role === 'FENote' || role === 'Caption') block(tag, 'paragraph');
    else if (role === 'Code' && !hasBlocks(tag)) block(tag, 'code');
    else if (hasBlocks(tag)) flow(tag, role === 'Sect' ? level + 1 : level);
    else loose(lineContent(tag, []));
  };
  const flow = (tag: PdfTag, level = 0): void => {
    for (const child of tag.children) {
      if (isTag(child)) element(child, level);
      else if (child.type === 'content') loose([child.id]);
    }
  };
  flow(root);
  return found;
}

/** Pieces with the names of the marked content that they stand in, and without the marks. */
export function withMarks(items: PdfTextContent['items']): PdfTextContent['items'] {
  /** Of the marks that are open: the name of marked content, or whether it is no part of the page's text. */
  const open: Pick<PdfTextItem, 'mark' | 'artifact'>[] = [];
  return items.flatMap((item) => {
    if ('str' in item) {
      const own = open.at(-1);
      return own?.mark === undefined && own?.artifact === undefined ? item : { ...item, ...own };
    }
    if (item.type === 'endMarkedContent') open.pop();
    else if (item.tag === 'Artifact') open.push({ artifact: true });
    else open.push(typeof item.id === 'string' ? { mark: item.id } : (open.at(-1) ?? {}));
    return [];
  });
}
