/** Converts pages from one format to another: see convert-close.wgsl and convert-open.wgsl. */
import halfBits from '../lib/half-bits.wgsl';
import { isClosed, PAGE_BITS, pageReader, type PageMemory } from '../lib/pages.ts';
import type { HostData } from '../runtime/arena.ts';
import { MAXIMUM_GROUPS, type Kernel } from '../runtime/kernel.ts';
import close from './convert-close.wgsl';
import open from './convert-open.wgsl';

export interface ConvertInputs {
  readonly headDim: number;
  readonly from: PageMemory;
  /** Must be in another buffer than `from`. */
  readonly to: PageMemory;
  /** (page's number, index in `to`) for each page. */
  readonly pairs: Uint32Array;
}

const STORE_F32 = 'alias PageVec = vec4<f32>;\nfn page_store(v: vec4<f32>) -> PageVec {\n  return v;\n}\n';
const STORE_F16 = `alias PageVec = vec2<u32>;
fn page_store(v: vec4<f32>) -> PageVec {
  let bits = bitcast<vec4<u32>>(v);
  return vec2<u32>(half_bits(bits.x) | (half_bits(bits.y) << 16u), half_bits(bits.z) | (half_bits(bits.w) << 16u));
}
`;

function code({ from, to }: ConvertInputs): string {
  const read = `${pageReader([from.format], 1, true)}\n${halfBits}`;
  if (isClosed(to.format)) return `${read}\n${close}`;
  return `${read}\n${to.format === 'f32' ? STORE_F32 : STORE_F16}${open}`;
}

/** Distributes pages over a grid of two dimensions. */
function pageGrid(pages: number): readonly [x: number, y: number, z: number] {
  const y = Math.ceil(pages / MAXIMUM_GROUPS);
  return [Math.ceil(pages / y), y, 1];
}

export const convert: Kernel<ConvertInputs> = {
  name: 'convert',
  bindings: ['write', 'read'],
  params: ['u32'],
  data: true,
  types: ({ from, to }) => `${from.format}>${to.format}`,
  source: code,
  constants: ({ headDim, to }) => ({
    HEAD_DIM: headDim,
    ...(isClosed(to.format) ? { KEY_BITS: PAGE_BITS[to.format][0], VALUE_BITS: PAGE_BITS[to.format][1] } : {}),
  }),
  grid: ({ pairs }) => pageGrid(pairs.length / 2),
  buffers: ({ from, to }) => [to.buffer, from.buffer],
  values: ({ pairs }) => [pairs.length / 2],
  hostData: ({ pairs }): HostData => ({ words: pairs }),
};
