import { afterEach, describe, expect, test } from '@jest/globals';
import { DeviceError, FileError, InputError, OctavoError, StorageError } from '../../src/errors.ts';
import { AnswerStream } from '../../src/face/stream.ts';
import { Caller } from '../../src/worker/caller.ts';
import { portEndpoint } from '../../src/worker/endpoints.ts';
import type { Call, Calls } from '../../src/worker/api.ts';
import { CREDITS, packError, unpackError, type Endpoint } from '../../src/worker/protocol.ts';
import { respond, type Handlers } from '../../src/worker/responder.ts';

const open: Endpoint[] = [];
afterEach(() => open.splice(0).forEach((endpoint) => endpoint.close()));

function connect<Api extends Calls<Api>>(handlers: Handlers<Api>): Caller<Api> {
  const { port1, port2 } = new MessageChannel();
  const ends = [portEndpoint(port1), portEndpoint(port2)] as const;
  open.push(...ends);
  respond(ends[1], handlers);
  return new Caller<Api>(ends[0]);
}
const pause = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** However busy the machine is; a test that waits in vain ends by its own limit. */
const until = async (there: () => boolean): Promise<void> => {
  while (!there()) await pause();
};

describe('calls between page and engine', () => {
  test('results and events', async () => {
    const caller = connect<{ add: Call<{ a: number; b: number }, number, string> }>({
      add: ({ a, b }, context) => {
        context.event('on it');
        return a + b;
      },
    });
    const heard: unknown[] = [];
    expect(await caller.call('add', { a: 1, b: 2 }, { onEvent: (value) => heard.push(value) })).toBe(3);
    expect(heard).toEqual(['on it']);
  });

  test.each([
    new InputError('too-long', 'too long', { tokens: 5, window: 4 }),
    new FileError('truncated', { file: 'a.gguf', field: 'magic', offset: 0 }, 'four bytes expected'),
    new DeviceError('lost', 'gone'),
    new StorageError('quota', 'full', { needed: 7 }, { cause: new TypeError('inner') }),
  ])('$name keeps class, code, facts and cause', async (error) => {
    const caller = connect<{ fail: Call }>({
      fail: () => {
        throw error;
      },
    });
    const found = await caller.call('fail', {}).catch((problem: unknown) => problem);
    expect(found).toBeInstanceOf(error.constructor);
    expect(found).toBeInstanceOf(OctavoError);
    expect(found).toMatchObject({ name: error.name, code: error.code, facts: error.facts, message: error.message });
    expect((found as Error).stack).toBe(error.stack);
    if (error.cause !== undefined)
      expect((found as Error).cause).toMatchObject({ name: 'TypeError', message: 'inner' });
  });

  test('strange errors arrive as errors', () => {
    expect(unpackError(packError('words'))).toMatchObject({ message: 'words' });
    const endless = new Error('a');
    endless.cause = endless;
    expect(unpackError(packError(endless)).message).toBe('a');
    expect(unpackError(packError(new DOMException('no', 'AbortError'))).name).toBe('AbortError');
  });

  test('an unknown method is refused', async () => {
    await expect(connect<{ toString: Call }>({} as Handlers<{ toString: Call }>).call('toString', {})).rejects.toThrow(
      "no method 'toString'",
    );
  });

  test("an abort rejects at once with the signal's own reason, and reaches the engine", async () => {
    let stopped = false;
    const caller = connect<{ wait: Call }>({
      wait: (_, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            stopped = true;
            reject(new Error('stopped'));
          }),
        ),
    });
    const controller = new AbortController();
    const call = caller.call('wait', {}, { signal: controller.signal });
    await pause();
    const reason = { why: 'enough' };
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await pause();
    expect(stopped).toBe(true);
    await expect(caller.call('wait', {}, { signal: controller.signal })).rejects.toBe(reason);
  });

  test('when the engine is gone everything pending and everything later rejects', async () => {
    const caller = connect<{ wait: Call }>({ wait: () => new Promise(() => undefined) });
    const call = caller.call('wait', {});
    caller.fail(new DeviceError('lost', 'the worker ended'));
    await expect(call).rejects.toMatchObject({ code: 'lost' });
    await expect(caller.call('wait', {})).rejects.toMatchObject({ code: 'lost' });
  });
});

