/** Rows of a table by ids on the device: see embed.wgsl. */
import { WEIGHT_SLOTS, weightSource, weightTypes } from '../lib/weights.ts';
import type { DeviceBuffer } from '../runtime/buffers.ts';
import type { Kernel } from '../runtime/kernel.ts';
import source from './embed.wgsl';
import type { Matrix, WeightPart } from './operands.ts';

export interface EmbedInputs {
  readonly ring: DeviceBuffer;
  readonly start: number;
  /** One to three parts; `first` is a row of the table. */
  readonly table: readonly WeightPart[];
  readonly vocabulary: number;
  /** Whether this dispatch writes the rows of ids outside the vocabulary. */
  readonly clear: boolean;
  readonly scale: number;
  readonly out: Matrix;
  readonly none: DeviceBuffer;
}

/** A quiet NaN, from the host because WGSL has no such constant. */
const NAN_BITS = 0x7fc00000;

const formats = (table: readonly WeightPart[]) => table.map((part) => part.format);

export const embed: Kernel<EmbedInputs> = {
  name: 'embed',
  bindings: ['read', 'read', 'read', 'read', 'write'],
  params: ['u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'u32', 'f32'],
  types: ({ table }) => weightTypes(formats(table)),
  source: ({ table }) => `${source}\n${weightSource(formats(table))}`,
  constants: ({ table, clear }) => ({ SLOTS: table.length, CLEAR: clear ? 1 : 0 }),
  problem: ({ table }) => (table.length > WEIGHT_SLOTS ? `${table.length} parts, at most ${WEIGHT_SLOTS}` : undefined),
  grid: ({ out }) => [Math.ceil(out.cols / 32 / 64), out.rows, 1],
  buffers: ({ ring, table, out, none }) => [
    ring,
    table[0]?.buffer ?? none,
    table[1]?.buffer ?? none,
    table[2]?.buffer ?? none,
    out.buffer,
  ],
  values({ start, table, vocabulary, scale, out }) {
    const [a, b, c] = table;
    return [
      start,
      out.cols,
      out.stride,
      vocabulary,
      a?.first ?? 0,
      b?.first ?? 0,
      c?.first ?? 0,
      a?.rows ?? 0,
      b?.rows ?? 0,
      c?.rows ?? 0,
      NAN_BITS,
      scale,
    ];
  },
};
