/**
 * The complement of a schema as schemas of which any may hold, for `not` and `if`: exact for what tells values apart by types, constants, bounds
 * and properties. Everything else is refused by name.
 */
import { isAnnotation, refuse, type Json, type Place, type SchemaDocument, type SchemaObject } from './document.ts';
import type { JsonSchema } from '../grammar.ts';

type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';
const TYPES: readonly TypeName[] = ['null', 'boolean', 'number', 'string', 'array', 'object'];
/** Schemas within each other, references followed. */
const DEEPEST = 12;

/** Bounds, and what holds of values of their type beyond them. */
const BOUNDS: ReadonlyMap<string, (limit: number) => SchemaObject | undefined> = new Map<
  string,
  (limit: number) => SchemaObject | undefined
>([
  ['minimum', (limit) => ({ type: 'number', exclusiveMaximum: limit })],
  ['maximum', (limit) => ({ type: 'number', exclusiveMinimum: limit })],
  ['exclusiveMinimum', (limit) => ({ type: 'number', maximum: limit })],
  ['exclusiveMaximum', (limit) => ({ type: 'number', minimum: limit })],
  ['minLength', (limit) => (limit > 0 ? { type: 'string', maxLength: limit - 1 } : undefined)],
  ['maxLength', (limit) => ({ type: 'string', minLength: limit + 1 })],
  ['minItems', (limit) => (limit > 0 ? { type: 'array', maxItems: limit - 1 } : undefined)],
  ['maxItems', (limit) => ({ type: 'array', minItems: limit + 1 })],
]);

export class Complements {
  readonly #document: SchemaDocument;
  /** Strings that a schema of this file's making does not allow: no keyword says that. */
  readonly #excluded = new WeakMap<object, readonly string[]>();
  readonly #known = new Map<string, readonly JsonSchema[]>();

  constructor(document: SchemaDocument) {
    this.#document = document;
  }

  /** The strings that this schema excludes; undefined for schemas of the document. */
  excluded(schema: SchemaObject): readonly string[] | undefined {
    return this.#excluded.get(schema);
  }

  /** Schemas of which at least one holds where that of the place does not. Throws `InputError` for a keyword whose complement is not supported. */
  of(place: Place, depth = 0): readonly JsonSchema[] {
    const { path, schema } = place;
    if (schema === true) return [];
    if (schema === false) return [true];
    let found = this.#known.get(path);
    if (found === undefined) {
      if (depth > DEEPEST) refuse(path, 'not', `is nested more than ${DEEPEST} deep`);
      const keywords = this.#document.keywords({ path, schema });
      found = Object.entries(keywords).flatMap(([keyword, value]) => this.#without(place, keyword, value, depth));
      this.#known.set(path, found);
    }
    return found;
  }

  #without(place: Place, keyword: string, value: unknown, depth: number): readonly JsonSchema[] {
    if (isAnnotation(keyword)) return [];
    const { path } = place;
    const bound = BOUNDS.get(keyword);
    if (bound !== undefined) {
      const least = keyword.endsWith('imum') ? -Infinity : 0;
      if (typeof value !== 'number' || value < least || (least === 0 && !Number.isInteger(value)))
        refuse(path, keyword, 'must be a number that it can have');
      const beyond = bound(value);
      return beyond === undefined ? [] : [beyond];
    }
    switch (keyword) {
      case 'type':
        return this.#withoutTypes(path, value);
      case 'const':
        return this.#withoutValues(path, keyword, [value as Json]);
      case 'enum':
        if (!Array.isArray(value)) refuse(path, keyword, 'must be a list');
        return this.#withoutValues(path, keyword, value as readonly Json[]);
      case 'required':
        if (!Array.isArray(value)) refuse(path, keyword, 'must be a list of names');
        return value.map((name: unknown) => ({ type: 'object', properties: { [String(name)]: false } }));
      case 'properties':
        return this.#withoutProperties(place, value, depth);
      case 'not':
        return [value as JsonSchema];
      case '$ref':
        return this.of(this.#document.resolve(value, path), depth + 1);
      case 'allOf':
        return list(place, keyword, value).flatMap((schema, i) =>
          this.of(this.#document.below(place, schema, keyword, i), depth + 1),
        );
      case 'anyOf':
        return [{ allOf: list(place, keyword, value).map((schema) => ({ not: schema as JsonSchema })) }];
      default:
        return refuse(path, keyword, 'is not supported within not and if: say what is allowed, for instance by enum');
    }
  }

  #withoutTypes(path: string, value: unknown): readonly JsonSchema[] {
    const names = new Set<unknown>([value].flat());
    if (names.has('integer') && !names.has('number'))
      refuse(
        path,
        'type',
        'is not supported within not and if where it is integer: numbers that are none are not described',
      );
    const others = TYPES.filter((name) => !names.has(name));
    return others.length === 0 ? [] : [{ type: others }];
  }

  #withoutValues(path: string, keyword: string, values: readonly Json[]): readonly JsonSchema[] {
    const numbers: number[] = [];
    const strings: string[] = [];
    const found: SchemaObject[] = [];
    const types = new Set<TypeName>(TYPES);
    for (const value of values) {
      if (typeof value === 'object' && value !== null)
        refuse(path, keyword, 'is not supported within not and if where it has lists or objects');
      types.delete(value === null ? 'null' : (typeof value as 'boolean' | 'number' | 'string'));
      if (typeof value === 'number') numbers.push(value);
      if (typeof value === 'string') strings.push(value);
    }
    if (types.size > 0) found.push({ type: [...types] });
    const booleans = [true, false].filter((value) => !values.includes(value));
    if (!types.has('boolean')) found.push(...booleans.map((value) => ({ const: value })));
    numbers.sort((a, b) => a - b);
    if (numbers.length > 0)
      // The gaps before, between and behind them.
      [undefined, ...numbers].forEach((low, i) => {
        const high = numbers[i];
        found.push({
          type: 'number',
          ...(low !== undefined && { exclusiveMinimum: low }),
          ...(high !== undefined && { exclusiveMaximum: high }),
        });
      });
    if (strings.length > 0) {
      const others: SchemaObject = { type: 'string' };
      this.#excluded.set(others, strings);
      found.push(others);
    }
    return found;
  }

  /** One of the properties is there, and is not as it should be. */
  #withoutProperties(place: Place, value: unknown, depth: number): readonly JsonSchema[] {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      refuse(place.path, 'properties', 'must be an object');
    return Object.entries(value).flatMap(([name, schema]) =>
      this.of(this.#document.below(place, schema, 'properties', name), depth + 1).map((other) => ({
        type: 'object',
        required: [name],
        properties: { [name]: other },
      })),
    );
  }
}

function list({ path }: Place, keyword: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) refuse(path, keyword, 'must be a list of schemas');
  return value;
}
