/**
 * JPEG (ITU-T T.81, annex B) consists of markers, most of them with a segment. A scan's header is followed by coded
 * data up to the next marker.
 */
import type { ImageBytes, ImageFormat, Size } from './bytes.ts';
import { exifOrientation, withoutOrientation } from './exif.ts';

const START = 0xd8;
const END = 0xd9;
const SCAN = 0xda;
const APP1 = 0xe1;
const EXIF = 'Exif\0\0';
/** Bytes that a decoder could read as coded data, each followed by the end marker: all zeros, and two bit patterns. */
const ENDINGS = [0x00, 0x55, 0xaa].map((byte) => Uint8Array.from([...Array<number>(64).fill(byte), 0xff, 0xd9]));
/** The markers C0 to CF start a frame, except C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning). */
const NO_FRAME: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc]);
/** Markers without a segment: TEM, RST0 to RST7, SOI. */
const isAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= START);

export const jpeg: ImageFormat = {
  matches: (file) => file.text(0, 3) === '\xff\xd8\xff',
  size: frameSize,
  check: (file) => {
    let scanned = false;
    for (const { marker } of segments(file)) scanned ||= marker === SCAN;
    if (!scanned) throw file.malformed('scan', 2, 'the file has no image data');
    // Every block of 8 x 8 pixels takes at least one bit.
    const { width, height } = frameSize(file);
    const least = (Math.ceil(width / 8) * Math.ceil(height / 8)) / 8;
    file.need(0, Math.floor(least), 'scan');
  },
  orientation: (file) => {
    for (const { marker, at } of segments(file)) {
      if (marker === SCAN) return undefined;
      if (marker !== APP1 || file.text(at + 2, EXIF.length) !== EXIF) continue;
      const found = exifOrientation(file.bytes, at + 2 + EXIF.length, at + file.u16(at, 'segment'));
      if (found === undefined || found.value === 1) return undefined;
      return { value: found.value, neutral: withoutOrientation(file.bytes, found) };
    }
    return undefined;
  },
  endings: (file) => {
    for (const { marker } of segments(file)) if (marker === END) return undefined;
    checkScans(file);
    return ENDINGS.map((ending) => {
      const bytes = new Uint8Array(file.length + ending.length);
      bytes.set(file.bytes);
      bytes.set(ending, file.length);
      return bytes;
    });
  },
};

/** The number of coefficients in a block. */
const COEFFICIENTS = 64;

/**
 * Throws `FileError('truncated')` unless the scans that begin in the file deliver every coefficient of every component
 * down to its last bit. Without this check a file that is cut between two scans would look complete.
 */
function checkScans(file: ImageBytes): void {
  const missing = new Map<number, Set<number>>();
  for (const { marker, at } of segments(file)) {
    if ((marker & 0xf0) === 0xc0 && !NO_FRAME.has(marker)) {
      const components = file.u8(at + 7, 'components');
      for (let i = 0; i < components; i++)
        missing.set(file.u8(at + 8 + 3 * i, 'component'), new Set(Array(COEFFICIENTS).keys()));
    }
    if (marker !== SCAN) continue;
    const components = file.u8(at + 2, 'components');
    const spectral = at + 3 + 2 * components;
    const [first, last] = [file.u8(spectral, 'spectral selection'), file.u8(spectral + 1, 'spectral selection')];
    // The low four bits say how many bits are still missing.
    if ((file.u8(spectral + 2, 'approximation') & 15) !== 0) continue;
    for (let i = 0; i < components; i++) {
      const coefficients = missing.get(file.u8(at + 3 + 2 * i, 'component'));
      for (let k = first; k <= Math.min(last, COEFFICIENTS - 1); k++) coefficients?.delete(k);
    }
  }
  if ([...missing.values()].some((coefficients) => coefficients.size > 0)) file.need(file.length, 2, 'scan');
}

function frameSize(file: ImageBytes): Size {
  for (const { marker, at } of segments(file)) {
    if ((marker & 0xf0) !== 0xc0 || NO_FRAME.has(marker)) continue;
    return { height: file.u16(at + 3, 'height'), width: file.u16(at + 5, 'width') };
  }
  throw file.malformed('frame', 2, 'the file ends before any image begins');
}

/**
 * Yields every segment, with `at` the position of its length field, then the end marker. Like decoders, it skips
 * anything between segments that is not a marker. After a scan the file may stop without an end marker; `endings` then
 * finds out whether the scan is complete.
 */
function* segments(file: ImageBytes): Generator<{ marker: number; at: number }> {
  let scanned = false;
  for (let at = 2; ;) {
    const next = nextMarker(file, at, scanned);
    if (next === undefined) return;
    const marker = file.u8(next + 1, 'marker');
    at = next + 2;
    if (marker === END) {
      yield { marker, at };
      return;
    }
    if (isAlone(marker)) continue;
    // Bytes after the last scan may look like the beginning of a segment.
    if (scanned && (at + 2 > file.length || at + file.u16(at, 'segment') > file.length)) return;
    const length = file.u16(at, 'segment');
    if (length < 2) throw file.malformed('segment', at, `its length is ${length}; at least 2`);
    file.need(at, length, 'segment');
    yield { marker, at };
    scanned ||= marker === SCAN;
    at += length;
  }
}

/**
 * Returns the position of the next FF that is followed by neither 00 (a coded FF) nor FF (a fill byte). If the file
 * ends before one is found, returns undefined if `mayEnd` is set and throws `FileError('truncated')` otherwise.
 */
function nextMarker(file: ImageBytes, from: number, mayEnd: boolean): number | undefined {
  for (let at = from; ;) {
    const found = file.bytes.indexOf(0xff, at);
    if (found < 0 || found + 1 >= file.length) {
      if (mayEnd) return undefined;
      file.need(file.length, 2, 'end marker');
      return undefined;
    }
    const next = file.u8(found + 1, 'end marker');
    if (next !== 0 && next !== 0xff) return found;
    at = found + 1 + (next === 0 ? 1 : 0);
  }
}
