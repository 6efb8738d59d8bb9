/** Reads the contents of pages, and means of them, for the methods that choose keys (assembly/kernels/cached.ts). */
import { PAGE_TOKENS, type KvView, type Tensor } from '../backend.ts';
import * as checks from '../page-checks.ts';
import type { Engine } from './engine.ts';
import { poolOf, writePages } from './kv.ts';
import { writeCached, writeRowMeans, type Cached } from './layouts.ts';
import { tensorOf } from './residence.ts';
import type { Tensors } from './tensors.ts';

export class CacheContents {
  readonly #engine: Engine;
  readonly #tensors: Tensors;

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
  }

  cached(kv: KvView, layer: number, part: 'keys' | 'values', start: number, end: number): Tensor {
    const engine = this.#engine;
    checks.cached(kv, layer, start, end);
    const { kvHeads, headDim } = kv.pool.spec;
    const pages = this.#pages('cached', kv, layer, part, start, end);
    const out = this.#tensors.make([end - start, kvHeads * headDim]);
    writeCached(engine.block(), { ...pages, out: out.pointer, start, end, spans: 0, count: 0 });
    engine.run('cached', engine.wasm.exports.cached);
    return out;
  }

  spanMeans(kv: KvView, layer: number, part: 'keys' | 'values', spans: Uint32Array): Tensor {
    const engine = this.#engine;
    const [first, last] = checks.spanMeans(kv, layer, spans);
    const { kvHeads, headDim } = kv.pool.spec;
    const pages = this.#pages('spanMeans', kv, layer, part, first, last);
    const count = spans.length / 2;
    const out = this.#tensors.make([count, kvHeads * headDim]);
    engine.scratch(engine.wasm.exports.spanMeansScratchBytes(headDim));
    const list = engine.copy('spans', spans);
    writeCached(engine.block(), { ...pages, out: out.pointer, start: 0, end: 0, spans: list, count });
    engine.run('spanMeans', engine.wasm.exports.spanMeans);
    return out;
  }

  rowMeans(x: Tensor, spans: Uint32Array): Tensor {
    const engine = this.#engine;
    checks.rowMeans(x, spans);
    const input = tensorOf('rowMeans', 'x', x);
    const cols = input.shape[1] ?? 0;
    const count = spans.length / 2;
    const out = this.#tensors.make([count, cols]);
    const list = engine.copy('spans', spans);
    writeRowMeans(engine.block(), { out: out.pointer, x: input.pointer, cols, spans: list, count });
    engine.run('rowMeans', engine.wasm.exports.rowMeans);
    return out;
  }

  /** Writes the table of the pages of positions [start, end), and the fields that say what is read of them. */
  #pages(
    operation: string,
    kv: KvView,
    layer: number,
    part: 'keys' | 'values',
    start: number,
    end: number,
  ): Pick<Cached, 'pages' | 'firstBlock' | 'blocks' | 'kvHeads' | 'headDim' | 'values'> {
    const engine = this.#engine;
    const pool = poolOf(operation, kv);
    const { kvHeads, headDim } = pool.spec;
    const firstBlock = Math.floor(start / PAGE_TOKENS);
    const blocks = Math.ceil(end / PAGE_TOKENS) - firstBlock;
    const pages = engine.room('pages', Math.max(1, kvHeads * blocks) * 4);
    writePages(engine.wasm.words(), pages >>> 2, kv, layer, firstBlock, firstBlock + blocks, pool.readable(kv));
    return { pages, firstBlock, blocks, kvHeads, headDim, values: part === 'values' ? 1 : 0 };
  }
}
