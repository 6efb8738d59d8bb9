/**
 * Tables of which only single rows are read, outside of WASM memory: as large as all other weights together in Gemma 4,
 * they would not fit 32 bits of address beside them. Rows stay as the file stores them until `embed` packs those that it
 * reads.
 */
import { FileError } from '../../errors.ts';
import type { Weight, WeightWriter } from '../backend.ts';
import { freed } from '../checks.ts';
import { rowBytes, weightBytes, type WeightFormat, type WeightSpec } from '../weight.ts';

/** Bytes of one piece: an engine allocates pieces of this size more easily than the whole. */
const PIECE_BYTES = 64 << 20;

export class HostTable implements Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: number;
  readonly rows: number;
  /** Whole rows in each piece; none once freed. */
  #pieces: readonly Uint8Array[];
  readonly #rowBytes: number;
  readonly #freed: (table: HostTable) => void;

  constructor(spec: WeightSpec, pieces: readonly Uint8Array[], done: (table: HostTable) => void) {
    this.name = spec.name;
    this.shape = spec.shape;
    this.format = spec.format;
    this.bytes = weightBytes(spec);
    this.rows = spec.shape[0] ?? 0;
    this.#rowBytes = rowBytes(spec.format, spec.shape[1] ?? 0);
    this.#pieces = pieces;
    this.#freed = done;
  }

  /** The row as in the file. */
  row(index: number): Uint8Array {
    const perPiece = rowsPerPiece(this.#rowBytes);
    const piece = this.#pieces[Math.floor(index / perPiece)];
    if (piece === undefined) throw freed('embed', `weight ${this.name}`);
    const at = (index % perPiece) * this.#rowBytes;
    return piece.subarray(at, at + this.#rowBytes);
  }

  free(): void {
    if (this.#pieces.length === 0) return;
    this.#pieces = [];
    this.#freed(this);
  }
}

const rowsPerPiece = (bytes: number): number => Math.max(1, Math.floor(PIECE_BYTES / bytes));

/** `done` is called with the finished table. */
export function hostTableWriter(spec: WeightSpec, done: (pieces: readonly Uint8Array[]) => HostTable): WeightWriter {
  const total = weightBytes(spec);
  const bytes = rowBytes(spec.format, spec.shape[1] ?? 0);
  const pieceBytes = bytes * rowsPerPiece(bytes);
  let pieces: Uint8Array[] = [];
  let taken = 0;
  const where = (): { file: string; field: string; offset: number } => ({ file: '', field: spec.name, offset: taken });
  return {
    write: async (chunk) => {
      if (taken + chunk.length > total)
        throw new FileError('malformed', where(), `more than the ${total} bytes of its shape and format`);
      for (let at = 0; at < chunk.length;) {
        const inPiece = taken % pieceBytes;
        if (inPiece === 0) pieces.push(new Uint8Array(Math.min(pieceBytes, total - taken)));
        const part = chunk.subarray(at, at + pieceBytes - inPiece);
        pieces.at(-1)?.set(part, inPiece);
        at += part.length;
        taken += part.length;
      }
    },
    finish: async () => {
      if (taken !== total) throw new FileError('truncated', where(), `${taken} of ${total} bytes were received`);
      return done(pieces);
    },
    abort: () => {
      pieces = [];
    },
  };
}