describe('what the page does wrong, or too late', () => {
  type Api = { readonly make: Call<object, number, string, string> };
  const slow = (ended: { aborted: boolean }): Caller<Api> =>
    connect<Api>({
      make: async (_, context) => {
        context.event('on it');
        await pause(20);
        ended.aborted = context.signal.aborted;
        return 7;
      },
    });

  test.each(['throws', 'rejects'])('a callback that %s ends the call with its error', async (how) => {
    const ended = { aborted: false };
    const error = new RangeError('mine');
    const onEvent = (): unknown => {
      if (how === 'throws') throw error;
      return Promise.reject(error);
    };
    await expect(slow(ended).call('make', {}, { onEvent })).rejects.toBe(error);
    await pause(40);
    expect(ended.aborted).toBe(true);
  });

  test('a result that comes after its abort is handed over, once', async () => {
    const late: number[] = [];
    const controller = new AbortController();
    const caller = slow({ aborted: false });
    const call = caller.call('make', {}, { signal: controller.signal, onLate: (value) => late.push(value) });
    await pause();
    controller.abort(new RangeError('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(await caller.call('make', {}, { onLate: (value) => late.push(value) })).toBe(7);
    expect(late).toEqual([7]);
  });
});

describe('what is large or late', () => {
  test('a result goes over without a copy', async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const caller = connect<{ give: Call<object, { bytes: Uint8Array }> }>({
      give: (_, context) => {
        context.transfer(bytes.buffer);
        return { bytes };
      },
    });
    expect(await caller.call('give', {})).toEqual({ bytes: new Uint8Array([1, 2, 3]) });
    expect(bytes).toHaveLength(0);
  });

  test('parameters may come later; an abort before that is heard, and the call is never sent', async () => {
    const asked: unknown[] = [];
    const caller = connect<{ ask: Call }>({ ask: (params) => void asked.push(params) });
    const transfer: ArrayBuffer[] = [];
    const late = (value: Uint8Array): Promise<unknown> =>
      pause().then(() => {
        transfer.push(value.buffer as ArrayBuffer);
        return { value };
      });
    const sent = new Uint8Array([4]);
    await caller.call('ask', late(sent), { transfer });
    expect(asked).toEqual([{ value: new Uint8Array([4]) }]);
    expect(sent).toHaveLength(0);
    const controller = new AbortController();
    const call = caller.call('ask', late(new Uint8Array([5])), { signal: controller.signal });
    controller.abort(new RangeError('enough'));
    await expect(call).rejects.toThrow('enough');
    await expect(caller.call('ask', Promise.reject(new RangeError('no picture')))).rejects.toThrow('no picture');
    await pause(20);
    expect(asked).toHaveLength(1);
  });

  test('only the newest waits for room', async () => {
    let send: (value: number) => void = () => undefined;
    let end: () => void = () => undefined;
    let asked = false;
    const caller = connect<{ show: Call<object, void, never, { value: number }> }>({
      show: (_, context) => {
        send = (value) => context.latest({ value });
        asked = true;
        return new Promise<void>((resolve) => (end = resolve));
      },
    });
    const shown: unknown[] = [];
    const { result, take } = caller.stream('show', {}, { credits: 1, onItem: ({ value }) => shown.push(value) });
    await until(() => asked);
    for (let i = 1; i <= 5; i++) send(i);
    await until(() => shown.length > 0);
    await pause();
    expect(shown).toEqual([1]);
    take();
    await until(() => shown.length > 1);
    expect(shown).toEqual([1, 5]);
    take();
    await pause();
    expect(shown).toEqual([1, 5]);
    send(6);
    await until(() => shown.length > 2);
    expect(shown).toEqual([1, 5, 6]);
    send(7);
    end();
    await result;
    await pause();
    expect(shown).toEqual([1, 5, 6]);
  });
});

describe('streams', () => {
  type Counting = { readonly count: Call<object, { total: number }, never, string> };
  const counting = (sent: { count: number }, length: number): Handlers<Counting> => ({
    count: async (_, context) => {
      for (let i = 0; i < length; i++) {
        await context.item(`${i} `);
        sent.count = i + 1;
      }
      return { total: length };
    },
  });
  const stream = (caller: Caller<Counting>, signal?: AbortSignal): AnswerStream<string, { total: number }> =>
    new AnswerStream((hooks) => caller.stream('count', {}, hooks), signal);

  test('all items in order, then the report', async () => {
    const caller = connect(counting({ count: 0 }, 100));
    const answer = stream(caller);
    let text = '';
    for await (const piece of answer) text += piece;
    expect(text.trim().split(' ').map(Number)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(await answer.finished).toEqual({ total: 100 });
  });

  test('the engine waits while nobody reads', async () => {
    const sent = { count: 0 };
    const answer = stream(connect(counting(sent, 100)));
    await pause(20);
    expect(sent.count).toBe(CREDITS);
    const reader = answer.getReader();
    for (let i = 0; i < 5; i++) expect((await reader.read()).value).toBe(`${i} `);
    await pause(20);
    expect(sent.count).toBe(CREDITS + 5);
    await reader.cancel();
    await expect(answer.finished).rejects.toBeDefined();
  });

  test('leaving the loop ends the answer', async () => {
    const sent = { count: 0 };
    const answer = stream(connect(counting(sent, 10_000)));
    for await (const piece of answer) if (piece === '3 ') break;
    await expect(answer.finished).rejects.toBeDefined();
    await pause();
    expect(sent.count).toBeLessThan(100);
  });

  test('an abort rejects the reader with its reason', async () => {
    const controller = new AbortController();
    const answer = stream(connect(counting({ count: 0 }, 10_000)), controller.signal);
    const read = (async () => {
      for await (const piece of answer) if (piece === '5 ') controller.abort(new RangeError('enough'));
    })();
    await expect(read).rejects.toThrow(new RangeError('enough'));
  });

  test('a failure comes after the pieces before it', async () => {
    const caller = connect<Counting>({
      count: async (_, context) => {
        await context.item('one');
        throw new DeviceError('lost', 'gone');
      },
    });
    const reader = stream(caller).getReader();
    expect((await reader.read()).value).toBe('one');
    await expect(reader.read()).rejects.toMatchObject({ name: 'DeviceError', code: 'lost' });
  });

  test('it is a ReadableStream: pipes work', async () => {
    const caller = connect(counting({ count: 0 }, 3));
    const bytes = stream(caller).pipeThrough(
      new TextEncoderStream() as unknown as ReadableWritablePair<Uint8Array, string>,
    );
    expect(await new Response(bytes as ReadableStream<Uint8Array<ArrayBuffer>>).text()).toBe('0 1 2 ');
  });
});
