/**
 * The WGSL that reads and writes KV pages: one decoder for each format, and a switch over the formats that a dispatch
 * binds.
 */
import type { DeviceBuffer } from '../runtime/buffers.ts';
import half from './half.wgsl';
import bits from './pages-bits.wgsl';
import f16 from './pages-f16.wgsl';
import f32 from './pages-f32.wgsl';
import scaled from './pages-scaled.wgsl';

/**
 * The most formats that one dispatch reads. With q, table, output and host data they use the eight storage buffers that
 * WebGPU guarantees.
 */
export const PAGE_SLOTS = 4;

/** Tokens of a page. */
export const PAGE_TOKENS = 32;

/** Bits of a key and of a value in each format, in the order of the formats' codes. A page's number is `code << 27 | index`. */
export const PAGE_BITS = {
  f32: [32, 32],
  f16: [16, 16],
  q8: [8, 8],
  q4: [4, 4],
  q2: [2, 2],
  k8v4: [8, 4],
  k4v2: [4, 2],
} as const;
export type PageFormat = keyof typeof PAGE_BITS;

const CODES = Object.fromEntries(Object.keys(PAGE_BITS).map((format, code) => [format, code]));

export function isClosed(format: PageFormat): boolean {
  return PAGE_BITS[format][0] < 16;
}

/** Returns the words of a page. pages-bits.wgsl and `assembly/kv/layout.ts` have the same arithmetic. */
export function pageWords(format: PageFormat, headDim: number): number {
  const [keys, values] = PAGE_BITS[format];
  const rows = PAGE_TOKENS * (Math.ceil((headDim * keys) / 32) + Math.ceil((headDim * values) / 32));
  return isClosed(format) ? headDim + PAGE_TOKENS * Math.ceil(headDim / 32) + rows : rows;
}

/** Where a kernel finds the keys and values of a sequence. */
export interface KvOperand {
  readonly spec: { readonly kvHeads: number; readonly headDim: number };
  /** Page memories, in the order of the format codes, of the formats that the kernel may read; at most PAGE_SLOTS. */
  readonly memories: readonly PageMemory[];
  readonly table: DeviceBuffer;
  /** Index of the word of the table at which the layer begins. */
  readonly tableStart: number;
  readonly blocks: number;
}

export interface PageMemory {
  readonly format: PageFormat;
  readonly buffer: DeviceBuffer;
  readonly pages: number;
}

/** Memory of pages that are written token by token. */
export interface OpenMemory extends PageMemory {
  readonly format: 'f32' | 'f16';
}

/** Returns a short name of the formats, for the key of a pipeline. */
export function pageTypes({ memories }: KvOperand): string {
  return memories.map(({ format }) => format).join('+');
}

/** Returns the page buffers in their slots. Buffers bound to the other slots are never read. */
export function pageBuffers({ memories, table }: KvOperand): DeviceBuffer[] {
  return Array.from({ length: PAGE_SLOTS }, (_, slot) => memories[slot]?.buffer ?? table);
}

/** The element of a page's buffer. */
function elementOf(format: PageFormat): string {
  return isClosed(format) ? 'u32' : format === 'f32' ? 'vec4<f32>' : 'vec2<u32>';
}

const EXACT =
  'fn page_halves(v: vec2<u32>) -> vec4<f32> {\n  return half4(vec4<u32>(v.x, v.x >> 16u, v.y, v.y >> 16u));\n}\n';
const FAST =
  'fn page_halves(v: vec2<u32>) -> vec4<f32> {\n  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));\n}\n';

function decoder(format: PageFormat, exact: boolean): string {
  if (format === 'f32') return f32;
  if (format === 'f16') return `${exact ? EXACT : FAST}${f16}`;
  const [keys, values] = PAGE_BITS[format];
  return bits.replaceAll('FORMAT', format).replaceAll('KEY_BITS', `${keys}u`).replaceAll('VALUE_BITS', `${values}u`);
}

/**
 * Defines `key_vec(page, row, d)` and `value_vec(page, row, d)`: channels 4 d .. 4 d + 3 of token `row` of the page
 * with that number, zeros for a page of a format that is not bound. The buffers of the formats are bound from `binding`
 * on. With `exact`, f16 pages give subnormal values exactly.
 */
export function pageReader(formats: readonly PageFormat[], binding: number, exact = false): string {
  const declared = formats
    .map(
      (format, slot) =>
        `@group(0) @binding(${binding + slot}) var<storage, read> pages_${format}: array<${elementOf(format)}>;\n`,
    )
    .join('');
  const decoders = formats.map((format) => decoder(format, exact)).join('\n');
  const choose = (part: string): string => {
    const of = (format: PageFormat): string => `return ${part}_${format}(index, row, d);`;
    const only = formats.length === 1 ? formats[0] : undefined;
    const cases = formats.map((format) => `    case ${CODES[format]}u: { ${of(format)} }\n`).join('');
    const body =
      only === undefined
        ? `  switch page >> 27u {\n${cases}    default: {}\n  }\n  return vec4<f32>();\n`
        : `  ${of(only)}\n`;
    return `fn ${part}_vec(page: u32, row: u32, d: u32) -> vec4<f32> {\n  let index = page & 0x7ffffffu;\n${body}}\n`;
  };
  return `${declared}${half}\n${scaled}\n${decoders}\n${choose('key')}${choose('value')}`;
}

const STORE_F32 = 'fn page_pack(v: vec4<f32>) -> PageVec {\n  return v;\n}\n';
const STORE_F16 =
  'fn page_pack(v: vec4<f32>) -> PageVec {\n  return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));\n}\n';

/**
 * For pages that are written token by token: defines `PageVec`, `page_pack(v)`, and the number of the first page of the
 * format.
 */
export function pageWriter(format: OpenMemory['format']): string {
  return `alias PageVec = ${elementOf(format)};\nconst FIRST_PAGE = ${(CODES[format] ?? 0) << 27}u;\n${format === 'f32' ? STORE_F32 : STORE_F16}`;
}
