/** Pictures in conversations, on a tiny random UniPic model: what the session says is what the graph says to the same embeddings. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { imageTokens } from '../../src/see/images.ts';
import { createImageProcessor } from '../../src/see/index.ts';
import type { SessionModel } from '../../src/generate/session-cache.ts';
import type { Message } from '../../src/chat/messages.ts';
import type { PromptSettings } from '../../src/generate/options.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { Session, type OpenSettings, type SessionListener } from '../../src/session.ts';
import { toPixels, type Rgba } from '../../src/vision/index.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { always } from '../support/constraint.ts';
import { loadTest, onReference, testPlatform } from '../support/engine.ts';
import { openWasm } from '../support/wasm.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { random } from '../support/random.ts';
import { see } from '../support/see.ts';
import { TINY, TINY_PATCH, tinyUniPic, UNIPIC_VOCABULARY, type TinyUniPicOptions } from '../support/tiny-unipic.ts';

const SIZE = TINY.sizes[0];
/** Tokens of a picture at the default size. */
const SEEN = (SIZE / TINY_PATCH) ** 2 + TINY.buffers;
const IMAGE = 259;

function photo(seed: number, width = 20, height = 12): Rgba {
  const { integer } = random(seed);
  return {
    data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i % 4 === 3 ? 255 : integer(0, 256))),
    width,
    height,
  };
}
const cat = photo(1);
const dog = photo(2, 9, 30);
const show = (text: string, ...pictures: readonly Rgba[]): Message[] => [
  {
    role: 'user',
    content: [...pictures.map((value) => ({ type: 'image' as const, value })), { type: 'text', value: text }],
  },
];

/** With its embedding made small: else a tied head repeats the last id, whatever was seen. */
const LIVELY: TinyUniPicOptions = {
  damage: (name, values) => {
    if (name === 'token_embd.weight') values.forEach((value, i) => (values[i] = 0.05 * value));
  },
};

const load = (bytes = tinyUniPic(LIVELY)): Promise<EngineModel> =>
  EngineModel.load(testPlatform, bytes, {}, {}, onReference);
let model: EngineModel;
const sessions: Session[] = [];
beforeAll(async () => {
  model = await load();
});
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.destroy())));
afterAll(() => model.free());

const GREEDY = { temperature: 0, maxTokens: 6 };
function begin(settings: OpenSettings = {}, on: SessionModel = model): Session {
  // Nothing is shared, so that what one session answers is worked out by itself.
  const session = new Session(on, { ...GREEDY, context: { share: false }, ...settings });
  sessions.push(session);
  return session;
}
/** Only printable ASCII, so that an answer's text encodes to its ids again. */
const ascii = {
  get constraint() {
    return always(
      Uint32Array.from({ length: Math.ceil(UNIPIC_VOCABULARY / 32) }, (_, word) =>
        word === 1 || word === 2 ? 0xffffffff : 0,
      ),
    );
  },
};
async function ask(
  session: Session,
  input: string | Message[],
  settings: PromptSettings = {},
  listener: SessionListener = {},
): Promise<readonly number[]> {
  return (await session.prompt(input, settings, listener)).ids;
}

/** Greedy ids after text and pictures, by the graph alone: one pass a token, everything embedded anew. */
async function truth(model: Model, parts: readonly (readonly number[] | Rgba)[], count: number): Promise<number[]> {
  const { language } = model;
  const { backend, config } = language;
  const said: number[] = [];
  while (said.length < count) {
    const all = [...parts, said];
    const length = all.reduce((sum, part) => sum + ('data' in part ? SEEN : part.length), 0);
    const pool = backend.kvPool({
      layers: config.layers,
      kvHeads: config.kvHeads,
      headDim: config.headDim,
      format: 'f32',
    });
    const sequence = new Sequence(new PageAllocator(pool), length);
    sequence.ensure(length);
    const logits = backend.scope(() => {
      const rows = all.flatMap((part) => {
        if ('data' in part) return [see(model, toPixels(part, SIZE, 'pad'), SIZE)];
        if (part.length === 0) return [];
        const ring = backend.ids(part.length);
        backend.writeIds(ring, 0, Int32Array.from(part));
        return [language.embed(ring, 0, part.length)];
      });
      return language.logits(
        backend.rows(
          language.forward(backend.stack(rows), { kv: sequence, position: 0, ranges: denseCausal(length, length) }),
          length - 1,
          1,
        ),
      );
    });
    const values = await backend.download(logits);
    said.push(values.indexOf(Math.max(...values)));
  }
  return said;
}

