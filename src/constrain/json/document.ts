/** A JSON Schema as it is given: its places by JSON pointer, the keywords that are known, and references within it. What is not supported is refused by name. */
import { clipped, InputError } from '../../errors.ts';
import type { JsonSchema } from '../grammar.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type SchemaObject = { readonly [keyword: string]: unknown };

/** A schema within the document; places with equal paths are the same. */
export interface Place {
  /** A JSON pointer as a fragment, such as `#/properties/name`. */
  readonly path: string;
  readonly schema: JsonSchema;
}

/** Keywords that say nothing about what is valid, or that are read elsewhere. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  '$schema',
  '$comment',
  '$defs',
  '$anchor',
  'definitions',
  'title',
  'description',
  'default',
  'example',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
]);

const SUPPORTED: ReadonlySet<string> = new Set([
  '$ref',
  'type',
  'enum',
  'const',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'properties',
  'required',
  'additionalProperties',
  'patternProperties',
  'propertyNames',
  'minProperties',
  'maxProperties',
  'dependentRequired',
  'dependentSchemas',
  'if',
  'then',
  'else',
  'prefixItems',
  'items',
  'additionalItems',
  'minItems',
  'maxItems',
  'uniqueItems',
  'pattern',
  'minLength',
  'maxLength',
  'format',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
]);

/** Drafts whose keywords mean the same where they are supported here. */
const DRAFTS = /^https?:\/\/json-schema\.org\/(?:draft\/2020-12|draft\/2019-09|draft-0[67])\/schema#?$/;

/** What to do instead of some keywords that are refused. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['nullable', "use type: ['…', 'null']"],
  ['unevaluatedProperties', 'use additionalProperties'],
  ['unevaluatedItems', 'use items: false'],
  ['$dynamicRef', 'use $ref'],
  ['$recursiveRef', 'use $ref'],
]);

/** Whether a keyword says nothing about what is allowed. */
export function isAnnotation(keyword: string): boolean {
  return ANNOTATIONS.has(keyword) || keyword.startsWith('x-');
}

export function refuse(path: string, keyword: string, problem: string): never {
  const name = clipped(keyword);
  throw new InputError('argument', `responseConstraint: ${clipped(path)}: ${name} ${problem}`, { path, keyword: name });
}

function placed(path: string, schema: unknown): Place {
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
    refuse(path, 'it', 'must be a schema: an object, true or false');
  return { path, schema: schema as JsonSchema };
}

export class SchemaDocument {
  readonly root: Place;
  readonly #id: string | undefined;
  readonly #checked = new Set<string>();
  #anchors: ReadonlyMap<string, Place> | undefined;

  constructor(schema: JsonSchema) {
    this.root = placed('#', schema);
    const id = typeof schema === 'object' ? schema['$id'] : undefined;
    this.#id = typeof id === 'string' ? id.replace(/#$/, '') : undefined;
  }

  /** A schema at a place below another. */
  below({ path }: Place, schema: unknown, ...names: readonly (string | number)[]): Place {
    const at = [path, ...names.map((name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
    return placed(at, schema);
  }

  /** The keywords of a place. Throws for one that is not supported. */
  keywords({ path, schema }: Place & { readonly schema: SchemaObject }): SchemaObject {
    if (this.#checked.has(path)) return schema;
    for (const keyword of Object.keys(schema)) {
      if (SUPPORTED.has(keyword) || isAnnotation(keyword)) continue;
      if (keyword === '$id' && path === '#') continue;
      const remedy = REMEDIES.get(keyword);
      refuse(path, keyword, `is not supported${remedy === undefined ? '' : `: ${remedy}`}`);
    }
    const draft = schema['$schema'];
    if (draft !== undefined && !(typeof draft === 'string' && DRAFTS.test(draft)))
      refuse(path, '$schema', `${clipped(JSON.stringify(draft))} is not supported; schemas of draft 2020-12 are`);
    this.#checked.add(path);
    return schema;
  }

  /** Where a reference leads. */
  resolve(reference: unknown, path: string): Place {
    if (typeof reference !== 'string') refuse(path, '$ref', 'must be a string');
    const hash = reference.indexOf('#');
    const base = hash < 0 ? reference : reference.slice(0, hash);
    const fragment = hash < 0 ? '' : reference.slice(hash + 1);
    if (base !== '' && base !== this.#id)
      refuse(path, '$ref', `${clipped(reference)} leads out of the schema; put what it names into $defs`);
    if (fragment === '') return this.root;
    if (!fragment.startsWith('/')) {
      this.#anchors ??= this.#findAnchors();
      return this.#anchors.get(fragment) ?? refuse(path, '$ref', `${clipped(reference)} names nothing in the schema`);
    }
    let place: unknown = this.root.schema;
    let at = '#';
    for (const part of decoded(fragment).slice(1).split('/')) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      const inside: unknown =
        typeof place === 'object' && place !== null && Object.hasOwn(place, name)
          ? (place as Readonly<Record<string, unknown>>)[name]
          : undefined;
      if (inside === undefined) refuse(path, '$ref', `${clipped(reference)} names nothing in the schema`);
      if (typeof inside === 'object' && inside !== null && '$id' in inside && typeof inside.$id === 'string')
        refuse(path, '$ref', `${clipped(reference)} leads through a schema with its own $id, which is not supported`);
      place = inside;
      at += `/${part}`;
    }
    return this.below({ path: at.slice(0, at.lastIndexOf('/')), schema: true }, place, lastName(at));
  }

  #findAnchors(): ReadonlyMap<string, Place> {
    const found = new Map<string, Place>();
    const search = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return;
      const anchor = '$anchor' in value ? value.$anchor : undefined;
      if (typeof anchor === 'string' && !Array.isArray(value) && !/\/(?:enum|const)(?:\/|$)/.test(path))
        found.set(anchor, { path, schema: value as SchemaObject });
      for (const [name, inner] of Object.entries(value))
        search(inner, `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    };
    search(this.root.schema, '#');
    return found;
  }
}

function lastName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replaceAll('~1', '/')
    .replaceAll('~0', '~');
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}
