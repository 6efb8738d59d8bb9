/** Memory that pages leave behind: what is given back, and when. */
import { describe, expect, test } from '@jest/globals';
import { KV_FORMATS, pageIndex } from '../../src/backend/backend.ts';
import { PageAllocator } from '../../src/kv/page-allocator.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { testFace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

function allocator(): PageAllocator {
  return new PageAllocator(createReferenceBackend().kvPool({ layers: 1, kvHeads: 1, headDim: 8, format: 'f32' }));
}

describe('trim', () => {
  test.each(KV_FORMATS)(
    '%s: gives back what lies behind the last page in use, and pages are handed out again',
    (format) => {
      const pages = allocator();
      const held = pages.allocate(100, format);
      for (const page of held.slice(10)) pages.release(page);
      pages.trim();
      expect(pages.pool.pages(format)).toBe(10);
      expect(pages.used).toBe(10);
      const more = pages.allocate(5, format);
      expect(new Set([...held.slice(0, 10), ...more]).size).toBe(15);
      for (const page of [...held.slice(0, 10), ...more]) pages.release(page);
      pages.trim();
      expect(pages.pool.pages(format)).toBe(0);
      expect(pages.allocate(1, format).map(pageIndex)).toEqual([0]);
    },
  );

  test('leaves a pool alone that is more than half in use, and pages that somebody holds', () => {
    const pages = allocator();
    const held = pages.allocate(100);
    for (const page of held.slice(60)) pages.release(page);
    pages.trim();
    expect(pages.pool.pages()).toBeGreaterThanOrEqual(100);
    for (const page of held.slice(0, 59)) pages.release(page);
    pages.trim();
    expect(pages.pool.pages()).toBeGreaterThanOrEqual(100);
    expect(pages.used).toBe(1);
  });
});

test('the memory of many sessions goes back when they are destroyed', async () => {
  const model = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
  const prompt = 'A text that fills some pages. '.repeat(8);
  const sessions = [];
  for (let i = 0; i < 12; i++) {
    const session = await model.createSession({ context: { share: false }, temperature: 0, maxTokens: 2 });
    await session.prompt(`${i} ${prompt}`);
    sessions.push(session);
  }
  const { kv } = await model.memory();
  for (const session of sessions) session.destroy();
  const after = (await model.memory()).kv;
  expect(after).toBeLessThan(kv / 2);
  const again = await model.createSession({ temperature: 0, maxTokens: 4 });
  expect((await again.prompt('Hello')).length).toBeGreaterThan(0);
  await model.destroy();
});
