/**
 * What schemas allow, as alternatives of one type each. A node is a set of places of the document whose schemas must all hold: `allOf`, references and
 * what several schemas say about one property make larger sets, `anyOf` and `oneOf` make alternatives. There are finitely many sets, so recursion ends. The file is long
 * because every keyword narrows the same alternatives, and the keywords of one type depend on each other.
 */
import { clipped, InputError } from '../../errors.ts';
import { compileExpression } from '../compile-expression.ts';
import { parseExpression } from '../expression.ts';
import {
  ANYTHING,
  both,
  contains,
  either,
  isEmpty,
  NOTHING,
  ofLength,
  TooLarge,
  without,
  words,
  type Language,
} from '../language.ts';
import type { JsonSchema } from '../grammar.ts';
import type { Library } from '../library.ts';
import { Complements } from './complement.ts';
import { refuse, type Json, type Place, type SchemaDocument, type SchemaObject } from './document.ts';
import { FORMATS } from './formats.ts';
import { nextAbove, nextBelow, numberLanguage } from './numbers.ts';

/** Sets of places of one schema. */
const MOST_NODES = 20_000;
/** Alternatives of one set, its choices multiplied out. */
const MOST_ALTERNATIVES = 2048;
/** Names of one object. */
const MOST_NAMES = 1024;
/** Different patterns of names of one object: every set of them is a kind of name. */
const MOST_PATTERNS = 5;
/** How deep branches are compared that must not hold together. */
const DEEPEST_COMPARISON = 5;
/** Values of a list whose members differ. */
const MOST_UNIQUE = 64;

/** A language and a name for it among all of the model. */
export interface Named {
  readonly key: string;
  readonly language: Language;
}

/** Names of properties that are not listed, which share a schema. */
export interface OtherNames extends Named {
  readonly node: Node;
}

export type Alternative =
  | { readonly kind: 'text'; readonly text: string }
  | ({ readonly kind: 'number' } & Named)
  /** `values`: all of them, where they are listed. */
  | ({ readonly kind: 'string'; readonly values?: readonly string[] } & Named)
  /** Any string of a length. */
  | { readonly kind: 'length'; readonly least: number; readonly most: number }
  | {
      readonly kind: 'array';
      readonly prefix: readonly Node[];
      /** Of the items behind the prefix. */
      readonly rest: Node;
      readonly least: number;
      readonly most: number;
      /** The texts of the items, of which none may come twice. */
      readonly unique?: readonly string[] | undefined;
    }
  | {
      readonly kind: 'object';
      readonly names: readonly string[];
      /** Of each name. */
      readonly nodes: readonly Node[];
      readonly required: ReadonlySet<number>;
      /** The names that must be there with a name. */
      readonly dependent: ReadonlyMap<number, readonly number[]>;
      readonly others: readonly OtherNames[];
      readonly least: number;
      readonly most: number;
    };

export type ObjectAlternative = Extract<Alternative, { readonly kind: 'object' }>;

/** A set of places. */
export interface Node {
  readonly key: string;
  readonly places: readonly Place[];
  /** 'open' while they are looked for. */
  alternatives: readonly Alternative[] | 'open' | undefined;
  /** Whether any value fits: known when all nodes are resolved. */
  possible: boolean;
}

type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';
const TYPES: readonly TypeName[] = ['null', 'boolean', 'number', 'string', 'array', 'object'];

/** A place whose schema has keywords. */
interface Own {
  readonly path: string;
  readonly schema: SchemaObject;
}

/** The schemas that one choice of branches leaves. */
interface Choice {
  readonly own: readonly Own[];
  readonly seen: ReadonlySet<string>;
}

export class Resolver {
  readonly #document: SchemaDocument;
  readonly #languages: Pick<Library, 'language' | 'writes'>;
  readonly #nodes = new Map<string, Node>();
  /** Places whose branches of `oneOf` were found to be apart, or are being compared. */
  readonly #compared = new Set<string>();
  readonly #complements: Complements;

