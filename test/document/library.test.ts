/** Libraries: kept over a reload, read by one tab, incremental, paused; what fails says why, and what was evicted is read again. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Embedder, Recogniser } from '../../src/document/options.ts';
import { openLibrary, type LibraryOptions, type OctavoLibrary } from '../../src/face/library.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { nodeEnvironment } from '../../src/platform/node-documents.ts';
import { StorageError } from '../../src/errors.ts';
import { FolderRecords } from '../../src/store/folder-records.ts';
import type { Change, Entry, Key } from '../../src/store/records.ts';
import { textFile } from '../support/documents.ts';
import { testFace } from '../support/engine.ts';
import { column, pdf } from '../support/pdf.ts';

let folder: string;
const opened: OctavoLibrary[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-library-'));
});
afterEach(() => {
  for (const library of opened.splice(0)) library.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

async function open(options: LibraryOptions = {}, name = 'papers'): Promise<OctavoLibrary> {
  const environment = { ...nodeEnvironment, records: async () => new FolderRecords(folder) };
  const library = await openLibrary(name, options, environment);
  opened.push(library);
  return library;
}

const long = (text: string): string =>
  `${text} ${'And it went on like this for a long time without any end. '.repeat(10)}`;
const harbour = (): File =>
  textFile([long('The harbour has nine cranes.'), long('The lighthouse burns oil.')].join('\n\n'), 'harbour.txt');
const garden = (): File => textFile(long('The garden has four roses.'), 'garden.txt');

/** Counts what it is asked for. */
function counting(delay = 0): Embedder & { readonly texts: string[] } {
  const texts: string[] = [];
  return {
    texts,
    fingerprint: 'counting',
    embed: async (given, options) => {
      if (options?.kind === 'document') texts.push(...given);
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      return given.map((text) => Float32Array.of(Number(text.includes('cranes')), Number(text.includes('roses')), 0.1));
    },
  };
}

test('documents are read in the background, found together, and there again after a reload', async () => {
  const first = await open();
  const added = await first.add(harbour());
  await first.add(garden());
  await first.add(pdf({ pages: [{ texts: column(60, 700, ['The tower was built in 1926.']) }] }), {
    name: 'tower.pdf',
  });
  expect(added).toMatchObject({ name: 'harbour.txt', state: 'waiting' });
  await first.settled();
  expect((await first.list()).map(({ name, state, pages }) => [name, state, pages])).toEqual([
    ['harbour.txt', 'ready', 1],
    ['garden.txt', 'ready', 1],
    ['tower.pdf', 'ready', 1],
  ]);
  first.close();
  await expect(first.search('cranes')).rejects.toMatchObject({ code: 'destroyed' });
  const second = await open();
  const [best] = await second.search('How many cranes?');
  expect(best).toMatchObject({ document: added.id, page: 1 });
  const [tower] = await second.search('When was the tower built?');
  expect(tower?.rectangles).toHaveLength(1);
  const document = await second.open(added.id);
  expect(document.text).toContain('nine cranes');
  // The same file again is the entry that is there.
  expect((await second.add(harbour())).id).toBe(added.id);
  expect(await second.list()).toHaveLength(3);
  expect(await second.bytes()).toBeGreaterThan(1000);
  expect(await second.remove(added.id)).toBe(true);
  expect(await second.remove(added.id)).toBe(false);
  expect((await second.search('cranes')).filter(({ document: id }) => id === added.id)).toEqual([]);
  await expect(second.open(added.id)).rejects.toMatchObject({ code: 'argument' });
  expect(await (await open({}, 'other')).list()).toEqual([]);
});

test('a file whose Blob the browser has lost is gone, and its text stays', async () => {
  class Losing extends FolderRecords {
    override async get<T>(key: Key): Promise<T | null | undefined> {
      if (key[0] !== 'bytes') return super.get<T>(key);
      const blob = new Blob(['x']);
      blob.arrayBuffer = () => Promise.reject(new DOMException('gone', 'NotReadableError'));
      return blob as T;
    }
  }
  const first = await open();
  const { id } = await first.add(harbour());
  await first.settled();
  const environment = { ...nodeEnvironment, records: async () => new Losing(folder) };
  const library = await openLibrary('papers', {}, environment);
  opened.push(library);
  expect(await library.file(id)).toBeUndefined();
  expect((await library.search('cranes'))[0]).toMatchObject({ document: id });
  const lost = await library.add(garden());
  await library.settled();
  expect((await library.list()).find((one) => one.id === lost.id)).toMatchObject({
    state: 'failed',
    problem: expect.stringContaining('add it again'),
  });
});

