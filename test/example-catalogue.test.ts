/** What the example applications say of the bundled models. */
import { expect, test } from '@jest/globals';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

test.each([
  ['NANO', 'models/nano/nano.gguf'],
  ['NANO_TEXT', 'models/nano-text/nano-text.gguf'],
])('the size of %s is that of its file, within two percent', (id, file) => {
  const catalogue = readFileSync(path('examples/common/models/catalogue.ts'), 'utf8');
  const [, bytes = ''] = new RegExp(String.raw`id: ${id},[^}]*?\bbytes: ([\d_]+)`).exec(catalogue) ?? [];
  const { size } = statSync(path(file));
  expect(Math.abs(Number(bytes.replaceAll('_', '')) / size - 1)).toBeLessThan(0.02);
});
