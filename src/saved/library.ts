/**
 * What a model has read and stored on disk: sessions saved by name, and beginnings of prompts kept by their content.
 * Both are records of one kind (src/saved/record.ts) in one store, and a prompt may begin with either.
 *
 * Pages that fail their checksum are not used, and neither are those after them: the sequence ends before them, and the
 * rest is computed from the ids like the rest of any prompt.
 *
 * The file is long because saving, keeping, finding and removing share the locks and the records under way.
 */
import { KV_FORMATS, PAGE_TOKENS, pageFormat, type KvFormat } from '../backend/backend.ts';
import type { Checksums } from '../kv/checksum.ts';
import { positionsOf, setPositions } from '../kv/positions.ts';
import type { Sequence } from '../kv/sequence.ts';
import {
  checkModel,
  decodeHead,
  encodeHead,
  HEADS,
  partRuns,
  runBytes,
  runChecksums,
  wholeBlocks,
  type BlockRun,
  type Head,
  type PageSizes,
} from './record.ts';
import { StorageError } from '../errors.ts';
import type { KeptPrompts } from '../generate/session-cache.ts';
import type { Prompt } from '../chat/prompt.ts';
import { packState, unpackState } from './state.ts';
import type { SessionState } from '../generate/session-state.ts';
import type { ImageProcessor } from '../see/images.ts';
import type { KeepLimits, SaveOptions, SessionManifest, SessionStore } from '../store/index.ts';
import { RECORD_VERSION } from '../store/shelf.ts';
import { chainOf, commonBlocks, equalTokens } from './chain.ts';
import { lastSaved, packSnapshot, savedPositions, unpackSnapshot, type SavedSnapshot } from './states.ts';

/** Reading fewer tokens than this from disk is not worth the search. */
const WORTH_READING = PAGE_TOKENS;
/** A prompt with fewer new tokens than this, compared with the kept prompts, is not kept. */
const WORTH_KEEPING = 8 * PAGE_TOKENS;

export interface LibraryModel {
  readonly fingerprint: string;
  readonly name: string;
  readonly images: Pick<ImageProcessor, 'register'>;
}

export interface Opened {
  readonly state: SessionState;
  /** Appends the stored pages to an empty sequence, as far as they are intact. */
  fill(sequence: Sequence, signal?: AbortSignal): Promise<void>;
}

export interface Saved {
  readonly name: string;
  readonly tokens: number;
  readonly bytes: number;
}

export class Library implements KeptPrompts {
  readonly #store: SessionStore;
  readonly #checksums: Checksums;
  readonly #model: LibraryModel;
  readonly #onNotKept: ((error: StorageError) => void) | undefined;
  /** Writes in the background, one after the other. */
  #writing: Promise<unknown> = Promise.resolve();

  /** `onNotKept` is told why a prompt could not be stored by `keep`, which fails without a word. */
  constructor(
    store: SessionStore,
    checksums: Checksums,
    model: LibraryModel,
    onNotKept?: (error: StorageError) => void,
  ) {
    this.#store = store;
    this.#checksums = checksums;
    this.#model = model;
    this.#onNotKept = onNotKept;
  }

