/** Licences of what is bundled. */
import { describe, expect, test } from '@jest/globals';
import { notice, packageFolder } from '../../tools/notices.mjs';

describe('third-party notices', () => {
  test('the package that a bundled file belongs to', () => {
    expect(packageFolder('/a/node_modules/minisearch/dist/es/index.js')).toBe('/a/node_modules/minisearch');
    expect(packageFolder('/a/node_modules/@x/y/lib/z.js')).toBe('/a/node_modules/@x/y');
    expect(packageFolder('/a/node_modules/b/node_modules/c/c.js')).toBe('/a/node_modules/b/node_modules/c');
    expect(packageFolder('/a/src/index.ts')).toBeUndefined();
  });

  test('a notice has name, version, licence and its text', () => {
    const text = notice('node_modules/minisearch');
    expect(text).toMatch(/^minisearch \d+\.\d+\.\d+ \(MIT\)\n\n/);
    expect(text).toContain('Permission is hereby granted');
  });
});
