/**
 * Products with weights and the operations fused with them, embeddings and norms: the operations of
 * assembly/kernels/linear.ts.
 */
import type { Activation, LinearOptions, NormSpec, Tensor, Weight } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Engine } from './engine.ts';
import { BLOCK, linearStreams, linearWords, partWords, writeLinear, writePart, type Block } from './layouts.ts';
import {
  activationOf,
  addressOf,
  NO_NORM,
  normOf,
  tensorOf,
  vectorOf,
  weightOf,
  type NormFields,
} from './residence.ts';
import { Streams } from './streams.ts';
import type { Tensors, WasmTensor } from './tensors.ts';
import { isHosted, type PackedRows, type WasmWeight } from './weights.ts';

/**
 * Weight bytes of one tile of a product of many tokens: they fit a second-level cache beside the activations. One token
 * reads them only once, and faster from several rows at once (gemv.ts).
 */
const TILE_BYTES = 64 << 10;
/**
 * The number of tiles that a thread should get of a product, so that threads of uneven speed end at about the same
 * time.
 */
const TILES_PER_THREAD = 4;
/** Rows of the smallest tile. */
const TILE_ROWS = 16;
/** Tokens behind the last one whose activations a product may read; it ignores what it finds (gemm.ts). */
const READ_BEYOND = 5;

