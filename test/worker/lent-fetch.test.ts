/** Models that are loaded through a `fetch` of the page's own: its requests, its failures, and its end. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { borrowFetch, lendFetch } from '../../src/worker/lent-fetch.ts';
import { FileServer } from '../load/server.ts';
import { createFace } from '../../src/face/octavo.ts';
import type { Endpoint } from '../../src/worker/protocol.ts';
import { testFace, testPlace } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const server = new FileServer();
let origin = '';
beforeAll(async () => {
  origin = await server.start();
});
beforeEach(() => server.reset());
afterAll(() => server.stop());

const WASM = { device: 'wasm', threads: 1 } as const;

/** Both ends of a port in this process. */
function lent(own: typeof fetch): { readonly get: typeof fetch; readonly close: () => void } {
  const { port1, port2 } = new MessageChannel();
  lendFetch(own, port1);
  return { get: borrowFetch(port2), close: () => port1.close() };
}

describe('Octavo.load with a fetch of its own', () => {
  test('makes every request through it, and the model answers', async () => {
    server.files.set('/model.gguf', { bytes: tinyModel(), etag: '"1"' });
    const asked: string[] = [];
    const own: typeof fetch = (input, init = {}) => {
      asked.push(String(input));
      return fetch(input, { ...init, headers: { ...init.headers, Authorization: 'Bearer secret' } });
    };
    const model = await testFace().load(`${origin}/model.gguf`, { ...WASM, store: false, fetch: own });
    expect(await model.complete('Hello', { maxTokens: 4, temperature: 0 })).toHaveProperty('text');
    expect(asked.length).toBeGreaterThan(0);
    expect(server.requests.length).toBe(asked.length);
    for (const { headers, range } of server.requests) {
      expect(headers.authorization).toBe('Bearer secret');
      expect(range).toMatch(/^bytes=/);
    }
    const before = asked.length;
    const { reason } = model.device;
    await model.recover({ device: undefined, threads: undefined });
    expect(model.device.reason).toBe(reason);
    expect(asked.length).toBeGreaterThan(before);
    await model.destroy();
  });

  test('rejects with what it says, and ends when the load is aborted', async () => {
    const refuses: typeof fetch = async () => new Response('no', { status: 403, statusText: 'Forbidden' });
    await expect(
      testFace().load(`${origin}/model.gguf`, { ...WASM, store: false, fetch: refuses }),
    ).rejects.toMatchObject({ code: 'network', facts: { status: 403 } });
    let heard: AbortSignal | null | undefined;
    const hangs: typeof fetch = (_input, init) => {
      heard = init?.signal;
      return new Promise((_, reject) => heard?.addEventListener('abort', () => reject(heard?.reason)));
    };
    const controller = new AbortController();
    const loading = testFace().load(`${origin}/model.gguf`, {
      ...WASM,
      store: false,
      fetch: hangs,
      signal: controller.signal,
    });
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 50);
    await expect(loading).rejects.toBe(reason);
    while (heard?.aborted !== true) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

test('an engine that is gone leaves no request of the page open', async () => {
  const ended: string[] = [];
  const opened = new Set<string>();
  const own: typeof fetch = async (input, init) => {
    opened.add(String(input));
    if (String(input).endsWith('waits'))
      return new Promise((_, reject) =>
        init?.signal?.addEventListener('abort', () => {
          ended.push('waits');
          reject(new Error('aborted'));
        }),
      );
    // Takes no notice of the signal, and sends more than the engine takes.
    return new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel: () => void ended.push('sends'),
      }),
    );
  };
  // An engine that makes its requests and is ended before it can cancel them, as a worker is.
  const engine: Endpoint = {
    post: (message) => {
      const call = message as { kind: string; params: { fetch: MessagePort } };
      if (call.kind !== 'call') return;
      const get = borrowFetch(call.params.fetch);
      void get('https://example.org/waits');
      void get('https://example.org/sends');
    },
    listen: () => undefined,
    close: () => undefined,
  };
  const controller = new AbortController();
  const face = createFace({ ...testPlace(), startEngine: async () => engine });
  const loading = face.load('https://example.org/m.gguf', { fetch: own, signal: controller.signal });
  while (opened.size < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort(new Error('enough'));
  await expect(loading).rejects.toThrow('enough');
  while (ended.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(ended.sort()).toEqual(['sends', 'waits']);
});

describe('a response across the port', () => {
  test('has its status, headers and bytes, chunk by chunk without running ahead of the reader', async () => {
    let made = 0;
    const chunks = 100;
    const { get, close } = lent(
      async () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              if (made === chunks) return controller.close();
              controller.enqueue(new Uint8Array(1000).fill(made++));
            },
          }),
          { status: 206, headers: { 'Content-Range': 'bytes 0-99999/100000' } },
        ),
    );
    const response = await get('https://example.org/file');
    expect([response.status, response.headers.get('content-range')]).toEqual([206, 'bytes 0-99999/100000']);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(made).toBeLessThan(30);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(bytes).toEqual(Uint8Array.from({ length: 1000 * chunks }, (_, i) => Math.floor(i / 1000)));
    close();
  });

  test('without a body, an error, and a body that breaks', async () => {
    let turn = 0;
    const broken = (): Response =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new Uint8Array(4)),
          pull: (controller) => controller.error(new Error('cable')),
        }),
      );
    const { get, close } = lent(async () => {
      switch (turn++) {
        case 0:
          return new Response(null, { status: 204 });
        case 1:
          throw new TypeError('offline');
        case 2:
          return Response.error();
        default:
          return broken();
      }
    });
    expect((await get('https://example.org/')).status).toBe(204);
    await expect(get('https://example.org/')).rejects.toThrow('offline');
    expect((await get('https://example.org/')).type).toBe('error');
    await expect((await get('https://example.org/')).arrayBuffer()).rejects.toThrow('cable');
    close();
  });

  test('cancelling the body ends the request of the page', async () => {
    let cancelled = false;
    const { get, close } = lent(
      async () =>
        new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(10)),
            cancel: () => void (cancelled = true),
          }),
        ),
    );
    const response = await get('https://example.org/endless');
    await response.body?.cancel();
    while (!cancelled) await new Promise((resolve) => setTimeout(resolve, 5));
    close();
  });
});