  constructor(document: SchemaDocument, languages: Pick<Library, 'language' | 'writes'>) {
    this.#document = document;
    this.#languages = languages;
    this.#complements = new Complements(document);
  }

  /** The whole schema, with all that it leads to. */
  resolve(): Node {
    const root = this.#node([this.#document.root]);
    const nodes = [root];
    const reached = new Set(nodes);
    for (const node of nodes)
      for (const alternative of this.#alternatives(node))
        for (const child of children(alternative))
          if (!reached.has(child)) {
            reached.add(child);
            nodes.push(child);
          }
    for (let changed = true; changed;) {
      changed = false;
      for (const node of nodes) {
        if (node.possible || !this.#alternatives(node).some(possible)) continue;
        node.possible = true;
        changed = true;
      }
    }
    return root;
  }

  #node(places: readonly Place[]): Node {
    const unique = [...new Map(places.map((place) => [place.path, place])).values()];
    // What allows everything says nothing; what allows nothing says everything.
    const never = unique.find(({ schema }) => schema === false);
    const kept = never === undefined ? unique.filter(({ schema }) => schema !== true) : [never];
    const key =
      never === undefined
        ? kept
            .map(({ path }) => path)
            .sort()
            .join(' ')
        : 'false';
    let node = this.#nodes.get(key);
    if (node === undefined) {
      if (this.#nodes.size >= MOST_NODES)
        throw new InputError(
          'argument',
          `responseConstraint: the schema has more than ${MOST_NODES} parts, its references followed; make it smaller`,
          {
            limit: MOST_NODES,
          },
        );
      node = { key, places: kept, alternatives: undefined, possible: false };
      this.#nodes.set(key, node);
    }
    return node;
  }

  #alternatives(node: Node): readonly Alternative[] {
    if (node.alternatives === 'open')
      refuse(node.places[0]?.path ?? '#', 'it', 'leads back to itself before anything is said');
    if (node.alternatives === undefined) {
      node.alternatives = 'open';
      const found = this.#choices(node.places).flatMap(({ own }) => this.#typed(own));
      if (found.length > MOST_ALTERNATIVES) tooMany(node.places[0]?.path ?? '#');
      node.alternatives = distinct(found);
    }
    return node.alternatives;
  }

  /** All ways to choose branches. */
  #choices(places: readonly Place[]): readonly Choice[] {
    let found: Choice[] = [];
    type Waiting = Place & { readonly through: readonly string[] };
    const expand = (waiting: readonly Waiting[], { own, seen }: Choice): void => {
      const [place, ...rest] = waiting;
      if (place === undefined) {
        found.push({ own, seen });
        if (found.length > MOST_ALTERNATIVES) tooMany(places[0]?.path ?? '#');
        return;
      }
      const { schema, path, through } = place;
      if (schema === false) return;
      if (through.includes(path)) refuse(path, '$ref', 'leads back to itself before anything is said');
      if (schema === true || seen.has(path)) return expand(rest, { own, seen });
      const keywords = this.#document.keywords({ path, schema });
      const conditions = this.#conditions(place);
      const on = [...through, path];
      const more: Waiting[] = [];
      if (keywords['$ref'] !== undefined) more.push({ ...this.#document.resolve(keywords['$ref'], path), through: on });
      for (const one of this.#branches(place, 'allOf')) more.push({ ...one, through: on });
      const next = { own: [...own, { path, schema }], seen: new Set([...seen, path]) };
      const any = this.#branches(place, 'anyOf');
      const one = this.#branches(place, 'oneOf');
      if (one.length > 0) this.#checkApart(place, one);
      const chosen = (from: readonly Place[]): readonly (readonly Waiting[])[] =>
        from.length === 0 ? [[]] : from.map((branch) => [{ ...branch, through: on }]);
      let ways: readonly (readonly Waiting[])[] = [more];
      for (const branches of [
        chosen(any),
        chosen(one),
        ...conditions.map((list) => list.map((branch) => [{ ...branch, through: on }])),
      ]) {
        ways = ways.flatMap((way) => branches.map((branch) => [...way, ...branch]));
        if (ways.length > MOST_ALTERNATIVES) tooMany(path);
      }
      for (const way of ways) expand([...way, ...rest], next);
    };
    expand(
      places.map((place) => ({ ...place, through: [] })),
      { own: [], seen: new Set() },
    );
    return found;
  }

  /** What `not`, `if` and `dependentSchemas` leave: one of each list holds. An empty list allows nothing. */
  #conditions(place: Place): readonly (readonly Place[])[] {
    const { path, schema } = place;
    if (typeof schema !== 'object') return [];
    const made = (keyword: string, schemas: readonly JsonSchema[]): readonly Place[] =>
      schemas.map((one, i) => ({ path: `${path}/${keyword}!${i}`, schema: one }));
    const found: (readonly Place[])[] = [];
    const { not, if: condition, then: positive = true, else: negative = true } = schema;
    if (not !== undefined) found.push(made('not', this.#complements.of(this.#document.below(place, not, 'not'))));
    if (condition !== undefined && (schema['then'] !== undefined || schema['else'] !== undefined)) {
      const below = (one: unknown, keyword: string): JsonSchema => this.#document.below(place, one, keyword).schema;
      const holds = below(condition, 'if');
      found.push(
        made('if', [{ allOf: [holds, below(positive, 'then')] }, { allOf: [{ not: holds }, below(negative, 'else')] }]),
      );
    }
    for (const [name, one] of Object.entries(objectAt(path, schema, 'dependentSchemas')))
      found.push(
        made(`dependentSchemas/${name}`, [
          { properties: { [name]: false } },
          {
            type: 'object',
            required: [name],
            allOf: [this.#document.below(place, one, 'dependentSchemas', name).schema],
          },
        ]),
      );
    return found;
  }

  #branches(place: Place, keyword: 'allOf' | 'anyOf' | 'oneOf'): readonly Place[] {
    const list = typeof place.schema === 'object' ? place.schema[keyword] : undefined;
    if (list === undefined) return [];
    if (!Array.isArray(list) || list.length === 0) refuse(place.path, keyword, 'must be a list of schemas');
    return list.map((schema: unknown, i) => this.#document.below(place, schema, keyword, i));
  }

  /** Throws unless no two branches of `oneOf` can hold together: then it is the same as `anyOf`. */
  #checkApart(place: Place, branches: readonly Place[]): void {
    if (this.#compared.has(place.path)) return;
    this.#compared.add(place.path);
    const { oneOf: _oneOf, ...rest } = place.schema as SchemaObject;
    const beside: Place = { path: `${place.path}!`, schema: rest };
    branches.forEach((a, i) =>
      branches.slice(0, i).forEach((b, j) => {
        if (!this.#impossible(this.#node([beside, a, b]), DEEPEST_COMPARISON))
          refuse(
            place.path,
            'oneOf',
            `is supported where its branches are apart, and ${j} and ${i} may hold together; use anyOf, or give each a property with a const of its own`,
          );
      }),
    );
  }

  /** Whether it is certain that nothing fits. */
  #impossible(node: Node, depth: number): boolean {
    if (node.alternatives === 'open') return false;
    return this.#alternatives(node).every((alternative) => {
      if (depth === 0) return false;
      const impossible = (child: Node | undefined): boolean =>
        child !== undefined && this.#impossible(child, depth - 1);
      switch (alternative.kind) {
        case 'array':
          return Array.from({ length: Math.min(alternative.least, alternative.prefix.length + 1) }, (_, i) => i).some(
            (i) => impossible(alternative.prefix[i] ?? alternative.rest),
          );
        case 'object':
          return [...alternative.required].some((i) => impossible(alternative.nodes[i]));
        default:
          return false;
      }
    });
  }

  #typed(own: readonly Own[]): readonly Alternative[] {
    const { types, integer } = readTypes(own);
    const listed = this.#listed(own);
    if (listed !== undefined) return listed.flatMap((value) => this.#constant(value, own, types, integer));
    return TYPES.filter((type) => types.has(type)).flatMap((type): readonly Alternative[] => {
      switch (type) {
        case 'null':
          return [{ kind: 'text', text: 'null' }];
        case 'boolean':
          return [
            { kind: 'text', text: 'true' },
            { kind: 'text', text: 'false' },
          ];
        case 'number':
          return this.#number(own, integer);
        case 'string':
          return this.#string(own);
        case 'array':
          return this.#array(own);
        case 'object':
          return this.#object(own);
        default:
          return type satisfies never;
      }
    });
  }

  /** The values of `enum` and `const` that are in all lists; undefined without any. */
  #listed(own: readonly Own[]): readonly { readonly value: Json; readonly path: string }[] | undefined {
    let found: { readonly value: Json; readonly path: string }[] | undefined;
    for (const { path, schema } of own) {
      const lists: (readonly Json[])[] = [];
      if (schema['enum'] !== undefined) {
        if (!Array.isArray(schema['enum'])) refuse(path, 'enum', 'must be a list');
        lists.push(schema['enum']);
      }
      if (schema['const'] !== undefined) lists.push([schema['const'] as Json]);
      for (const list of lists)
        found = (found ?? list.map((value, i) => ({ value, path: `${path}/!${i}` }))).filter(({ value }) =>
          list.some((one) => same(one, value)),
        );
    }
    return found;
  }

  /** A value, where the other keywords allow it. */
  #constant(
    { value, path }: { readonly value: Json; readonly path: string },
    own: readonly Own[],
    types: ReadonlySet<TypeName>,
    integer: boolean,
  ): readonly Alternative[] {
    const type = typeOf(value);
    if (!types.has(type)) return [];
    switch (type) {
      case 'null':
      case 'boolean':
        return [{ kind: 'text', text: String(value) }];
      case 'number': {
        const written = JSON.stringify(value);
        return this.#number(own, integer).some((one) => one.kind === 'number' && contains(one.language, written))
          ? [{ kind: 'text', text: written }]
          : [];
      }
      case 'string': {
        const word = String(value);
        const fits = this.#string(own).some((one) =>
          one.kind === 'length' ? inLength(word, one) : one.kind === 'string' && contains(one.language, word),
        );
        if (!fits || !word.isWellFormed()) return [];
        return [
          { kind: 'string', key: valuesKey([word]), language: this.#languages.writes(words([word])), values: [word] },
        ];
      }
      case 'array':
      case 'object': {
        const schema = exactly(value);
        const rest = own.map(({ path: at, schema: all }) => {
          const { enum: _enum, const: _const, ...others } = all;
          return { path: `${at}~`, schema: others };
        });
        const all = [...rest, { path, schema }];
        return type === 'array' ? this.#array(all) : this.#object(all);
      }
      default:
        return type satisfies never;
    }
  }

  #number(own: readonly Own[], integer: boolean): readonly Alternative[] {
    let least = -Infinity;
    let most = Infinity;
    const multiples = new Set<number>();
    for (const { path, schema } of own) {
      const read = (keyword: string): number | undefined => numberAt(path, schema, keyword);
      least = Math.max(least, read('minimum') ?? least, nextAbove(read('exclusiveMinimum') ?? -Infinity));
      most = Math.min(most, read('maximum') ?? most, nextBelow(read('exclusiveMaximum') ?? Infinity));
      const step = read('multipleOf');
      if (step !== undefined && !(step > 0)) refuse(path, 'multipleOf', 'must be above 0');
      if (step !== undefined) multiples.add(step);
    }
    const whole = integer || multiples.has(1);
    multiples.delete(1);
    const key = JSON.stringify(['number', whole, least, most, ...multiples].map(String));
    const language = this.#language(key, own[0]?.path ?? '#', () =>
      numberLanguage({ integer: whole, least, most, multiples: [...multiples] }),
    );
    return isEmpty(language) ? [] : [{ kind: 'number', key, language }];
  }

  #string(own: readonly Own[]): readonly Alternative[] {
    let least = 0;
    let most = Infinity;
    const parts = new Map<string, () => Language>();
    for (const { path, schema } of own) {
      least = Math.max(least, countAt(path, schema, 'minLength') ?? 0);
      most = Math.min(most, countAt(path, schema, 'maxLength') ?? Infinity);
      const excluded = this.#complements.excluded(schema);
      if (excluded !== undefined)
        parts.set(`not ${JSON.stringify(excluded)}`, () => without(ANYTHING, words(excluded)));
      const pattern = schema['pattern'];
      if (pattern !== undefined) {
        if (typeof pattern !== 'string') refuse(path, 'pattern', 'must be a string');
        parts.set(`/${pattern}/`, () => this.#pattern(pattern, `${path}/pattern`));
      }
      const format = schema['format'];
      if (format !== undefined) {
        const source = typeof format === 'string' && Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
        // Generators of schemas put a pattern beside formats of their own.
        if (source === undefined && typeof pattern === 'string') continue;
        if (source === undefined)
          refuse(
            path,
            'format',
            `${clipped(JSON.stringify(format))} is not supported; there are ${Object.keys(FORMATS).join(', ')}`,
          );
        parts.set(`format ${String(format)}`, () =>
          compileExpression(parseExpression(source, 'u', `${path}/format`), false),
        );
      }
    }
    if (least > most) return [];
    const place = own[0]?.path ?? '#';
    if (parts.size === 0) {
      if (least >= MOST_LENGTH) refuse(place, 'minLength', `must be below ${MOST_LENGTH}`);
      return [{ kind: 'length', least, most }];
    }
    const bounds = least === 0 && most === Infinity ? [] : [least, String(most)];
    const key = JSON.stringify([...[...parts.keys()].sort(), ...bounds]);
    const language = this.#language(key, place, () => {
      const all = [...parts].map(([part, make]) => this.#language(part, place, make));
      if (bounds.length > 0) all.push(ofLength(least, most));
      return this.#languages.writes(all.reduce(both, ANYTHING));
    });
    return isEmpty(language) ? [] : [{ kind: 'string', key, language }];
  }

  #pattern(source: string, path: string): Language {
    return compileExpression(parseExpression(source, 'u', `responseConstraint: ${path}`), true);
  }

  #language(key: string, path: string, make: () => Language): Language {
    try {
      return this.#languages.language(key, make);
    } catch (cause) {
      if (!(cause instanceof TooLarge)) throw cause;
      throw new InputError(
        'argument',
        `responseConstraint: ${path}: it needs ${cause.message}; make it simpler`,
        { path },
        { cause },
      );
    }
  }

  #array(own: readonly Own[]): readonly Alternative[] {
    let least = 0;
    let most = Infinity;
    let length = 0;
    let unique: string | undefined;
    for (const { path, schema } of own) {
      least = Math.max(least, countAt(path, schema, 'minItems') ?? 0);
      most = Math.min(most, countAt(path, schema, 'maxItems') ?? Infinity);
      const prefix = prefixOf(schema);
      if (prefix !== undefined && !Array.isArray(prefix)) refuse(path, 'prefixItems', 'must be a list of schemas');
      length = Math.max(length, Array.isArray(prefix) ? prefix.length : 0);
      if (schema['uniqueItems'] === true) unique = path;
    }
    /** What all schemas say about the item at a place; behind all prefixes it is always the same. */
    const item = (index: number): Node =>
      this.#node(
        own.flatMap((place) => {
          const prefix = prefixOf(place.schema);
          const [keyword, others] = Array.isArray(place.schema['items'])
            ? ['items', 'additionalItems']
            : ['prefixItems', 'items'];
          if (Array.isArray(prefix) && index < prefix.length)
            return [this.#document.below(place, prefix[index], keyword, index)];
          const items = place.schema[others];
          return items === undefined ? [] : [this.#document.below(place, items, others)];
        }),
      );
    if (least > most) return [];
    const prefix = Array.from({ length }, (_, i) => item(i));
    const rest = item(length);
    const array = { kind: 'array', prefix, rest, least, most } as const;
    if (unique === undefined || most <= 1) return [array];
    const texts = length === 0 ? this.#texts(rest) : undefined;
    if (texts === undefined || texts.length > MOST_UNIQUE)
      refuse(
        unique,
        'uniqueItems',
        `is supported for lists of at most one item, or whose items are one of at most ${MOST_UNIQUE} values (enum)`,
      );
    return least > texts.length ? [] : [{ ...array, unique: texts }];
  }

  /** The texts of all values of a node, where they are listed. */
  #texts(node: Node): readonly string[] | undefined {
    if (node.alternatives === 'open') return undefined;
    const texts = new Set<string>();
    for (const one of this.#alternatives(node)) {
      if (one.kind === 'text') texts.add(one.text);
      else if (one.kind === 'string' && one.values !== undefined)
        for (const value of one.values) texts.add(JSON.stringify(value));
      else return undefined;
    }
    return [...texts];
  }

  #object(own: readonly Own[]): readonly Alternative[] {
    let least = 0;
    let most = Infinity;
    const required = new Set<string>();
    const dependent = new Map<string, string[]>();
    const names = new Set<string>();
    const patterns = new Map<string, Language>();
    for (const place of own) {
      const { path, schema } = place;
      least = Math.max(least, countAt(path, schema, 'minProperties') ?? 0);
      most = Math.min(most, countAt(path, schema, 'maxProperties') ?? Infinity);
      for (const name of namesAt(path, schema, 'required')) required.add(name);
      for (const [name, list] of Object.entries(objectAt(path, schema, 'dependentRequired'))) {
        names.add(name);
        dependent.set(name, [...(dependent.get(name) ?? []), ...namesAt(path, { [name]: list }, name)]);
      }
      for (const name of Object.keys(objectAt(path, schema, 'properties'))) names.add(name);
      for (const source of Object.keys(objectAt(path, schema, 'patternProperties')))
        patterns.set(
          source,
          this.#language(`/${source}/`, path, () => this.#pattern(source, `${path}/patternProperties`)),
        );
    }
    const path = own[0]?.path ?? '#';
    for (const list of [required, ...dependent.values()]) for (const name of list) names.add(name);
    if (names.size > MOST_NAMES)
      refuse(path, 'properties', `has ${names.size} names, at most ${MOST_NAMES} are supported`);
    if (patterns.size > MOST_PATTERNS)
      refuse(path, 'patternProperties', `has ${patterns.size} patterns, at most ${MOST_PATTERNS} are supported`);
    const allowed = this.#names(own);
    const list = [...names].filter((name) => name.isWellFormed());
    const numbers = new Map(list.map((name, i) => [name, i]));
    const of = (name: string): number => numbers.get(name) ?? -1;
    if ([...required].some((name) => of(name) < 0)) return [];
    const matching = (name: string): ReadonlySet<string> =>
      new Set([...patterns].flatMap(([source, language]) => (contains(language, name) ? [source] : [])));
    const nodes = list.map((name) =>
      contains(allowed.language, name) ? this.#property(own, name, matching(name)) : this.#impossibleNode(),
    );
    const others = this.#others(own, list, patterns, allowed);
    if (least > required.size && least > 1 && others.length > 0)
      refuse(
        path,
        'minProperties',
        'is supported up to the number of required properties, or where additionalProperties is false',
      );
    return [
      {
        kind: 'object',
        names: list,
        nodes,
        required: new Set([...required].map(of)),
        dependent: new Map([...dependent].map(([name, needs]) => [of(name), needs.map(of)])),
        others,
        least,
        most,
      },
    ];
  }

  #impossibleNode(): Node {
    return this.#node([{ path: 'false', schema: false }]);
  }

  /** What all schemas say about a property; `name` is undefined for one that none lists. */
  #property(own: readonly Own[], name: string | undefined, matching: ReadonlySet<string>): Node {
    return this.#node(
      own.flatMap((place) => {
        const { path, schema } = place;
        const properties = objectAt(path, schema, 'properties');
        const found: Place[] = [];
        if (name !== undefined && Object.hasOwn(properties, name))
          found.push(this.#document.below(place, properties[name], 'properties', name));
        for (const [source, inner] of Object.entries(objectAt(path, schema, 'patternProperties')))
          if (matching.has(source)) found.push(this.#document.below(place, inner, 'patternProperties', source));
        const additional = schema['additionalProperties'];
        if (found.length === 0 && additional !== undefined)
          found.push(this.#document.below(place, additional, 'additionalProperties'));
        return found;
      }),
    );
  }

  /** Names that `propertyNames` allows. */
  #names(own: readonly Own[]): Named {
    const places = own.flatMap((place) =>
      place.schema['propertyNames'] === undefined
        ? []
        : [this.#document.below(place, place.schema['propertyNames'], 'propertyNames')],
    );
    if (places.length === 0) return { key: '', language: ANYTHING };
    let key = 'only ';
    let language = NOTHING;
    for (const one of this.#alternatives(this.#node(places))) {
      if (one.kind === 'length') {
        key += JSON.stringify([one.least, String(one.most)]);
        const { least, most } = one;
        language = either(
          language,
          least === 0 && most === Infinity
            ? ANYTHING
            : this.#language(`length ${least} ${most}`, places[0]?.path ?? '#', () => ofLength(least, most)),
        );
      } else if (one.kind === 'string') {
        key += one.key;
        language = either(language, one.language);
      }
    }
    return { key, language };
  }

  /** The names that are not listed, by the patterns that they match. */
  #others(
    own: readonly Own[],
    names: readonly string[],
    patterns: ReadonlyMap<string, Language>,
    allowed: Named,
  ): readonly OtherNames[] {
    const path = own[0]?.path ?? '#';
    const sources = [...patterns.keys()];
    const found: OtherNames[] = [];
    for (let kind = 0; kind < 2 ** sources.length; kind++) {
      const matching = new Set(sources.filter((_, i) => (kind >> i) & 1));
      const node = this.#property(own, undefined, matching);
      if (node.places.some(({ schema }) => schema === false)) continue;
      const key = JSON.stringify([
        'names',
        allowed.key,
        names,
        sources.map((source) => [source, matching.has(source)]),
      ]);
      const language = this.#language(key, path, () => {
        let left = without(allowed.language, words(names));
        for (const [source, of] of patterns) left = matching.has(source) ? both(left, of) : without(left, of);
        return this.#languages.writes(left);
      });
      if (!isEmpty(language)) found.push({ key, language, node });
    }
    return found;
  }
}

