import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { EngineModel } from '../../src/engine/model.ts';
import type { SessionModel } from '../../src/generate/session-cache.ts';
import { Conversation } from '../../src/chat/conversation.ts';
import type { ContextOptions } from '../../src/select/options.ts';
import { Session, type OpenSettings, type SessionListener } from '../../src/session.ts';
import type { PromptSettings } from '../../src/generate/options.ts';
import { always, bitsOf, PlacesConstraint } from '../support/constraint.ts';
import { loadTest } from '../support/engine.ts';
import { IM_END, tinyModel } from '../support/tiny-model.ts';

let model: EngineModel;
const sessions: Session[] = [];
beforeAll(async () => {
  model = await loadTest(tinyModel());
});
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.destroy())));
afterAll(() => model.free());

const GREEDY = { temperature: 0, maxTokens: 12 };
/** Nothing is shared, so that what one session answers is worked out by itself (test/session/context.test.ts has sharing). */
function begin(settings: OpenSettings = {}, on: EngineModel = model): Session {
  const session = new Session(on, { ...GREEDY, context: { share: false }, ...settings });
  sessions.push(session);
  return session;
}
/** The model with another chunk size. */
function chunked(chunk: number): SessionModel {
  const { tokenizer, templates, images, gate, window, sampling, epoch } = model;
  return {
    tokenizer,
    templates,
    images,
    gate,
    window,
    sampling,
    epoch,
    chunk,
    deviceSequence: (tokens, options) => model.deviceSequence(tokens, options),
    constrain: (grammar) => model.constrain(grammar),
    fork: (from) => model.fork(from),
  };
}
async function ask(
  session: Session,
  text: string,
  settings: PromptSettings = {},
  listener: SessionListener = {},
): Promise<string> {
  return (await session.prompt(text, settings, listener)).text;
}

describe('one answer', () => {
  test('greedy answers repeat, pieces join to the text, ids decode to it', async () => {
    const pieces: string[] = [];
    const first = await begin().prompt('Hello', {}, { onText: (piece) => void pieces.push(piece) });
    const second = await begin().prompt('Hello');
    expect(first.text).toBe(pieces.join(''));
    expect(first.text).toHaveLength(12);
    expect(second.text).toBe(first.text);
    expect(model.tokenizer.decode(first.ids)).toBe(first.text);
    expect(first).toMatchObject({ finishReason: 'length', tokens: { generated: 12, cached: 0 } });
  });

  test('prefill in chunks of any size gives the same answer', async () => {
    const text = 'What is in a name? '.repeat(9);
    const whole = await ask(begin(), text);
    for (const chunk of [1, 7, 32, 64]) {
      const parts: number[] = [];
      const session = new Session(chunked(chunk), GREEDY);
      sessions.push(session);
      expect(await ask(session, text, {}, { onPrefill: (done) => void parts.push(done) })).toBe(whole);
      expect(parts.length).toBe(Math.ceil(parts.at(-1)! / chunk));
    }
  });

  test('a seed repeats, another differs', async () => {
    const settings = { temperature: 1.5, maxTokens: 24 };
    const one = await ask(begin({ ...settings, seed: 1 }), 'Hello');
    expect(await ask(begin({ ...settings, seed: 1 }), 'Hello')).toBe(one);
    expect(await ask(begin({ ...settings, seed: 2 }), 'Hello')).not.toBe(one);
  });

  test('a stop string ends the answer before itself', async () => {
    const whole = await ask(begin(), 'Hello');
    const stop = whole.slice(5, 7);
    const at = whole.indexOf(stop);
    const pieces: string[] = [];
    const answer = await begin({ stop }).prompt('Hello', {}, { onText: (piece) => void pieces.push(piece) });
    expect(answer).toMatchObject({ text: whole.slice(0, at), finishReason: 'stop', stop });
    expect(pieces.join('')).toBe(whole.slice(0, at));
  });

  test("the model's end of turn ends the answer", async () => {
    const { ids, text } = await begin().prompt('Hello');
    const at = ids.findIndex((id, index) => index > 2 && ids.indexOf(id) === index);
    const ending = await loadTest(tinyModel({ eos: ids[at]! }));
    const answer = await begin({}, ending).prompt('Hello');
    expect(answer).toMatchObject({ text: text.slice(0, at), finishReason: 'stop', ids: ids.slice(0, at) });
    ending.free();
  });

  test('penalties keep a token from coming again', async () => {
    const { ids } = await begin({ presencePenalty: 1000, maxTokens: 20 }).prompt('Hello');
    expect(new Set(ids).size).toBe(20);
  });

  test('a constraint narrows every step', async () => {
    const digits = bitsOf(
      model.config.vocabulary,
      Array.from({ length: 10 }, (_, i) => 48 + i),
    );
    const all = new Uint32Array(digits.length).fill(0xffffffff);
    const constraint = new PlacesConstraint((place) => (place < 6 ? digits : all));
    const answer = await begin().prompt('Hello', {}, { constraint });
    for (const id of answer.ids.slice(0, 6)) expect(id >= 48 && id < 58).toBe(true);
    expect(answer.ids).toHaveLength(12);
    // Each mask is asked for once, when all ids before it are known.
    expect(constraint.log).toEqual(answer.ids.flatMap((id, place) => [`mask ${place}`, `accept ${id}`]));
    const none = always(new Uint32Array(digits.length));
    await expect(begin().prompt('Hello', {}, { constraint: none })).rejects.toMatchObject({
      code: 'non-finite',
      facts: { constrained: true },
    });
  });

  test('a constraint that is done ends the answer', async () => {
    const all = new Uint32Array(Math.ceil(model.config.vocabulary / 32)).fill(0xffffffff);
    const session = begin();
    const answer = await session.prompt('Hello', {}, { constraint: new PlacesConstraint(() => all, 4) });
    expect(answer).toMatchObject({ finishReason: 'stop', tokens: { generated: 4 } });
    expect(session.usage).toBe(answer.tokens.prompt + 4);
    const nothing = await begin().prompt('Hello', {}, { constraint: new PlacesConstraint(() => all, 0) });
    expect(nothing).toMatchObject({ text: '', finishReason: 'stop', tokens: { generated: 0 } });
  });

  test('raw text goes on without a template', async () => {
    const answer = await begin().complete('Once upon');
    expect(answer.tokens.prompt).toBe('Once upon'.length);
    const ids = model.tokenizer.encode('Once upon');
    expect((await begin().complete(ids)).text).toBe(answer.text);
  });
});

