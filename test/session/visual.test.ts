/** Sessions that read some of a picture's tokens, on a tiny random UniPic model: what is said is what the graph says where the others cannot be seen. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { EngineModel } from '../../src/engine/model.ts';
import { imageTokens } from '../../src/see/images.ts';
import { createImageProcessor } from '../../src/see/index.ts';
import type { PlacedSpan } from '../../src/chat/prompt.ts';
import type { SessionModel } from '../../src/generate/session-cache.ts';
import type { Message } from '../../src/chat/messages.ts';
import { placeNext, placePrompt } from '../../src/generate/slots.ts';
import type { Slots } from '../../src/kv/positions.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { Session, type OpenSettings } from '../../src/session.ts';
import { toPixels, type Rgba } from '../../src/vision/index.ts';
import { readSelection, selectTokens, type VisualSelection } from '../../src/select/visual/index.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { always } from '../support/constraint.ts';
import { loadTest, onReference, testPlatform } from '../support/engine.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { promptImage } from '../support/images.ts';
import { random } from '../support/random.ts';
import { see } from '../support/see.ts';
import { TINY, TINY_PATCH, tinyUniPic, UNIPIC_VOCABULARY, type TinyUniPicOptions } from '../support/tiny-unipic.ts';
import { openWasm } from '../support/wasm.ts';

const SIZE = TINY.sizes[0];
const SEEN = (SIZE / TINY_PATCH) ** 2 + TINY.buffers;
const KEEP = 0.4;
/** Buffers count. */
const KEPT = Math.round(KEEP * SEEN);

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
function begin(
  visual: NonNullable<OpenSettings['context']>['visual'],
  settings: OpenSettings = {},
  on: SessionModel = model,
): Session {
  const session = new Session(on, { ...GREEDY, ...settings, context: { visual, ...settings.context } });
  sessions.push(session);
  return session;
}
const todre: VisualSelection = { method: 'todre', keep: KEEP };

/** Greedy ids by the graph alone: all tokens of the pictures stand in the sequence, at their own positions, but no query may see the dropped ones. */
async function truth(
  model: Model,
  parts: readonly (readonly number[] | Rgba)[],
  selection: VisualSelection,
  count: number,
): Promise<number[]> {
  const { language } = model;
  const { backend, config } = language;
  const wasm = await openWasm('simd');
  const embedded = await Promise.all(
    parts.map(async (part) => {
      if (!('data' in part)) return { part };
      const rows = backend.keep(backend.scope(() => see(model, toPixels(part, SIZE, 'pad'), SIZE)));
      const embeddings = await backend.download(rows);
      const kept = selectTokens(
        wasm,
        { embeddings, count: SEEN, width: config.hidden, fixed: [[SEEN - TINY.buffers, SEEN]] },
        readSelection(selection)!,
      );
      return { rows, kept };
    }),
  );
  const said: number[] = [];
  while (said.length < count) {
    const runs: number[] = [];
    let length = 0;
    for (const { part, kept } of [...embedded, { part: said, kept: undefined }]) {
      if (kept !== undefined) for (const i of kept) runs.push(length + i, length + i + 1);
      else if (part!.length > 0) runs.push(length, length + (part as readonly number[]).length);
      length += kept === undefined ? (part as readonly number[]).length : SEEN;
    }
    const pool = backend.kvPool({
      layers: config.layers,
      kvHeads: config.kvHeads,
      headDim: config.headDim,
      format: 'f32',
    });
    const sequence = new Sequence(new PageAllocator(pool), length);
    sequence.ensure(length);
    const ranges = {
      queryBlock: length,
      shared: true,
      causal: true,
      offsets: Uint32Array.of(0, runs.length / 2),
      runs: Uint32Array.from(runs),
    };
    const logits = backend.scope(() => {
      const rows = [...embedded, { part: said }].flatMap((one) => {
        if ('rows' in one && one.rows !== undefined) return [one.rows];
        const ids = one.part as readonly number[];
        if (ids.length === 0) return [];
        const ring = backend.ids(ids.length);
        backend.writeIds(ring, 0, Int32Array.from(ids));
        return [language.embed(ring, 0, ids.length)];
      });
      return language.logits(
        backend.rows(language.forward(backend.stack(rows), { kv: sequence, position: 0, ranges }), length - 1, 1),
      );
    });
    const values = await backend.download(logits);
    said.push(values.indexOf(Math.max(...values)));
  }
  return said;
}

