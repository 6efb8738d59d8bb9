/**
 * Tables of which only single rows are read, outside of WASM memory: as large as all other weights together in Gemma 4,
 * they would not fit 32 bits of address beside them. Rows stay as the file stores them until `embed` packs those that it
 * reads.
 */
import { FileError } from '../../errors.ts';
import type { Weight, WeightWriter } from '../backend.ts';
import { freed } from '../checks.ts';
import { rowBytes, WEIGHT_FORMATS, weightBytes, type WeightFormat, type WeightSpec } from '../weight.ts';
import type { Engine } from './engine.ts';
import type { HostedTable, HostedTile } from './weights.ts';

/** Bytes of one piece: an engine allocates pieces of this size more easily than the whole. */
const PIECE_BYTES = 64 << 20;
/** Rows that are packed at a time: those of a packed tile. */
const TILE_ROWS = 16;

class HostTable implements HostedTable {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: number;
  readonly #engine: Engine;
  /** Whole rows in each piece; none once freed. */
  #pieces: readonly Uint8Array[];
  readonly #live: Set<Weight>;

  constructor(engine: Engine, spec: WeightSpec, pieces: readonly Uint8Array[], live: Set<Weight>) {
    this.name = spec.name;
    this.shape = spec.shape;
    this.format = spec.format;
    this.bytes = weightBytes(spec);
    this.#engine = engine;
    this.#pieces = pieces;
    this.#live = live;
    live.add(this);
  }

  *tiles(ids: number, count: number): Generator<HostedTile> {
    const { wasm } = this.#engine;
    const [rows = 0, cols = 0] = this.shape;
    const { ggml } = WEIGHT_FORMATS[this.format];
    const bytes = rowBytes(this.format, cols);
    for (let from = 0; from < count; from += TILE_ROWS) {
      const wanted = wasm.i32(ids + 4 * from, Math.min(TILE_ROWS, count - from)).slice();
      const staged = this.#engine.room('rows', TILE_ROWS * bytes);
      const pointer = this.#engine.room('packed', wasm.exports.packedBytes(ggml, TILE_ROWS, cols));
      const list = this.#engine.room('runs', TILE_ROWS * 4);
      const places = wanted.map((id, i) => (id >= 0 && id < rows ? i : -1));
      for (const [i, id] of wanted.entries())
        if (places[i] === i) wasm.bytes(staged + i * bytes, bytes).set(this.#row(id, bytes));
      wasm.exports.packRows(pointer, staged, ggml, 0, wanted.length, wanted.length, cols);
      wasm.i32(list, wanted.length).set(places);
      yield { from, rows: wanted.length, ids: list, weight: { pointer, ggml, rows: wanted.length } };
    }
  }

  /** The row as in the file. */
  #row(index: number, bytes: number): Uint8Array {
    const perPiece = rowsPerPiece(bytes);
    const piece = this.#pieces[Math.floor(index / perPiece)];
    if (piece === undefined) throw freed('embed', `weight ${this.name}`);
    return piece.subarray((index % perPiece) * bytes, (index % perPiece) * bytes + bytes);
  }

  free(): void {
    this.#pieces = [];
    this.#live.delete(this);
  }
}

const rowsPerPiece = (bytes: number): number => Math.max(1, Math.floor(PIECE_BYTES / bytes));

/** The finished table is added to `live`, of which it is removed when it is freed. */
export function hostTableWriter(engine: Engine, spec: WeightSpec, live: Set<Weight>): WeightWriter {
  const total = weightBytes(spec);
  const bytes = rowBytes(spec.format, spec.shape[1] ?? 0);
  const pieceBytes = bytes * rowsPerPiece(bytes);
  const pieces: Uint8Array[] = [];
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
      return new HostTable(engine, spec, pieces, live);
    },
    abort: () => undefined,
  };
}