describe('a conversation', () => {
  test('later turns read only what is new, and answer as if all were read anew', async () => {
    const session = begin();
    const turns = ['Hello', 'And you?', 'Tell me more.'];
    const said: { role: 'user' | 'assistant'; content: string }[] = [];
    for (const turn of turns) {
      const answer = await session.prompt(turn);
      if (said.length > 0) expect(answer.tokens.prompt - answer.tokens.cached).toBeLessThan(60);
      const fresh = await begin().prompt([...said, { role: 'user', content: turn }]);
      expect(answer.text).toBe(fresh.text);
      expect(fresh.tokens).toMatchObject({ prompt: answer.tokens.prompt, cached: 0 });
      said.push({ role: 'user', content: turn }, { role: 'assistant', content: answer.text });
    }
  });

  test('without a chat template the text goes on, and what was read is kept', async () => {
    const base = await loadTest(tinyModel({ template: '' }));
    const session = begin({}, base);
    const first = await session.prompt('Hello');
    expect(first.tokens.prompt).toBe(5);
    const second = await session.prompt('And?');
    expect(second.tokens).toMatchObject({ prompt: 5 + 12 + 5, cached: 5 + 11 });
    expect(second.text).toBe((await begin({}, base).complete(`Hello${first.text}\nAnd?`)).text);
    base.free();
  });

  test('the answer can be begun by the caller', async () => {
    const free = await ask(begin(), 'Count');
    const led = begin();
    const rest = await led.prompt(
      [
        { role: 'user', content: 'Count' },
        { role: 'assistant', content: free.slice(0, 5), prefix: true },
      ],
      { maxTokens: 7 },
    );
    expect(rest.text).toBe(free.slice(5));
    const { tokens } = await led.prompt('more');
    expect(tokens.cached).toBeGreaterThan(20);
  });

  test('initial prompts are read before the first question', async () => {
    const initialPrompts = [{ role: 'system' as const, content: 'Be brief.' }];
    const session = begin({ initialPrompts });
    await session.start();
    const rendered = new Conversation(model, [{ role: 'system', content: ['Be brief.'] }]).render([], false);
    expect(session.usage).toBe(model.tokenizer.encode(rendered.join('')).length);
    const { tokens } = await session.prompt('Hello');
    expect(tokens.cached).toBe(
      tokens.prompt - model.tokenizer.encode('<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n').length,
    );
  });

  test('append reads ahead, measure counts', async () => {
    const session = begin();
    const cost = await session.measure('Some text.');
    expect(session.usage).toBe(0);
    await session.append('Some text.');
    expect(session.usage).toBeLessThan(cost);
    expect(session.usage).toBeGreaterThan(10);
    const { tokens } = await session.prompt('And?');
    expect(tokens.cached).toBeGreaterThan(10);
    expect(session.usage).toBe(tokens.prompt + tokens.generated);
  });

  test('a prompt that was read ahead is answered as any other, and leaves nothing in the conversation', async () => {
    const question = 'What is in a name? '.repeat(8);
    const never = begin();
    const expected = await ask(never, question);
    const session = begin();
    await session.prefill(`${question}A rose`);
    expect(session.usage).toBe(0);
    const other = await session.prompt('What is in a name?');
    expect(other.tokens.cached).toBeGreaterThan(20);
    const again = begin();
    await again.prefill(question.slice(0, 40));
    await again.prefill(question);
    const { text, tokens } = await again.prompt(question);
    expect([text, tokens.prompt - tokens.cached]).toEqual([expected, 1]);
    expect(await ask(again, 'And?')).toBe(await ask(never, 'And?'));
    await expect(session.prefill('x'.repeat(600))).rejects.toMatchObject({ code: 'too-long' });
  });

  test('a clone goes its own way and shares pages until then', async () => {
    const text = 'What is in a name? '.repeat(8);
    const session = begin();
    await session.prompt(text);
    const before = model.pagesUsed;
    const copy = await session.clone();
    sessions.push(copy);
    expect(model.pagesUsed).toBe(before);
    const left = await ask(session, 'Left?');
    const right = await ask(copy, 'Right?');
    expect(left).not.toBe(right);
    expect(model.pagesUsed).toBeLessThan(2 * before);
    const again = begin();
    await again.prompt(text);
    expect(await ask(again, 'Right?')).toBe(right);
    expect(await ask(session, 'Left again?')).toBeDefined();
  });

  test('on overflow the oldest exchanges go, the initial prompts stay', async () => {
    const small = await loadTest(tinyModel(), { contextWindow: 160 });
    const session = begin({ initialPrompts: [{ role: 'system', content: 'Be brief.' }] }, small);
    await session.start();
    let overflows = 0;
    let last = 0;
    for (let i = 0; i < 6; i++) {
      const { tokens } = await session.prompt(`Question ${i}?`, {}, { onOverflow: () => void overflows++ });
      expect(tokens.prompt + tokens.generated).toBeLessThanOrEqual(160);
      last = tokens.cached;
    }
    expect(overflows).toBeGreaterThan(0);
    // What stays the same at the front is kept.
    expect(last).toBeGreaterThanOrEqual(20);
    small.free();
  });
});

