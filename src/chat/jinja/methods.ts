/** The methods of Python's strings, lists and dictionaries that templates call. */
import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { format } from './format.ts';
import { EMPTY, join, Text } from './text.ts';
import { Callable, Dict, equal, isList, itemsOf, print, type Arguments, type Mutable, type Value } from './values.ts';

/** No limit, as a whole number. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

type Method<T> = (self: T, given: Arguments, budget: Budget) => Value;

export const isSpace = (character: string): boolean => /\s/.test(character);

export function asText(value: Value, name: string): Text {
  if (value instanceof Text) return value;
  throw new TemplateError(`${name} needs a string`);
}

/** A whole number, or `fallback` where none is given. */
export function asCount(value: Value, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  const count = Number(value instanceof Text ? value.text : value);
  if (!Number.isInteger(count)) throw new TemplateError('a whole number is needed');
  return count;
}

const trims =
  (left: boolean, right: boolean): Method<Text> =>
  (self, { list: [characters] }) => {
    const set = characters instanceof Text ? characters.text : undefined;
    return self.trim(set === undefined ? isSpace : (character) => set.includes(character), left, right);
  };

/** At white space, of which none is left. */
function words(self: Text, most: number, budget: Budget): Text[] {
  const parts: Text[] = [];
  let rest = self.trim(isSpace, true, false);
  while (rest.length > 0) {
    const at = parts.length < most ? rest.text.search(/\s/) : -1;
    if (at < 0) return [...parts, rest];
    budget.spend();
    parts.push(rest.slice(0, at));
    rest = rest.slice(at).trim(isSpace, true, false);
  }
  return parts;
}

function fromRight(self: Text, separator: string, most: number, budget: Budget): Text[] {
  const parts = self.split(separator, budget);
  const kept = Math.max(1, parts.length - most);
  const end = parts.slice(0, kept).reduce((sum, part) => sum + part.length + separator.length, 0) - separator.length;
  return [self.slice(0, end), ...parts.slice(kept)];
}

const affix =
  (test: (self: string, part: string) => boolean): Method<Text> =>
  (self, { list: [part] }) =>
    (isList(part) ? part : [part]).some((one) => test(self.text, asText(one, 'startswith').text));

const every =
  (pattern: RegExp): Method<Text> =>
  (self) =>
    pattern.test(self.text);

export const title = (text: string): string =>
  text
    .toLowerCase()
    .replace(/(^|[^\p{L}])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase());
export const capitalize = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase();

export function replace(self: Text, { list, named }: Arguments, budget: Budget): Text {
  const old = asText(list[0], 'replace').text;
  const by = asText(list[1], 'replace');
  const most = asCount(list[2] ?? named.get('count'), UNLIMITED);
  const limit = most < 0 ? UNLIMITED : most;
  const parts =
    old === '' ? [EMPTY, ...(itemsOf(self, budget) as Text[]), EMPTY].slice(0, limit) : self.split(old, budget, limit);
  budget.grow(self.length + parts.length * by.length);
  return join(parts, by);
}

const STRING: ReadonlyMap<string, Method<Text>> = new Map<string, Method<Text>>([
  ['strip', trims(true, true)],
  ['lstrip', trims(true, false)],
  ['rstrip', trims(false, true)],
  ['upper', (self) => self.map((text) => text.toUpperCase())],
  ['lower', (self) => self.map((text) => text.toLowerCase())],
  ['title', (self) => self.mapWhole(title)],
  ['capitalize', (self) => self.mapWhole(capitalize)],
  ['startswith', affix((text, part) => text.startsWith(part))],
  ['endswith', affix((text, part) => text.endsWith(part))],
  [
    'split',
    (self, { list, named }, budget) => {
      const separator = list[0] ?? named.get('sep');
      const most = asCount(list[1] ?? named.get('maxsplit'), -1);
      const limit = most < 0 ? UNLIMITED : most;
      return separator instanceof Text && separator.length > 0
        ? self.split(separator.text, budget, limit)
        : words(self, limit, budget);
    },
  ],
  [
    'rsplit',
    (self, { list, named }, budget) => {
      const most = asCount(list[1] ?? named.get('maxsplit'), -1);
      const separator = asText(list[0] ?? named.get('sep'), 'rsplit').text;
      if (separator === '') throw new TemplateError('rsplit needs a separator');
      return most < 0 ? self.split(separator, budget) : fromRight(self, separator, most, budget);
    },
  ],
  [
    'splitlines',
    (self, _, budget) => {
      const lines = self.split('\n', budget);
      return lines.at(-1)?.length === 0 ? lines.slice(0, -1) : lines;
    },
  ],
  ['replace', replace],
  ['find', (self, { list: [part] }) => self.text.indexOf(asText(part, 'find').text)],
  ['rfind', (self, { list: [part] }) => self.text.lastIndexOf(asText(part, 'rfind').text)],
  [
    'index',
    (self, { list: [part] }) => {
      const at = self.text.indexOf(asText(part, 'index').text);
      if (at < 0) throw new TemplateError('index: the string is not there');
      return at;
    },
  ],
  ['count', (self, { list: [part] }, budget) => self.split(asText(part, 'count').text || '\0', budget).length - 1],
  ['join', (self, { list: [parts] }, budget) => joined(itemsOf(parts, budget), self, budget)],
  ['format', (self, given, budget) => format(self, given, budget)],
  ['isdigit', every(/^\p{Nd}+$/u)],
  ['isnumeric', every(/^\p{N}+$/u)],
  ['isalpha', every(/^\p{L}+$/u)],
  ['isalnum', every(/^[\p{L}\p{N}]+$/u)],
  ['isspace', every(/^\s+$/)],
  ['isupper', (self) => self.text !== self.text.toLowerCase() && self.text === self.text.toUpperCase()],
  ['islower', (self) => self.text !== self.text.toUpperCase() && self.text === self.text.toLowerCase()],
  [
    'removeprefix',
    (self, { list: [part] }) => {
      const prefix = asText(part, 'removeprefix').text;
      return self.text.startsWith(prefix) ? self.slice(prefix.length) : self;
    },
  ],
  [
    'removesuffix',
    (self, { list: [part] }) => {
      const suffix = asText(part, 'removesuffix').text;
      return suffix !== '' && self.text.endsWith(suffix) ? self.slice(0, self.length - suffix.length) : self;
    },
  ],
]);