export class Products {
  readonly #engine: Engine;
  readonly #tensors: Tensors;
  readonly #streams = new Streams();

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
  }

  embed(table: Weight, ring: Tensor, start: number, count: number, scale: number): Tensor {
    const engine = this.#engine;
    const { cols } = checks.embed(table, ring, start, count);
    const x = tensorOf('embed', 'ring', ring).pointer + 4 * start;
    const hosted = isHosted(table) ? table : undefined;
    const whole = hosted === undefined ? weightOf('embed', table) : undefined;
    const tiles = hosted?.tiles(x, count);
    const out = this.#tensors.make([count, cols]);
    const run = (from: number, rows: number, ids: number, weight: PackedRows): void => {
      const block = engine.block();
      writeRows(block, out.pointer + 4 * from * cols, ids, cols, rows, NO_NORM, 0, scale);
      putPart(block, 0, weight, 0, 0);
      engine.run('embed', engine.wasm.exports.embed);
    };
    if (whole !== undefined) run(0, count, x, whole);
    for (const { from, rows, ids, weight } of tiles ?? []) run(from, rows, ids, weight);
    return out;
  }

  norm(x: Tensor, spec: NormSpec, residual: Tensor | undefined, scale: number): Tensor {
    const engine = this.#engine;
    checks.normRows(x, spec, residual);
    const input = tensorOf('norm', 'x', x);
    const norm = normOf('norm', spec);
    const added = addressOf('norm', 'residual', residual);
    const [count = 0, cols = 0] = input.shape;
    const out = this.#tensors.make([count, cols]);
    const part = spec.weight.shape[0] ?? cols;
    writeRows(engine.block(), out.pointer, input.pointer, part, (count * cols) / part, norm, added, scale);
    engine.run('norm', engine.wasm.exports.norm);
    return out;
  }

  linear(x: Tensor, weights: readonly Weight[], options: LinearOptions): Tensor {
    return this.product('linear', x, weights, options, checks.linear(x, weights, options));
  }

  /** `linear` for an operation that has checked its own arguments. */
  product(
    operation: string,
    x: Tensor,
    weights: readonly Weight[],
    options: LinearOptions,
    { count, cols, rows }: checks.Product,
  ): Tensor {
    const engine = this.#engine;
    const input = tensorOf(operation, 'x', x);
    const parts = weights.map((weight) => weightOf(operation, weight));
    const biases = weights.map((_, i) => vectorOf(operation, options.bias?.[i]));
    const norm = normOf(operation, options.norm);
    const residual = addressOf(operation, 'residual', options.residual);
    const { out, block } = this.#begin(input.pointer, parts, { count, cols, rows }, norm, {
      activation: activationOf(options.activation),
      residual,
      scale: options.scale ?? 1,
    });
    let first = 0;
    for (const [i, part] of parts.entries()) {
      putPart(block, i, part, first, biases[i] ?? 0);
      first += part.rows;
    }
    this.#run(operation, engine.wasm.exports.linear, parts, count);
    return out;
  }

  gatedMlp(
    x: Tensor,
    gate: Weight,
    up: Weight,
    options: { readonly norm?: NormSpec; readonly activation: Activation },
  ): Tensor {
    const engine = this.#engine;
    const { count, cols, rows } = checks.gatedMlp(x, gate, up, options);
    const input = tensorOf('gatedMlp', 'x', x);
    const parts = [weightOf('gatedMlp', gate), weightOf('gatedMlp', up)] as const;
    const norm = normOf('gatedMlp', options.norm);
    const { out, block } = this.#begin(input.pointer, parts, { count, cols, rows }, norm, {
      activation: activationOf(options.activation),
      residual: 0,
      scale: 1,
    });
    putPart(block, 0, parts[0], 0, 0);
    putPart(block, 1, parts[1], 0, 0);
    this.#run('gatedMlp', engine.wasm.exports.gatedMlp, parts, count);
    return out;
  }

  /** Runs a product on the record. */
  #run(operation: string, kernel: (args: number) => number, parts: readonly WasmWeight[], count: number): void {
    const engine = this.#engine;
    if (count > 1) {
      engine.run(operation, kernel);
      return;
    }
    this.#streams.run(parts[0]?.pointer ?? 0, bytesOf(parts), (streams) => {
      engine.block().words[linearStreams] = streams;
      engine.run(operation, kernel);
    });
  }

  /** Makes the result of a product and writes its record; the caller writes the parts. */
  #begin(
    x: number,
    parts: readonly WasmWeight[],
    { count, cols, rows }: checks.Product,
    norm: NormFields,
    epilogue: { readonly activation: number; readonly residual: number; readonly scale: number },
  ): { readonly out: WasmTensor; readonly block: Block } {
    const { prepared, normalised, tileRows } = this.#rooms(parts, count, cols, rows, norm);
    const out = this.#tensors.make([count, rows]);
    const block = this.#engine.block();
    writeLinear(block, {
      out: out.pointer,
      outStride: rows,
      x,
      cols,
      count,
      prepared,
      normalised,
      ...norm,
      ...epilogue,
      parts: parts.length,
      tileRows,
      streams: 0,
    });
    return { out, block };
  }

  /**
   * Allocates the scratch memory of a product. This happens before the record is written, since it may move the views.
   */
  #rooms(
    parts: readonly WasmWeight[],
    count: number,
    cols: number,
    rows: number,
    norm: NormFields,
  ): { readonly prepared: number; readonly normalised: number; readonly tileRows: number } {
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const tileRows = this.#tileRows(parts, rows, count);
    engine.scratch(exports.linearScratchBytes(tileRows, count));
    const prepared = parts.some(({ int8 }) => int8)
      ? engine.room('prepared', exports.activationBytes(Math.ceil(count / BLOCK) * BLOCK + READ_BEYOND, cols))
      : 0;
    const normalised = norm.normKind === 0 ? 0 : engine.room('normalised', count * cols * 4);
    return { prepared, normalised, tileRows };
  }

  /** Returns the weight rows of a tile: about TILE_BYTES, or fewer when a thread would get too few tiles. */
  #tileRows(parts: readonly WasmWeight[], rows: number, count: number): number {
    const { threads } = this.#engine;
    const cached = count === 1 ? rows : (TILE_BYTES * rows) / bytesOf(parts);
    const fair = threads === 1 ? rows : rows / (threads * TILES_PER_THREAD);
    return Math.max(TILE_ROWS, Math.floor(Math.min(cached, fair) / TILE_ROWS) * TILE_ROWS);
  }
}

function bytesOf(parts: readonly WasmWeight[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.bytes;
  return bytes;
}

function putPart(block: Block, index: number, weight: PackedRows, first: number, bias: number): void {
  const { pointer, ggml, rows } = weight;
  writePart(block, { data: pointer, format: ggml, rows, first, bias }, linearWords + index * partWords);
}

/** Writes the record of an operation on rows that multiplies no weights. */
function writeRows(
  block: Block,
  out: number,
  x: number,
  cols: number,
  count: number,
  { normKind, normWeight, normBias, epsilon }: NormFields,
  residual: number,
  scale: number,
): void {
  writeLinear(block, {
    out,
    outStride: cols,
    x,
    cols,
    count,
    prepared: 0,
    normalised: 0,
    normKind,
    normWeight,
    normBias,
    epsilon,
    activation: 0,
    residual,
    parts: 1,
    tileRows: TILE_ROWS,
    scale,
    streams: 0,
  });
}
