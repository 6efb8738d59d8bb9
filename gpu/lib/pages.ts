/** The page decoder of a KV format, and the element type of its pool binding (`PageVec` in the kernels). */
import type { KvSpec } from '../../src/backend/backend.ts';
import f16 from './pages-f16.wgsl';
import f32 from './pages-f32.wgsl';

const STORE_F32 = 'fn page_pack(v: vec4<f32>) -> PageVec {\n  return v;\n}\n';
const STORE_F16 = 'fn page_pack(v: vec4<f32>) -> PageVec {\n  return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));\n}\n';

/** `PageVec`, `page_vec(i)` and `page_pack(v)`. */
export function pageSource(format: KvSpec['format']): string {
  switch (format) {
    case 'f32':
      return `alias PageVec = vec4<f32>;\n${f32}${STORE_F32}`;
    case 'f16':
      return `alias PageVec = vec2<u32>;\n${f16}${STORE_F16}`;
    default:
      throw new RangeError(`no page format ${String(format satisfies never)}`);
  }
}
