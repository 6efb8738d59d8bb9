/** What the public suite does not ask: orders, white space, bounds, hostile schemas, poor vocabularies, and what sessions share. */
import { describe, expect, test } from '@jest/globals';
import type { JsonSchema } from '../../src/constrain/grammar.ts';
import { Constraints } from '../../src/constrain/index.ts';
import { InputError } from '../../src/errors.ts';
import { random } from '../support/random.ts';
import { allows, Cutter, toyTokenizer } from './toy.ts';

const tokenizer = toyTokenizer();
const constraints = new Constraints(tokenizer, tokenizer.facts.vocabulary);
const cutter = new Cutter(tokenizer);
const end = tokenizer.facts.eos[0]!;

function fits(schema: JsonSchema, text: string): boolean {
  const constraint = constraints.constraint({ kind: 'json', schema });
  return cutter.cut(text, random(text.length)).every((id) => constraint.accept(id)) && allows(constraint.mask(), end);
}

const person = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer' },
    tags: { type: 'array', items: { enum: ['a', 'b'] } },
  },
  required: ['name', 'age'],
  additionalProperties: false,
} as const;

test.each([
  ['{"name":"x","age":3}', true],
  ['{"age":3,"name":"x"}', true],
  ['{"tags":["a","b"],"age":3,"name":"x"}', true],
  ['{"name":"x","name":"y","age":3}', false],
  ['{"name":"x"}', false],
  ['{ "name": "x",\n\t"age": 3 }', true],
  ['{"name" :"x","age":3}', false],
  ['{"name":  "x","age":3}', false],
  [' {"name":"x","age":3}', false],
  ['{"name":"x","age":3}\n', false],
  ['{"name":"\\u0078","age":3}', false],
  ['{"name":"\\n\\u0001","age":3}', true],
  [JSON.stringify({ name: 'x', age: 1, tags: ['a'] }, null, 2), true],
])('%j: %j', (text, expected) => {
  expect(fits(person, text)).toBe(expected);
});

test('an answer is done where nothing can follow, and may end where something can', () => {
  const object = constraints.constraint({ kind: 'json', schema: person });
  for (const id of cutter.cut('{"name":"x","age":3}')) expect(object.done || !object.accept(id)).toBe(false);
  expect(object.done).toBe(true);
  const number = constraints.constraint({ kind: 'json', schema: { type: 'integer' } });
  expect(allows(number.mask(), end)).toBe(false);
  for (const id of cutter.cut('12')) number.accept(id);
  expect(number.done).toBe(false);
  expect(allows(number.mask(), end)).toBe(true);
});

test('numbers: bounds between doubles, exponents, the largest', () => {
  expect(fits({ type: 'number', exclusiveMaximum: 1 }, '0.9999999999999999')).toBe(true);
  // The nearest double is 1.
  expect(fits({ type: 'number', exclusiveMaximum: 1 }, '0.99999999999999999999')).toBe(false);
  expect(fits({ type: 'number' }, String(Number.MAX_VALUE))).toBe(true);
  expect(fits({ type: 'number' }, '1.8e+308')).toBe(false);
  expect(fits({ type: 'number', exclusiveMinimum: 0 }, '5e-324')).toBe(true);
  expect(fits({ type: 'number', exclusiveMinimum: 0 }, '2e-324')).toBe(false);
  expect(fits({ type: 'integer', minimum: 1e20 }, '1e+21')).toBe(true);
  const r = random(5);
  for (let i = 0; i < 30; i++) {
    const [a, b] = [r.normal() * 10 ** r.integer(-9, 24), r.normal() * 10 ** r.integer(-9, 24)];
    const schema = { minimum: Math.min(a, b), maximum: Math.max(a, b), type: 'number' };
    const value = r.pick([a, b, (a + b) / 2, a * 1.0000001, b * 0.9999999, 0, a * 10, -a, Math.round(a)]);
    const inside = value >= schema.minimum && value <= schema.maximum;
    expect([schema, value, fits(schema, JSON.stringify(value))]).toEqual([schema, value, inside]);
  }
});

test('strings of a length, in every division into tokens', () => {
  const schema = { type: 'string', minLength: 3, maxLength: 12 };
  const r = random(9);
  for (let i = 0; i < 200; i++) {
    const word = Array.from({ length: r.integer(0, 16) }, () =>
      r.pick(['a', 'the', '🙂', '"', '\n', 'é', '\u0001']),
    ).join('');
    const { length } = [...word];
    const constraint = constraints.constraint({ kind: 'json', schema });
    const ids = cutter.cut(JSON.stringify(word), r);
    const taken = ids.every((id) => {
      const allowed = allows(constraint.mask(), id);
      expect(constraint.accept(id)).toBe(allowed);
      return allowed;
    });
    expect([word, taken]).toEqual([word, length >= 3 && length <= 12]);
  }
});

