/**
 * A saved session as bytes: parts 0, 1, ... are pages, then come states where the model has some (states.ts), and the last two are the head, twice
 * (without it the pages mean nothing).
 *
 * The head, little endian, every piece beginning at a multiple of 4:
 *
 *     | magic u32 | version u32 | bytes of facts u32 | ids u32 | positions u32 | pages u32 | bytes of images u32 |
 *     | facts: JSON in UTF-8 | ids i32 ... | RoPE's position of each slot i32 ..., where they are not their own | formats of pages u8 ... |
 *     | checksums of pages u64 ... | images' pixels RGBA ... | XXH64 of all before u64 |
 *
 * Pages are those of blocks 0, 1, ..., each block's pagesPerBlock (layer * kvHeads + head) in order, as the device has them (assembly/kv/layout.ts). A
 * part of pages holds whole blocks, about PART_BYTES of them: where each part begins follows from the formats. Each page's checksum is seeded
 * with the generation and the page's number in this order, so that a part of another session, or in another's place, is found out like a damaged one.
 */
import type { ToolCall } from '../chat/messages.ts';
import { StorageError } from '../errors.ts';
import { ownerOf, type Checksums } from '../kv/checksum.ts';
import { checkVersion, RECORD_VERSION } from '../store/shelf.ts';
import type { SavedSnapshot } from './states.ts';

/** The number of parts after the last part of pages. */
export const HEADS = 2;

/** 'OCTs' */
const MAGIC = 0x7354_434f;
const HEADER = 7;
/** A size at which all browsers read and write at full speed. */
const PART_BYTES = 8 << 20;
/** The head's number among the seeds; no page has so high a number. */
const HEAD_SEED = 0xffff_ffff;

/** Text with images in it: strings, and indices of images. */
export type SavedContent = readonly (string | number | { readonly text: string })[];

export interface SavedTurn {
  readonly role: string;
  readonly content: SavedContent;
  /** An answer that was aborted. */
  readonly partial?: boolean;
  /** Control tokens in the text are read as such. */
  readonly special?: boolean;
  readonly thinking?: string;
  readonly calls?: readonly ToolCall[];
  readonly name?: string;
  readonly callId?: string;
}

/** An image as the model was shown it. */
export interface SavedImage {
  readonly width: number;
  readonly height: number;
  readonly size: number;
  readonly route: string | undefined;
  readonly unique?: true | undefined;
  /** The number of ids of each of its spans. */
  readonly counts: readonly number[];
  /** Which of its tokens these are, if some were left out and that is known. */
  readonly kept?: readonly number[] | undefined;
  /** The question about it, if the choice of its tokens depends on it. */
  readonly question?: string | undefined;
}

/** Small facts, stored as JSON. */
export interface RecordFacts {
  readonly model: string;
  readonly modelName: string;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number;
  /** As given to the session, without `initialPrompts`. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The number of positions that the pages hold. */
  readonly filled: number;
  /** Whether the pages hold values times a Hadamard matrix: `KvView.hadamard`. */
  readonly hadamard?: boolean;
  /** Of models that have layers with a state (states.ts). */
  readonly states?: readonly SavedSnapshot[];
  readonly images: readonly SavedImage[];
  /** Which span of which image begins at which id. */
  readonly spans: readonly { readonly at: number; readonly image: number; readonly span: number }[];
  /** The text of the ids; null if no text encodes to exactly these ids. */
  readonly content: SavedContent | null;
  readonly initial: readonly SavedTurn[];
  readonly turns: readonly SavedTurn[];
}

export interface Head {
  readonly facts: RecordFacts;
  readonly ids: Int32Array;
  /** [axes, filled], or none: see `KvView.positions`. */
  readonly positions: Int32Array;
  /** [pages]: an index of `KV_FORMATS`. */
  readonly formats: Uint8Array;
  /** [2 * pages] */
  readonly checksums: Uint32Array;
  /** The pixels of all images, one after the other: 4 * width * height bytes each. */
  readonly pixels: Uint8Array;
}

/** Bytes of a page by the index of its format. */
export type PageSizes = readonly number[];

/** Blocks of one part: `[start, end)`. */
export interface BlockRun {
  readonly start: number;
  readonly end: number;
}

function aligned(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** Returns the bytes of the head, sealed for its generation. */
export function encodeHead(head: Head, generation: string, checksums: Checksums): Uint8Array {
  const facts = new TextEncoder().encode(JSON.stringify(head.facts));
  const { ids, positions, formats, pixels } = head;
  const pieces: readonly Uint8Array[] = [facts, raw(ids), raw(positions), formats, raw(head.checksums), pixels];
  const body = 4 * HEADER + pieces.reduce((sum, piece) => sum + aligned(piece.length), 0);
  const bytes = new Uint8Array(body + 8);
  bytes.set(
    raw(
      Uint32Array.of(MAGIC, RECORD_VERSION, facts.length, ids.length, positions.length, formats.length, pixels.length),
    ),
  );
  let at = 4 * HEADER;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += aligned(piece.length);
  }
  bytes.set(raw(checksums.of(bytes.subarray(0, body), Uint32Array.of(body), HEAD_SEED, ownerOf(generation))), body);
  return bytes;
}

/**
 * Parses a head; undefined when the bytes are damaged, cut short or of another generation. Throws
 * `StorageError('changed')` for an intact head of another version.
 */
