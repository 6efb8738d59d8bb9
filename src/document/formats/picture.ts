/** A picture of a page: what the OCR adapter reads in it. */
import { FileError } from '../../errors.ts';
import { ContentBuilder } from '../builder.ts';
import type { DocumentContent } from '../content.ts';
import type { OpenOptions } from '../options.ts';
import { addPages } from '../pdf/blocks.ts';
import { recognisedLines } from '../pdf/recognised.ts';
import { readHeader } from '../../vision/header.ts';

export async function readPicture(
  bytes: Uint8Array,
  name: string,
  { ocr, signal, onProgress }: OpenOptions,
): Promise<DocumentContent> {
  if (ocr === undefined)
    throw new FileError(
      'unsupported',
      { file: name, field: 'document' },
      'it is a picture; give `ocr` to have its text read, or show it to a model that sees pictures',
    );
  const { width, height } = readHeader(bytes, name);
  onProgress?.({ phase: 'recognition', done: 0, total: 1, secondsLeft: undefined });
  const { lines } = await ocr.recognise(new Blob([bytes as Uint8Array<ArrayBuffer>]), { width, height, signal });
  onProgress?.({ phase: 'recognition', done: 1, total: 1, secondsLeft: 0 });
  const builder = new ContentBuilder(name);
  addPages(builder, [{ lines: recognisedLines(lines, 1), width, height, label: undefined, kind: 'recognised' }]);
  return builder.finish();
}