describe('seeing', () => {
  test("the answer is what the language model says with the embeddings in the placeholders' places", async () => {
    const graph = await loadModel(await openModel(tinyUniPic(LIVELY)), createReferenceBackend());
    const ids = (text: string): number[] => [...model.tokenizer.encode(text)];
    const parts = [ids('<|im_start|>user\n'), cat, ids('\n'), dog, ids('\nWhich?<|im_end|>\n<|im_start|>assistant\n')];
    const expected = await truth(graph, parts, GREEDY.maxTokens);
    expect(await ask(begin(), show('Which?', cat, dog))).toEqual(expected);
    expect(await truth(graph, [parts[0]!, dog, parts[2]!, cat, parts[4]!], GREEDY.maxTokens)).not.toEqual(expected);
    graph.free();
  });

  test('on WASM as on the reference', async () => {
    const wasm = await loadTest(tinyUniPic(LIVELY));
    expect(await ask(begin({}, wasm), show('What?', cat))).toEqual(await ask(begin(), show('What?', cat)));
    await sessions.at(-2)!.destroy();
    wasm.free();
  });

  test('prefill in chunks of any size gives the same answer, with progress in tokens', async () => {
    const whole = await ask(begin(), show('Which of the two?', cat, dog));
    const firstImage = model.tokenizer.encode('<|im_start|>user\n').length;
    for (const chunk of [1, 7, SEEN, 33]) {
      const { tokenizer, templates, images, gate, window, sampling, epoch } = model;
      const parts: number[] = [];
      const session = begin(
        {},
        {
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
        },
      );
      expect(
        await ask(session, show('Which of the two?', cat, dog), {}, { onPrefill: (done) => void parts.push(done) }),
      ).toEqual(whole);
      // A chunk ends before an image that would be cut, and cuts one that is longer than itself.
      const sizes = parts.map((done, i) => done - (parts[i - 1] ?? 0));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(chunk);
      if (chunk === SEEN) expect(parts[0]).toBe(firstImage);
    }
  });

  test('visual tokens count', async () => {
    const session = begin();
    const text = await session.measure('What?');
    expect(await session.measure(show('What?', cat))).toBe(text + SEEN + 1);
    const { tokens } = await session.prompt(show('What?', cat));
    expect(tokens.prompt).toBe(text + SEEN + 1);
    expect(session.usage).toBe(tokens.prompt + tokens.generated);
    expect(await begin({ visual: { size: 32 } }).measure(show('What?', cat))).toBe(
      text + (32 / TINY_PATCH) ** 2 + TINY.buffers + 1,
    );
  });

  test('a message that spells the placeholder out is text', async () => {
    const { tokens } = await begin().prompt('Is <image> a tag?');
    expect(tokens.prompt).toBe(
      model.tokenizer.encode('<|im_start|>user\nIs ?????? a tag?<|im_end|>\n<|im_start|>assistant\n').length + 1,
    );
    const plain = await begin().prompt(show('<image>', cat));
    expect(plain.tokens.prompt).toBe(SEEN + 1 + (await begin().measure('<image>')));
    const raw = await begin().complete(Int32Array.of(IMAGE, IMAGE));
    expect(raw.tokens.prompt).toBe(2);
  });

  test('by SigLIP where it is asked for', async () => {
    const both = await load(tinyUniPic({ ...LIVELY, siglip: true }));
    const text = await begin({}, both).measure('What?');
    expect(await begin({ visual: { route: 'siglip' } }, both).measure(show('What?', cat))).toBe(text + 4 + 1);
    expect(await ask(begin({ visual: { route: 'siglip' } }, both), show('What?', cat))).toHaveLength(6);
    await Promise.all(sessions.splice(0).map((session) => session.destroy()));
    both.free();
  });
});

