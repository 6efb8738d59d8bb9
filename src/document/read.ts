/** From a source to a document's content, by its format; each format's reader is fetched when it is first needed. */
import { sha256 } from '../hash.ts';
import { FileError } from '../errors.ts';
import type { DocumentContent } from './content.ts';
import type { DocumentEnvironment } from './environment.ts';
import { formatOf, type Format } from './formats/kinds.ts';
import type { DocumentSource, OpenOptions } from './options.ts';
import type { PageKeeper } from './pdf/blocks.ts';
import { readSource } from './source.ts';

export interface ReadDocument {
  readonly name: string;
  readonly format: Format;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes, in hexadecimal digits. */
  readonly hash: string;
  readonly content: DocumentContent;
}

/** What a library wants beyond the options of a document. */
export interface Reading {
  /** Whether a picture is a page without text where there is no OCR adapter, as those of a PDF are. */
  readonly keepsPictures?: boolean | undefined;
  readonly pages?: PageKeeper | undefined;
}

export async function readDocument(
  source: DocumentSource,
  options: OpenOptions,
  environment: DocumentEnvironment,
  reading: Reading = {},
): Promise<ReadDocument> {
  const { signal } = options;
  signal?.throwIfAborted();
  const found = await readSource(source, environment, signal);
  signal?.throwIfAborted();
  const { bytes } = found;
  const name = options.name ?? found.name;
  if (bytes.length === 0) throw new FileError('malformed', { file: name, field: 'document' }, 'it is empty');
  const format = formatOf(bytes, name, options.type ?? found.type);
  const hash = await sha256(bytes);
  const read = await readContent(bytes, name, format, options, environment, reading);
  signal?.throwIfAborted();
  const empty = read.text.trim() === '' && read.notes.length === 0;
  const content = empty ? { ...read, notes: ['it has no text; nothing can be found in it'] } : read;
  return { name, format, bytes, hash, content };
}

async function readContent(
  bytes: Uint8Array,
  name: string,
  format: Format,
  options: OpenOptions,
  environment: DocumentEnvironment,
  reading: Reading,
): Promise<DocumentContent> {
  switch (format) {
    case 'pdf':
      return (await import('./formats/pdf.ts')).readPdf(bytes, name, options, environment, reading.pages);
    case 'html':
      return (await import('./formats/html.ts')).readHtmlBytes(bytes, name);
    case 'docx':
      return (await import('./formats/docx.ts')).readDocx(bytes, name);
    case 'picture':
      return (await import('./formats/picture.ts')).readPicture(bytes, name, options, environment, reading);
    case 'text':
    case 'markdown':
    case 'csv': {
      const { decodeText } = await import('./formats/decode.ts');
      const text = decodeText(bytes, name);
      if (format === 'markdown') return (await import('./formats/markdown.ts')).readMarkdown(text, name);
      if (format === 'csv') return (await import('./formats/csv.ts')).readCsv(text, name);
      return (await import('./formats/plain.ts')).readPlain(text, name);
    }
    default:
      throw new FileError(
        'unsupported',
        { file: name, field: 'type' },
        `'${String(format satisfies never)}' is no format that is read`,
      );
  }
}