test('a changed file takes the place of the old one, and only its new passages are embedded', async () => {
  const embedder = counting();
  const library = await open({ embedder });
  const old = await library.add(harbour());
  await library.settled();
  expect(embedder.texts).toHaveLength(2);
  const [one] = await library.search('cranes');
  expect(one?.text).toContain('nine cranes');
  await library.add(
    textFile([long('The harbour has nine cranes.'), long('The lighthouse burns gas.')].join('\n\n'), 'harbour.txt'),
  );
  await library.settled();
  expect(embedder.texts).toHaveLength(3);
  expect((await library.list()).map(({ id, state }) => [id === old.id, state])).toEqual([[false, 'ready']]);
  const found = await library.search('What does the lighthouse burn?');
  expect(found.every(({ text }) => !text.includes('oil'))).toBe(true);
  // Vectors are there again after a reload.
  library.close();
  const again = counting();
  await (await open({ embedder: again })).search('cranes');
  expect(again.texts).toEqual([]);
});

test('documents that were read without an embedder, or with another one, get vectors, and those of the other one go', async () => {
  const plain = await open();
  const { id } = await plain.add(harbour());
  await plain.settled();
  plain.close();
  const embedder = counting();
  const old = await open({ embedder });
  await old.settled();
  expect(embedder.texts).toHaveLength(2);
  const other = { ...counting(), fingerprint: 'other' };
  const library = await open({ embedder: other });
  await library.settled();
  expect(other.texts).toHaveLength(2);
  expect((await library.list())[0]?.state).toBe('ready');
  const kept = async (name: string): Promise<boolean> =>
    (await new FolderRecords(folder).get(['vectors', 'papers', id, name])) !== undefined;
  expect([await kept('counting'), await kept('other')]).toEqual([false, true]);
  // A tab that goes on with the other one makes nothing twice.
  await old.add(garden());
  await old.settled();
  expect(embedder.texts).toHaveLength(3);
  expect((await old.search('How many cranes?'))[0]?.document).toBe(id);
});

test('where the embedder fails, documents are read and found by words, and it is told', async () => {
  const library = await open({
    embedder: { ...counting(), embed: () => Promise.reject(new Error('the device was lost')) },
  });
  await library.add(harbour());
  await library.add(garden());
  await expect(library.settled()).rejects.toThrow('the device was lost');
  expect((await library.list()).map(({ state }) => state)).toEqual(['read', 'read']);
  const words = await open();
  expect((await words.list()).map(({ state }) => state)).toEqual(['ready', 'ready']);
  expect((await words.search('roses'))[0]?.text).toContain('four roses');
});

test('of two tabs one reads, and both find', async () => {
  const embedder = counting(20);
  const [a, b] = [await open({ embedder }), await open({ embedder })];
  await a.add(harbour());
  await b.add(garden());
  await Promise.all([a.settled(), b.settled()]);
  expect(embedder.texts).toHaveLength(3);
  for (const library of [a, b]) {
    expect((await library.search('roses'))[0]?.text).toContain('four roses');
    expect((await library.search('cranes'))[0]?.text).toContain('nine cranes');
  }
});

test('reading pauses and goes on, and what a closed tab has read stays', async () => {
  const progress: number[] = [];
  const library = await open({ embedder: counting(), onProgress: ({ done }) => progress.push(done) });
  library.pause();
  await library.add(garden());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await library.list())[0]?.state).toBe('waiting');
  library.resume();
  await library.settled();
  expect((await library.list())[0]?.state).toBe('ready');
  expect(progress.length).toBeGreaterThan(0);
});

