/** Which changes make tools/asc.mjs compile again. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { inputsHash } from '../../tools/asc.mjs';

const root = mkdtempSync(join(tmpdir(), 'asc-'));
afterAll(() => rmSync(root, { recursive: true }));

function write(name: string, text: string): void {
  writeFileSync(join(root, name), text);
}
const config = (simd: object): string =>
  JSON.stringify({ entries: ['assembly/index.ts'], options: {}, targets: { scalar: { outFile: 's' }, simd } });

test('contents, paths, options and the compiler count; file times do not', () => {
  mkdirSync(join(root, 'assembly', 'kernels'), { recursive: true });
  write('asconfig.json', config({ outFile: 'a' }));
  write('assembly/index.ts', 'export const a = 1;');
  write('assembly/kernels/b.ts', 'export const b = 2;');
  const first = inputsHash(root, 'simd', '1.0.0');
  utimesSync(join(root, 'assembly/index.ts'), new Date(2e12), new Date(2e12));
  expect(inputsHash(root, 'simd', '1.0.0')).toBe(first);

  expect(inputsHash(root, 'simd', '1.0.1')).not.toBe(first);
  const scalar = inputsHash(root, 'scalar', '1.0.0');
  write('asconfig.json', config({ outFile: 'a', enable: ['simd'] }));
  expect(inputsHash(root, 'simd', '1.0.0')).not.toBe(first);
  expect(inputsHash(root, 'scalar', '1.0.0')).toBe(scalar);
  write('asconfig.json', config({ outFile: 'a' }));

  write('assembly/kernels/b.ts', 'export const b = 3;');
  expect(inputsHash(root, 'simd', '1.0.0')).not.toBe(first);
  write('assembly/kernels/b.ts', 'export const b = 2;');
  expect(inputsHash(root, 'simd', '1.0.0')).toBe(first);
  write('assembly/c.ts', '');
  expect(inputsHash(root, 'simd', '1.0.0')).not.toBe(first);
});