describe('a conversation with pictures', () => {
  test('later turns read only what is new, and answer as if all were read anew', async () => {
    const session = begin();
    const said: Message[] = [];
    for (const turn of [show('What?', cat), show('And this?', dog), show('And the first again?', cat)]) {
      const answer = await session.prompt(turn, {}, ascii);
      const fresh = await begin().prompt([...said, ...turn], {}, ascii);
      expect(new Set(answer.ids).size).toBeGreaterThan(1);
      expect(answer.ids).toEqual(fresh.ids);
      expect(fresh.tokens).toMatchObject({ prompt: answer.tokens.prompt, cached: 0 });
      expect(answer.tokens.prompt - answer.tokens.cached).toBeLessThan(90);
      said.push(...turn, { role: 'assistant', content: answer.text });
    }
  });

  test('another picture in the same place is another conversation', async () => {
    const session = begin();
    const controller = new AbortController();
    const stop = { signal: controller.signal, onText: () => controller.abort(new RangeError('enough')) };
    await expect(session.prompt(show('What?', cat), {}, stop)).rejects.toThrow('enough');
    const { tokens, ids } = await session.prompt(show('What?', dog));
    expect(tokens.cached).toBeLessThanOrEqual('<|im_start|>user\n'.length);
    expect(ids).toEqual(await ask(begin(), show('What?', dog)));
  });

  test('initial prompts and append take pictures', async () => {
    const session = begin({ initialPrompts: show('Look.', cat) });
    await session.start();
    await session.append(show('And look.', dog));
    expect(session.usage).toBeGreaterThan(2 * SEEN);
    const fresh = await begin().prompt([
      ...show('Look.', cat),
      ...show('And look.', dog),
      { role: 'user', content: 'Well?' },
    ]);
    expect(await ask(session, 'Well?')).toEqual(fresh.ids);
  });

  test('a clone has seen what the first has', async () => {
    const session = begin();
    await session.prompt(show('What?', cat));
    const copy = await session.clone();
    sessions.push(copy);
    const asked = show('And this?', dog);
    expect(await ask(copy, asked)).toEqual(await ask(session, asked));
  });

  test('on overflow the oldest exchanges go with their pictures, and what is left is read again', async () => {
    const small = await EngineModel.load(testPlatform, tinyUniPic(LIVELY), { contextWindow: 200 }, {}, onReference);
    const session = begin({ initialPrompts: show('Look.', cat) }, small);
    await session.start();
    let overflows = 0;
    for (let i = 0; i < 5; i++) {
      const { tokens } = await session.prompt(
        show(`Picture ${i}?`, photo(10 + i)),
        {},
        { onOverflow: () => void overflows++ },
      );
      expect(tokens.prompt + tokens.generated).toBeLessThanOrEqual(200);
      // The initial prompt's picture is never dropped.
      expect(tokens.cached).toBeGreaterThan(SEEN);
    }
    expect(overflows).toBeGreaterThan(0);
    await expect(session.prompt(show('Too many?', ...Array.from({ length: 9 }, () => dog)))).rejects.toMatchObject({
      name: 'InputError',
      code: 'too-long',
      message: expect.stringMatching(/of them pictures.*smaller visual\.size/),
    });
    await Promise.all(sessions.splice(0).map((each) => each.destroy()));
    small.free();
  });

  test('after recover() the pictures are looked at again', async () => {
    const other = await load();
    const session = begin({}, other);
    await session.prompt(show('What?', cat));
    await other.recover();
    expect(await ask(session, 'Sure?')).toEqual(
      await ask(begin({}, model), 'Sure?', {}).then(async () => {
        const plain = begin();
        await plain.prompt(show('What?', cat));
        return ask(plain, 'Sure?');
      }),
    );
    await session.destroy();
    other.free();
  });

  test('an abort is heard while looking', async () => {
    const session = begin();
    const controller = new AbortController();
    const call = session.prompt(show('What?', photo(77)), {}, { signal: controller.signal });
    setImmediate(() => controller.abort(new RangeError('enough')));
    await expect(call).rejects.toThrow('enough');
    expect(await ask(session, show('What?', cat))).toEqual(await ask(begin(), show('What?', cat)));
  });
});