test('recursion, and a schema that no value fits', () => {
  const tree = {
    $ref: '#/$defs/node',
    $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } }, additionalProperties: false } },
  };
  expect(fits(tree, '{"next":{"next":{}}}')).toBe(true);
  expect(fits(tree, '{"next":[]}')).toBe(false);
  const endless = { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] };
  for (const schema of [
    false,
    endless,
    { allOf: [{ type: 'string' }, { type: 'null' }] },
    { type: 'string', pattern: '^a$', minLength: 2 },
  ])
    expect(() => constraints.constraint({ kind: 'json', schema })).toThrow('no JSON value');
});

describe('what is refused, with its place', () => {
  test.each<[JsonSchema, string]>([
    [{ properties: { a: { contains: {} } } }, '#/properties/a: contains is not supported'],
    [{ $defs: { x: { contains: {} } }, items: { $ref: '#/$defs/x' } }, '#/$defs/x: contains is not supported'],
    [{ requried: [] }, '#: requried is not supported'],
    [{ $ref: '#' }, '#: $ref leads back to itself'],
    [{ $ref: 'https://example.com/other' }, 'leads out of the schema'],
    [{ type: 'strnig' }, 'is none of null'],
    [{ minLength: -1 }, 'minLength must be a whole number'],
    [{ properties: { 'a/b': 3 } }, '#/properties/a~1b: it must be a schema'],
    [[] as unknown as JsonSchema, '#: it must be a schema'],
    [{ oneOf: [{ type: 'integer' }, { minimum: 2 }] }, 'oneOf is supported where its branches are apart'],
    [{ type: 'string', format: 'emial' }, 'format "emial" is not supported'],
    [{ type: 'string', pattern: '(a)\\1' }, '#/pattern: /(a)\\1/u: a backreference'],
    [{ $schema: 'https://example.com/mine' }, '$schema'],
    [{ type: 'array', uniqueItems: true }, 'uniqueItems is supported for lists of at most one item'],
    [{ minProperties: 3 }, 'minProperties is supported up to'],
  ])('%j', (schema, message) => {
    expect(() => constraints.constraint({ kind: 'json', schema })).toThrow(InputError);
    expect(() => constraints.constraint({ kind: 'json', schema })).toThrow(message);
  });

  const nested = (depth: number): JsonSchema => {
    let schema: JsonSchema = {};
    for (let i = 0; i < depth; i++) schema = { allOf: [schema] };
    return schema;
  };
  const wide = (count: number): JsonSchema => ({ anyOf: Array.from({ length: count }, (_, i) => ({ minimum: i })) });
  test.each<[string, JsonSchema]>([
    ['nested', nested(100_000)],
    ['multiplied out', { allOf: [wide(100), wide(100)] }],
    ['names', { required: Array.from({ length: 2000 }, (_, i) => `n${i}`) }],
    ['patterns', { patternProperties: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`^${i}`, {}])) }],
    ['long', { description: 'x'.repeat(2 << 20) }],
    ['a multiple', { multipleOf: 12_345.678 }],
    ['an expression', { type: 'string', pattern: '(a|b)*a(a|b){20}' }],
    ['a length', { type: 'string', pattern: 'a', maxLength: 1_000_000 }],
  ])('too large: %s', (_, schema) => {
    expect(() => constraints.constraint({ kind: 'json', schema })).toThrow(InputError);
  });

  test('a maximum beyond every answer is none', () => {
    expect(fits({ type: 'string', maxLength: 2 ** 31 - 1 }, '"abc"')).toBe(true);
  });
});

test('a vocabulary without some bytes: what it cannot write is escaped in listed texts, and left out elsewhere', () => {
  const poor = toyTokenizer([], [0xc3]);
  const limited = new Constraints(poor, poor.facts.vocabulary);
  const cut = new Cutter(poor);
  const written = (schema: JsonSchema, text: string): boolean => {
    const constraint = limited.constraint({ kind: 'json', schema });
    return cut.cut(text).every((id) => constraint.accept(id));
  };
  const schema = {
    type: 'object',
    properties: { é: { type: 'string' } },
    required: ['é'],
    additionalProperties: false,
  };
  expect(written(schema, '{"\\u00e9":"日本"}')).toBe(true);
  expect(written({ type: 'string' }, '"é')).toBe(false);
  expect(() => limited.constraint({ kind: 'text', text: 'ù' })).toThrow("this model's vocabulary cannot write");
  expect(() => limited.constraint({ kind: 'regexp', source: 'ù', flags: '' })).toThrow(
    'no text that this model can write',
  );
});

test('answers under one grammar share their masks', () => {
  const [a, b] = [0, 1].map(() => constraints.constraint({ kind: 'json', schema: person }));
  expect(a!.mask()).toBe(b!.mask());
});