export function joined(items: readonly Value[], separator: Text, budget: Budget): Text {
  const parts = items.map((item) => print(item, budget));
  budget.grow(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
  return join(parts, separator);
}

function grown(list: readonly Value[], items: readonly Value[]): null {
  for (const item of [...items]) (list as Mutable).push(item);
  return null;
}

const LIST: ReadonlyMap<string, Method<readonly Value[]>> = new Map<string, Method<readonly Value[]>>([
  ['append', (self, { list: [item] }) => grown(self, [item])],
  ['extend', (self, { list: [items] }, budget) => grown(self, itemsOf(items, budget))],
  [
    'insert',
    (self, { list: [at, item] }) => {
      (self as Mutable).splice(asCount(at, 0), 0, item);
      return null;
    },
  ],
  ['pop', (self, { list: [at] }) => (self as Mutable).splice(asCount(at, -1), 1)[0]],
  ['index', (self, { list: [item] }, budget) => self.findIndex((other) => equal(other, item, budget))],
  ['count', (self, { list: [item] }, budget) => self.filter((other) => equal(other, item, budget)).length],
  ['copy', (self) => [...self]],
]);

const DICT: ReadonlyMap<string, Method<Dict>> = new Map<string, Method<Dict>>([
  ['get', (self, { list: [key, fallback] }) => (self.has(key) ? self.get(key) : (fallback ?? null))],
  ['items', (self) => self.items()],
  ['keys', (self) => self.keys()],
  ['values', (self) => self.values()],
  ['copy', (self) => copy(self)],
  [
    'update',
    (self, { list: [other], named }) => {
      if (other instanceof Dict) for (const [key, value] of other.items()) self.set(key, value);
      for (const [key, value] of named) self.set(new Text(key), value);
      return null;
    },
  ],
  [
    'setdefault',
    (self, { list: [key, fallback] }) => {
      if (!self.has(key)) self.set(key, fallback ?? null);
      return self.get(key);
    },
  ],
  [
    'pop',
    (self, { list: [key, fallback] }) => {
      const value = self.has(key) ? self.get(key) : fallback;
      self.remove(key);
      return value;
    },
  ],
]);

function copy(dict: Dict): Dict {
  const made = new Dict();
  for (const [key, value] of dict.items()) made.set(key, value);
  return made;
}

/** The method of this name, bound; undefined where the value has none. */
export function method(self: Value, name: string, budget: Budget): Callable | undefined {
  const bind = <T>(known: ReadonlyMap<string, Method<T>>, value: T): Callable | undefined => {
    const found = known.get(name);
    if (found === undefined) return undefined;
    return new Callable(name, (given) => {
      budget.spend(1 + costOf(self));
      return found(value, given, budget);
    });
  };
  if (self instanceof Text) return bind(STRING, self);
  if (isList(self)) return bind(LIST, self);
  return self instanceof Dict ? bind(DICT, self) : undefined;
}

/** Steps that going through a value once stands for. */
export function costOf(value: Value): number {
  if (value instanceof Text) return value.length >> 5;
  if (isList(value)) return value.length >> 2;
  return value instanceof Dict ? value.size : 0;
}
