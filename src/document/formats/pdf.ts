/** PDF to text with places, by pdf.js: pages one after the other, each given back before the next. Nothing of the file runs. */
import { FileError } from '../../errors.ts';
import { ContentBuilder } from '../builder.ts';
import type { DocumentContent, OutlineEntry, PageKind } from '../content.ts';
import type { Canvas, DocumentEnvironment, Drawing } from '../environment.ts';
import { DEEPEST_OUTLINE, MOST_ITEMS, MOST_OUTLINE, MOST_PAGES } from '../limits.ts';
import type { OpenOptions, Recogniser } from '../options.ts';
import { recognisedLines, withRecognised } from '../pdf/recognised.ts';
import { addPages, type PageKeeper, type ReadPage } from '../pdf/blocks.ts';
import { CompressedCMaps } from '../pdf/cmaps.ts';
import {
  pdfLibrary,
  pdfThread,
  type PdfFile,
  type PdfLibrary,
  type PdfOutlineNode,
  type PdfPage,
  type PdfTextContent,
} from '../pdf/library.ts';
import { commentsOn } from '../pdf/comments.ts';
import { filledIn } from '../pdf/forms.ts';
import { measured, USUAL_FONT, type FontFacts } from '../pdf/glyphs.ts';
import { withoutOverprint } from '../pdf/overprint.ts';
import { pageLines, type PageLine } from '../pdf/page-lines.ts';
import { drawnBoxes, picturedArea, withBoxes, type DrawnBox } from '../pdf/pictures.ts';
import { taggedBlocks, withMarks, type TaggedBlock } from '../pdf/tags.ts';

/** A page that shows letters of which so many are no characters was written with fonts that do not say which they are. */
const UNMAPPED = 0.2;
/** A scan may have a stamp of so many letters on it: the number of a file, who fetched it and when. */
const STAMP = 160;
/** The share of such a page that its picture covers. */
const SCANNED = 0.8;
const NO_CHARACTER = /[\u0000-\u0008\ue000-\uf8ff\ufffd]/gu;

export async function readPdf(
  bytes: Uint8Array,
  name: string,
  options: OpenOptions,
  environment: DocumentEnvironment,
  keeper?: PageKeeper,
): Promise<DocumentContent> {
  const { password, signal } = options;
  const drawing = options.ocr === undefined ? undefined : await environment.drawing();
  const library = await pdfLibrary();
  signal?.throwIfAborted();
  const thread = await pdfThread(environment.startPdfWorker);
  const worker = new library.PDFWorker({ port: thread.port, verbosity: 0 });
  const tasks: ReturnType<PdfLibrary['getDocument']>[] = [];
  const open = (more: object): Promise<PdfFile> => {
    const task = library.getDocument({
      // pdf.js moves the bytes to its thread.
      data: new Uint8Array(bytes),
      worker,
      ...(password !== undefined && { password }),
      verbosity: 0,
      isEvalSupported: false,
      enableXfa: false,
      useSystemFonts: false,
      useWorkerFetch: false,
      stopAtErrors: false,
      CMapReaderFactory: CompressedCMaps,
      cMapUrl: 'bundled',
      ...more,
    });
    tasks.push(task);
    return task.promise;
  };
  try {
    const file = await open(WITHOUT_PICTURES).catch((cause: unknown) => {
      throw refused(cause, name);
    });
    let whole: Promise<PdfFile> | undefined;
    const pictured = (): Promise<PdfFile> =>
      (whole ??= open({ ...(drawing && { CanvasFactory: canvasFactory(drawing) }) }));
    return await readFile(file, pictured, library, name, options, drawing, keeper);
  } finally {
    for (const task of tasks) await task.destroy().catch(() => undefined);
    worker.destroy();
    thread.close();
  }
}

/** What the pages draw is asked for the places of their letters alone: pictures are not decoded, and fonts are not loaded. */
const WITHOUT_PICTURES = { maxImageSize: 0, disableFontFace: true };

