/**
 * The public JSON-Schema-Test-Suite (test/fixtures/json-schema; draft 2020-12): every schema is refused by the name of a keyword, or exactly the
 * valid instances are accepted, as JSON.stringify writes them.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Constraints } from '../../src/constrain/index.ts';
import type { JsonSchema } from '../../src/constrain/grammar.ts';
import { InputError } from '../../src/errors.ts';
import { random } from '../support/random.ts';
import { allows, Cutter, toyTokenizer } from './toy.ts';

type Group = readonly [
  name: string,
  schema: JsonSchema,
  cases: readonly (readonly [name: string, data: unknown, valid: boolean])[],
];

const { files } = JSON.parse(
  readFileSync(new URL('../fixtures/json-schema/draft2020-12.json', import.meta.url), 'utf8'),
) as { readonly files: Readonly<Record<string, readonly Group[]>> };

/** Where answers are more bounded than the standards: each is a valid instance that cannot be written. */
const NARROWER = [
  // Formats are kept to; in the main suite they are annotations.
  /^format: .* is only an annotation by default$/,
  /leap second/,
  // A quoted local part, and addresses in place of a domain.
  /^optional\/format\/email: a quoted string/,
  /^optional\/format\/email: an IPv[46]-address-literal/,
  // Encoded labels (xn--) are not written, since no automaton decodes them.
  /^optional\/format\/hostname: (?:a valid host name \(example.test|Exceptions that are PVALID|MIDDLE DOT|Greek|Hebrew|KATAKANA|(?:Extended )?Arabic|ZERO WIDTH)/,
  /^optional\/format\/duration: a component with many digits/,
  // Multiples have at most 21 digits.
  /^optional\/float-overflow: valid if optional overflow handling/,
];

/** What is refused, by keyword. */
const REFUSED = [
  '$dynamicAnchor',
  '$dynamicRef',
  '$id',
  '$ref',
  '$schema',
  'array_of_schemas',
  'contains',
  'format',
  'maxContains',
  'minContains',
  'minProperties',
  'oneOf',
  'type',
  'unevaluatedItems',
  'unevaluatedProperties',
  'uniqueItems',
  'unknown-keyword',
  'unknown/keyword',
];

test('schemas are refused by name, or accept exactly the valid instances', () => {
  const tokenizer = toyTokenizer();
  const constraints = new Constraints(tokenizer, tokenizer.facts.vocabulary);
  const cutter = new Cutter(tokenizer);
  const r = random(7);
  const end = tokenizer.facts.eos[0]!;
  const refused = new Set<string>();
  const wrong: string[] = [];
  let right = 0;
  for (const [file, groups] of Object.entries(files))
    for (const [name, schema, cases] of groups) {
      let none = false;
      try {
        constraints.constraint({ kind: 'json', schema });
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        const { message, facts } = error as InputError;
        none = message.includes('no JSON value that ends fits');
        if (!none) {
          expect([file, name, message]).toEqual([file, name, expect.stringMatching(/^responseConstraint: #/)]);
          if (facts['keyword'] !== undefined) refused.add(String(facts['keyword']));
          continue;
        }
      }
      for (const [what, data, valid] of cases) {
        const constraint = none ? undefined : constraints.constraint({ kind: 'json', schema });
        const accepted =
          constraint !== undefined &&
          cutter.cut(JSON.stringify(data), r).every((id) => constraint.accept(id)) &&
          allows(constraint.mask(), end);
        if (accepted === valid) right++;
        else wrong.push(`${file}: ${what}${valid ? '' : ' (invalid, but accepted)'}`);
      }
    }
  expect(wrong.filter((one) => !NARROWER.some((known) => known.test(one)))).toEqual([]);
  expect([...refused].sort()).toEqual(REFUSED);
  expect(right).toBeGreaterThan(1300);
});