/** The schemas of the first items. Earlier drafts give them as `items`, and call the others `additionalItems`. */
function prefixOf({ prefixItems, items }: SchemaObject): unknown {
  return Array.isArray(items) ? items : prefixItems;
}

/** Characters of a string: none is longer (counted.ts). */
const MOST_LENGTH = 2 ** 24 - 1;

function children(alternative: Alternative): readonly Node[] {
  switch (alternative.kind) {
    case 'array':
      return [...alternative.prefix, alternative.rest];
    case 'object':
      return [...alternative.nodes, ...alternative.others.map(({ node }) => node)];
    default:
      return [];
  }
}

/** Whether any value fits, so far as the nodes below are known to be possible. */
function possible(alternative: Alternative): boolean {
  switch (alternative.kind) {
    case 'array':
      return Array.from({ length: Math.min(alternative.least, alternative.prefix.length + 1) }, (_, i) => i).every(
        (i) => (alternative.prefix[i] ?? alternative.rest).possible,
      );
    case 'object': {
      const { required, others, nodes, least, most } = alternative;
      const needed = withDependents(alternative, required);
      if (needed === undefined || needed.size > most) return false;
      if (others.some(({ node }) => node.possible)) return true;
      // Without other names, the listed ones must be enough.
      const usable = nodes.filter((_, i) => withDependents(alternative, new Set([...needed, i])) !== undefined).length;
      return Math.max(usable, needed.size) >= least;
    }
    case 'string':
      return !isEmpty(alternative.language);
    default:
      return true;
  }
}