describe('a full window whose rest is moved', () => {
  /** Cached tokens and answers of prompts to a model with a small window, and how often it overflowed. */
  async function talk(
    context: ContextOptions,
  ): Promise<{ cached: number[]; texts: string[]; overflows: number; after: number }> {
    const small = await loadTest(tinyModel({ window: 640 }), { contextWindow: 640 });
    const before = small.pagesUsed;
    const session = new Session(small, {
      ...GREEDY,
      initialPrompts: [{ role: 'system', content: 'Be brief.' }],
      context,
    });
    const found = { cached: [] as number[], texts: [] as string[], overflows: 0, after: 0 };
    for (let i = 0; i < 8; i++) {
      const { text, tokens } = await session.prompt(
        `Question ${i}? ${'What is in a name? '.repeat(5)}`,
        {},
        { onOverflow: () => void found.overflows++ },
      );
      found.cached.push(tokens.cached);
      found.texts.push(text);
      expect(tokens.prompt + tokens.generated).toBeLessThanOrEqual(640);
    }
    // A clone and what follows go on from what was moved.
    const copy = await session.clone();
    expect((await copy.prompt('And?')).text).toBe((await session.prompt('And?')).text);
    await copy.destroy();
    await session.destroy();
    found.after = small.pagesUsed - before;
    small.free();
    return found;
  }

  test.each<[ContextOptions]>([[{}], [{ kvBits: 8 }], [{ share: false }]])(
    '%j: the same until it overflows, then the rest is there already, and nothing is left',
    async (context) => {
      const read = await talk(context);
      const moved = await talk({ ...context, overflow: 'move' });
      expect(moved.overflows).toBe(read.overflows);
      expect(moved.overflows).toBeGreaterThan(0);
      const first = read.cached.findIndex((tokens, i) => i > 0 && tokens < read.cached[i - 1]!);
      expect(first).toBeGreaterThan(0);
      expect(moved.texts.slice(0, first)).toEqual(read.texts.slice(0, first));
      // All but the newest question.
      expect(moved.cached[first]).toBeGreaterThan(read.cached[first]! + 100);
      expect(moved.texts.every((text) => text.length > 0)).toBe(true);
      expect([read.after, moved.after]).toEqual([0, 0]);
    },
  );

  test('with methods that choose keys it is refused', async () => {
    for (const context of [{ prefill: 'dhsa' }, { decode: 'tokens' }, { evict: 'snapkv' }, { heads: 'razor' }] as const)
      await expect(Session.open(model, { context: { ...context, overflow: 'move' } })).rejects.toThrow('overflow');
    await expect(Session.open(model, { context: { overflow: 'drop' as 'move' } })).rejects.toThrow('read, move');
  });
});