/** `pictured`: the same file with its pictures. */
async function readFile(
  file: PdfFile,
  pictured: () => Promise<PdfFile>,
  library: PdfLibrary,
  name: string,
  { signal, ocr, onProgress }: OpenOptions,
  drawing: Drawing | undefined,
  keeper: PageKeeper | undefined,
): Promise<DocumentContent> {
  const { numPages } = file;
  if (!(numPages >= 1)) throw new FileError('malformed', { file: name, field: 'pages' }, 'it has no pages');
  if (numPages > MOST_PAGES)
    throw new FileError(
      'limit',
      { file: name, field: 'pages' },
      `it has ${numPages} pages and ${MOST_PAGES} are read; split it into several files`,
    );
  const builder = new ContentBuilder(name);
  const labels = await file.getPageLabels().catch(() => null);
  const layers = await file.getOptionalContentConfig().catch(() => undefined);
  const isShown = (group: unknown): boolean => layers?.isVisible(group) !== false;
  const pages: ReadPage[] = keeper?.read.slice(0, numPages) ?? [];
  const first = pages.length + 1;
  const begun = performance.now();
  // A page without text is asked what it shows until one shows a picture: the others of a scanned document do, too.
  let pictures = pages.some(({ kind }) => kind === 'picture');
  for (let number = first; number <= numPages; number++) {
    signal?.throwIfAborted();
    let phase: 'pages' | 'recognition' = 'pages';
    const label = labels?.[number - 1];
    try {
      const page = await file.getPage(number);
      try {
        const view = page.getViewport({ scale: 1 });
        const marked = await page.getTextContent({ disableNormalization: true, includeMarkedContent: true });
        const content = { ...marked, items: withMarks(marked.items) };
        // Of pages without marks nothing more is asked: most of a long file's time are such questions.
        const tags = content.items.some((item) => 'str' in item && item.mark !== undefined) ? await tagsOf(page) : [];
        const annotations = await page.getAnnotations().catch(() => []);
        const filled = filledIn(annotations);
        const { items, boxes, pictured: covered } = await measuredItems(page, content, library, isShown);
        // What was written into a form stands beside its names, which its tags do not say.
        const blocks = filled.length > 0 ? [] : withBoxes(tags, boxes);
        const lines = pageLines({ ...content, items: [...items, ...filled] }, view, MOST_ITEMS, undefined, blocks);
        let kind = filled.length > 0 ? 'text' : kindOf(content);
        if (kind === 'blank') {
          pictures ||= await drawsPicture(await (await pictured()).getPage(number), library);
          if (pictures) kind = 'picture';
        } else if (kind === 'text' && covered >= SCANNED * view.width * view.height && lettersOf(content) <= STAMP) {
          pictures ||= await drawsPicture(await (await pictured()).getPage(number), library);
          if (pictures) kind = 'picture';
        }
        let read = kind === 'unmapped' ? [] : lines;
        if (ocr !== undefined && drawing !== undefined && (kind === 'picture' || kind === 'unmapped')) {
          phase = 'recognition';
          onProgress?.({ phase, done: number - 1, total: numPages, secondsLeft: undefined });
          const seen = await recognised(await (await pictured()).getPage(number), ocr, drawing, signal);
          if (seen.length > 0) kind = 'recognised';
          read = withRecognised(read, seen);
        }
        const comments = commentsOn(annotations, read.map(({ text }) => text).join(' '));
        if (kind === 'blank' && comments.length > 0) kind = 'text';
        pages.push({ lines: read, width: view.width, height: view.height, label, kind, comments });
      } finally {
        page.cleanup();
      }
    } catch (cause) {
      signal?.throwIfAborted();
      if (numPages === 1)
        throw new FileError('malformed', { file: name, field: 'page 1' }, 'it cannot be read; the file is damaged', {
          cause,
        });
      pages.push({ lines: [], width: 0, height: 0, label, kind: 'blank', damaged: true });
    }
    const seconds = (performance.now() - begun) / 1000;
    onProgress?.({
      phase,
      done: number,
      total: numPages,
      secondsLeft: (seconds / (number - first + 1)) * (numPages - number),
    });
    await keeper?.keep(pages);
  }
  addPages(builder, pages);
  const title = await titleOf(file);
  if (title !== undefined) builder.title = title;
  noteKinds(builder, pages, ocr !== undefined);
  noteAttached(builder, await file.getAttachments().catch(() => null));
  const content = builder.finish();
  const outline = await outlineOf(file, content).catch(() => []);
  return outline.length > 0 ? { ...content, outline } : content;
}

/** What a page says that its text is; nothing where it says nothing. */
async function tagsOf(page: PdfPage): Promise<TaggedBlock[]> {
  const root = await page.getStructTree().catch(() => null);
  return root === null ? [] : taggedBlocks(root);
}

interface MeasuredPage {
  readonly items: PdfTextContent['items'];
  /** Of what is drawn within marked content, by its name. */
  readonly boxes: ReadonlyMap<string, DrawnBox>;
  /** What its pictures cover, in square points. */
  readonly pictured: number;
}

