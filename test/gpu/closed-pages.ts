/** The kernels of closed pages, run where a test file cannot go: in a page's bundle. Conversions to the byte, the rest by NMSE. */
import { pageNumber, type Backend, type KvFormat, type Tensor } from '../../src/backend/backend.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { mixedView } from '../support/conformance/mixed.ts';
import { random } from '../support/random.ts';
import { nmse } from '../support/tolerance.ts';

const HEADS = 6;
const FORMATS: readonly KvFormat[] = ['f16', 'q8', 'q4', 'q2'];
const BLOCKS = 20;

async function program(backend: Backend): Promise<Map<string, ArrayLike<number>>> {
  const r = random(77);
  const view = mixedView(r, backend, { layers: 1, kvHeads: 2, headDim: 64, format: 'f16' }, BLOCKS, FORMATS);
  const { pool } = view;
  const found = new Map<string, ArrayLike<number>>();
  const keep = async (name: string, make: () => Tensor): Promise<void> => {
    const tensor = backend.scope(make);
    found.set(name, await backend.download(tensor));
    backend.free(tensor);
  };
  for (const queries of [1, 9]) {
    const position = 32 * BLOCKS - queries;
    const q = r.normals(queries * HEADS * 64);
    const asked = [view, 0, position, denseCausal(queries, position + queries), { heads: HEADS, scale: 0.1 }] as const;
    await keep(`attention of ${queries}`, () => backend.attention(backend.upload(q, [queries, HEADS * 64]), ...asked));
    await keep(`probe of ${queries}`, () => backend.probe(backend.upload(q, [queries, HEADS * 64]), ...asked));
  }
  await keep('cached', () => backend.cached(view, 0, 'values', 10, 150));
  await keep('spanMeans', () => backend.spanMeans(view, 0, 'keys', Uint32Array.of(0, 640, 30, 70)));
  await keep('rowMeans', () =>
    backend.rowMeans(backend.upload(r.normals(50 * 30), [50, 30]), Uint32Array.of(0, 50, 9, 10)),
  );
  for (const to of ['q8', 'q4', 'q2', 'f16'] as const) {
    const first = pool.pages(to);
    pool.reserve(first + 4, to);
    const made = Int32Array.from({ length: 4 }, (_, i) => pageNumber(to, first + i));
    pool.convert(view.table.subarray(0, 4), made);
    found.set(`bytes of ${to}`, await pool.read(made));
  }
  pool.free();
  return found;
}

/** The largest NMSE of what is summed, and the names of what should have equal bytes and has not. */
export async function compareClosedPages(
  backend: Backend,
  truth: Backend,
): Promise<{ worst: number; unequal: string[] }> {
  const found = await program(backend);
  const wanted = await program(truth);
  let worst = 0;
  const unequal: string[] = [];
  for (const [name, values] of wanted) {
    const mine = found.get(name) ?? [];
    if (!name.startsWith('bytes'))
      worst = Math.max(worst, mine.length === values.length ? nmse(mine, values) : Infinity);
    else if (mine.length !== values.length || Array.from(values).some((value, i) => value !== mine[i]))
      unequal.push(name);
  }
  return { worst, unequal };
}
