/** Values times a Hadamard matrix: where they are, what closed pages lose with and without, and that moved tokens keep theirs. */
import { describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { appendMoved } from '../../src/kv/moves.ts';
import { transformsValues, type KvBits } from '../../src/kv/precision.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { NO_ROTATION } from '../../src/layers/rope.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { contentKey } from '../../src/select/content-key.ts';
import { testBackends } from '../support/backends.ts';
import { random } from '../support/random.ts';
import { expectNmse, nmse, TOLERANCE } from '../support/tolerance.ts';

const [HEADS, DIM, TOKENS] = [2, 64, 160];
const WIDTH = 3 * HEADS * DIM;

/** Two channels of each head's values have outliers, as real models' have. */
function rows(): Float32Array {
  const r = random(3);
  return Float32Array.from(r.normals(TOKENS * WIDTH), (value, i) =>
    i % WIDTH >= 2 * HEADS * DIM && (i % DIM === 5 || i % DIM === 40) ? 12 * value : value,
  );
}

function filled(backend: Backend, pages: PageAllocator, bits: KvBits, hadamard: boolean): Sequence {
  const sequence = new Sequence(pages, 2 * TOKENS, undefined, hadamard);
  const all = rows();
  for (const [from, to] of [
    [0, 128],
    [128, TOKENS],
  ] as const) {
    sequence.settle(bits);
    sequence.ensure(to);
    const part = all.subarray(from * WIDTH, to * WIDTH);
    backend.scope(
      () => void backend.ropeAppend(backend.upload(part, [to - from, WIDTH]), sequence, 0, from, { heads: HEADS }),
    );
  }
  return sequence;
}

/** What the last 32 tokens' worth of random queries find. */
async function found(backend: Backend, sequence: Sequence): Promise<Float32Array> {
  const q = random(9).normals(32 * HEADS * DIM);
  const out = backend.keep(
    backend.scope(() =>
      backend.attention(
        backend.upload(q, [32, HEADS * DIM]),
        sequence,
        0,
        sequence.length - 32,
        denseCausal(32, sequence.length),
        {
          heads: HEADS,
          scale: 1 / Math.sqrt(DIM),
        },
      ),
    ),
  );
  const values = await backend.download(out);
  backend.free(out);
  return values;
}

describe.each(await testBackends())('$name', ({ create }) => {
  test('closed pages lose less, and moved tokens keep their values', async () => {
    const backend = await create();
    const pages = new PageAllocator(backend.kvPool({ layers: 1, kvHeads: HEADS, headDim: DIM, format: 'f32' }));
    const of = (bits: KvBits, hadamard: boolean): Sequence => filled(backend, pages, bits, hadamard);
    const exact = await found(backend, of(16, false));
    expectNmse(await found(backend, of(16, true)), exact, TOLERANCE.reduction, 'open pages');
    for (const bits of [
      { keys: 8, values: 4 },
      { keys: 4, values: 2 },
    ] as const) {
      const [plain, transformed] = [await found(backend, of(bits, false)), await found(backend, of(bits, true))];
      expect(nmse(transformed, exact)).toBeLessThan(0.6 * nmse(plain, exact));
    }
    const from = of(16, true);
    const to = new Sequence(pages, 2 * TOKENS, undefined, true);
    appendMoved({ backend, rope: () => NO_ROTATION }, { from, start: 0, count: TOKENS }, to);
    expect(to.hadamard).toBe(true);
    expectNmse(await found(backend, to), exact, TOLERANCE.reduction, 'moved tokens');
    const plain = new Sequence(pages, 2 * TOKENS);
    expect(() => appendMoved({ backend, rope: () => NO_ROTATION }, { from, start: 0, count: 8 }, plain)).toThrow(
      /different pools or values/,
    );
    expect(from.fork().hadamard).toBe(true);
    backend.destroy();
  });
});

test('values of at most 4 bits are transformed, and pages of the two kinds are not taken for each other', () => {
  const transformed: readonly KvBits[] = [4, 2, 'staircase', { keys: 8, values: 4 }, { keys: 4, values: 2 }];
  for (const kvBits of transformed) {
    expect(transformsValues(kvBits)).toBe(true);
    expect(contentKey({ kvBits })).toContain('hadamard');
  }
  for (const kvBits of [16, 8] as const) {
    expect(transformsValues(kvBits)).toBe(false);
    expect(contentKey({ kvBits })).not.toContain('hadamard');
  }
});
