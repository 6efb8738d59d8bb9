/** Which format a file has: by what it was declared to be, by its first bytes, by its name. */
import { FileError } from '../../errors.ts';

export type Format = 'pdf' | 'text' | 'markdown' | 'html' | 'docx' | 'csv' | 'picture';

const TYPES: Readonly<Record<string, Format>> = {
  'application/pdf': 'pdf',
  'text/plain': 'text',
  'text/markdown': 'markdown',
  'text/html': 'html',
  'application/xhtml+xml': 'html',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'text/csv': 'csv',
  'text/tab-separated-values': 'csv',
};
const ENDINGS: Readonly<Record<string, Format>> = {
  pdf: 'pdf',
  txt: 'text',
  text: 'text',
  log: 'text',
  md: 'markdown',
  markdown: 'markdown',
  mdx: 'markdown',
  html: 'html',
  htm: 'html',
  xhtml: 'html',
  docx: 'docx',
  csv: 'csv',
  tsv: 'csv',
  png: 'picture',
  jpg: 'picture',
  jpeg: 'picture',
  webp: 'picture',
  gif: 'picture',
  avif: 'picture',
  bmp: 'picture',
};
export const FORMATS: readonly Format[] = [...new Set(Object.values(ENDINGS))];

/** `type`: a format's name or a MIME type. Throws `FileError('unsupported')` for what cannot be read. */
export function formatOf(bytes: Uint8Array, name: string, type: string | undefined): Format {
  const declared = type?.split(';')[0]?.trim().toLowerCase() ?? '';
  const named = FORMATS.find((format) => format === declared) ?? TYPES[declared];
  if (named !== undefined) return named;
  if (declared.startsWith('image/')) return 'picture';
  const start = String.fromCharCode(...bytes.subarray(0, 1024));
  if (start.includes('%PDF-')) return 'pdf';
  if (/^(?:\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF[^]{4}WEBP|[^]{4}ftyp(?:avif|heic|mif1))/.test(start)) return 'picture';
  const ending = ENDINGS[/\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? ''];
  if (start.startsWith('PK\x03\x04')) {
    const other = otherArchive(bytes);
    if (other !== undefined) throw unsupported(name, other);
    if (ending === 'docx' || ending === undefined) return 'docx';
    throw unsupported(name, 'it is a ZIP archive, not the format that its name says');
  }
  if (start.startsWith('\xd0\xcf\x11\xe0'))
    throw unsupported(name, 'it is an Office file of before 2007; save it as .docx or PDF');
  if (start.startsWith('{\\rtf')) throw unsupported(name, 'it is rich text (RTF); save it as .docx or PDF');
  if (/^(?:[\w-]+:.*\r?\n(?:[ \t].*\r?\n)*)*?content-type:\s*multipart\/related/i.test(start))
    throw unsupported(name, 'it is a web archive (MHTML); save the page as HTML or PDF');
  if (ENCODED_MAIL.test(start))
    throw unsupported(name, 'it is an e-mail whose text is encoded; save it as text, HTML or PDF');
  if (ending === 'docx' || ending === 'pdf' || ending === 'picture')
    throw unsupported(name, `its bytes are not ${ending}; it may be damaged`);
  if (start.includes('\0') && !/^(?:\xff\xfe|\xfe\xff)/.test(start))
    throw unsupported(name, `it is none of ${FORMATS.join(', ')}; give \`type\`, or convert it first`);
  if (ending !== undefined) return ending;
  if (/^\s*(?:<!doctype html|<html)/i.test(start)) return 'html';
  return 'text';
}

/** Header lines, of which one says that what follows is no plain text. */
const ENCODED_MAIL =
  /^(?:[\w-]+:.*\r?\n(?:[ \t].*\r?\n)*)*?content-(?:type:\s*multipart\/|transfer-encoding:\s*(?:quoted-printable|base64))/i;

/** Names of parts by which other formats that are ZIP archives are known, and what to do with them. */
const ARCHIVES: readonly (readonly [part: string, problem: string])[] = [
  ['xl/workbook', 'it is a workbook of Excel; save its sheets as CSV, or the workbook as PDF'],
  ['ppt/presentation', 'it is a presentation of PowerPoint; save it as PDF'],
  ['META-INF/container.xml', 'it is an electronic book (EPUB); convert it to PDF or HTML'],
  ['META-INF/manifest.xml', 'it is an OpenDocument file; save it as .docx or PDF'],
];
/** Bytes at the end of an archive in which its list of parts is looked for. */
const DIRECTORY = 65_536;

/** What a ZIP archive is that holds no document of Word. */
function otherArchive(bytes: Uint8Array): string | undefined {
  const directory = new TextDecoder('latin1').decode(bytes.subarray(Math.max(0, bytes.length - DIRECTORY)));
  if (directory.includes('word/document')) return undefined;
  return ARCHIVES.find(([part]) => directory.includes(part))?.[1];
}

function unsupported(name: string, problem: string): FileError {
  return new FileError('unsupported', { file: name, field: 'document' }, problem);
}
