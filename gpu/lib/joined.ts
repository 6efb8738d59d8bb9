/** Sums and maxima over neighbouring threads by subgroup operations, where a kernel's form uses them. */
import type { Form } from '../runtime/forms.ts';
import type { WeightFormat } from './rows.ts';
import reduce from './reduce.wgsl';
import memory from './joined-memory.wgsl';
import subgroups from './joined-subgroups.wgsl';

/** Declares WIDTH, joined(vec4), joined_sum and joined_max: over WIDTH neighbouring threads, at most `most` of them. */
export const joinedSource = ({ width }: Form, most: number): string =>
  width === 1 ? memory : `const WIDTH = ${Math.min(width, most)}u;\n${subgroups}`;

/** The fewest threads of a workgroup that calls reduce_sum. */
const LEAST_WORKGROUP = 64;

/** Declares reduce_sum (reduce.wgsl). */
export const reduceSource = (form: Form): string => `${joinedSource(form, LEAST_WORKGROUP)}\n${reduce}`;

/** Weights above what f16 holds are possible in these formats. */
const WIDE: ReadonlySet<WeightFormat> = new Set(['F32', 'BF16']);

/** Declares Decoded, in which tile.wgsl keeps weights in workgroup memory. */
export const decodedSource = ({ half }: Form, formats: readonly WeightFormat[]): string =>
  `alias Decoded = vec4<${half && !formats.some((format) => WIDE.has(format)) ? 'f16' : 'f32'}>;`;
