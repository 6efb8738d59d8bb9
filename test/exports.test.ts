/**
 * The public exports of every entry are those of test/exports.txt, so that a change of them is deliberate: change the list with them (by hand, or with
 * OCTAVO_WRITE_EXPORTS=1), and name the change in CHANGELOG.md. What the list calls a class, a constant or a function is also what the built scripts export.
 */
import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { entries, exportsOf, VALUES } from './support/exports.ts';

const exported = entries().map((entry) => ({ ...entry, exports: exportsOf(entry.types) }));

function listOf(exports: ReadonlyMap<string, string>): string {
  return [...exports]
    .map(([name, kind]) => `  ${kind.padEnd(9)} ${name}`)
    .sort()
    .join('\n');
}

test('the entries export what test/exports.txt lists', () => {
  const whole = listOf(exported[0]!.exports);
  const lists = exported.map(({ name, exports }, i) => {
    const list = listOf(exports);
    return i > 0 && list === whole ? `${name}\n  as octavo\n` : `${name}\n${list}\n`;
  });
  if (process.env['OCTAVO_WRITE_EXPORTS'] === '1') writeFileSync('test/exports.txt', lists.join('\n'));
  expect(lists.join('\n')).toBe(readFileSync('test/exports.txt', 'utf8'));
});

test('the built scripts export the values', () => {
  const names = `const all = await Promise.all(process.argv.slice(1).map((file) => import(file)));
    console.log(JSON.stringify(all.map((one) => Object.keys(one).sort())));`;
  const scripts = exported.map(({ script }) => new URL(script, `file://${process.cwd()}/`).href);
  const found = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', names, ...scripts], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    }),
  ) as string[][];
  const expected = exported.map(({ exports }) =>
    [...exports].flatMap(([name, kind]) => (VALUES.has(kind) ? [name] : [])).sort(),
  );
  expect(found).toEqual(expected);
});