test('a page that is hidden lets another tab read, loses nothing that was read, and goes on when it is shown', async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const show = (visibilityState: string): void => {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event('visibilitychange'));
  };
  const many = textFile(
    Array.from({ length: 60 }, (_, i) => long(`Ship ${i} carried ${i * 7} barrels of roses.`)).join('\n\n'),
    'ships.txt',
  );
  Object.defineProperty(globalThis, 'document', { value: page, configurable: true });
  try {
    const own = counting(10);
    const library = await open({
      embedder: own,
      pauseWhenHidden: true,
      onProgress: ({ done }) => done >= 16 && page.visibilityState === 'visible' && show('hidden'),
    });
    await library.add(many);
    while (own.texts.length < 16) await new Promise((resolve) => setTimeout(resolve, 50));
    // Time to go on in, which it must not take.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(own.texts).toHaveLength(16);
    expect((await library.list())[0]?.state).toBe('read');
    const other = counting();
    const second = await open({ embedder: other });
    await second.settled();
    expect((await second.list())[0]?.state).toBe('ready');
    expect(other.texts).toHaveLength(44);
    show('visible');
    await library.settled();
    expect(own.texts).toHaveLength(16);
    await library.add(garden());
    await library.settled();
    expect(own.texts).toHaveLength(17);
    // Both have made them.
    const [ships] = await library.list();
    expect(await new FolderRecords(folder).get(['vectors', 'papers', ships!.id, 'counting'])).toHaveProperty(
      'size',
      60,
    );
  } finally {
    delete (globalThis as { document?: unknown }).document;
  }
});

test('what cannot be read says why, and is tried again with another password', async () => {
  const library = await open();
  const locked = pdf({ pages: [{ texts: [{ x: 60, y: 700, text: 'The code is 4711.' }] }], password: 'anchor' });
  await library.add(locked, { name: 'locked.pdf' });
  await library.add(garden());
  await library.settled();
  const [entry, other] = await library.list();
  expect(entry).toMatchObject({ state: 'failed', code: 'password', problem: expect.stringContaining('password') });
  expect(other?.state).toBe('ready');
  await library.add(locked, { name: 'locked.pdf', password: 'anchor' });
  await library.settled();
  expect((await library.search('code'))[0]?.text).toContain('4711');
});

test('text that was evicted is read again from its file, and a file that is gone is named', async () => {
  const library = await open();
  const { id } = await library.add(garden());
  await library.settled();
  library.close();
  const records = new FolderRecords(folder);
  await records.change(['content', 'papers', id], () => ({ remove: [['content', 'papers', id]] }));
  const second = await open();
  await second.search('roses');
  await second.settled();
  expect((await second.search('roses'))[0]?.text).toContain('four roses');
  second.close();
  for (const kind of ['content', 'bytes'])
    await records.change([kind, 'papers', id], () => ({ remove: [[kind, 'papers', id]] }));
  const third = await open();
  await third.search('roses');
  await third.settled();
  await third.add(harbour());
  await third.settled();
  expect((await third.list())[0]).toMatchObject({ state: 'failed', problem: expect.stringContaining('add it again') });
});

const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 5));
};

const SHIPS = 'Anna Berta Clara Dora Emma Frida Greta Hanna Ida Julia Klara Lotte'.split(' ');

/** How many pages of a document are kept that is not read to its end. */
const keptPages = async (id: string): Promise<number> => {
  const parts = await new FolderRecords(folder).all<{ readonly pages: readonly unknown[] }>(['pages', 'papers', id]);
  return parts.reduce((sum, part) => sum + (part?.pages.length ?? 0), 0);
};

test('a document that was being read when its tab was closed is read on from the page under way', async () => {
  const pages = SHIPS.map((_, i) => ({ texts: column(60, 700, [`${SHIPS[i] ?? ''} carried salt.`]) }));
  let first: OctavoLibrary | undefined = undefined;
  first = await open({ onProgress: ({ done }) => done === 7 && first?.pause() });
  const { id } = await first.add(pdf({ pages }), { name: 'ships.pdf' });
  // Paused, it keeps what it has.
  await until(async () => (await keptPages(id)) === 7);
  first.close();
  const seen: number[] = [];
  const second = await open({ onProgress: ({ done }) => seen.push(done) });
  await second.settled();
  expect(seen).toEqual([8, 9, 10, 11, 12]);
  const { text, pages: read } = await second.open(id);
  expect(text.match(/\w+(?= carried)/g)).toEqual(SHIPS);
  expect(read).toHaveLength(12);
  // What was kept for that is not kept any longer.
  expect(await keptPages(id)).toBe(0);
});