  /** Resolves when no write is pending. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /**
   * Writes a session and frees `sequence`, which holds its pages. `contentKey` covers what the pages depend on besides
   * the model and the ids.
   */
  save(
    name: string,
    state: SessionState,
    sequence: Sequence | undefined,
    contentKey: string,
    options: SaveOptions & { readonly automatic?: boolean } = {},
  ): Promise<Saved> {
    const write = async (): Promise<Saved> => {
      try {
        return await this.#write(name, state, sequence, contentKey, options);
      } finally {
        sequence?.free();
      }
    };
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /**
   * Returns a saved session. Throws `InputError` for an unknown name and `StorageError` for a session that cannot be
   * read here: see `SessionStore.find` and `checkModel`.
   */
  async open(name: string, signal?: AbortSignal): Promise<Opened> {
    const opened = await this.#store.reading(name, async (manifest): Promise<Opened | undefined> => {
      signal?.throwIfAborted();
      checkModel(manifest, this.#model);
      const head = await this.#head(manifest);
      if (head === undefined) return undefined;
      const state = unpackState(head.facts, head.ids, head.pixels, this.#model.images);
      return { state, fill: (sequence, stop) => this.#fill(manifest, head, sequence, head.facts.filled, stop) };
    });
    if (opened === undefined) {
      throw new StorageError(
        'checksum',
        `the saved session '${name}' is damaged: both copies of its text are unreadable; remove it (Octavo.sessions.remove) and save again`,
        { name },
      );
    }
    return opened;
  }

  /**
   * Appends what is stored of the prompt's beginning to `sequence`, after what it holds already. When reading fails,
   * nothing is lost, since the rest is computed.
   */
  async extend(prompt: Prompt, contentKey: string, sequence: Sequence, signal?: AbortSignal): Promise<void> {
    // The last token is always recomputed: its hidden state produces the next logits.
    const most = prompt.ids.length - 1;
    if (most - sequence.length < WORTH_READING) return;
    try {
      const chain = chainOf(prompt);
      const gain = (manifest: SessionManifest): number =>
        PAGE_TOKENS * commonBlocks(chain, manifest.chain) - sequence.length;
      const mine = ({ model, version, contentKey: other }: SessionManifest): boolean =>
        model === this.#model.fingerprint && version === RECORD_VERSION && other === contentKey;
      const found = await this.#store.candidates((manifest) => mine(manifest) && gain(manifest) >= WORTH_READING);
      const [best] = found.toSorted((a, b) => gain(b) - gain(a));
      if (best === undefined) return;
      const head = await this.#head(best);
      if (head === undefined) return;
      // The block in which they part is taken, too: what differs in it is written over.
      const end = Math.min(most, head.facts.filled, equalTokens(prompt, head));
      if (end - sequence.length < WORTH_READING) return;
      await this.#fill(best, head, sequence, end, signal);
    } catch (error) {
      if (signal?.aborted || !(error instanceof StorageError)) throw error;
    }
  }

  /**
   * Stores a prompt by its content in the background and frees `sequence`. Then removes kept prompts beyond `limits`.
   * Never throws, since the prompt is answered in any case: failures of the storage go to `onNotKept`.
   */
  keep(state: SessionState, sequence: Sequence, contentKey: string, limits: KeepLimits = {}): void {
    const write = async (): Promise<void> => {
      try {
        await this.#keep(state, sequence, contentKey, limits);
      } catch (error) {
        // The prompt is computed again next time. That the device is lost is told by itself.
        if (error instanceof StorageError) this.#onNotKept?.(error);
      } finally {
        sequence.free();
      }
      await this.#store.trim(limits).catch(() => undefined);
    };
    this.#writing = this.#writing.then(write);
  }

  async #keep(state: SessionState, sequence: Sequence, contentKey: string, limits: KeepLimits): Promise<void> {
    const chain = chainOf(state.transcript);
    const mine = await this.#store.candidates(
      ({ model, version, contentKey: other }) =>
        model === this.#model.fingerprint && version === RECORD_VERSION && other === contentKey,
    );
    const most = PAGE_TOKENS * Math.max(0, ...mine.map((manifest) => commonBlocks(chain, manifest.chain)));
    if (PAGE_TOKENS * chain.length - most < WORTH_KEEPING) return;
    // A kept prompt that this one extends is replaced.
    const before = mine.find(
      (manifest) => manifest.automatic && commonBlocks(chain, manifest.chain) === manifest.chain.length,
    );
    const name = before?.name ?? `kept ${crypto.randomUUID()}`;
    await this.#write(name, state, sequence, contentKey, {
      automatic: true,
      most: await this.#store.mostKept(limits),
    });
  }

  async #write(
    name: string,
    state: SessionState,
    sequence: Sequence | undefined,
    contentKey: string,
    {
      automatic = false,
      most = Infinity,
      ...options
    }: SaveOptions & { readonly automatic?: boolean; readonly most?: number },
  ): Promise<Saved> {
    const { transcript } = state;
    const { facts: stateFacts, pixels } = packState(state);
    const whole = sequence === undefined ? 0 : wholeTokens(sequence, transcript.ids.length);
    const { state: states } = sequence ?? {};
    const snapshots = states === undefined ? [] : savedPositions(states, whole).map((at) => states.at(at)?.retain());
    // Behind the last snapshot nothing can be continued.
    const filled = states === undefined ? whole : (snapshots.at(-1)?.position ?? 0);
    const blocks = Math.ceil(filled / PAGE_TOKENS);
    const pagesPerBlock = sequence?.pagesPerBlock ?? 1;
    const sizes = sequence === undefined ? [] : pageSizes(sequence);
    const pages = Int32Array.from(
      Array.from({ length: blocks }, (_, block) => [...(sequence?.pagesOf(block) ?? [])]).flat(),
    );
    const formats = Uint8Array.from(pages, (page) => KV_FORMATS.indexOf(pageFormat(page)));
    const runs = partRuns(formats, pagesPerBlock, sizes);
    const { layers, kvHeads, headDim } = sequence?.pool.spec ?? { layers: 0, kvHeads: 0, headDim: 0 };
    const facts = {
      ...stateFacts,
      model: this.#model.fingerprint,
      modelName: this.#model.name,
      layers,
      kvHeads,
      headDim,
      filled,
      ...(sequence?.hadamard === true && { hadamard: true }),
    };
    const positions = sequence?.positions && positionsOf(sequence.positions, 0, filled).values;
    const checksums = this.#checksums;
    const parts = async function* (generation: string): AsyncGenerator<Uint8Array> {
      const sums = new Uint32Array(2 * pages.length);
      for (const run of runs) {
        const bytes =
          (await sequence?.pool.read(pages.subarray(run.start * pagesPerBlock, run.end * pagesPerBlock))) ??
          new Uint8Array(0);
        sums.set(
          runChecksums(bytes, formats, pagesPerBlock, sizes, run, generation, checksums),
          2 * run.start * pagesPerBlock,
        );
        yield bytes;
      }
      const saved: SavedSnapshot[] = [];
      for (const snapshot of snapshots) {
        if (snapshot === undefined) continue;
        const before = saved.reduce((sum, { parts: own }) => sum + own.length, 0);
        const packed = await packSnapshot(snapshot, before, generation, checksums);
        saved.push(packed.saved);
        yield* packed.parts;
      }
      const head = encodeHead(
        {
          facts: { ...facts, ...(states && { states: saved }) },
          ids: transcript.ids,
          positions: positions ?? new Int32Array(0),
          formats,
          checksums: sums,
          pixels,
        },
        generation,
        checksums,
      );
      for (let copy = 0; copy < HEADS; copy++) yield head;
    };
    const bytes =
      runs.reduce((sum, run) => sum + runBytes(formats, pagesPerBlock, sizes, run), 0) +
      HEADS * (4 * transcript.ids.length + 9 * pages.length + pixels.length) +
      snapshots.reduce((sum, snapshot) => sum + (snapshot?.bytes ?? 0), 0);
    if (bytes > most) {
      for (const snapshot of snapshots) snapshot?.release();
      throw new StorageError(
        'quota',
        `the prompt takes ${bytes} bytes and ${most} are kept at most; allow more (keep: { bytes }), or keep it with fewer kvBits`,
        { bytes, most },
      );
    }
    const saving = this.#store.save(
      {
        version: RECORD_VERSION,
        name,
        model: this.#model.fingerprint,
        modelName: this.#model.name,
        contentKey,
        tokens: transcript.ids.length,
        automatic,
        chain: chainOf(transcript, filled),
        bytes,
      },
      parts,
      options,
    );
    const manifest = await saving.finally(() => {
      for (const snapshot of snapshots) snapshot?.release();
    });
    return { name, tokens: manifest.tokens, bytes: manifest.bytes };
  }

  /** Returns the first intact one of a record's two heads. */
  async #head(manifest: SessionManifest): Promise<Head | undefined> {
    for (let copy = HEADS; copy > 0; copy--) {
      const bytes = await this.#store.read(manifest, manifest.parts - copy);
      const head = bytes === undefined ? undefined : decodeHead(bytes, manifest.generation, this.#checksums);
      if (head !== undefined) return head;
    }
    return undefined;
  }

  /** Returns the stored blocks from the end of `sequence` up to position `end`, as far as they are intact. */
  async #fill(
    manifest: SessionManifest,
    head: Head,
    sequence: Sequence,
    wantedEnd: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { layers, kvHeads, headDim } = sequence.pool.spec;
    const { facts, formats } = head;
    if (wantedEnd === 0 || facts.layers !== layers || facts.kvHeads !== kvHeads || facts.headDim !== headDim) return;
    // Where values are transformed here and were not there, everything is computed from the ids.
    if ((facts.hadamard ?? false) !== sequence.hadamard) return;
    const { pagesPerBlock } = sequence;
    const sizes = pageSizes(sequence);
    if (head.positions.length % Math.max(1, facts.filled) !== 0) return;
    const { state } = sequence;
    const saved = state && lastSaved(facts.states ?? [], wantedEnd);
    const end = state === undefined ? wantedEnd : (saved?.position ?? 0);
    if (end <= sequence.length) return;
    // With states the sequence begins anew: it has none at the border of its last block, perhaps.
    const first = state === undefined ? Math.floor(sequence.length / PAGE_TOKENS) : 0;
    sequence.truncate(first * PAGE_TOKENS);
    const last = Math.ceil(end / PAGE_TOKENS);
    const runs = partRuns(formats, pagesPerBlock, sizes);
    const wanted = runs.map((run, part) => ({ run, part })).filter(({ run }) => run.end > first && run.start < last);
    /** Blocks that wait for the states behind them. */
    const waiting: Int32Array[] = [];
    if (head.positions.length > 0) {
      const stored = { axes: head.positions.length / facts.filled, values: head.positions };
      // The sequence keeps its own pages up to its end.
      setPositions(sequence, sequence.length, end, positionsOf(stored, sequence.length, end));
    }
    try {
      let next = this.#part(manifest, wanted[0]?.part);
      for (const [index, { run }] of wanted.entries()) {
        signal?.throwIfAborted();
        const bytes = await next;
        // The next part is read while this one is inserted.
        next = this.#part(manifest, wanted[index + 1]?.part);
        next.catch(() => undefined);
        const whole =
          run.start + wholeBlocks(head, bytes, run, pagesPerBlock, sizes, manifest.generation, this.#checksums);
        const stop = Math.min(last, whole);
        const from = Math.max(first, run.start);
        if (bytes !== undefined && stop > from) {
          waiting.push(...written(sequence, formats, bytes, run, { start: from, end: stop }, sizes));
          if (state === undefined) {
            sequence.adopt(waiting, Math.min(end, stop * PAGE_TOKENS));
            waiting.length = 0;
          }
        }
        if (whole < Math.min(last, run.end)) break;
      }
      if (state !== undefined && saved !== undefined && waiting.length === last) {
        const read = (part: number): Promise<Uint8Array | undefined> => this.#part(manifest, runs.length + part);
        const all = facts.states ?? [];
        const snapshot = await unpackSnapshot(state.backend, all, saved, read, manifest.generation, this.#checksums);
        if (snapshot !== undefined) {
          try {
            sequence.adopt(waiting, end, snapshot);
            waiting.length = 0;
          } catch (error) {
            snapshot.release();
            throw error;
          }
        }
      }
    } finally {
      for (const pages of waiting) for (const page of pages) if (page >= 0) sequence.pages.release(page);
    }
    // Stored pages may be closed further than they would be in a sequence that ends here.
    sequence.truncate(sequence.length);
    await this.#store.used(manifest);
  }

  async #part(manifest: SessionManifest, part: number | undefined): Promise<Uint8Array | undefined> {
    try {
      return part === undefined ? undefined : await this.#store.read(manifest, part);
    } catch (error) {
      // Pages that cannot be read are computed again, like damaged ones.
      if (error instanceof StorageError) return undefined;
      throw error;
    }
  }
}