export function decodeHead(bytes: Uint8Array, generation: string, checksums: Checksums): Head | undefined {
  if (bytes.length < 4 * HEADER + 8 || bytes.length % 4 !== 0) return undefined;
  const body = bytes.length - 8;
  const sum = checksums.of(bytes.subarray(0, body), Uint32Array.of(body), HEAD_SEED, ownerOf(generation));
  if (!same(raw(sum), bytes.subarray(body))) return undefined;
  const [magic, version = 0, factBytes = 0, idCount = 0, positionCount = 0, pages = 0, pixelBytes = 0] = words(
    bytes,
    0,
    HEADER,
  );
  if (magic !== MAGIC) return undefined;
  checkVersion(version);
  const lengths = [factBytes, 4 * idCount, 4 * positionCount, pages, 8 * pages, pixelBytes];
  if (4 * HEADER + lengths.reduce((total, length) => total + aligned(length), 0) !== body) return undefined;
  let at = 4 * HEADER;
  const [facts, ids, positions, formats, sums, pixels] = lengths.map((length) => {
    const piece = bytes.slice(at, at + length);
    at += aligned(length);
    return piece;
  });
  if (
    facts === undefined ||
    ids === undefined ||
    positions === undefined ||
    formats === undefined ||
    sums === undefined ||
    pixels === undefined
  )
    return undefined;
  return {
    facts: JSON.parse(new TextDecoder().decode(facts)) as RecordFacts,
    ids: new Int32Array(ids.buffer),
    positions: new Int32Array(positions.buffer),
    formats,
    checksums: new Uint32Array(sums.buffer),
    pixels,
  };
}

/** Throws `StorageError('changed')` when a record belongs to another model than the one that is to read it. */
export function checkModel(
  saved: { readonly model: string; readonly modelName: string },
  model: { readonly fingerprint: string; readonly name: string },
): void {
  if (saved.model === model.fingerprint) return;
  throw new StorageError(
    'changed',
    `the session was saved by ${saved.modelName} (fingerprint ${short(saved.model)}) and this model is ${model.name} (${short(model.fingerprint)}): its pages cannot be used here; load the model that saved it, or remove it (Octavo.sessions.remove)`,
    { saved: saved.model, loaded: model.fingerprint },
  );
}

function short(fingerprint: string): string {
  return fingerprint.slice(0, 12);
}

/** How the blocks are divided among parts, and how many bytes each has. `sizes`: of a page by format. */
export function partRuns(formats: Uint8Array, pagesPerBlock: number, sizes: PageSizes): readonly BlockRun[] {
  const blocks = formats.length / pagesPerBlock;
  const runs: BlockRun[] = [];
  let start = 0;
  let bytes = 0;
  for (let block = 0; block < blocks; block++) {
    const more = runBytes(formats, pagesPerBlock, sizes, { start: block, end: block + 1 });
    if (block > start && bytes + more > PART_BYTES) {
      runs.push({ start, end: block });
      start = block;
      bytes = 0;
    }
    bytes += more;
  }
  if (blocks > start) runs.push({ start, end: blocks });
  return runs;
}

export function runBytes(
  formats: Uint8Array,
  pagesPerBlock: number,
  sizes: PageSizes,
  { start, end }: BlockRun,
): number {
  let bytes = 0;
  for (let page = start * pagesPerBlock; page < end * pagesPerBlock; page++) bytes += sizes[formats[page] ?? 0] ?? 0;
  return bytes;
}

/** Checksums of the pages of a run, whose bytes are `bytes`: [2 * pages of the run] */
export function runChecksums(
  bytes: Uint8Array,
  formats: Uint8Array,
  pagesPerBlock: number,
  sizes: PageSizes,
  { start, end }: BlockRun,
  generation: string,
  checksums: Checksums,
): Uint32Array {
  const lengths = Uint32Array.from(
    formats.subarray(start * pagesPerBlock, end * pagesPerBlock),
    (format) => sizes[format] ?? 0,
  );
  return checksums.of(bytes, lengths, start * pagesPerBlock, ownerOf(generation));
}

/** How many blocks of a run, from its first, are as they were written. `bytes`: the part, or undefined where it is gone. */
export function wholeBlocks(
  head: Head,
  bytes: Uint8Array | undefined,
  run: BlockRun,
  pagesPerBlock: number,
  sizes: PageSizes,
  generation: string,
  checksums: Checksums,
): number {
  if (bytes === undefined) return 0;
  const { start, end } = run;
  let whole = 0;
  let at = 0;
  for (let block = start; block < end; block++) {
    const one = { start: block, end: block + 1 };
    const length = runBytes(head.formats, pagesPerBlock, sizes, one);
    if (at + length > bytes.length) break;
    const sums = runChecksums(
      bytes.subarray(at, at + length),
      head.formats,
      pagesPerBlock,
      sizes,
      one,
      generation,
      checksums,
    );
    if (!same(raw(sums), raw(head.checksums.subarray(2 * block * pagesPerBlock, 2 * (block + 1) * pagesPerBlock))))
      break;
    at += length;
    whole++;
  }
  // What is longer than it was is not as it was, whatever its beginning says.
  return whole === end - start && at !== bytes.length ? 0 : whole;
}

function raw(array: Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function words(bytes: Uint8Array, at: number, count: number): Uint32Array {
  return new Uint32Array(bytes.slice(at, at + 4 * count).buffer);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
