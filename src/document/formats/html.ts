/**
 * HTML to text. Nothing of it runs or is fetched: of parse5 only the tokenizer is used, whose time is that of the file's length. A tree is not made; what closes
 * an element that the author left open is known well enough for text.
 */
import { Tokenizer, TokenizerMode, type Token, type TokenHandler } from 'parse5';
import type { DocumentContent } from '../content.ts';
import { decodeText } from './decode.ts';
import { BREAK, Flow, ONE_CELL, type Span } from './flow.ts';
import { written } from './numbering.ts';

/** What shows no text of the document. */
const SKIPPED = new Set(
  'template noscript object svg math canvas audio video nav select datalist button dialog del'.split(' '),
);
/** Roles of what a page is used with, and of what stands before it. */
const SKIPPED_ROLES = new Set('navigation dialog alertdialog search menu menubar toolbar tablist tooltip'.split(' '));
/** What holds a document is never such a part of it. */
const HOLDERS = new Set('html body main article h1 h2 h3 h4 h5 h6 p a'.split(' '));
/** What asks for consent, by its label, and by its name or class. */
const CONSENT_LABEL = /\b(?:cookies?|cookie[- ]?\p{L}{1,20}|consent|einwilligung(?:en)?|gdpr|dsgvo)\b/iu;
const CONSENT_NAME =
  /(?:cookie|consent|gdpr|dsgvo)s?[-_]?(?:banner|bar|consent|dialog|layer|message|modal|notice|overlay|popup|wall)|cookiebot|onetrust|usercentrics/i;
