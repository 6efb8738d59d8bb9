/** The least bits of keys and values: which are tried, and what is measured on nano and remembered. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { EngineModel } from '../../src/engine/model.ts';
import { ALL, leastBits, search, type Notes } from '../../src/generate/kv-bits.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { loadTest } from '../support/engine.ts';

const K8V4 = { keys: 8, values: 4 } as const;
const K4V2 = { keys: 4, values: 2 } as const;

test.each<[string, KvBits[], KvBits | undefined, KvBits[]]>([
  ['fewer bits are tried while they cost little', [], 2, [4, K4V2, 2]],
  ['and no others once one costs too much', [2], K4V2, [4, K4V2, 2]],
  ['4 bits', [K4V2], 4, [4, K4V2]],
  ['more are tried where 4 cost too much', [4], K8V4, [4, K8V4]],
  ['8 bits', [4, K8V4], 8, [4, K8V4, 8]],
  ['where all cost too much, nothing is closed', [4, K8V4, 8], undefined, [4, K8V4, 8]],
])('%s', async (_, bad, kvBits, tried) => {
  const names = bad.map((bits) => JSON.stringify(bits));
  const read: KvBits[] = [];
  const found = await search(async (bits) => {
    read.push(bits);
    return names.includes(JSON.stringify(bits)) ? 0.01 : 0.0099;
  });
  expect(ALL[found.chosen]).toEqual(kvBits);
  expect(read).toEqual(tried);
  expect(found.refused).toBe(bad.length === 0 ? null : 0.01);
});

let nano: EngineModel;
beforeAll(async () => {
  const bytes = await readFile(new URL('../../models/nano/nano.gguf', import.meta.url));
  nano = await loadTest(new Uint8Array(bytes), { contextWindow: 256 });
});
afterAll(() => nano.free());

test('what was measured is remembered by the model; a damaged note is not believed', async () => {
  const kept = new Map<string, unknown>();
  const notes: Notes = {
    note: async <T>(name: string) => kept.get(name) as T | undefined,
    setNote: async (name, value) => void kept.set(name, value),
  };
  const read = jest.spyOn(nano, 'deviceSequence');
  const first = await leastBits(nano, { notes, key: 'one' });
  // The text twice at least: without closed pages, and with them.
  expect(read.mock.calls.length).toBeGreaterThanOrEqual(2);
  expect(read.mock.calls.map(([, options]) => options?.kvBits).slice(0, 2)).toEqual([16, 4]);
  expect(first.reason).toMatch(/measured on 127 tokens/);
  const count = read.mock.calls.length;
  expect(await leastBits(nano, { notes, key: 'one' })).toEqual(first);
  expect(read.mock.calls).toHaveLength(count);
  for (const [name, value] of kept) kept.set(name, { ...(value as object), chosen: 99 });
  expect(await leastBits(nano, { notes, key: 'one' })).toEqual(first);
  expect(read.mock.calls).toHaveLength(2 * count);
  const full: Notes = { ...notes, setNote: () => Promise.reject(new Error('full')) };
  expect(await leastBits(nano, { notes: full, key: 'two' })).toEqual(first);
});