/**
 * Returns how many of the first `most` tokens are in blocks that have a page of their own positions for every layer and
 * head.
 */
function wholeTokens(sequence: Sequence, most: number): number {
  const length = Math.min(sequence.length, most);
  for (let block = 0; block * PAGE_TOKENS < length; block++) if (!sequence.whole(block)) return block * PAGE_TOKENS;
  return length;
}

function pageSizes({ pool }: Sequence): PageSizes {
  return KV_FORMATS.map((format) => pool.pageBytes(format));
}

/** Allocates and writes pages for the blocks `blocks` of a part, which holds the blocks `run`; the caller owns them. */
function written(
  sequence: Sequence,
  formats: Uint8Array,
  bytes: Uint8Array,
  run: BlockRun,
  blocks: BlockRun,
  sizes: PageSizes,
): Int32Array[] {
  const { pages: allocator, pool, pagesPerBlock } = sequence;
  const codes = formats.subarray(blocks.start * pagesPerBlock, blocks.end * pagesPerBlock);
  const allocated: number[] = [];
  try {
    const byFormat = new Map<number, number[]>();
    for (const code of new Set(codes)) {
      const pages = allocator.allocate(
        codes.reduce((sum, other) => sum + Number(other === code), 0),
        KV_FORMATS[code],
      );
      allocated.push(...pages);
      byFormat.set(code, pages.toReversed());
    }
    const pages = Int32Array.from(codes, (code) => byFormat.get(code)?.pop() ?? 0);
    const skipped = runBytes(formats, pagesPerBlock, sizes, { start: run.start, end: blocks.start });
    pool.write(pages, bytes.subarray(skipped, skipped + runBytes(formats, pagesPerBlock, sizes, blocks)));
    const own = opened(sequence, pages, allocated);
    return Array.from({ length: blocks.end - blocks.start }, (_, block) =>
      own.slice(block * pagesPerBlock, (block + 1) * pagesPerBlock),
    );
  } catch (error) {
    for (const page of allocated) allocator.release(page);
    throw error;
  }
}

/** Returns the pages; those in an open format other than this device's are converted to it. `allocated` is updated. */
function opened({ pages: allocator, pool }: Sequence, pages: Int32Array, allocated: number[]): Int32Array {
  const own = pool.spec.format;
  const foreign = (page: number): boolean => isOpen(pageFormat(page)) && pageFormat(page) !== own;
  const from = pages.filter(foreign);
  if (from.length === 0) return pages;
  const to = allocator.allocate(from.length, own);
  allocated.push(...to);
  pool.convert(from, Int32Array.from(to));
  for (const page of from) {
    allocator.release(page);
    allocated.splice(allocated.indexOf(page), 1);
  }
  let next = 0;
  return pages.map((page) => (foreign(page) ? (to[next++] ?? page) : page));
}

function isOpen(format: KvFormat): boolean {
  return format === 'f32' || format === 'f16';
}
