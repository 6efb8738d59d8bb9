/** JPEG (ITU-T T.81, annex B): markers, most with a segment; a scan's header is followed by coded data up to the next marker. */
import type { ImageBytes, ImageFormat } from './bytes.ts';

const START = 0xd8;
const END = 0xd9;
const SCAN = 0xda;
/** C0 to CF without C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning) start a frame. */
const NO_FRAME: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc]);
/** Markers that stand alone: TEM, RST0 to RST7, SOI. */
const isAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= START);

export const jpeg: ImageFormat = {
  matches: (file) => file.text(0, 3) === '\xff\xd8\xff',
  size: (file) => {
    for (const { marker, at } of segments(file)) {
      if ((marker & 0xf0) !== 0xc0 || NO_FRAME.has(marker)) continue;
      return { height: file.u16(at + 3, 'height'), width: file.u16(at + 5, 'width') };
    }
    throw file.malformed('frame', 2, 'the file ends before any image begins');
  },
  check: (file) => {
    let scanned = false;
    for (const { marker } of segments(file)) scanned ||= marker === SCAN;
    if (!scanned) throw file.malformed('scan', 2, 'the file has no image data');
  },
};

/** Every segment up to the end marker, `at` its length field. Between segments decoders skip what is no marker, and so does this. */
function* segments(file: ImageBytes): Generator<{ marker: number; at: number }> {
  for (let at = 2; ;) {
    at = nextMarker(file, at);
    const marker = file.u8(at + 1, 'marker');
    at += 2;
    if (marker === END) return;
    if (isAlone(marker)) continue;
    const length = file.u16(at, 'segment');
    if (length < 2) throw file.malformed('segment', at, `its length is ${length}; at least 2`);
    file.need(at, length, 'segment');
    yield { marker, at };
    at += length;
  }
}

/** The position of the next FF that is followed by neither 00 (a coded FF) nor FF (filling). */
function nextMarker(file: ImageBytes, from: number): number {
  for (let at = from; ;) {
    const found = file.bytes.indexOf(0xff, at);
    if (found < 0) file.need(file.length, 2, 'end marker');
    const next = file.u8(found + 1, 'end marker');
    if (next !== 0 && next !== 0xff) return found;
    at = found + 1 + (next === 0 ? 1 : 0);
  }
}
