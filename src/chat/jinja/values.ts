/** What Jinja's expressions evaluate to, and how Python prints, compares and orders it. */
import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { concat, EMPTY, join, Text } from './text.ts';

export type Value = undefined | null | boolean | number | Text | readonly Value[] | Dict | Callable | Namespace;
export type Mutable = Value[];

/** The arguments of a call: by position, and by name. */
export interface Arguments {
  readonly list: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A macro, a function or a method. */
export class Callable {
  readonly name: string;
  readonly call: (given: Arguments) => Value;
  constructor(name: string, call: (given: Arguments) => Value) {
    this.name = name;
    this.call = call;
  }
}

/** What `namespace()` makes: the only thing whose attributes a template may set. */
export class Namespace {
  readonly values = new Map<string, Value>();
}

/** A dictionary; keys that came from a message stay marked. */
export class Dict {
  readonly #entries = new Map<string, { readonly key: Value; value: Value }>();

  static of(entries: Iterable<readonly [string, Value]>): Dict {
    const dict = new Dict();
    for (const [key, value] of entries) dict.set(new Text(key), value);
    return dict;
  }

  get size(): number {
    return this.#entries.size;
  }
  get(key: Value): Value {
    return this.#entries.get(keyOf(key))?.value;
  }
  has(key: Value): boolean {
    return this.#entries.has(keyOf(key));
  }
  set(key: Value, value: Value): void {
    const name = keyOf(key);
    const before = this.#entries.get(name);
    if (before === undefined) this.#entries.set(name, { key, value });
    else before.value = value;
  }
  remove(key: Value): void {
    this.#entries.delete(keyOf(key));
  }
  keys(): Value[] {
    return [...this.#entries.values()].map(({ key }) => key);
  }
  values(): Value[] {
    return [...this.#entries.values()].map(({ value }) => value);
  }
  items(): [Value, Value][] {
    return [...this.#entries.values()].map(({ key, value }) => [key, value]);
  }
}

function keyOf(key: Value): string {
  if (key instanceof Text) return `s${key.text}`;
  if (typeof key === 'number' || typeof key === 'boolean') return `n${Number(key)}`;
  if (key === null) return 'none';
  throw new TemplateError(`${typeName(key)} cannot be a key`);
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function typeName(value: Value): string {
  if (value === undefined) return 'an undefined value';
  if (value === null) return 'none';
  if (value instanceof Text) return 'a string';
  if (isList(value)) return 'a list';
  if (value instanceof Dict) return 'a dictionary';
  if (value instanceof Callable) return 'a function';
  if (value instanceof Namespace) return 'a namespace';
  return typeof value === 'number' ? 'a number' : 'a boolean';
}

/** Objects within one another that are read or printed. */
const DEEPEST = 64;

/** JSON's values as a template sees them; every string is a message's, keys included, but for the values of `plain` names at the top. */
export function fromJson(value: unknown, depth = 0): Value {
  checkDepth(depth);
  switch (typeof value) {
    case 'string':
      return Text.content(value);
    case 'number':
    case 'boolean':
      return value;
    case 'object':
      if (value === null) return null;
      if (value instanceof Text || value instanceof Dict) return value;
      if (Array.isArray(value)) return value.map((item: unknown) => fromJson(item, depth + 1));
      break;
    default:
      return undefined;
  }
  const dict = new Dict();
  for (const [key, item] of Object.entries(value))
    if (item !== undefined) dict.set(Text.content(key), fromJson(item, depth + 1));
  return dict;
}

export function truthy(value: Value): boolean {
  if (value instanceof Text) return value.length > 0;
  if (isList(value)) return value.length > 0;
  if (value instanceof Dict) return value.size > 0;
  return typeof value === 'object' ? value !== null : Boolean(value);
}

export function equal(a: Value, b: Value, budget: Budget, depth = 0): boolean {
  budget.spend();
  if (a === b) return true;
  checkDepth(depth);
  if (a instanceof Text || b instanceof Text) return a instanceof Text && b instanceof Text && a.text === b.text;
  if (isList(a) && isList(b))
    return a.length === b.length && a.every((item, i) => equal(item, b[i], budget, depth + 1));
  if (a instanceof Dict && b instanceof Dict)
    return (
      a.size === b.size && a.items().every(([key, value]) => b.has(key) && equal(value, b.get(key), budget, depth + 1))
    );
  if (typeof a === 'boolean' && typeof b === 'number') return Number(a) === b;
  if (typeof a === 'number' && typeof b === 'boolean') return a === Number(b);
  return false;
}

/** A list may hold itself. */
function checkDepth(depth: number): void {
  if (depth > DEEPEST) throw new TemplateError(`values are more than ${DEEPEST} levels deep`);
}

/** Negative where `a` comes before `b`. */
export function compare(a: Value, b: Value, budget: Budget, depth = 0): number {
  budget.spend();
  checkDepth(depth);
  if (a instanceof Text && b instanceof Text) return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b);
  if (isList(a) && isList(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compare(a[i], b[i], budget, depth + 1);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  throw new TemplateError(`${typeName(a)} and ${typeName(b)} cannot be ordered`);
}

export function isNumber(value: Value): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

export function contains(container: Value, item: Value, budget: Budget): boolean {
  if (container instanceof Text) {
    if (!(item instanceof Text)) throw new TemplateError(`${typeName(item)} cannot be searched in a string`);
    budget.spend(container.length >> 6);
    return container.text.includes(item.text);
  }
  if (isList(container)) return container.some((other) => equal(other, item, budget));
  if (container instanceof Dict) return container.has(item);
  if (container instanceof Namespace) return item instanceof Text && container.values.has(item.text);
  if (container === undefined) return false;
  throw new TemplateError(`${typeName(container)} contains nothing`);
}

/** What a loop goes through. */
export function itemsOf(value: Value, budget: Budget): readonly Value[] {
  if (isList(value)) return value;
  if (value instanceof Dict) return value.keys();
  if (value === undefined) return [];
  if (value instanceof Text) {
    budget.spend(value.length);
    const characters: Text[] = [];
    for (let at = 0; at < value.length;) {
      const next = at + ((value.text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
      characters.push(value.slice(at, next));
      at = next;
    }
    return characters;
  }
  throw new TemplateError(`${typeName(value)} cannot be looped over`);
}

export function lengthOf(value: Value): number {
  if (value instanceof Text) return [...value.text].length;
  if (isList(value)) return value.length;
  if (value instanceof Dict) return value.size;
  if (value === undefined) return 0;
  throw new TemplateError(`${typeName(value)} has no length`);
}

/** As Python's `str`. */
export function print(value: Value, budget: Budget): Text {
  if (value instanceof Text) return value;
  if (value === undefined) return EMPTY;
  return represent(value, budget, 0);
}

/** As Python's `repr`. */
function represent(value: Value, budget: Budget, depth: number): Text {
  budget.spend();
  if (depth > DEEPEST) throw new TemplateError(`a value is more than ${DEEPEST} levels deep`);
  if (value instanceof Text) {
    budget.grow(value.length);
    const quote = value.text.includes("'") && !value.text.includes('"') ? '"' : "'";
    const escaped = value.map((run) =>
      run
        .replaceAll('\\', '\\\\')
        .replaceAll('\n', '\\n')
        .replaceAll('\t', '\\t')
        .replaceAll('\r', '\\r')
        .replaceAll(quote, `\\${quote}`),
    );
    return concat([new Text(quote), escaped, new Text(quote)]);
  }
  if (isList(value))
    return concat([
      new Text('['),
      join(
        value.map((item) => represent(item, budget, depth + 1)),
        new Text(', '),
      ),
      new Text(']'),
    ]);
  if (value instanceof Dict) {
    const entries = value
      .items()
      .map(([key, item]) =>
        concat([represent(key, budget, depth + 1), new Text(': '), represent(item, budget, depth + 1)]),
      );
    return concat([new Text('{'), join(entries, new Text(', ')), new Text('}')]);
  }
  if (value === true) return new Text('True');
  if (value === false) return new Text('False');
  if (value === null) return new Text('None');
  if (typeof value === 'number') return new Text(String(value));
  return new Text(value === undefined ? 'Undefined' : `<${typeName(value)}>`);
}

export interface JsonLayout {
  readonly indent: Text | undefined;
  readonly item: Text;
  readonly colon: Text;
  readonly sorted: boolean;
  readonly ascii: boolean;
}

/** As Python's `json.dumps`. */
export function toJson(value: Value, layout: JsonLayout, budget: Budget, depth = 0): Text {
  budget.spend();
  if (depth > DEEPEST) throw new TemplateError(`a value for tojson is more than ${DEEPEST} levels deep`);
  if (value instanceof Text) {
    budget.grow(2 * value.length);
    const quote = new Text('"');
    const escaped = value.map((run) => {
      const json = JSON.stringify(run).slice(1, -1);
      if (!layout.ascii) return json;
      return json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
    });
    return concat([quote, escaped, quote]);
  }
  const inner = (item: Value): Text => toJson(item, layout, budget, depth + 1);
  if (isList(value)) return block('[', value.map(inner), ']', layout, depth);
  if (value instanceof Dict) {
    const items = value.items();
    if (layout.sorted) items.sort(([a], [b]) => compare(a, b, budget));
    const entries = items.map(([key, item]) =>
      concat([inner(key instanceof Text ? key : print(key, budget)), layout.colon, inner(item)]),
    );
    return block('{', entries, '}', layout, depth);
  }
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return new Text(String(value));
  throw new TemplateError(`${typeName(value)} cannot be written as JSON`);
}

function block(open: string, parts: readonly Text[], close: string, { indent, item }: JsonLayout, depth: number): Text {
  if (parts.length === 0) return new Text(open + close);
  if (indent === undefined) return concat([new Text(open), join(parts, item), new Text(close)]);
  const line = (levels: number): Text => concat([new Text('\n'), ...Array.from({ length: levels }, () => indent)]);
  return concat([
    new Text(open),
    line(depth + 1),
    join(parts, concat([item, line(depth + 1)])),
    line(depth),
    new Text(close),
  ]);
}