/** Where pdf.js cannot tell what a page draws, its text is enough. */
async function measuredItems(
  page: PdfPage,
  content: PdfTextContent,
  { OPS }: PdfLibrary,
  isShown: (group: unknown) => boolean,
): Promise<MeasuredPage> {
  const plain = { items: content.items, boxes: new Map<string, DrawnBox>(), pictured: 0 };
  if (content.items.length === 0) return plain;
  try {
    const operators = await page.getOperatorList({ annotationMode: NO_ANNOTATIONS });
    const facts = { fontOf: (name: string) => fontFacts(page, name), isShown };
    const items = withoutOverprint(measured(content, operators, OPS, facts));
    return { items, boxes: drawnBoxes(operators, OPS), pictured: picturedArea(operators, OPS) };
  } catch {
    return plain;
  }
}

/** Names of attached files that are told, and characters of one. */
const MOST_NAMES = 5;
const LONGEST_NAME = 100;

/** Of pdf.js's `AnnotationMode`. */
const NO_ANNOTATIONS = 0;

function fontFacts({ commonObjs }: PdfPage, name: string): FontFacts {
  const font: unknown = commonObjs.has(name) ? commonObjs.get(name) : undefined;
  if (typeof font !== 'object' || font === null) return USUAL_FONT;
  const { fontMatrix, vertical } = font as { readonly fontMatrix?: unknown; readonly vertical?: unknown };
  const scale: unknown = Array.isArray(fontMatrix) ? fontMatrix[0] : undefined;
  return { scale: typeof scale === 'number' ? scale : USUAL_FONT.scale, vertical: vertical === true };
}

const textOf = ({ items }: PdfTextContent): string => items.map((item) => ('str' in item ? item.str : '')).join('');
const lettersOf = (content: PdfTextContent): number => textOf(content).match(/[\p{L}\p{N}]/gu)?.length ?? 0;

function kindOf(content: PdfTextContent): PageKind {
  const text = textOf(content);
  if (text.trim() === '') return 'blank';
  const strange = text.match(NO_CHARACTER)?.length ?? 0;
  return strange >= UNMAPPED * text.length ? 'unmapped' : 'text';
}

/** It has to decode the pictures. */
async function drawsPicture(page: PdfPage, { OPS }: PdfLibrary): Promise<boolean> {
  const draws = new Set(
    ['paintImageXObject', 'paintInlineImageXObject', 'paintImageMaskXObject', 'paintImageXObjectRepeat'].map(
      (name) => OPS[name],
    ),
  );
  const { fnArray } = await page.getOperatorList();
  return fnArray.some((operation) => draws.has(operation));
}

interface Drawn {
  canvas: Canvas | null;
  context: unknown;
}

/** The class by which pdf.js makes the canvases that it needs while it draws. */
function canvasFactory(drawing: Drawing): new () => object {
  return class {
    create(width: number, height: number): Drawn {
      const canvas = drawing.canvas(Math.max(1, width), Math.max(1, height));
      return { canvas, context: canvas.getContext('2d') };
    }
    reset({ canvas }: Drawn, width: number, height: number): void {
      if (canvas !== null) Object.assign(canvas, { width, height });
    }
    destroy(drawn: Drawn): void {
      Object.assign(drawn, { canvas: null, context: null });
    }
  };
}

/** Pixels a point: 200 dots an inch, which recognisers ask for; fewer for pages that are larger than a poster. */
const SCALE = 200 / 72;
const MOST_SIDE = 4000;

/** A page's text, read in a picture of it. */
async function recognised(
  page: PdfPage,
  ocr: Recogniser,
  drawing: Drawing,
  signal: AbortSignal | undefined,
): Promise<PageLine[]> {
  const { width, height } = page.getViewport({ scale: 1 });
  const scale = Math.min(SCALE, MOST_SIDE / Math.max(1, width, height));
  const viewport = page.getViewport({ scale });
  const [columns, rows] = [Math.max(1, Math.ceil(viewport.width)), Math.max(1, Math.ceil(viewport.height))];
  const canvas = drawing.canvas(columns, rows);
  await page.render({ canvasContext: canvas.getContext('2d'), viewport }).promise;
  signal?.throwIfAborted();
  const { lines } = await ocr.recognise(await drawing.png(canvas), { width: columns, height: rows, signal });
  return recognisedLines(lines, 1 / scale);
}

/** Pages by their numbers, for people: 1 to 3, 7. */
export function pageList(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; i++) {
    let last = i;
    while (numbers[last + 1] === (numbers[last] ?? 0) + 1) last++;
    parts.push(last === i ? String(numbers[i]) : `${numbers[i] ?? ''} to ${numbers[last] ?? ''}`);
    i = last;
  }
  return parts.length > 12 ? `${parts.slice(0, 12).join(', ')} and others` : parts.join(', ');
}

