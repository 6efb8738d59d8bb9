/** What tools/layouts.mjs reads out of AssemblyScript sources, against a compiled module; and that what it wrote is current. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import asc from 'assemblyscript/asc';
import { constant, exported, exportsText, layout, outputs, recordsText, sources } from '../../tools/layouts.mjs';

const RECORD = `
@unmanaged
export class Mixed {
  pool: usize;
  /** A comment; with punctuation: and (brackets). */
  scale: f32;
  last: f64;
  count: u32;
}
export const LIMIT: u32 = 0x40;
@unmanaged
export class Tail {
  first: u32;
  second: f32;
}
export function fieldAt(i: u32): usize {
  switch (i) {
    case 0: return offsetof<Mixed>('pool');
    case 1: return offsetof<Mixed>('scale');
    case 2: return offsetof<Mixed>('last');
    case 3: return offsetof<Mixed>('count');
    default: return offsetof<Mixed>();
  }
}
`;
const files: Record<string, string> = {
  'src/index.ts': "export { fieldAt } from './inner/record';\nexport { big } from './inner';\n",
  'src/inner/record.ts': RECORD,
  'src/inner/index.ts': 'export function big(_unused: usize, wide: i64): void {}\n',
};
const parsed = sources('src/index', (path: string) => files[path]);

test('places of fields are those that the compiler uses', async () => {
  let bytes: Uint8Array | undefined;
  const { error } = await asc.main(['src/index.ts', '--outFile', 'out.wasm', '--runtime', 'stub'], {
    readFile: (name: string) => files[name.replaceAll('\\', '/')] ?? null,
    writeFile: (name: string, contents: Uint8Array | string) => {
      if (name.endsWith('.wasm') && typeof contents !== 'string') bytes = contents;
    },
    listFiles: () => [],
  });
  expect(error).toBeNull();
  const { instance } = await WebAssembly.instantiate(Uint8Array.from(bytes!), { env: { abort: () => {} } });
  const fieldAt = instance.exports['fieldAt'] as (i: number) => number;
  const { fields, bytes: size } = layout(parsed.get('inner/record'), 'Mixed');
  expect(fields.map((field: { name: string; offset: number }) => [field.name, field.offset])).toEqual([
    ['pool', fieldAt(0)],
    ['scale', fieldAt(1)],
    ['last', fieldAt(2)],
    ['count', fieldAt(3)],
  ]);
  expect(size).toBeGreaterThanOrEqual(fieldAt(4));
});

test('constants and exports', () => {
  expect(constant(parsed.get('inner/record'), 'LIMIT')).toBe(64);
  expect(() => constant(parsed.get('inner/record'), 'NONE')).toThrow('NONE');
  expect(() => layout(parsed.get('inner/record'), 'Nothing')).toThrow('Nothing');
  expect(exported(parsed, 'index')).toEqual([
    { path: 'inner/record', members: ['fieldAt(i: number): number'] },
    { path: 'inner', members: ['big(unused: number, wide: bigint): void'] },
  ]);
  expect(exportsText(exported(parsed, 'index'))).toContain('  fieldAt(i: number): number;\n');
});

test('a record is written whole, field by field, at its place', () => {
  const text = recordsText(parsed, { 'inner/record': { records: ['Tail'] } });
  expect(text).toContain('export const tailWords = 2;');
  expect(text).toContain('words[at] = record.first;\n  floats[at + 1] = record.second;\n');
  expect(() => recordsText(parsed, { 'inner/record': { records: ['Mixed'] } })).toThrow('64 bits');
});

test('the generated files are current', () => {
  for (const [file, text] of Object.entries(outputs()))
    expect([file, readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')]).toEqual([file, text]);
});
