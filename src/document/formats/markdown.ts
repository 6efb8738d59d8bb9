/** Markdown (CommonMark with tables) to text. Tags of HTML within it are left out, and what stands between them is read. */
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmTableFromMarkdown } from 'mdast-util-gfm-table';
import { gfmTable } from 'micromark-extension-gfm-table';
import type { DocumentContent } from '../content.ts';
import { BREAK, Flow } from './flow.ts';
import { Notes } from './markdown-notes.ts';

/** A node of mdast, as far as it is read here. */
interface Node {
  readonly type: string;
  readonly value?: string;
  readonly depth?: number;
  readonly alt?: string | null;
  /** Of a list: whether its items have numbers, and the first of them. */
  readonly ordered?: boolean | null;
  readonly start?: number | null;
  readonly children?: readonly Node[];
}

/** What the parser is given at once: its time may grow with the square of that, for texts that are made to do so. */
const PIECE = 16_384;

/** Ends at an empty line outside of fences where there is one, so that no block is cut. */
function* piecesOf(text: string): Generator<string> {
  let start = 0;
  let fence: string | undefined;
  let safe = 0;
  let at = 0;
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline + 1;
    const line = text.slice(at, Math.min(end, at + 200));
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined && fence === undefined) fence = mark;
    else if (mark !== undefined && fence !== undefined && mark.startsWith(fence)) fence = undefined;
    if (fence === undefined && line.trim() === '') safe = end;
    if (end - start > PIECE) {
      const stop = safe > start ? safe : end;
      yield text.slice(start, stop);
      start = stop;
    }
    at = end;
  }
  if (start < text.length) yield text.slice(start);
}

/** Facts about the file before its text, in YAML or TOML. */
const FRONT_MATTER = /^(---|\+\+\+)\n[^]{0,20000}?\n\1\n/;
/** Text that was struck out is no longer said. */
const STRUCK = /~~(?=\S)[^~]{1,2000}(?<=\S)~~/g;

/** What stands between the tags of a block of HTML, which Markdown does not look into. */
function betweenTags(html: string): string {
  return html
    .replace(/<!--[^]*?(?:-->|$)/g, ' ')
    .replace(/<(script|style|template|noscript|iframe)\b[^]*?(?:<\/\1\s*>|$)/gi, ' ')
    .replace(/<[^<>]*>/g, ' ');
}

export function readMarkdown(text: string, name: string): DocumentContent {
  const flow = new Flow(name);
  const notes = new Notes();
  const readAll = (source: string, mark: string): void => {
    let label = mark;
    for (const piece of piecesOf(source)) {
      for (const part of lineBounded(piece)) {
        const tree = fromMarkdown(part, { extensions: [gfmTable()], mdastExtensions: [gfmTableFromMarkdown()] });
        read(flow, tree as unknown as Node, notes, label);
        label = '';
      }
    }
  };
  readAll(notes.takenFrom(text.replace(FRONT_MATTER, '')), '');
  // As they are shown: behind the text, in the order in which it refers to them.
  for (const { mark, source } of notes.inOrder()) readAll(source, mark);
  flow.end();
  const content = flow.builder.finish();
  return { ...content, title: content.outline.find(({ level }) => level === 1)?.title };
}

/** A single line that is longer than a piece is cut, too. */
function* lineBounded(piece: string): Generator<string> {
  for (let at = 0; at < piece.length; at += 2 * PIECE) yield piece.slice(at, at + 2 * PIECE);
}

/** `mark`: of the note whose text this is. */
function read(flow: Flow, tree: Node, notes: Notes, mark: string): void {
  const todo: (Node | (() => void))[] = [tree];
  let items = 0;
  /** The number of the item that has begun, until its text does. */
  let label = mark;
  const lists: { next: number | undefined }[] = [];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (typeof next === 'function') {
      next();
      continue;
    }
    const { type, value = '', children = [] } = next;
    let end: (() => void) | undefined;
    switch (type) {
      case 'text':
        flow.text(notes.marked(value.replace(STRUCK, '')));
        break;
      case 'inlineCode':
        flow.text(value);
        break;
      case 'break':
        flow.text(BREAK);
        break;
      case 'image':
        flow.text(next.alt ?? '');
        break;
      case 'code':
        flow.begin('code');
        flow.text(value);
        flow.end();
        break;
      case 'heading':
        flow.begin('heading', next.depth ?? 1);
        end = () => flow.end();
        break;
      case 'paragraph':
        flow.begin(items > 0 ? 'item' : 'paragraph');
        flow.text(label);
        label = '';
        end = () => flow.end();
        break;
      case 'list':
        lists.push({ next: next.ordered === true ? (next.start ?? 1) : undefined });
        end = () => lists.pop();
        break;
      case 'html':
        if (/^<sup(?:\s[^>]*)?>$/i.test(value)) flow.beginRaised();
        else if (/^<\/sup\s*>$/i.test(value)) flow.endRaised();
        else if (/[\p{L}\p{N}]/u.test(betweenTags(value))) {
          flow.begin('paragraph');
          flow.text(betweenTags(value));
          flow.end();
        }
        break;
      case 'listItem': {
        const list = lists.at(-1);
        label = list?.next === undefined ? '' : `${list.next++}. `;
        items++;
        end = () => items--;
        break;
      }
      case 'tableRow':
        flow.beginRow();
        end = () => flow.endRow();
        break;
      case 'tableCell':
        end = () => flow.endCell();
        break;
      default:
    }
    if (end !== undefined) todo.push(end);
    for (let i = children.length - 1; i >= 0; i--) {
      const child = children[i];
      if (child !== undefined) todo.push(child);
    }
  }
}
