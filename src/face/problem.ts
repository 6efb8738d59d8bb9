/**
 * Composes the messages for invalid options (check.ts). It is fetched only when something is wrong, and imports nothing
 * that pages have already, so that it stays a file of its own.
 */
import type { Field, Shape } from './check.ts';

type Fits = (value: unknown, field: Field) => boolean;

export interface Problem {
  readonly path: readonly string[];
  readonly sentence: string;
}

/** Finds the innermost invalid member. Precondition: `value` does not fit `field`. */
export function findProblem(fits: Fits, value: unknown, field: Field, path: readonly string[] = []): Problem {
  if ('members' in field && isObject(value)) {
    const [name, member] = Object.entries(value).find(([key, one]) => !fits({ [key]: one }, field)) ?? ['', value];
    const inner = Object.hasOwn(field.members, name) ? field.members[name] : undefined;
    return inner === undefined
      ? { path: [...path, name], sentence: unknownName(name, field.members) }
      : findProblem(fits, member, inner, [...path, name]);
  }
  if ('list' in field && Array.isArray(value)) {
    const index = value.findIndex((one) => !fits(one, field.list));
    return findProblem(fits, value[index], field.list, [...path, String(index)]);
  }
  // For an object or a list among simpler alternatives, what it holds gives the better message.
  const nested =
    'anyOf' in field && typeof value === 'object' && value !== null
      ? field.anyOf.find((one) => (Array.isArray(value) ? 'list' : 'members') in one)
      : undefined;
  if (nested !== undefined) return findProblem(fits, value, nested, path);
  return { path, sentence: `${shown(value)} is not ${described(field)}` };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownName(name: string, shape: Shape): string {
  const names = Object.keys(shape);
  const near = nearest(name, names);
  return `there is no such option; ${near === undefined ? `there are ${names.join(', ')}` : `did you mean ${near}?`}`;
}

function described(field: Field): string {
  if ('number' in field) {
    const [least, most] = field.number;
    if (least === -Infinity && most === Infinity) return 'a number';
    const from = least === Number.MIN_VALUE ? 'above 0 and at most' : `from ${least} to`;
    return `a ${field.whole ? 'whole ' : ''}number ${from} ${most}`;
  }
  if ('oneOf' in field)
    return `one of ${field.oneOf.map((one) => (typeof one === 'string' ? `'${one}'` : one)).join(', ')}`;
  if ('anyOf' in field) return field.anyOf.map(described).join(' or ');
  if ('signal' in field) return 'an AbortSignal';
  if ('view' in field) return 'an array of ids';
  if ('list' in field) return `a list, each entry ${described(field.list)}`;
  if ('is' in field)
    return { string: 'a string', boolean: 'true or false', function: 'a function', object: 'an object' }[field.is];
  return 'members' in field ? `an object with ${Object.keys(field.members).join(', ')}` : 'given';
}

/** The longest value in a message. */
const MOST_SHOWN = 80;

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'string') return `'${value.slice(0, MOST_SHOWN)}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'a list' : `an object of ${value.constructor?.name ?? 'no class'}`;
}

/** Returns the name that was probably meant: equal except for case and separators, or within a small edit distance. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[_-]/g, '');
  const given = plain(name.slice(0, MOST_SHOWN));
  const [best] = names.map((one) => ({ one, away: distance(given, plain(one)) })).sort((a, b) => a.away - b.away);
  return best !== undefined && best.away <= Math.max(1, Math.floor(given.length / 3)) ? best.one : undefined;
}

/** The Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min((row[j] ?? 0) + Number(a[i] !== b[j]), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    row = next;
  }
  return row[b.length] ?? 0;
}