/** What a page is gone through by, by its name, class or kind: the way to it, links that edit it. */
const WAYS = /(?:^|[\s_-])(?:breadcrumbs?(?![\p{L}\d])|mw-editsection)|BreadcrumbList/iu;
/** Links to a place of the page itself that say where to go on it, or mark a heading, and nothing of what it says. */
const GO_ON =
  /^(?:[¶#§]*|(?:skip|jump)(?: (?:to|over|past|the|links?|navigation|main|content)\b.{0,60})|(?:go |return |back )?to (?:the )?(?:top|main content)(?: of (?:the )?page)?|(?:back|return|go) to (?:the )?(?:top|main content).{0,20}|back up|(?:direkt |weiter )?zu[mr] (?:haupt)?(?:inhalt|navigation|menü|suche|seitenanfang)(?: springen| gehen| wechseln)?|(?:zurück )?(?:zum seitenanfang|nach oben)|(?:navigation|menü) überspringen|(?:aller|passer|accéder) au contenu.{0,20}|haut de page|(?:saltar|ir) al contenido.{0,20})$/iu;
/** Elements that may stand within such a link. */
const WITHIN_LINK = new Set('b em i small span strong u'.split(' '));
/** Characters of a link's text that are held back. */
const LONGEST_LINK = 100;
/** What has no end tag. */
const VOID = new Set('area base br col embed hr img input link meta param source track wbr frame'.split(' '));
/** What ends where the next of its kind begins. */
const SELF_ENDING = new Set('p li td th tr dt dd option tbody thead tfoot'.split(' '));
const BLOCKS = new Set(
  'address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form header hr html main ol p section summary table tbody tfoot thead ul caption'.split(
    ' ',
  ),
);
/** Elements whose content is no markup, by how it is read. */
const RAW: Readonly<Record<string, Tokenizer['state']>> = {
  title: TokenizerMode.RCDATA,
  textarea: TokenizerMode.RCDATA,
  script: TokenizerMode.SCRIPT_DATA,
  style: TokenizerMode.RAWTEXT,
  iframe: TokenizerMode.RAWTEXT,
  xmp: TokenizerMode.RAWTEXT,
  noembed: TokenizerMode.RAWTEXT,
  noframes: TokenizerMode.RAWTEXT,
};

/** Bytes by the charset that the file declares. */
export function readHtmlBytes(bytes: Uint8Array, name: string): DocumentContent {
  const start = String.fromCharCode(...bytes.subarray(0, 1024));
  const charset = /<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{1,40})/i.exec(start)?.[1];
  const reader = new Reader(name);
  const tokenizer = new Tokenizer({ sourceCodeLocationInfo: false }, reader);
  reader.tokenizer = tokenizer;
  tokenizer.write(decodeText(bytes, name, charset), true);
  return reader.finish();
}

/** Lists within lists have numbers so deep. */
const MOST_LISTS = 100;

interface OrderedList {
  readonly format: string;
  next: number;
}

const LIST_TYPES: Readonly<Record<string, string>> = {
  a: 'lowerLetter',
  A: 'upperLetter',
  i: 'lowerRoman',
  I: 'upperRoman',
};

function wholeNumber(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*-?\d{1,7}\s*$/.test(value) ? Number(value) : undefined;
}

function orderOf({ attrs }: Token.TagToken): OrderedList {
  const of = (wanted: string): string | undefined => attrs.find(({ name }) => name === wanted)?.value;
  const bare = /list-style(?:-type)?\s*:\s*none/i.test(of('style') ?? '');
  return { format: bare ? 'none' : (LIST_TYPES[of('type') ?? ''] ?? 'decimal'), next: wholeNumber(of('start')) ?? 1 };
}

class Reader implements TokenHandler {
  tokenizer: Tokenizer | undefined;
  readonly #flow: Flow;
  /** The element that is being left out, and how many of its name are open. */
  #skipped: { readonly tag: string; depth: number } | undefined;
  /** The element without markup that is being read. */
  #raw = '';
  #title = '';
  /** How many `pre` are open. */
  #literal = 0;
  /** The text so far of a link to a place of the page itself. */
  #link: string | undefined;
  #inRow = false;
  /** The cell that is open. */
  #cell: Span | undefined;
  /** The lists that are open, one within the other; those without numbers are undefined. */
  readonly #lists: (OrderedList | undefined)[] = [];
  /** Lists within these, which have no numbers. */
  #deeperLists = 0;
  /** Whether a row was open in the tables around the one that is being read, and its cell. */
  readonly #tables: { readonly inRow: boolean; readonly cell: Span | undefined }[] = [];

  constructor(name: string) {
    this.#flow = new Flow(name);
  }

  finish(): DocumentContent {
    this.#endLink();
    do this.#endRow();
    while (this.#leaveTable());
    this.#flow.end();
    const title = this.#title.replace(/\s+/g, ' ').trim().slice(0, 500);
    if (title !== '') this.#flow.builder.title = title;
    return this.#flow.builder.finish();
  }

  onCharacter({ chars }: Token.CharacterToken): void {
    // A picture (`svg`) within the page may have a title of its own.
    if (this.#raw === 'title' && this.#skipped === undefined) this.#title += this.#title.length < 1000 ? chars : '';
    if (this.#raw !== '' || this.#skipped !== undefined) return;
    if (this.#link === undefined) this.#flow.text(chars);
    else {
      this.#link += chars;
      if (this.#link.length > LONGEST_LINK) this.#endLink();
    }
  }
  onWhitespaceCharacter(token: Token.CharacterToken): void {
    this.onCharacter(token);
  }
  onNullCharacter(): void {}
  onComment(): void {}
  onDoctype(): void {}
  onEof(): void {}

  onStartTag(token: Token.TagToken): void {
    const { tagName } = token;
    const raw = RAW[tagName];
    if (raw !== undefined && this.tokenizer !== undefined) {
      this.tokenizer.state = raw;
      this.#raw = tagName;
      return;
    }
    const skipped = this.#skipped;
    if (skipped !== undefined) {
      if (tagName !== skipped.tag) return;
      if (!SELF_ENDING.has(tagName)) {
        skipped.depth++;
        return;
      }
      this.#skipped = undefined;
    }
    if (!WITHIN_LINK.has(tagName)) this.#endLink();
    if (VOID.has(tagName)) {
      if (tagName === 'br') this.#flow.text(this.#literal > 0 ? '\n' : BREAK);
      else if (tagName === 'hr') this.#flow.end();
      else if (tagName === 'img' && !isHidden(token)) this.#picture(token);
    } else if (isHidden(token)) this.#skipped = { tag: tagName, depth: 1 };
    else this.#begin(token);
  }

  onEndTag({ tagName }: Token.TagToken): void {
    if (this.#raw !== '') {
      if (tagName === this.#raw) this.#raw = '';
      return;
    }
    const skipped = this.#skipped;
    if (skipped !== undefined) {
      if (tagName === skipped.tag && --skipped.depth === 0) this.#skipped = undefined;
      return;
    }
    if (!WITHIN_LINK.has(tagName)) this.#endLink(tagName === 'a');
    if (tagName === 'ol' || tagName === 'ul') {
      if (this.#deeperLists > 0) this.#deeperLists--;
      else this.#lists.pop();
    }
    if (tagName === 'pre') this.#literal = Math.max(0, this.#literal - 1);
    if (tagName === 'sup') this.#flow.endRaised();
    else if (tagName === 'td' || tagName === 'th') this.#endCell();
    else if (tagName === 'tr') this.#endRow();
    else if (tagName === 'table') {
      this.#endRow();
      if (!this.#leaveTable() || this.#cell === undefined) this.#flow.end();
    } else if (BLOCKS.has(tagName) || /^(?:h[1-6]|li|pre)$/.test(tagName)) this.#flow.end();
  }

  /** A link that ends by its own tag and says only where to go on is left out. */
  #endLink(whole = false): void {
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined && !(whole && GO_ON.test(link.replace(/\s+/g, ' ').trim()))) this.#flow.text(link);
  }

  /** What an item of an ordered list is shown with. */
  #number({ attrs }: Token.TagToken): void {
    const list = this.#lists.at(-1);
    if (list === undefined || this.#deeperLists > 0) return;
    const own = wholeNumber(attrs.find(({ name }) => name === 'value')?.value);
    list.next = own ?? list.next;
    if (list.format !== 'none') this.#flow.text(`${written(list.next, list.format)}. `);
    list.next++;
  }

  /** What stands for a picture where it cannot be seen. */
  #picture({ attrs }: Token.TagToken): void {
    const text = attrs.find(({ name }) => name === 'alt')?.value.trim() ?? '';
    if (text !== '') this.#flow.text(` ${text} `);
  }

  #begin(token: Token.TagToken): void {
    const { tagName: tag } = token;
    if (tag === 'a' && token.attrs.some(({ name, value }) => name === 'href' && value.startsWith('#'))) this.#link = '';
    else if (/^h[1-6]$/.test(tag)) this.#flow.begin('heading', Number(tag[1]));
    else if (tag === 'sup') this.#flow.beginRaised();
    else if (tag === 'ol' || tag === 'ul') {
      this.#flow.end();
      if (this.#lists.length < MOST_LISTS) this.#lists.push(tag === 'ol' ? orderOf(token) : undefined);
      else this.#deeperLists++;
    } else if (tag === 'li') {
      this.#flow.begin('item');
      this.#number(token);
    } else if (tag === 'pre') {
      this.#literal++;
      this.#flow.begin('code');
    } else if (tag === 'table') {
      if (this.#cell === undefined) this.#flow.end();
      this.#tables.push({ inRow: this.#inRow, cell: this.#cell });
      this.#flow.beginTable();
      this.#inRow = false;
      this.#cell = undefined;
    } else if (tag === 'tr') {
      this.#endRow();
      this.#flow.beginRow();
      this.#inRow = true;
    } else if (tag === 'td' || tag === 'th') {
      this.#endCell();
      this.#cell = spanOf(token);
    } else if (/^t(?:head|body|foot)$/.test(tag)) {
      this.#endRow();
      this.#flow.endSpans();
    } else if (this.#literal === 0 && BLOCKS.has(tag)) this.#flow.end();
  }

  /** Goes back to the table around this one; false where there is none. */
  #leaveTable(): boolean {
    const around = this.#tables.pop();
    if (around !== undefined) this.#flow.endTable();
    this.#inRow = around?.inRow ?? false;
    this.#cell = around?.cell;
    return around !== undefined;
  }

  #endCell(): void {
    if (this.#cell !== undefined) this.#flow.endCell(this.#cell);
    this.#cell = undefined;
  }

  #endRow(): void {
    this.#endCell();
    if (this.#inRow) this.#flow.endRow();
    this.#inRow = false;
  }
}

function isHidden({ tagName, attrs }: Token.TagToken): boolean {
  if (SKIPPED.has(tagName)) return true;
  return attrs.some(({ name, value }) => {
    if (name === 'hidden' || (name === 'aria-hidden' && value === 'true')) return true;
    if (name === 'style') return /display\s*:\s*none|visibility\s*:\s*hidden/i.test(value);
    if (HOLDERS.has(tagName)) return false;
    if (name === 'role') return SKIPPED_ROLES.has(value.trim().toLowerCase());
    if (name === 'aria-label') return CONSENT_LABEL.test(value);
    if (name === 'itemtype') return WAYS.test(value);
    return (name === 'id' || name === 'class') && (CONSENT_NAME.test(value) || WAYS.test(value));
  });
}

/** Rows that a cell goes on for, where it says "to the end". */
const ALL_ROWS = 65_534;

function spanOf({ attrs }: Token.TagToken): Span {
  const count = (wanted: string): number => {
    const value = attrs.find(({ name }) => name === wanted)?.value ?? '';
    return /^\d{1,5}$/.test(value.trim()) ? Number(value) : 1;
  };
  const columns = count('colspan') || 1;
  const rows = Math.min(count('rowspan') || ALL_ROWS, ALL_ROWS);
  return columns === 1 && rows === 1 ? ONE_CELL : { columns, rows };
}
