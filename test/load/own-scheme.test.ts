/** Addresses of an app's own scheme (Electron, Capacitor, Tauri): read by `fetch`, and not stored a second time. */
import { afterEach, expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { tinyModel } from '../support/tiny-model.ts';

const file = tinyModel({});
const store = new ModelStore({
  get: () => Promise.reject(new Error('the store was asked')),
} as never);

function appears(href: string): void {
  Object.defineProperty(globalThis, 'location', { value: new URL(href), configurable: true });
}
afterEach(() => {
  Reflect.deleteProperty(globalThis, 'location');
});

test('models of the page’s own scheme are read by ranges', async () => {
  appears('octavo://app/worker.js');
  const asked: string[] = [];
  const model = await openModel('octavo://files/models/tiny.gguf', {
    store,
    fetch: async (url, init) => {
      const range = new Headers(init?.headers).get('range') ?? '';
      asked.push(`${String(url)} ${range}`);
      const [, from = '0', to = ''] = /bytes=(\d+)-(\d*)/.exec(range) ?? [];
      const end = to === '' ? file.length : Math.min(Number(to) + 1, file.length);
      return new Response(file.slice(Number(from), end), {
        status: 206,
        headers: { 'content-range': `bytes ${from}-${end - 1}/${file.length}`, etag: '"1"' },
      });
    },
  });
  expect(model.tensors.size).toBeGreaterThan(0);
  expect(asked[0]).toMatch(/^octavo:\/\/files\/models\/tiny\.gguf bytes=0-/);
  await model.close();
});

test.each(['octavo://app/', 'https://example.org/', 'file:///app/index.html'])(
  'a page of %s reads no other scheme',
  async (page) => {
    appears(page);
    for (const address of ['other://files/tiny.gguf', 'file:///etc/passwd', 'about://blank'])
      await expect(openModel(address, { store: false, fetch: async () => new Response() })).rejects.toMatchObject({
        name: 'InputError',
        message: expect.stringContaining('addresses are not read') as unknown,
      });
  },
);
