/**
 * Forms of kernels: different ways to compute the same values, between which only hardware can decide. All kernels of a family use the same form. The first
 * form of a family runs on every device, and is used until another is chosen (src/backend/webgpu/tuning.ts).
 */

/** few-rows: products of decode. tile: products of prefill and convolutions. reduction: norms and sums over rows. attention: attention of decode. */
export const FAMILIES = ['few-rows', 'tile', 'reduction', 'attention'] as const;
export type Family = (typeof FAMILIES)[number];

export interface Form {
  readonly name: string;
  /** Features of the device that it needs. */
  readonly features: readonly GPUFeatureName[];
  /** few-rows: threads that share the values of a column; divides 64. */
  readonly lanes: number;
  /** attention: query heads of a decode workgroup; 0: as many as the format of the pages suggests. */
  readonly heads: number;
  /** tile: whether decoded weights are kept as f16 in workgroup memory. */
  readonly half: boolean;
  /** Neighbouring threads that add up values without workgroup memory: the device's smallest subgroup, or 1 where subgroups are not used. A power of two. */
  readonly width: number;
}

/** The form of kernels that have only one. */
export const PLAIN: Form = { name: 'plain', features: [], lanes: 16, heads: 0, half: false, width: 1 };

/** The name of every feature that a form can need, as WGSL's `enable` directive spells it. */
const DIRECTIVES: Partial<Record<GPUFeatureName, string>> = { 'shader-f16': 'f16', subgroups: 'subgroups' };

/** Stands for the width that the device has. */
const ANY_WIDTH = 2;

const subgroups = (form: Form): Form => ({
  ...form,
  name: form.name === 'plain' ? 'subgroups' : `${form.name}, subgroups`,
  features: ['subgroups'],
  width: ANY_WIDTH,
});
const withLanes = (lanes: number): Form => ({ ...PLAIN, name: `${lanes} lanes`, lanes });
const withHeads = (heads: number): Form => ({ ...PLAIN, name: heads === 1 ? '1 head' : `${heads} heads`, heads });

const FORMS: Readonly<Record<Family, readonly Form[]>> = {
  'few-rows': [withLanes(16), withLanes(8), withLanes(32), withLanes(64)].flatMap((form) => [form, subgroups(form)]),
  tile: [PLAIN, { ...PLAIN, name: 'f16 weights', features: ['shader-f16'], half: true }],
  reduction: [PLAIN, subgroups(PLAIN)],
  attention: [PLAIN, withHeads(1), withHeads(8)].flatMap((form) => [form, subgroups(form)]),
};

/** WGSL's directives for what a form needs. They must come first in a module. */
export const directives = ({ features }: Form): string =>
  features.map((feature) => `enable ${DIRECTIVES[feature] ?? feature};\n`).join('');

/** The forms in use on one device. */
export class Forms {
  readonly #available: Readonly<Record<Family, readonly Form[]>>;
  readonly #chosen = new Map<Family, Form>();

  /** `smallest`: threads of the device's smallest subgroup, undefined where that is not known. */
  constructor(features: ReadonlySet<string>, smallest: number | undefined) {
    const width = smallest === undefined || smallest < 2 ? undefined : 2 ** Math.floor(Math.log2(smallest));
    const runs = (form: Form): boolean =>
      form.features.every((feature) => features.has(feature)) && (form.width === 1 || width !== undefined);
    const here = (family: Family): readonly Form[] =>
      FORMS[family].filter(runs).map((form) => (form.width === 1 ? form : { ...form, width: width ?? 1 }));
    this.#available = {
      'few-rows': here('few-rows'),
      tile: here('tile'),
      reduction: here('reduction'),
      attention: here('attention'),
    };
  }

  /** The form in use. */
  of(family: Family | undefined): Form {
    if (family === undefined) return PLAIN;
    return this.#chosen.get(family) ?? this.#available[family][0] ?? PLAIN;
  }

  /** The forms that this device can run, the one in use without a choice first. */
  available(family: Family): readonly Form[] {
    return this.#available[family];
  }

  /** Returns whether the device has a form of this name, which is then in use. */
  choose(family: Family, name: string): boolean {
    const found = this.#available[family].find((form) => form.name === name);
    if (found !== undefined) this.#chosen.set(family, found);
    return found !== undefined;
  }
}