async function expectNothingOf(id: string): Promise<void> {
  for (const kind of ['content', 'pages', 'bytes', 'library', 'vectors'])
    expect([kind, await new FolderRecords(folder).count([kind, 'papers', id])]).toEqual([kind, 0]);
}

test('a document that is removed while it is read leaves nothing', async () => {
  let library: OctavoLibrary | undefined = undefined;
  library = await open({ onProgress: ({ done, id }) => done === 3 && void library?.remove(id) });
  const pages = Array.from({ length: 40 }, () => ({ texts: column(60, 700, ['Salt.']) }));
  const { id } = await library.add(pdf({ pages }), { name: 'ships.pdf' });
  await library.add(garden());
  await library.settled();
  expect((await library.list()).map(({ name }) => name)).toEqual(['garden.txt']);
  await expectNothingOf(id);
});

test.each(['here', 'in another tab'])('so does one that is removed %s while it is embedded', async (where) => {
  const other = await open({}, 'papers');
  const embedder = counting();
  let removed: Promise<boolean> | undefined;
  const library: OctavoLibrary = await open({
    embedder: {
      ...embedder,
      embed: async (texts, options) => {
        if (texts.some((text) => text.includes('cranes')))
          await (removed ??= (where === 'here' ? library : other).remove(id));
        return embedder.embed(texts, options);
      },
    },
  });
  const { id } = await library.add(harbour());
  await library.settled();
  expect(await removed).toBe(true);
  await expectNothingOf(id);
});

