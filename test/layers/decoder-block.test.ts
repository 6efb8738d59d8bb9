/** A layer as its spec says, against its formula in f64: where norms stand, LayerNorm, MLPs without a gate, biases, multipliers; and how many operations it takes. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Weight } from '../../src/backend/backend.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { DecoderBlock, type LayerWeights } from '../../src/layers/decoder-block.ts';
import type { LayerRole, LayerSpec } from '../../src/layers/layer-spec.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { activate, attend, normalise, product } from '../reference/maths.ts';
import { random } from '../support/random.ts';
import { expectNmse } from '../support/tolerance.ts';

const [HIDDEN, HEADS, DIM, WIDTH, TOKENS, EPSILON] = [8, 2, 4, 12, 5, 1e-5];

interface Made {
  readonly values: ReadonlyMap<LayerRole, Float64Array>;
  readonly weights: LayerWeights;
}

async function make(backend: Backend, roles: readonly (readonly [LayerRole, readonly number[]])[]): Promise<Made> {
  const numbers = random(5);
  const values = new Map<LayerRole, Float64Array>();
  const weights: Partial<Record<LayerRole, Weight>> = {};
  for (const [role, shape] of roles) {
    const data = numbers.normals(shape.reduce((a, b) => a * b, 1));
    const writer = backend.weight({ name: role, shape, format: 'F32' });
    await writer.write(new Uint8Array(data.buffer));
    weights[role] = await writer.finish();
    values.set(role, Float64Array.from(data));
  }
  return { values, weights };
}

function specOf(change: { norms?: Partial<LayerSpec['norms']>; gated?: boolean; residualScale?: number }): LayerSpec {
  return {
    mixer: {
      kind: 'attention',
      heads: HEADS,
      kvHeads: HEADS,
      headDim: DIM,
      scale: 0.3,
      rope: undefined,
      normed: false,
      bias: 'optional',
      fused: false,
      cache: 0,
    },
    norms: { kind: 'rms', epsilon: EPSILON, place: 'pre', offset: 0, ...change.norms },
    mlp: {
      width: WIDTH,
      activation: 'gelu',
      gated: change.gated ?? true,
      fused: false,
      bias: change.gated === false,
    },
    residualScale: change.residualScale,
  };
}

const ROLES: readonly (readonly [LayerRole, readonly number[]])[] = [
  ['attentionNorm', [HIDDEN]],
  ['attentionNormBias', [HIDDEN]],
  ['attentionPostNorm', [HIDDEN]],
  ['query', [HIDDEN, HIDDEN]],
  ['key', [HIDDEN, HIDDEN]],
  ['value', [HIDDEN, HIDDEN]],
  ['valueBias', [HIDDEN]],
  ['output', [HIDDEN, HIDDEN]],
  ['outputBias', [HIDDEN]],
  ['mlpNorm', [HIDDEN]],
  ['mlpNormBias', [HIDDEN]],
  ['mlpPostNorm', [HIDDEN]],
  ['gate', [WIDTH, HIDDEN]],
  ['up', [WIDTH, HIDDEN]],
  ['upBias', [WIDTH]],
  ['down', [HIDDEN, WIDTH]],
  ['downBias', [HIDDEN]],
];

/** The formula, one line a step. */
function formula(x: Float64Array, spec: LayerSpec, w: ReadonlyMap<LayerRole, Float64Array>): Float64Array {
  const { norms, mlp, residualScale = 1 } = spec;
  const norm = (rows: Float64Array, role: LayerRole): Float64Array =>
    normalise(rows, TOKENS, HIDDEN, {
      kind: norms.kind,
      weight: w.get(role)!,
      bias: norms.kind === 'layer' ? w.get(`${role}Bias` as LayerRole) : undefined,
      epsilon: EPSILON,
    });
  const linear = (rows: Float64Array, role: LayerRole, bias?: LayerRole): Float64Array => {
    const out = w.get(role)!;
    const cols = rows.length / TOKENS;
    const n = out.length / cols;
    return product(rows, out, TOKENS, n, cols).map((value, i) => value + (bias ? w.get(bias)![i % n]! : 0));
  };
  const plus = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value + b[i]!);
  const branch = (rows: Float64Array, own: LayerRole, post: LayerRole, f: (y: Float64Array) => Float64Array) => {
    const inner = f(norms.place === 'post' ? rows : norm(rows, own)).map((value) => residualScale * value);
    if (norms.place === 'pre') return plus(rows, inner);
    return norms.place === 'post' ? norm(plus(rows, inner), own) : plus(rows, norm(inner, post));
  };
  const attention = (rows: Float64Array): Float64Array => {
    const [q, k, v] = [linear(rows, 'query'), linear(rows, 'key'), linear(rows, 'value', 'valueBias')];
    const out = new Float64Array(TOKENS * HIDDEN);
    for (let t = 0; t < TOKENS; t++) {
      for (let head = 0; head < HEADS; head++) {
        const of = (all: Float64Array, row: number): Float64Array =>
          all.slice(row * HIDDEN + head * DIM, row * HIDDEN + (head + 1) * DIM);
        const seen = Array.from({ length: t + 1 }, (_, row) => row);
        out.set(
          attend(
            of(q, t),
            seen.map((row) => of(k, row)),
            seen.map((row) => of(v, row)),
            0.3,
          ),
          t * HIDDEN + head * DIM,
        );
      }
    }
    return linear(out, 'output', 'outputBias');
  };
  const feed = (rows: Float64Array): Float64Array => {
    const up = linear(rows, 'up', mlp.bias ? 'upBias' : undefined);
    const inner = mlp.gated
      ? linear(rows, 'gate').map((value, i) => activate('gelu', value) * up[i]!)
      : up.map((value) => activate('gelu', value));
    return linear(inner, 'down', mlp.bias ? 'downBias' : undefined);
  };
  const middle = branch(x, 'attentionNorm', 'attentionPostNorm', attention);
  return branch(middle, 'mlpNorm', 'mlpPostNorm', feed);
}

