/** Operations that write or read a layer's KV pages: the append after RoPE, attention and the probe (assembly/kernels/{rope,attention,probe}.ts). */
import {
  KV_FORMATS,
  PAGE_TOKENS,
  type AppendSpec,
  type AttentionSpec,
  type KvView,
  type ProbeSpec,
  type Ranges,
  type Tensor,
} from '../backend.ts';
import * as checks from '../page-checks.ts';
import type { Engine } from './engine.ts';
import { poolOf, writePages } from './kv.ts';
import {
  attentionPartials,
  probeStates,
  writeAttention,
  writeProbe,
  writeRopeAppend,
  type Attention,
  type Probe,
} from './layouts.ts';
import { normOf, tensorOf } from './residence.ts';
import { RopeTables } from './rope.ts';
import type { Tensors, WasmTensor } from './tensors.ts';

export class Attending {
  readonly #engine: Engine;
  readonly #tensors: Tensors;
  readonly #ropes: RopeTables;

  constructor(engine: Engine, tensors: Tensors) {
    this.#engine = engine;
    this.#tensors = tensors;
    this.#ropes = new RopeTables(engine);
  }

  ropeAppend(qkv: Tensor, kv: KvView, layer: number, position: number, options: AppendSpec): Tensor {
    const engine = this.#engine;
    const count = checks.append(qkv, kv, layer, position, options);
    const pool = poolOf('ropeAppend', kv);
    const input = tensorOf('ropeAppend', 'qkv', qkv);
    const qNorm = normOf('ropeAppend', options.qNorm);
    const kNorm = normOf('ropeAppend', options.kNorm);
    const { kvHeads, headDim, format } = pool.spec;
    const { heads, rope, vEpsilon, kvHeads: given = kvHeads, headDim: width = headDim } = options;
    const firstBlock = Math.floor(position / PAGE_TOKENS);
    const blocks = Math.ceil((position + count) / PAGE_TOKENS) - firstBlock;
    const pages = engine.room('pages', kvHeads * blocks * 4);
    if (given > 0)
      writePages(engine.wasm.words(), pages >>> 2, kv, layer, firstBlock, firstBlock + blocks, (page) =>
        pool.open(page),
      );
    const table = rope === undefined ? 0 : this.#ropes.pointer(rope, position, count, kv.positions);
    engine.scratch(engine.wasm.exports.ropeScratchBytes(headDim));
    const out = this.#tensors.make([count, heads * headDim]);
    writeRopeAppend(engine.block(), {
      out: out.pointer,
      qkv: input.pointer,
      pages,
      firstBlock,
      blocks,
      table,
      count,
      position,
      heads,
      kvHeads,
      headDim,
      pairs: rope?.inverseFrequency.length ?? 0,
      interleaved: rope?.style === 'interleaved' ? 1 : 0,
      qNorm: qNorm.normWeight,
      qBias: qNorm.normBias,
      qEpsilon: qNorm.epsilon,
      qKind: qNorm.normKind,
      kNorm: kNorm.normWeight,
      kBias: kNorm.normBias,
      kEpsilon: kNorm.epsilon,
      kKind: kNorm.normKind,
      format: KV_FORMATS.indexOf(format),
      width,
      given,
      vNormed: vEpsilon === undefined ? 0 : 1,
      vEpsilon: vEpsilon ?? 0,
      hadamard: kv.hadamard === true ? 1 : 0,
    });
    engine.run('ropeAppend', engine.wasm.exports.ropeAppend);
    return out;
  }

  attention(
    q: Tensor,
    kv: KvView,
    layer: number,
    position: number,
    ranges: Ranges,
    spec: AttentionSpec & { readonly headDim?: number },
  ): Tensor {
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const asked: checks.Queries = { operation: 'attention', q, kv, layer, position, ranges, spec };
    const keys = checks.queries(asked);
    const [rows = 0] = q.shape;
    const width = spec.headDim ?? kv.pool.spec.headDim;
    const out = this.#tensors.make([rows, spec.heads * width]);
    const fields = this.#queries(asked, keys, out);
    writeAttention(engine.block(), fields);
    engine.scratch(exports.attentionScratchBytes(engine.args));
    const bytes = exports.attentionPartialBytes(engine.args);
    const partials = bytes === 0 ? 0 : engine.room('partials', bytes);
    engine.block().words[attentionPartials] = partials;
    engine.run('attention', exports.attention);
    if (kv.hadamard === true) exports.hadamard(out.pointer, rows * spec.heads, width);
    return out;
  }

  probe(q: Tensor, kv: KvView, layer: number, position: number, ranges: Ranges, spec: ProbeSpec): Tensor {
    const engine = this.#engine;
    const { exports } = engine.wasm;
    const { spans, coarse } = spec;
    const asked: checks.Queries = { operation: 'probe', q, kv, layer, position, ranges, spec };
    const { keys, count } = checks.probe(asked, spans);
    const out = this.#tensors.make([spec.heads, count]);
    const masses = spans === undefined ? out.pointer : engine.room('masses', Math.max(4, spec.heads * keys * 4));
    const list = spans === undefined ? 0 : engine.copy('spans', spans);
    const probe: Probe = {
      ...this.#queries(asked, keys, out),
      states: 0,
      masses,
      spans: list,
      spanCount: spans === undefined ? 0 : count,
      coarse: coarse === undefined ? 0 : tensorOf('probe', 'coarse', coarse.keys).pointer,
      coded: coarse?.coded ?? 0,
    };
    writeProbe(engine.block(), probe);
    engine.scratch(exports.probeScratchBytes(engine.args));
    const states = engine.room('states', exports.probeStateBytes(engine.args));
    engine.block().words[probeStates] = states;
    engine.run('probe', exports.probe);
    return out;
  }

  destroy(): void {
    this.#ropes.destroy();
  }

  /** Writes page table and ranges to WASM memory: the fields of attention, of which the probe has all but the last. */
  #queries(asked: checks.Queries, keys: number, out: WasmTensor): Attention {
    const engine = this.#engine;
    const { operation, q, kv, layer, position, ranges, spec } = asked;
    const input = tensorOf(operation, 'q', q);
    const pool = poolOf(operation, kv);
    const { kvHeads, headDim } = pool.spec;
    const blocks = Math.ceil(keys / PAGE_TOKENS);
    const pages = engine.room('pages', Math.max(1, kvHeads * blocks) * 4);
    const readable = pool.readable(kv);
    if (!writePages(engine.wasm.words(), pages >>> 2, kv, layer, 0, blocks, readable)) checks.seenPages(asked, () => 0);
    return {
      out: out.pointer,
      q: input.pointer,
      pages,
      blocks,
      count: input.shape[0] ?? 0,
      position,
      heads: spec.heads,
      kvHeads,
      headDim,
      added: ranges.bias === undefined ? 0 : engine.copy('biases', ranges.bias),
      scale: spec.scale,
      queryBlock: ranges.queryBlock,
      lists: ranges.shared ? 1 : kvHeads,
      causal: ranges.causal ? 1 : 0,
      offsets: engine.copy('offsets', ranges.offsets),
      runs: engine.copy('runs', ranges.runs),
      keys,
      partials: 0,
      width: spec.headDim ?? headDim,
    };
  }
}