describe('embeddings', () => {
  test('equal pictures share theirs, few are kept, all are freed', async () => {
    const graph = await loadModel(await openModel(tinyUniPic(LIVELY)), createReferenceBackend());
    const { backend } = graph.language;
    // What the graph keeps for itself comes with its first image.
    backend.scope(() => void see(graph, toPixels(cat, SIZE, 'pad'), SIZE));
    const before = backend.memory();
    let encoded = 0;
    const vision = new Proxy(graph.vision!, {
      get: (target, name) => {
        if (name === 'encode') encoded++;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      },
    });
    const images = await createImageProcessor({
      vision,
      language: graph.language,
      tokenizer: model.tokenizer,
      wasm: await openWasm('simd'),
    });
    const image = images.register(cat, 'image');
    const keyOf = (value: Rgba, options = {}): string => images.register(value, 'image', options).contentKey;
    expect(keyOf({ ...cat, data: new Uint8ClampedArray(cat.data) })).toBe(image.contentKey);
    expect(keyOf(dog)).not.toBe(image.contentKey);
    expect(keyOf(cat, { size: 32 })).not.toBe(image.contentKey);
    await images.encode(image);
    const { embeddings } = images.embeddings(image);
    expect(encoded).toBe(1);
    expect(embeddings.shape[0]).toBe(imageTokens(image));
    await images.encode(image);
    expect(images.embeddings(image).embeddings).toBe(embeddings);
    expect(encoded).toBe(1);
    const atOnce = images.embeddings(images.register(dog, 'image'));
    expect(encoded).toBe(2);
    expect(await backend.download(atOnce.embeddings)).not.toEqual(await backend.download(embeddings));
    images.free();
    expect(backend.memory()).toEqual(before);
    graph.free();
  });
});

describe('what cannot be', () => {
  test('pictures for a model that sees none, with the reason', async () => {
    const text = await loadTest(tinyModel());
    expect(() => begin({}, text).prompt(show('What?', cat))).toThrow('llama is a language model');
    expect(() => begin({ visual: { size: 16 } }, text)).toThrow('reads text only');
    const half = await load(tinyUniPic({ ...LIVELY, without: /^vae\./ }));
    expect(half.capabilities).toMatchObject({ chat: true, see: false, paint: false, edit: false });
    expect(() => begin({}, half).prompt(show('What?', cat))).toThrow(/cannot see pictures.*vae\.encoder/);
    expect(await ask(begin({}, half), 'Hello')).toEqual(await ask(begin(), 'Hello'));
    await Promise.all(sessions.splice(0).map((session) => session.destroy()));
    text.free();
    half.free();
  });

  test('sizes and routes that the model does not have', () => {
    expect(() => begin({ visual: { size: 20 } })).toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringContaining('use 16, 32') }),
    );
    expect(() => begin({ visual: { route: 'siglip' } })).toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringContaining('SigLIP') }),
    );
    expect(() => begin({ visual: { route: 'radar' } })).toThrow("'radar'");
  });

  test.each([
    undefined,
    null,
    5,
    'cat.png',
    {},
    { data: new Uint8ClampedArray(5), width: 1, height: 1 },
    { data: new Float32Array(4), width: 1, height: 1 },
  ])('%p for a picture', (value) => {
    expect(() => begin().prompt([{ role: 'user', content: [{ type: 'image', value }] }])).toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringContaining('message 0, part 0') }),
    );
  });
});
