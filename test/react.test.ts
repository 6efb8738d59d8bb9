/** `octavo/react`: hooks in real React, on models in this process. */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Window } from 'happy-dom';
import { act, createElement, StrictMode, useState } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import type { OctavoFace } from '../src/face/octavo.ts';
import type { OctavoModel } from '../src/face/model.ts';
import type { ModelInput } from '../src/public.ts';
import type * as Hooks from '../src/react.ts';
import type { ModelState, PaintState, SessionState } from '../src/react.ts';
import { testFace } from './support/engine.ts';
import { tinyModel } from './support/tiny-model.ts';
import { tinyUniPic } from './support/tiny-unipic.ts';

const WASM = { device: 'wasm', threads: 1 } as const;
const face = testFace();
const loaded: OctavoModel[] = [];
const destroyed = new Set<OctavoModel>();
const Octavo: OctavoFace = {
  ...face,
  load: async (input, options) => {
    const model = await face.load(input, { ...options, ...WASM });
    loaded.push(model);
    const destroy = model.destroy.bind(model);
    model.destroy = () => {
      destroyed.add(model);
      return destroy();
    };
    return model;
  },
};
jest.unstable_mockModule('octavo', () => ({ Octavo }), { virtual: true });

let hooks: typeof Hooks;
let root: Root;
const page = new Window();
beforeAll(async () => {
  Object.assign(globalThis, { document: page.document, window: page, IS_REACT_ACT_ENVIRONMENT: true });
  hooks = await import('../src/react.ts');
});
afterEach(() => act(() => root.unmount()));
afterAll(async () => {
  await page.happyDOM.close();
  for (const name of ['document', 'window']) Reflect.deleteProperty(globalThis, name);
});

/** Renders what `read` reads of hooks, and gives its newest result. */
async function render<T>(
  read: () => T,
): Promise<{ readonly now: () => T; until(done: (state: T) => boolean): Promise<T> }> {
  let state: T | undefined;
  const Probe = (): null => {
    state = read();
    return null;
  };
  root = createRoot(page.document.createElement('div') as unknown as Element);
  await act(async () => root.render(createElement(StrictMode, null, createElement(Probe))));
  const now = (): T => state as T;
  return {
    now,
    until: async (done) => {
      while (!done(now())) await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
      return now();
    },
  };
}

const settle = (): Promise<void> => act(() => new Promise<void>((resolve) => setTimeout(resolve, 50)));

describe('a conversation', () => {
  const input: ModelInput = tinyModel();
  interface Chat {
    readonly model: ModelState;
    readonly chat: SessionState;
  }
  const mount = (of: ModelInput | undefined = input) =>
    render<Chat>(() => {
      const model = hooks.useModel(of);
      return { model, chat: hooks.useSession(model.model, { temperature: 0, maxTokens: 6 }) };
    });

  test('loads with progress, answers piece by piece, and frees the model with its component', async () => {
    const view = await mount();
    expect(view.now().model.status).toBe('loading');
    const { model } = await view.until(({ chat }) => chat.session !== undefined);
    expect(model).toMatchObject({ status: 'ready', error: undefined });
    expect(model.progress?.phase).toBeDefined();
    let answer: string | undefined;
    await act(async () => {
      answer = await view.now().chat.send('Hello');
    });
    expect(answer).toHaveLength(6);
    expect(view.now().chat).toMatchObject({ busy: false, exchanges: [{ input: 'Hello', text: answer }] });
    await act(async () => root.unmount());
    await settle();
    expect(destroyed.size).toBe(loaded.length);
  });

  test('a stopped answer is no error; a wrong question is', async () => {
    const view = await mount();
    await view.until(({ chat }) => chat.session !== undefined);
    await act(async () => {
      const asked = view.now().chat.send('Hello', { maxTokens: 500 });
      view.now().chat.stop();
      expect(await asked).toBeUndefined();
    });
    expect(view.now().chat).toMatchObject({ busy: false, error: undefined });
    await act(async () => void (await view.now().chat.send('')));
    expect(view.now().chat.error).toMatchObject({ code: 'empty' });
    await act(async () => void (await view.now().chat.send('Hello')));
    expect(view.now().chat.error).toBeUndefined();
  });

  test('another model ends the answer that is coming, without an error', async () => {
    let change: (of: ModelInput) => void = () => undefined;
    const view = await render<Chat>(() => {
      const [of, setOf] = useState<ModelInput>(input);
      change = setOf;
      const model = hooks.useModel(of);
      return { model, chat: hooks.useSession(model.model, { temperature: 0, maxTokens: 500 }) };
    });
    await view.until(({ chat }) => chat.session !== undefined);
    const { model } = view.now().model;
    let asked: Promise<string | undefined> | undefined;
    await act(async () => void (asked = view.now().chat.send('Hello')));
    await act(async () => change(tinyModel()));
    expect(await asked).toBeUndefined();
    const { chat } = await view.until((now) => now.chat.session !== undefined && now.model.model !== model);
    expect(chat).toMatchObject({ busy: false, error: undefined, exchanges: [] });
  });

  test('no input loads nothing; a broken file is told', async () => {
    const none = await render<ModelState>(() => hooks.useModel(undefined));
    expect(none.now()).toMatchObject({ status: 'idle', model: undefined });
    await act(async () => root.unmount());
    const bad = new Uint8Array(8);
    const broken = await render<ModelState>(() => hooks.useModel(bad));
    const { error } = await broken.until(({ status }) => status === 'failed');
    expect(error).toBeInstanceOf(Error);
  });
});

test('painting: progress, previews, pictures, and another one that is stopped', async () => {
  const input = tinyUniPic();
  const view = await render<PaintState>(() => hooks.usePaint(hooks.useModel(input).model));
  const options = { prompt: 'a cat', seed: 1, steps: 2, diffusionSteps: 2 };
  await act(async () => void (await view.now().paint(options)));
  expect(view.now().error?.message).toContain('not there yet');
  const before = loaded.length;
  while (loaded.length === before || view.now().busy) await settle();
  await settle();
  await act(async () => void (await view.now().paint(options)));
  const { pictures, preview, progress, error } = view.now();
  expect(error).toBeUndefined();
  expect([pictures.length, preview?.width, progress === undefined]).toEqual([1, pictures[0]?.width, false]);
  await act(async () => {
    const second = view.now().paint({ ...options, steps: 8 });
    view.now().stop();
    expect(await second).toBeUndefined();
  });
  expect(view.now()).toMatchObject({ busy: false, error: undefined, pictures: [] });
});