describe('text in pictures', () => {
  /** Reads a word a page, after which it calls `read`. */
  const reader = (read: (count: number) => void = () => undefined): Recogniser & { count: number } => {
    const ocr = {
      fingerprint: 'one',
      count: 0,
      async recognise(_: Blob, { signal }: { readonly signal?: AbortSignal | undefined }) {
        ocr.count++;
        read(ocr.count);
        await new Promise((resolve) => setTimeout(resolve, 1));
        signal?.throwIfAborted();
        return {
          lines: [{ words: [{ text: `Ship-${SHIPS[ocr.count - 1] ?? ''}`, box: [10, 10, 200, 40] as const }] }],
        };
      },
    };
    return ocr;
  };
  const scan = (): Uint8Array => {
    const pictures = Array.from({ length: 4 }, () => ({ picture: true }));
    return pdf({ pages: [{ texts: column(60, 700, ['The tower was built in 1926.']) }, ...pictures] });
  };

  test('is recognised when it is asked for, and the document is there as it was until then', async () => {
    const ocr = reader();
    const library = await open({ ocr, recognise: 'asked' });
    const { id } = await library.add(scan(), { name: 'scan.pdf' });
    await library.settled();
    const [before] = await library.list();
    expect(before).toMatchObject({ state: 'ready', pictures: 4 });
    expect(before?.recognition).toBeUndefined();
    expect(ocr.count).toBe(0);
    expect(await library.recognise(id)).toBe(true);
    expect((await library.search('tower'))[0]?.text).toContain('1926');
    await library.settled();
    const [after] = await library.list();
    expect(after).toMatchObject({ state: 'ready', pictures: 0, recognition: 'done', notes: [] });
    expect((await library.search('Clara'))[0]?.text).toContain('Ship-Clara');
    const document = await library.open(id);
    expect(document.pages.map(({ kind }) => kind)).toEqual(['text', ...Array(4).fill('recognised')]);
    const at = document.text.indexOf('Clara');
    expect(document.rectangles(at, at + 5)).toMatchObject([{ page: 4 }]);
    expect(await library.recognise(id)).toBe(false);
    // What was recognised is recognised again where the browser has evicted it.
    library.close();
    await new FolderRecords(folder).change(['content'], () => ({ remove: [['content', 'papers', id]] }));
    const again = await open({ ocr, recognise: 'asked' });
    await again.search('tower');
    await again.settled();
    expect((await again.search('Greta'))[0]?.text).toContain('Ship-Greta');
  });

  test('goes on after it was cancelled, or its tab closed, and loses the page under way alone', async () => {
    let library: OctavoLibrary | undefined = undefined;
    const slow = reader((count) => {
      if (count === 3) library?.pause();
    });
    library = await open({ ocr: slow, recognise: 'asked' });
    const { id } = await library.add(scan(), { name: 'scan.pdf' });
    await library.settled();
    await library.recognise(id);
    await until(async () => (await keptPages(id)) === 4);
    expect(await library.cancelRecognition(id)).toBe(true);
    expect(await library.cancelRecognition(id)).toBe(false);
    library.resume();
    await library.settled();
    expect((await library.list())[0]).toMatchObject({ state: 'ready', pictures: 4 });
    expect((await library.open(id)).text).toBe('The tower was built in 1926.');
    await library.recognise(id);
    library.close();
    const other = reader();
    const second = await open({ ocr: other, recognise: 'asked' });
    await second.settled();
    expect([slow.count, other.count]).toEqual([3, 1]);
    expect((await second.open(id)).text).toContain('Clara');
  });

  test('a picture waits for it, upright and with places, and what cannot be recognised says why', async () => {
    const bytes = readFileSync(new URL('../fixtures/vision/orientation-6.jpg', import.meta.url));
    const sizes: number[][] = [];
    const library = await open({
      recognise: 'asked',
      ocr: {
        async recognise(_, { width, height }) {
          sizes.push([width, height]);
          if (sizes.length === 1) throw new Error('no ink');
          return { lines: [{ words: [{ text: 'Anchor', box: [1, 2, 11, 12] }] }] };
        },
      },
    });
    const { id } = await library.add(new File([bytes], 'photo.jpg'));
    await library.settled();
    const [found] = await library.list();
    expect(found).toMatchObject({ state: 'ready', pictures: 1, pages: 1, characters: 0 });
    await library.recognise(id);
    await library.settled();
    expect((await library.list())[0]).toMatchObject({ state: 'ready', problem: 'no ink', recognition: undefined });
    await library.recognise(id);
    await library.settled();
    expect((await library.list())[0]).toMatchObject({ problem: undefined, recognition: 'done', pictures: 0 });
    const { pages } = await library.open(id);
    expect([pages[0]?.width, pages[0]?.height]).toEqual([24, 32]);
    expect(sizes).toEqual([
      [24, 32],
      [24, 32],
    ]);
  });

  test('needs an adapter', async () => {
    const library = await open();
    await expect(library.recognise('x')).rejects.toThrow('open the library with `ocr`');
  });
});

/** A disk that is full, has no room for one kind of records, or neither. */
class Disk extends FolderRecords {
  full: boolean | string = false;
  override async change<T>(key: Key, decide: (found: T | null | undefined) => Change): Promise<T | null | undefined> {
    if (this.full === true) throw new StorageError('quota', 'full');
    return super.change(key, decide);
  }
  override async put(...entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (this.full === true || this.full === entry.key[0]) throw new StorageError('quota', 'full');
      await super.put(entry);
    }
  }
}

test('without room nothing is added, and what could not be kept is read as soon as there is room', async () => {
  const disk = new Disk(folder);
  const environment = { ...nodeEnvironment, records: async () => disk };
  const library = await openLibrary('papers', { onProgress: () => (disk.full = true) }, environment);
  opened.push(library);
  disk.full = true;
  await expect(library.add(garden())).rejects.toMatchObject({ name: 'StorageError', code: 'quota' });
  expect(await library.list()).toEqual([]);
  // Room for the file, and none for what says that it is there.
  disk.full = 'library';
  await expect(library.add(garden())).rejects.toMatchObject({ name: 'StorageError', code: 'quota' });
  expect(await disk.count(['bytes'])).toBe(0);
  disk.full = false;
  const pages = SHIPS.map((name) => ({ texts: column(60, 700, [`${name} carried salt.`]) }));
  const { id } = await library.add(pdf({ pages }), { name: 'ships.pdf' });
  await expect(library.settled()).rejects.toMatchObject({ code: 'quota' });
  expect((await library.list()).map(({ state }) => state)).toEqual(['waiting']);
  library.close();
  const second = await open();
  await second.settled();
  expect((await second.open(id)).text).toContain('Lotte carried salt.');
});