function noteKinds(builder: ContentBuilder, pages: readonly ReadPage[], recognised: boolean): void {
  const numbers = (kind: PageKind): number[] => pages.flatMap((page, i) => (page.kind === kind ? [i + 1] : []));
  const many = (list: readonly number[]): string => `${list.length} of ${pages.length} pages (${pageList(list)})`;
  const pictures = numbers('picture');
  const unmapped = numbers('unmapped');
  const unreadable = pages.flatMap(({ damaged }, i) => (damaged === true ? [i + 1] : []));
  const remedy = recognised ? 'and no text was recognised on them' : 'give `ocr` to have them read';
  const stamped = pages.some(({ kind, lines }) => kind === 'picture' && lines.length > 0) ? ' but for a stamp' : '';
  if (pictures.length > 0) builder.note(`${many(pictures)} are pictures without text${stamped}; ${remedy}`);
  if (unmapped.length > 0)
    builder.note(`${many(unmapped)} use fonts that do not say which characters they show; ${remedy}`);
  if (unreadable.length > 0) builder.note(`${many(unreadable)} are damaged and were left out`);
}

/** Files within the file are documents of their own. */
function noteAttached(builder: ContentBuilder, attached: Awaited<ReturnType<PdfFile['getAttachments']>>): void {
  const names = Object.entries(attached ?? {}).map(([key, { filename }]) =>
    (typeof filename === 'string' ? filename : key).slice(0, LONGEST_NAME),
  );
  if (names.length === 0) return;
  const shown = names.length > MOST_NAMES ? `${names.slice(0, MOST_NAMES).join(', ')} and others` : names.join(', ');
  builder.note(
    `${names.length === 1 ? 'a file is' : `${names.length} files are`} attached to it and not read (${shown}); open such files themselves`,
  );
}

/** What programs put there by themselves is the name of a file, or (in filings, archives) a number. */
function isName(title: string): boolean {
  return (
    /\p{L}{2}/u.test(title) &&
    !/\.(?:docx?|dvi|tex|indd|pdf)$|^untitled|^\(anonymous\)$|^microsoft (?:word|powerpoint|excel) - /i.test(title)
  );
}

async function titleOf(file: PdfFile): Promise<string | undefined> {
  try {
    const { info } = await file.getMetadata();
    const title = 'Title' in info && typeof info.Title === 'string' ? info.Title.trim() : '';
    return isName(title) ? title.slice(0, 500) : undefined;
  } catch {
    return undefined;
  }
}

/** The file's own outline, each entry at its title's place on its page where that is found. */
async function outlineOf(file: PdfFile, { pages, text }: DocumentContent): Promise<OutlineEntry[]> {
  const entries: OutlineEntry[] = [];
  const visit = async (nodes: readonly PdfOutlineNode[], level: number): Promise<void> => {
    for (const { title, dest, items } of nodes) {
      if (entries.length >= MOST_OUTLINE) return;
      const page = pages[await pageOf(file, dest)];
      const name = title.replace(/\s+/g, ' ').trim().slice(0, 500);
      if (page !== undefined && name !== '') {
        const at = text.slice(page.start, page.end).indexOf(name);
        entries.push({ title: name, level, page: page.number, start: at < 0 ? page.start : page.start + at });
      }
      if (level < DEEPEST_OUTLINE) await visit(items, level + 1);
    }
  };
  await visit((await file.getOutline()) ?? [], 1);
  return entries;
}

/** From 0; -1 where it is not known. */
async function pageOf(file: PdfFile, dest: PdfOutlineNode['dest']): Promise<number> {
  try {
    const [first] = (typeof dest === 'string' ? await file.getDestination(dest) : dest) ?? [];
    if (typeof first === 'number') return first;
    return typeof first === 'object' && first !== null ? await file.getPageIndex(first) : -1;
  } catch {
    return -1;
  }
}

/** pdf.js's refusals by their names. */
function refused(cause: unknown, file: string): FileError {
  const name = cause instanceof Error ? cause.name : '';
  if (name === 'PasswordException') {
    const wrong = 'code' in (cause as object) && (cause as { code: unknown }).code === 2;
    return new FileError(
      'password',
      { file, field: 'password' },
      wrong ? 'this is not its password' : 'it is encrypted; give its `password`',
      { cause },
    );
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FileError('malformed', { file, field: 'document' }, `it is no PDF, or damaged (${why})`, { cause });
}
