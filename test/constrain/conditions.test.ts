// `then` is a keyword of JSON Schema.
// oxlint-disable unicorn/no-thenable
/** `not`, `if` and `dependentSchemas`: a text is accepted exactly where ajv finds its value valid, and what is drawn at random is valid. */
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { JsonSchema } from '../../src/constrain/grammar.ts';
import { Constraints } from '../../src/constrain/index.ts';
import { InputError } from '../../src/errors.ts';
import { random } from '../support/random.ts';
import { allows, Cutter, toyTokenizer } from './toy.ts';

const tokenizer = toyTokenizer();
const constraints = new Constraints(tokenizer, tokenizer.facts.vocabulary);
const cutter = new Cutter(tokenizer);
const end = tokenizer.facts.eos[0]!;
const ajv = new Ajv2020({ strict: false });

/** No schema has many values like these; they stand at the places where the schemas below change their minds. */
const LEAVES = [null, true, false, 0, 1, 2, 2.5, -1, 1e21, '', 'a', 'b', 'ab', 'card', 'bank'];
const VALUES: unknown[] = [
  ...LEAVES,
  [],
  [1],
  ['a', 'b', 'c'],
  ...[{}, { kind: 'card' }, { kind: 'bank' }, { kind: 1 }, { kind: null }].flatMap((one) => [
    one,
    { ...one, number: 'a' },
    { ...one, number: 2 },
    { ...one, iban: 'b' },
    { ...one, number: 'a', iban: 'b' },
  ]),
];

const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  'not a constant': { not: { const: 'a' } },
  'not one of several': { not: { enum: ['a', 'card', 1, 0, null, true] } },
  'a string that is none of these': { type: 'string', not: { enum: ['a', 'b'] }, maxLength: 4 },
  'a number that is not 1': { type: 'number', not: { const: 1 }, minimum: -2, maximum: 3 },
  'an integer that is not 1': { type: 'integer', minimum: 0, maximum: 2, not: { const: 1 } },
  'not a type': { not: { type: ['string', 'object'] } },
  'not an object with a property': { not: { required: ['kind'] } },
  'not two properties together': { type: 'object', not: { required: ['number', 'iban'] } },
  'not a property of a value': { not: { properties: { kind: { const: 'card' } } } },
  'not not': { not: { not: { type: 'string' } } },
  'not any': { not: { anyOf: [{ type: 'string' }, { required: ['kind'] }, { const: 1 }] } },
  'not all': { not: { allOf: [{ type: 'number' }, { minimum: 1 }, { maximum: 2 }] } },
  'not by reference': { $defs: { one: { enum: ['a', 1] } }, not: { $ref: '#/$defs/one' } },
  'not bounds': { not: { minLength: 2, maximum: 1, minItems: 1 } },
  'if a kind, then a property': {
    type: 'object',
    properties: { kind: { enum: ['card', 'bank'] }, number: { type: 'string' }, iban: { type: 'string' } },
    required: ['kind'],
    additionalProperties: false,
    if: { properties: { kind: { const: 'card' } } },
    then: { required: ['number'] },
    else: { required: ['iban'] },
  },
  'if without then': { if: { type: 'string' }, else: { type: 'number', minimum: 1 } },
  'if within allOf': {
    type: 'object',
    allOf: [
      { if: { properties: { kind: { const: 'card' } }, required: ['kind'] }, then: { required: ['number'] } },
      { if: { properties: { kind: { const: 'bank' } }, required: ['kind'] }, then: { properties: { number: false } } },
    ],
  },
  'nested conditions': {
    if: { type: 'object' },
    then: {
      if: { required: ['number'] },
      then: { properties: { number: { type: 'string' } } },
      else: { required: ['kind'] },
    },
    else: { not: { type: ['array', 'null'] } },
  },
  'dependent schemas': {
    type: 'object',
    dependentSchemas: {
      number: { properties: { kind: { const: 'card' } }, required: ['kind'] },
      iban: { required: ['kind'] },
    },
  },
};

describe.each(Object.entries(SCHEMAS))('%s', (_, schema) => {
  const valid = ajv.compile(schema as object);

  test('accepts what is valid, and nothing else', () => {
    const r = random(3);
    const wrong = VALUES.filter((value) => {
      const constraint = constraints.constraint({ kind: 'json', schema });
      const taken = cutter.cut(JSON.stringify(value), r).every((id) => constraint.accept(id));
      return (taken && allows(constraint.mask(), end)) !== valid(value);
    });
    expect(wrong).toEqual([]);
    expect(VALUES.some((value) => valid(value))).toBe(true);
    expect(VALUES.some((value) => !valid(value))).toBe(true);
  });

  test('what is drawn at random is valid', () => {
    const r = random(11);
    for (let turn = 0; turn < 12; turn++) {
      const constraint = constraints.constraint({ kind: 'json', schema });
      const bytes: number[] = [];
      for (let length = 0; length < 60; length++) {
        const mask = constraint.mask();
        const ids = Array.from({ length: tokenizer.facts.vocabulary }, (_unused, id) => id).filter((id) =>
          allows(mask, id),
        );
        expect(ids.length).toBeGreaterThan(0);
        if (ids.includes(end)) {
          const value: unknown = JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes)));
          expect([value, valid(value)]).toEqual([value, true]);
          if (ids.length === 1 || r.integer(0, 2) === 0) break;
        }
        const id = r.pick(ids.filter((one) => one !== end));
        bytes.push(...tokenizer.tokenBytes(id));
        expect(constraint.accept(id)).toBe(true);
      }
    }
  });
});

test.each<[JsonSchema, string]>([
  [{ not: { pattern: 'a' } }, 'pattern'],
  [{ not: { const: { a: 1 } } }, 'const'],
  [{ not: { type: 'integer' } }, 'type'],
  [{ if: { uniqueItems: true }, then: { type: 'array' } }, 'uniqueItems'],
  [{ if: { oneOf: [{ type: 'string' }] }, then: true }, 'oneOf'],
  [{ not: { nonsense: 1 } }, 'nonsense'],
  [{ contains: { const: 1 } }, 'contains'],
])('%j is refused by name', (schema, keyword) => {
  const made = (): unknown => constraints.constraint({ kind: 'json', schema });
  expect(made).toThrow(InputError);
  expect(made).toThrow(keyword);
});