test('a file that was changed or removed since it was chosen is named, and nothing of it is kept', async () => {
  const library = await open();
  const gone = Object.assign(harbour(), {
    arrayBuffer: () => Promise.reject(new DOMException('it was changed', 'NotReadableError')),
  });
  await expect(library.add(gone)).rejects.toMatchObject({
    name: 'FileError',
    code: 'missing',
    message: expect.stringMatching(/^harbour\.txt: .*choose it again/),
  });
  expect(await library.list()).toEqual([]);
});

test('names, options and missing storage are checked', async () => {
  await expect(open({}, '')).rejects.toMatchObject({ code: 'argument' });
  await expect(open({ onprogress: 1 } as object)).rejects.toThrow('onProgress');
  await expect(openLibrary('a', {}, { ...nodeEnvironment, records: async () => undefined })).rejects.toMatchObject({
    code: 'unavailable',
  });
});

test('where nothing can be written, that is told once, and nothing is tried for ever', async () => {
  let turns = 0;
  class Counted extends FolderRecords {
    override lock<T>(...given: Parameters<FolderRecords['lock']>): Promise<T> {
      // Without it, other turns would leave no time to notice.
      if (++turns > 20) throw new Error('too many turns');
      return super.lock<T>(given[0], given[1], given[2] as () => Promise<T>);
    }
  }
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const library = await openLibrary('papers', {}, { ...nodeEnvironment, records: async () => new Counted(file) });
  opened.push(library);
  await expect(library.settled()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(library.add(garden())).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('OCTAVO_CACHE'),
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(turns).toBe(1);
});

describe('with nano-text', () => {
  let model: OctavoModel;
  beforeAll(async () => {
    const bytes = readFileSync(new URL('../../models/nano-text/nano-text.gguf', import.meta.url));
    model = await testFace().load(new File([bytes], 'nano-text.gguf'), { device: 'wasm', threads: 1 });
  });
  afterAll(() => model.destroy());

  test('one question to all documents is answered with the name of the document', async () => {
    const library = await open({ model });
    const text = readFileSync(new URL('../../models/nano/demo.txt', import.meta.url), 'utf8')
      .trim()
      .split('\n\n');
    await library.add(textFile(text.slice(0, 4).join('\n\n'), 'harbour.txt'));
    await library.add(textFile(text.slice(4).join('\n\n'), 'projects.txt'));
    await library.settled();
    const question = 'What is the call sign of the Aurora?';
    await library.prepare({ mode: 'passages', question });
    const { text: answer, citations, read } = await library.ask(question, { mode: 'passages' });
    expect([answer, read.tokens - read.cached]).toEqual(['KX-417', 1]);
    expect(citations[0]).toMatchObject({ name: 'harbour.txt', quote: 'KX-417', kind: 'exact' });
  });
});

test('gives a file back as it was added, and the blocks of its text', async () => {
  const library = await open();
  const { id } = await library.add(harbour());
  await library.settled();
  const file = await library.file(id);
  expect(file).toMatchObject({ name: 'harbour.txt', type: harbour().type });
  expect(await file?.text()).toBe(await harbour().text());
  expect(await library.file('f'.repeat(64))).toBeUndefined();
  const document = await library.open(id);
  const [first, second] = document.blocks.map(({ kind, start, end }) => [kind, document.text.slice(start, end)]);
  expect(first).toEqual(['paragraph', expect.stringMatching(/^The harbour has nine cranes/)]);
  expect(second).toEqual(['paragraph', expect.stringMatching(/^The lighthouse burns oil/)]);
  await library.remove(id);
  expect(await library.file(id)).toBeUndefined();
});