describe('a layer computes its formula', () => {
  test.each([
    ['norms before', {}, 6],
    ['norms before, with multipliers', { residualScale: 0.37 }, 6],
    ['norms before and behind', { norms: { place: 'sandwich' } }, 8],
    ['LayerNorms behind the sums, no gate, biases', { norms: { place: 'post', kind: 'layer' }, gated: false }, 8],
    ['LayerNorms before, no gate, biases', { norms: { kind: 'layer' }, gated: false }, 6],
  ] as const)('%s', async (what, change, operations) => {
    const backend = createReferenceBackend();
    const spec = specOf(change);
    const used = ROLES.filter(
      ([role]) =>
        (spec.norms.kind === 'layer' || !role.endsWith('NormBias')) &&
        (spec.mlp.bias || (role !== 'upBias' && role !== 'downBias')) &&
        (spec.mlp.gated || role !== 'gate') &&
        (spec.norms.place === 'sandwich' || !role.endsWith('PostNorm')),
    );
    const { values, weights } = await make(backend, used);
    const block = new DecoderBlock(backend, spec, undefined, weights);
    let count = 0;
    for (const name of ['linear', 'gatedMlp', 'norm', 'ropeAppend', 'attention', 'add'] as const) {
      const original = backend[name] as (...args: unknown[]) => unknown;
      (backend as unknown as Record<string, unknown>)[name] = (...args: unknown[]) => {
        count++;
        return original.apply(backend, args);
      };
    }
    const pool = backend.kvPool({ layers: 1, kvHeads: HEADS, headDim: DIM, format: 'f32' });
    const sequence = new Sequence(new PageAllocator(pool), 32);
    sequence.ensure(TOKENS);
    const x = random(6).normals(TOKENS * HIDDEN);
    const call = { kv: sequence, position: 0 };
    const out = block.forward(backend.upload(x, [TOKENS, HIDDEN]), call, denseCausal(TOKENS, TOKENS));
    // 1e-12: the reference is rounded to f32 when it is downloaded.
    expectNmse(await backend.download(out), formula(Float64Array.from(x), spec, values), 1e-12, what);
    expect(count).toBe(operations);
  });

  test('a weight that its spec needs is missed by name', async () => {
    const backend = createReferenceBackend();
    const { weights } = await make(
      backend,
      ROLES.filter(([role]) => role !== 'mlpPostNorm'),
    );
    const spec = specOf({ norms: { place: 'sandwich' } });
    expect(() => new DecoderBlock(backend, spec, undefined, weights)).toThrow(/mlpPostNorm/);
  });
});
