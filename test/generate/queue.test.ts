import { describe, expect, test } from '@jest/globals';
import { Gate } from '../../src/generate/queue.ts';

interface Step {
  readonly done: Promise<unknown>;
  readonly end: () => void;
}

/** What is inside, by name, in the order of coming in. */
function scene() {
  const gate = new Gate();
  const inside: string[] = [];
  const enter = (name: string, how: 'share' | 'alone', signal?: AbortSignal): Step => {
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    const done = gate[how](signal, async () => {
      inside.push(name);
      await over;
      inside.splice(inside.indexOf(name), 1);
    });
    return { done, end };
  };
  return { gate, inside, enter };
}
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('who uses the device', () => {
  test('answers together, paintings alone, in the order of coming', async () => {
    const { inside, enter } = scene();
    const a = enter('a', 'share');
    const b = enter('b', 'share');
    const p = enter('p', 'alone');
    const c = enter('c', 'share');
    const q = enter('q', 'alone');
    await settle();
    expect(inside).toEqual(['a', 'b']);
    a.end();
    await settle();
    expect(inside).toEqual(['b']);
    b.end();
    await settle();
    expect(inside).toEqual(['p']);
    p.end();
    await settle();
    expect(inside).toEqual(['c']);
    c.end();
    await settle();
    expect(inside).toEqual(['q']);
    q.end();
    await Promise.all([a, b, c, p, q].map(({ done }) => done));
  });

  test('an abort while waiting lets the others on', async () => {
    const { inside, enter } = scene();
    const a = enter('a', 'share');
    const controller = new AbortController();
    const p = enter('p', 'alone', controller.signal);
    const b = enter('b', 'share');
    await settle();
    expect(inside).toEqual(['a']);
    controller.abort(new RangeError('enough'));
    await expect(p.done).rejects.toThrow('enough');
    await settle();
    expect(inside).toEqual(['a', 'b']);
    await expect(enter('q', 'alone', controller.signal).done).rejects.toThrow('enough');
    a.end();
    b.end();
    await Promise.all([a.done, b.done]);
  });

  test('whoever waits for the outside steps aside', async () => {
    const { gate, inside, enter } = scene();
    let reader: () => void = () => undefined;
    const order: string[] = [];
    const answer = gate.share(undefined, async () => {
      expect(gate.aside(undefined)).toBeUndefined();
      await gate.aside(new Promise<void>((resolve) => (reader = resolve)));
      order.push('answer goes on');
    });
    const p = enter('p', 'alone');
    await settle();
    expect(inside).toEqual(['p']);
    reader();
    await settle();
    expect(order).toEqual([]);
    p.end();
    await answer;
    expect(order).toEqual(['answer goes on']);
    await expect(gate.share(undefined, async () => gate.aside(Promise.reject(new RangeError('gone'))))).rejects.toThrow(
      'gone',
    );
    await expect(gate.alone(undefined, async () => 'free')).resolves.toBe('free');
  });

  test('a failure leaves the gate open', async () => {
    const { gate } = scene();
    await expect(
      gate.alone(undefined, async () => {
        throw new RangeError('no');
      }),
    ).rejects.toThrow('no');
    await expect(gate.alone(undefined, async () => 1)).resolves.toBe(1);
  });
});
