/** A picture of a page: what the OCR adapter reads in it. */
import { FileError } from '../../errors.ts';
import { encodePng } from '../../vision/png.ts';
import { resize } from '../../vision/resize.ts';
import { ContentBuilder } from '../builder.ts';
import type { DocumentContent } from '../content.ts';
import type { DocumentEnvironment } from '../environment.ts';
import type { OpenOptions } from '../options.ts';
import { addPages } from '../pdf/blocks.ts';
import { recognisedLines } from '../pdf/recognised.ts';
import type { Reading } from '../read.ts';

/** Pixels of the longer side of what is recognised: a photograph of a page has letters enough with so many. */
const MOST_SIDE = 4000;

/** The page is as large as the upright picture, a point a pixel. */
export async function readPicture(
  bytes: Uint8Array,
  name: string,
  { ocr, signal, onProgress }: OpenOptions,
  environment: DocumentEnvironment,
  { keepsPictures = false }: Reading,
): Promise<DocumentContent> {
  if (ocr === undefined && !keepsPictures)
    throw new FileError(
      'unsupported',
      { file: name, field: 'document' },
      'it is a picture; give `ocr` to have its text read, or show it to a model that sees pictures',
    );
  const picture = await environment.readPicture(bytes, name, signal);
  const { width, height } = picture;
  const builder = new ContentBuilder(name);
  const page = { width, height, label: undefined };
  if (ocr === undefined) {
    addPages(builder, [{ ...page, lines: [], kind: 'picture' }]);
    builder.note('it is a picture; give `ocr` to have its text read');
    return builder.finish();
  }
  onProgress?.({ phase: 'recognition', done: 0, total: 1, secondsLeft: undefined });
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const shown =
    scale === 1
      ? picture
      : resize(picture, Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)), 'bilinear');
  const { lines } = await ocr.recognise(new Blob([await encodePng(shown)], { type: 'image/png' }), {
    width: shown.width,
    height: shown.height,
    signal,
  });
  onProgress?.({ phase: 'recognition', done: 1, total: 1, secondsLeft: 0 });
  const read = recognisedLines(lines, 1 / scale);
  addPages(builder, [{ ...page, lines: read, kind: read.length > 0 ? 'recognised' : 'picture' }]);
  if (read.length === 0) builder.note('it is a picture, and no text was recognised in it');
  return builder.finish();
}
