/**
 * Checks the arguments of public calls: names, types and ranges, by a description of each option (options.ts). The
 * message for an invalid one is composed by a module that is fetched only then (problem.ts).
 */
import { InputError } from '../errors.ts';

export type Field =
  | { readonly number: readonly [least: number, most: number]; readonly whole?: boolean }
  | { readonly oneOf: readonly (string | number | boolean)[] }
  | { readonly is: 'string' | 'boolean' | 'function' | 'object' }
  | { readonly signal: true }
  /** A typed array. */
  | { readonly view: true }
  | { readonly list: Field }
  | { readonly members: Shape }
  | { readonly anyOf: readonly Field[] };

export type Shape = Readonly<Record<string, Field>>;

/** The description of all options of `T`. */
export type ShapeOf<T> = Readonly<Record<keyof T, Field>>;

export function fits(value: unknown, field: Field): boolean {
  if ('number' in field) {
    const [least, most] = field.number;
    return typeof value === 'number' && value >= least && value <= most && (!field.whole || Number.isInteger(value));
  }
  if ('oneOf' in field) return field.oneOf.some((one) => one === value);
  if ('anyOf' in field) return field.anyOf.some((one) => fits(value, one));
  if ('is' in field) return typeof value === field.is && value !== null;
  if (typeof value !== 'object' || value === null) return false;
  if ('view' in field) return ArrayBuffer.isView(value);
  // Signals of other realms are not instances of this realm's class.
  if ('signal' in field) return 'aborted' in value && 'addEventListener' in value;
  if ('list' in field) return Array.isArray(value) && value.every((one) => fits(one, field.list));
  const { members } = field;
  return (
    !Array.isArray(value) &&
    Object.entries(value).every(([name, member]) => {
      const own = Object.hasOwn(members, name) ? members[name] : undefined;
      return member === undefined || (own !== undefined && fits(member, own));
    })
  );
}

/**
 * Returns undefined when the options of a call are valid; otherwise a promise that rejects with an `InputError`, which
 * names the invalid option and the nearest correct name.
 */
export function misfit(call: string, options: unknown, members: Shape): Promise<never> | undefined {
  return fits(options, { members }) ? undefined : explained(call, options, { members });
}

/** The same for a single argument. */
export function misfitArgument(call: string, name: string, value: unknown, field: Field): Promise<never> | undefined {
  return fits(value, field) ? undefined : explained(`${call}: ${name}`, value, field);
}

async function explained(call: string, value: unknown, field: Field): Promise<never> {
  const { findProblem } = await import('./problem.ts');
  const { path, sentence } = findProblem(fits, value, field);
  const name = path.join('.');
  throw new InputError('argument', `${call}: ${name === '' ? '' : `${name}: `}${sentence}`, { name });
}