describe('some tokens of a picture', () => {
  test('the answer is as if the others were there and could not be seen: positions stay', async () => {
    const graph = await loadModel(await openModel(tinyUniPic(LIVELY)), createReferenceBackend());
    const ids = (text: string): number[] => [...model.tokenizer.encode(text)];
    const parts = [ids('<|im_start|>user\n'), cat, ids('\n'), dog, ids('\nWhich?<|im_end|>\n<|im_start|>assistant\n')];
    const expected = await truth(graph, parts, todre, GREEDY.maxTokens);
    const found = await begin(todre).prompt(show('Which?', cat, dog));
    expect(found.ids).toEqual(expected);
    expect(expected).not.toEqual([...(await begin('all').prompt(show('Which?', cat, dog))).ids]);
    graph.free();
  });

  test('on WASM as on the reference, and in chunks of any size', async () => {
    const whole = await begin(todre).prompt(show('Which of the two?', cat, dog));
    const wasm = await loadTest(tinyUniPic(LIVELY));
    expect((await begin(todre, {}, wasm).prompt(show('Which of the two?', cat, dog))).ids).toEqual(whole.ids);
    await sessions.at(-1)!.destroy();
    wasm.free();
    for (const chunk of [1, 3, KEPT + 2, 33]) {
      const { tokenizer, templates, images, gate, window, sampling, epoch } = model;
      const chunked: SessionModel = {
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
      expect((await begin(todre, {}, chunked).prompt(show('Which of the two?', cat, dog))).ids).toEqual(whole.ids);
    }
  });

  test('usage counts what is kept', async () => {
    const session = begin(todre);
    const text = await session.measure('What?');
    expect(await session.measure(show('What?', cat))).toBe(text + KEPT + 1);
    const { tokens } = await session.prompt(show('What?', cat));
    expect(tokens.prompt).toBe(text + KEPT + 1);
    expect(session.usage).toBe(tokens.prompt + tokens.generated);
    expect(await begin({ method: 'random', keep: 7 }).measure(show('What?', cat))).toBe(text + 7 + 1);
  });

  test('later turns, other pictures, clones: as if all were read anew', async () => {
    const ascii = {
      get constraint() {
        return always(
          Uint32Array.from({ length: Math.ceil(UNIPIC_VOCABULARY / 32) }, (_, word) =>
            word === 1 || word === 2 ? 0xffffffff : 0,
          ),
        );
      },
    };
    const session = begin(todre);
    const said: Message[] = [];
    for (const turn of [show('What?', cat), show('And this?', dog), [{ role: 'user', content: 'Sure?' } as Message]]) {
      const copy = await session.clone();
      sessions.push(copy);
      const answer = await session.prompt(turn, {}, ascii);
      const fresh = await begin(todre, { context: { share: false } }).prompt([...said, ...turn], {}, ascii);
      expect(answer.ids).toEqual(fresh.ids);
      expect((await copy.prompt(turn, {}, ascii)).ids).toEqual(answer.ids);
      said.push(...turn, { role: 'assistant', content: answer.text });
    }
  });

  test('after recover() the same tokens are kept', async () => {
    const other = await load();
    const session = begin(todre, {}, other);
    const first = await session.prompt(show('What?', cat));
    await other.recover();
    const plain = begin(todre);
    expect((await plain.prompt(show('What?', cat))).ids).toEqual(first.ids);
    expect((await session.prompt('Sure?')).ids).toEqual((await plain.prompt('Sure?')).ids);
    await session.destroy();
    other.free();
  });

  test.each(['todre', 'divprune', 'showui'] as const)(
    "%s, 'auto': what it keeps is known before the prompt is made",
    async (method) => {
      const auto: VisualSelection = { method, keep: 'auto', threshold: method === 'showui' ? 1 : 0.4 };
      const session = begin(auto);
      const text = await begin('all').measure('What?');
      const measured = await session.measure(show('What?', cat));
      expect(measured - text - 1).toBeGreaterThan(TINY.buffers);
      expect(measured - text - 1).toBeLessThan(SEEN);
      const { tokens, ids } = await session.prompt(show('What?', cat));
      expect(tokens.prompt).toBe(measured);
      const settled = begin(auto, { initialPrompts: show('Look.', cat) });
      await settled.start();
      const all = begin('all', { initialPrompts: show('Look.', cat) });
      await all.start();
      expect(all.usage - settled.usage).toBe(SEEN - (measured - text - 1));
      expect(ids).toHaveLength(6);
    },
  );

  test("'auto' keeps as many as it kept before, where that is known", async () => {
    const graph = await loadModel(await openModel(tinyUniPic(LIVELY)), createReferenceBackend());
    const images = await createImageProcessor({
      vision: graph.vision!,
      language: graph.language,
      tokenizer: model.tokenizer,
      wasm: await openWasm('simd'),
    });
    const choice = { method: 'todre', keep: 'auto' } as const;
    const image = images.register(cat, 'image', undefined, { choice, counts: [9] });
    expect(imageTokens(image)).toBe(9);
    await images.encode(image);
    expect(image.selection!.kept).toHaveLength(9);
    expect(imageTokens(image)).toBe(9);
    expect(images.embeddings(image).embeddings.shape[0]).toBe(9);
    images.free();
    graph.free();
  });

  test("CDPruner's choice depends on the question; equal questions share theirs", async () => {
    const keyOf = (selection: VisualSelection, question: string): string =>
      model.images.register(cat, 'image', undefined, { choice: selection, question }).contentKey;
    const cdpruner = { method: 'cdpruner', keep: KEEP } as const;
    expect(keyOf(cdpruner, 'Where?')).toBe(keyOf(cdpruner, 'Where?'));
    expect(keyOf(cdpruner, 'Where?')).not.toBe(keyOf(cdpruner, 'Who?'));
    expect(keyOf(todre, 'Where?')).toBe(keyOf(todre, 'Who?'));
    expect((await begin('cdpruner').prompt(show('Where?', cat))).ids).toHaveLength(6);
    expect((await begin('showui').prompt(show('Where?', cat))).ids).toHaveLength(6);
    expect((await begin('random').prompt(show('Where?', cat))).ids).toHaveLength(6);
  });

  test('by SigLIP, where nothing is fixed', async () => {
    const both = await load(tinyUniPic({ ...LIVELY, siglip: true }));
    const text = await begin('all', {}, both).measure('What?');
    expect(
      await begin({ method: 'todre', keep: 0.5 }, { visual: { route: 'siglip' } }, both).measure(show('What?', cat)),
    ).toBe(text + 2 + 1);
    expect(
      (await begin({ method: 'todre', keep: 0.5 }, { visual: { route: 'siglip' } }, both).prompt(show('What?', cat)))
        .ids,
    ).toHaveLength(6);
    await Promise.all(sessions.splice(0).map((session) => session.destroy()));
    both.free();
  });

  test('a picture of one colour', async () => {
    const grey = { data: new Uint8ClampedArray(4 * 64).fill(255), width: 8, height: 8 };
    expect((await begin(todre).prompt(show('What?', grey))).ids).toHaveLength(6);
    expect((await begin({ method: 'todre', keep: 'auto' }).prompt(show('What?', grey))).ids).toHaveLength(6);
  });

  test('what cannot be is refused when the session is made', async () => {
    for (const visual of [{ method: 'todre', keep: 0 }, 'fastv' as 'todre'] as const)
      await expect(Session.open(model, { context: { visual } })).rejects.toMatchObject({ name: 'InputError' });
  });
});

const gpu = await hasGpu();
(gpu ? describe : describe.skip)('on WebGPU', () => {
  test('chosen where the embeddings are, and read as on WASM', async () => {
    const there = await EngineModel.load({ ...testPlatform, gpu: async () => testGpu() }, tinyUniPic(LIVELY), {
      device: 'webgpu',
    });
    const session = begin(todre, {}, there);
    expect((await session.prompt(show('Which?', cat, dog))).ids).toEqual(
      (await begin(todre).prompt(show('Which?', cat, dog))).ids,
    );
    expect((await session.prompt('Sure?')).ids).toHaveLength(6);
    await session.destroy();
    there.free();
  });
});

describe('slots', () => {
  test('gaps where tokens were left out, from any slot on; what follows goes on from there', () => {
    const placed = (at: number, tokens: number, kept?: readonly number[]): PlacedSpan => {
      const image = promptImage(String(at), { tokens, ...(kept && { kept }) });
      return { at, tokens: kept?.length ?? tokens, image, span: 0, row: 0 };
    };
    const whole = placed(8, 3);
    const pictures = [placed(2, 6, [1, 4]), whole, placed(12, 7, [0, 1, 5])];
    const expected = [0, 1, 3, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 21, 23, 24, 25];
    for (let start = 0; start < 18; start++) {
      for (let end = start + 1; end <= 18; end++) {
        const slots: Slots = { capacity: 20, positions: undefined };
        placePrompt(slots, start, end, pictures);
        expect([...slots.positions!.values.subarray(start, end)]).toEqual(expected.slice(start, end));
        placeNext(slots, end, end + 1);
        expect(slots.positions!.values[end]).toBe(expected[end - 1]! + 1);
      }
    }
    // Three axes: a picture of 2 by 3, of which four are kept, between text; a picture of one axis before it stands alike on all.
    const grid = promptImage('grid', { tokens: 6, kept: [0, 2, 4, 5] });
    const offsets = Int32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 2, 0, 1, 2);
    const rows = { at: 5, tokens: 4, image: { ...grid, positions: [{ offsets, advance: 3 }] }, span: 0, row: 0 };
    const places: Slots = { capacity: 12, positions: undefined };
    placePrompt(places, 0, 10, [placed(1, 3, [0, 2]), rows]);
    placeNext(places, 10, 11);
    const axis = (a: number): number[] => [...places.positions!.values.subarray(12 * a, 12 * a + 11)];
    expect(places.positions!.axes).toBe(3);
    expect(axis(0)).toEqual([0, 1, 3, 4, 5, 6, 6, 6, 6, 9, 10]);
    expect(axis(1)).toEqual([0, 1, 3, 4, 5, 6, 6, 7, 7, 9, 10]);
    expect(axis(2)).toEqual([0, 1, 3, 4, 5, 6, 8, 7, 8, 9, 10]);
    // Behind the picture's last token: behind the furthest of its positions.
    placeNext(places, 9, 10);
    expect([0, 1, 2].map((a) => places.positions!.values[12 * a + 9])).toEqual([9, 9, 9]);
    const plain: Slots = { capacity: 20, positions: undefined };
    placePrompt(plain, 0, 18, [whole]);
    placeNext(plain, 18, 19);
    expect(plain.positions).toBeUndefined();
  });
});