describe('what cannot be', () => {
  test('an empty prompt', () => {
    expect(() => begin().prompt('')).toThrow('empty');
    expect(() => begin().complete('')).toThrow('empty');
  });

  test('a prompt longer than the window names both numbers, and the session goes on', async () => {
    const session = begin();
    await expect(session.prompt('x'.repeat(600))).rejects.toMatchObject({
      name: 'InputError',
      code: 'too-long',
      facts: { window: 512 },
    });
    await expect(session.append('x'.repeat(600))).rejects.toMatchObject({ code: 'too-long' });
    expect(await ask(session, 'Hello')).toBe(await ask(begin(), 'Hello'));
  });

  test('the window fills up: the answer ends by its length', async () => {
    const answer = await begin().prompt('x'.repeat(470), { maxTokens: 1000 });
    expect(answer.finishReason).toBe('length');
    expect(answer.tokens.prompt + answer.tokens.generated).toBe(512);
  });

  test('logits that are not numbers', async () => {
    const broken = await loadTest(
      tinyModel({ damage: (name, values) => name === 'output_norm.weight' && values.fill(3e38) }),
    );
    await expect(begin({}, broken).prompt('Hello')).rejects.toMatchObject({ name: 'ModelError', code: 'non-finite' });
    broken.free();
  });

  test('what a prompt leaves undefined is as in the session, and one way to say how varied it is replaces the other', async () => {
    const short = await begin({ maxTokens: 3 }).prompt('Hello', { maxTokens: undefined });
    expect(short.tokens.generated).toBe(3);
    const likeliest = await ask(begin(), 'Hello');
    const varied = begin({ temperature: 100, topK: 0, seed: 1 });
    expect(await ask(varied, 'Hello', { samplingMode: 'most-predictable' })).toBe(likeliest);
    const creative = { temperature: undefined, samplingMode: 'most-creative' } as const;
    expect(await ask(begin(creative), 'Hello', { temperature: 0 })).toBe(likeliest);
    // The mode's temperature stays where only the other half is named.
    const sure = { temperature: undefined, samplingMode: 'most-predictable' } as const;
    expect(await ask(begin(sure), 'Hello', { topK: 50 })).toBe(likeliest);
  });

  test('wrong settings, by name', async () => {
    expect(() => begin({ temperature: -1 })).toThrow('temperature');
    await expect(Session.open(model, { context: { window: 10_000 } })).rejects.toThrow('context.window');
    await expect(begin().prompt('Hello', { maxTokens: 0 })).rejects.toThrow('maxTokens');
    await expect(begin().prompt('Hello', { stop: [''] })).rejects.toThrow('stop');
    await expect(loadTest(tinyModel(), { contextWindow: 4096 })).rejects.toThrow('contextWindow');
  });

  test('ids that the model does not know', async () => {
    for (const id of [-1, model.config.vocabulary]) {
      await expect(begin().complete(Int32Array.of(1, id, 2))).rejects.toMatchObject({
        name: 'InputError',
        code: 'argument',
        facts: { id },
      });
    }
  });

  test('a head that is larger than the vocabulary draws only ids that stand for text', async () => {
    const padded = await loadTest(tinyModel({ padding: 21 }));
    expect(padded.config.vocabulary).toBe(padded.tokenizer.facts.vocabulary + 21);
    const settings = { temperature: 50, maxTokens: 150, seed: 3 };
    const only = (at: number): Uint32Array => {
      const bits = new Uint32Array(Math.ceil(padded.config.vocabulary / 32));
      for (let id = at; id < padded.config.vocabulary; id++) bits[id >> 5]! |= 1 << (id & 31);
      return bits;
    };
    const { ids } = await begin({}, padded).complete('Hello', settings, { constraint: always(only(40)) });
    expect(Math.max(...ids)).toBeLessThan(padded.tokenizer.facts.vocabulary);
    expect((await begin({}, padded).complete('Hello', settings)).ids.length).toBeGreaterThan(0);
    await expect(
      begin({}, padded).complete('Hello', settings, { constraint: always(only(padded.tokenizer.facts.vocabulary)) }),
    ).rejects.toMatchObject({ code: 'non-finite' });
    padded.free();
  });

  test('calls on a destroyed session', async () => {
    const session = begin();
    await session.destroy();
    await expect(session.prompt('Hello')).rejects.toMatchObject({ code: 'destroyed' });
  });
});

