/** The import-order check itself, and that its list of rooms, the tree and the map in docs/architecture.md agree. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ROOMS, importsOf, roomOf, sources, violations } from '../../tools/rooms.mjs';

test('finds upward imports of every form', () => {
  const upward = [
    "import { a } from '../generate/generate.ts';",
    "import type { A } from '../generate/generate.ts';",
    "export * from '../generate/generate.ts';",
    "const a = await import('../generate/generate.ts');",
    "import '../generate/generate.ts';",
    "import {\n  a,\n  b,\n} from '../generate/generate.ts';",
  ];
  for (const text of upward) expect(violations([['src/kv/tiers.ts', text]])).toHaveLength(1);
  expect(violations([['src/generate/a.ts', "import { a } from '../kv/tiers.ts';"]])).toEqual([]);
  expect(violations([['src/kv/a.ts', "import { a } from './b.ts';"]])).toEqual([]);
  expect(violations([['src/nowhere/a.ts', '']])).toHaveLength(1);
});

test('the longest entry decides the room of a file', () => {
  expect(ROOMS[roomOf('src/platform/platform.ts') ?? -1]).toBe('src/platform/platform.ts');
  expect(ROOMS[roomOf('src/platform/browser.ts') ?? -1]).toBe('src/platform');
  expect(roomOf('src/kvx/a.ts')).toBeUndefined();
});

test('every import of the sources points downwards, and every room exists', () => {
  const files = sources();
  expect(files.length).toBeGreaterThan(300);
  expect(files.flatMap(([file, text]) => importsOf(file, text)).length).toBeGreaterThan(1000);
  expect(violations(files)).toEqual([]);
  for (const room of ROOMS) expect([room, existsSync(room)]).toEqual([room, true]);
});

test('docs/architecture.md lists the rooms in the same order', () => {
  const map = readFileSync('docs/architecture.md', 'utf8');
  const listed = /Import order, lowest first:\n\n((?: {4}.*\n)+)/
    .exec(map)?.[1]
    ?.split(/[\s,]+/)
    .filter(Boolean);
  expect(listed).toEqual(ROOMS);
});