/** The names and all that must be there with them; undefined where one of those cannot be. */
export function withDependents(
  { nodes, dependent }: ObjectAlternative,
  names: ReadonlySet<number>,
): ReadonlySet<number> | undefined {
  const all = new Set(names);
  for (const name of all) {
    if (nodes[name]?.possible !== true) return undefined;
    for (const needed of dependent.get(name) ?? []) all.add(needed);
  }
  return all;
}

function valuesKey(values: readonly string[]): string {
  return `values ${JSON.stringify(values)}`;
}

/** Equal texts once, and listed strings as one language. */
function distinct(alternatives: readonly Alternative[]): readonly Alternative[] {
  const texts = new Set<string>();
  const strings = new Set<string>();
  const rest: Alternative[] = [];
  for (const one of alternatives) {
    if (one.kind === 'text') texts.add(one.text);
    else if (one.kind === 'string' && one.values !== undefined && !isEmpty(one.language))
      for (const value of one.values) strings.add(value);
    else rest.push(one);
  }
  for (const text of texts) rest.push({ kind: 'text', text });
  const values = [...strings];
  if (values.length > 0) rest.push({ kind: 'string', key: valuesKey(values), language: words(values), values });
  return rest;
}

function readTypes(own: readonly Own[]): { readonly types: ReadonlySet<TypeName>; readonly integer: boolean } {
  let types = new Set<TypeName>(TYPES);
  let integer = false;
  for (const { path, schema } of own) {
    const given = schema['type'];
    if (given === undefined) continue;
    const list: readonly unknown[] = Array.isArray(given) ? given : [given];
    for (const name of list)
      if (name !== 'integer' && !TYPES.some((type) => type === name))
        refuse(path, 'type', `${clipped(JSON.stringify(name) ?? 'undefined')} is none of ${TYPES.join(', ')}, integer`);
    if (list.includes('integer') && !list.includes('number')) integer = true;
    const here = new Set(list.map((name) => (name === 'integer' ? 'number' : name)));
    types = new Set([...types].filter((type) => here.has(type)));
  }
  return { types, integer };
}