describe('what a selection keeps, for pages that show it', () => {
  test.each([
    ['todre', todre],
    ['showui', { method: 'showui', keep: KEPT }],
    ['cdpruner', { method: 'cdpruner', keep: KEEP }],
  ] as const)('%s: the cells of what a session reads', async (_, selection) => {
    const { tiles, tokens, kept } = await model.keptTokens(cat, { selection, question: 'What is it?' });
    expect({ tokens, kept, tiles: tiles.length }).toEqual({ tokens: SEEN, kept: KEPT, tiles: 1 });
    const [tile] = tiles;
    expect(tile).toMatchObject({ rows: SIZE / TINY_PATCH, columns: SIZE / TINY_PATCH, picture: { width: SIZE } });
    const image = model.images.register(cat, 'cat', undefined, { choice: selection, question: 'What is it?' });
    await model.images.encode(image);
    expect([...tile!.kept]).toEqual([...image.selection!.kept!].filter((token) => token < SEEN - TINY.buffers));
    expect(tile!.kept).toHaveLength(KEPT - TINY.buffers);
    const other = await model.keptTokens(dog, { selection });
    expect(other.tiles[0]!.picture).not.toEqual(tile!.picture);
  });

  test('all of them where nothing is left out; a choice that is none and an abort are told', async () => {
    const { tiles, tokens, kept } = await model.keptTokens(cat, { selection: { method: 'todre', keep: 1 } });
    expect({ kept, cells: tiles[0]!.kept.length }).toEqual({ kept: tokens, cells: SEEN - TINY.buffers });
    await expect(model.keptTokens(cat, { selection: { method: 'todre', keep: -1 } })).rejects.toMatchObject({
      code: 'argument',
      message: expect.stringMatching(/context\.visual\.keep: -1/),
    });
    await expect(model.keptTokens(cat, { selection: 'todre' }, AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
