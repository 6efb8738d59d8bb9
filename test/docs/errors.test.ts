/** docs/troubleshooting.md explains every error code of src/errors.ts, under its class, and none that there is not. */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';

const source = readFileSync('src/errors.ts', 'utf8');
const page = readFileSync('docs/troubleshooting.md', 'utf8');

/** The codes of each class, as its type lists them. */
const codes = new Map(
  Array.from(source.matchAll(/export type (\w+Error)Code =([^;]+);/g), ([, name, union]) => [
    name!,
    Array.from(union!.matchAll(/'([\w-]+)'/g), ([, code]) => code!),
  ]),
);

test('the source was understood', () => {
  const classes = Array.from(source.matchAll(/export class (\w+) extends OctavoError/g), ([, name]) => name);
  expect([...codes.keys()]).toEqual(classes);
  expect(Math.min(...[...codes.values()].map((list) => list.length))).toBeGreaterThan(3);
});

test.each([...codes])('%s', (name, expected) => {
  const [, section = ''] = page.split(`\n### ${name}\n`);
  const rows = Array.from(section.split('\n### ')[0]!.matchAll(/^\| `([\w-]+)` \|/gm), ([, code]) => code);
  expect(rows).toEqual(expected);
});