function typeOf(value: Json): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as Exclude<TypeName, 'null' | 'array'>;
}

/** The schema of exactly this list or object. */
function exactly(value: Json): SchemaObject {
  if (Array.isArray(value))
    return {
      type: 'array',
      prefixItems: value.map((one: Json) => ({ const: one })),
      items: false,
      minItems: value.length,
    };
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(value ?? {}).map(([name, one]) => [name, { const: one as Json }])),
    required: Object.keys(value ?? {}),
    additionalProperties: false,
  };
}

function same(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map<string, Json>(Object.entries(b))];
  return (
    left.length === right.size && left.every(([name, value]) => right.has(name) && same(value, right.get(name) ?? null))
  );
}

function inLength(word: string, { least, most }: { readonly least: number; readonly most: number }): boolean {
  const { length } = [...word];
  return length >= least && length <= most;
}

function numberAt(path: string, schema: SchemaObject, keyword: string): number | undefined {
  const value = schema[keyword];
  if (value !== undefined && typeof value !== 'number') refuse(path, keyword, 'must be a number');
  return value;
}

function countAt(path: string, schema: SchemaObject, keyword: string): number | undefined {
  const value = numberAt(path, schema, keyword);
  if (value !== undefined && !(Number.isInteger(value) && value >= 0))
    refuse(path, keyword, 'must be a whole number that is not negative');
  return value;
}

function namesAt(path: string, schema: SchemaObject, keyword: string): readonly string[] {
  const value = schema[keyword];
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string'))
    refuse(path, keyword, 'must be a list of names');
  return value;
}

function objectAt(path: string, schema: SchemaObject, keyword: string): Readonly<Record<string, unknown>> {
  const value = schema[keyword];
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path, keyword, 'must be an object');
  return value as Readonly<Record<string, unknown>>;
}

function tooMany(path: string): never {
  return refuse(
    path,
    'anyOf',
    `has more than ${MOST_ALTERNATIVES} alternatives, multiplied out; make the schema simpler`,
  );
}