describe('aborts', () => {
  const reason = new RangeError('enough');

  test('while decoding: its own reason, and the conversation is as before', async () => {
    const session = begin();
    const plain = begin();
    await session.prompt('One');
    await plain.prompt('One');
    const controller = new AbortController();
    let pieces = 0;
    const call = session.prompt(
      'Two',
      {},
      { signal: controller.signal, onText: () => void (++pieces === 3 && controller.abort(reason)) },
    );
    await expect(call).rejects.toBe(reason);
    expect(pieces).toBe(3);
    expect(await ask(session, 'Three')).toBe(await ask(plain, 'Three'));
  });

  test('between chunks of prefill', async () => {
    const session = new Session(chunked(16), GREEDY);
    sessions.push(session);
    const controller = new AbortController();
    const text = 'What is in a name? '.repeat(8);
    const call = session.prompt(
      text,
      {},
      { signal: controller.signal, onPrefill: (done) => void (done >= 48 && controller.abort(reason)) },
    );
    await expect(call).rejects.toBe(reason);
    // What was read is not read again.
    const { tokens, text: answer } = await session.prompt(text);
    expect(tokens.cached).toBeGreaterThanOrEqual(48);
    expect(answer).toBe(await ask(begin(), text));
  });

  test('before the call, and in the queue', async () => {
    const session = begin();
    await expect(session.prompt('Hello', {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const first = session.prompt('Hello');
    const controller = new AbortController();
    const second = session.prompt('Hello', {}, { signal: controller.signal });
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    await expect(first).resolves.toBeDefined();
  });
});

describe('at the same time', () => {
  test('prompts of one session follow each other', async () => {
    const session = begin();
    const [one, two] = await Promise.all([session.prompt('One'), session.prompt('Two')]);
    const plain = begin();
    expect(one.text).toBe(await ask(plain, 'One'));
    expect(two.text).toBe(await ask(plain, 'Two'));
  });

  test('sessions of one model take turns and do not disturb each other', async () => {
    const texts = ['One', 'Two is longer', 'Three?', 'Four'];
    const alone: string[] = [];
    for (const text of texts) alone.push(await ask(begin(), text, { maxTokens: 40 }));
    const together = await Promise.all(texts.map((text) => ask(begin(), text, { maxTokens: 40 })));
    expect(together).toEqual(alone);
  });
});

describe('special tokens', () => {
  test('the end of turn is never part of the text', async () => {
    const end = bitsOf(model.config.vocabulary, [IM_END]);
    const all = new Uint32Array(end.length).fill(0xffffffff);
    const constraint = new PlacesConstraint((place) => (place === 2 ? end : all));
    const answer = await begin().prompt('Hello', {}, { constraint });
    expect(answer).toMatchObject({ finishReason: 'stop', tokens: { generated: 2 } });
    expect(answer.text).toHaveLength(2);
  });
});
