/**
 * Equal beginnings of prompts, shared by the sessions of a model: what one session has read, another adopts page by
 * page, without computing it. A tree of blocks: each block is found below the block before it by its own ids and image
 * spans, which are compared completely, so that different contents are never confused.
 */
import { PAGE_TOKENS, pageFormat, type SlotPositions } from '../backend/backend.ts';
import { positionsOf, setPositions } from './positions.ts';
import type { KvBits } from './precision.ts';
import type { PageAllocator, Sequence } from './sequence.ts';
import type { Snapshot } from './state.ts';
import { closedBlocks, closedFormat, CLOSED_TOKENS } from './precision.ts';

/** A span of an image among the ids: its placeholders are the ids `[at, at + tokens)`. Equal keys: equal content, encoded in the same way. */
export interface SharedSpan {
  readonly at: number;
  readonly tokens: number;
  readonly contentKey: string;
  /** Whether its tokens attend to each other in both directions; then a shared prefix does not end inside it. */
  readonly bidirectional: boolean;
}

export interface SharedPrompt {
  readonly ids: Int32Array;
  readonly spans: readonly SharedSpan[];
  /** Everything else on which the content of pages depends. Sessions share only when it is equal. */
  readonly contentKey: string;
  readonly bits: KvBits;
}

interface Block {
  readonly parent: Block | undefined;
  readonly key: string;
  readonly children: Map<string, Block>;
  /** By row; one reference each. */
  readonly pages: Int32Array;
  /** The positions of its slots for RoPE; undefined for the slot numbers. */
  readonly positions: SlotPositions | undefined;
  /** The states after it, if a sequence with states was cached at its end; one reference. */
  snapshot: Snapshot | undefined;
  bytes: number;
}

export class Prefixes {
  readonly #pages: PageAllocator;
  readonly #most: number;
  /** The first blocks, by their keys. */
  readonly #roots = new Map<string, Block>();
  /**
   * In order of use, the most recently used last. A block comes after its descendants, so the first is always a leaf.
   */
  readonly #recent = new Set<Block>();
  #bytes = 0;

  /** Keeps blocks whose pages take at most `most` bytes, whether or not sessions hold them too. */
  constructor(pages: PageAllocator, most: number) {
    this.#pages = pages;
    this.#most = most;
    pages.reclaim = () => this.#forgetOldest();
  }

  /** The number of pages that only this cache holds. */
  get idle(): number {
    let idle = 0;
    for (const { pages } of this.#recent) for (const page of pages) if (!this.#pages.shared(page)) idle++;
    return idle;
  }

  /**
   * Lets the sequence, which holds the first `sequence.length` ids already, adopt cached blocks of the following ids:
   * whole blocks, closed as in a sequence of that length, and never the last id, whose hidden state is needed for the
   * next. `cut` truncates the sequence to whole blocks first.
   */
  adopt(
    prompt: SharedPrompt,
    sequence: Sequence,
    cut: (length: number) => unknown = (length) => sequence.truncate(length),
  ): void {
    const most = Math.floor(Math.min(prompt.ids.length - 1, sequence.capacity) / PAGE_TOKENS);
    const known = usable(this.#known(prompt, most), prompt, sequence.state !== undefined);
    const end = known.length * PAGE_TOKENS;
    if (end <= sequence.length) return;
    const snapshot = sequence.state && known.at(-1)?.snapshot?.retain();
    // Retain them before the sequence releases its own last block, which may be one of them.
    for (const { pages } of known) for (const page of pages) this.#pages.retain(page);
    let adopted = known.length;
    try {
      // A sequence with states starts again from the beginning: its states may not go back to a block border, and all
      // blocks are known here.
      cut(sequence.state === undefined ? Math.floor(sequence.length / PAGE_TOKENS) * PAGE_TOKENS : 0);
      const from = sequence.length / PAGE_TOKENS;
      sequence.adopt(
        known.slice(from).map(({ pages }) => pages),
        end,
        snapshot,
      );
      adopted = from;
      place(sequence, known, from);
    } finally {
      for (const { pages } of known.slice(0, adopted)) for (const page of pages) this.#pages.release(page);
      if (adopted === known.length) snapshot?.release();
    }
  }

  /**
   * Caches the whole blocks of the prompt that the sequence holds, as far as they are closed where the precision
   * requires it.
   */
  publish(prompt: SharedPrompt, sequence: Sequence): void {
    const most = Math.floor(Math.min(prompt.ids.length, sequence.length) / PAGE_TOKENS);
    const path = this.#known(prompt, most);
    for (let index = path.length; index < most && this.#fit(prompt, sequence, index); index++) {
      const parent = path.at(-1);
      const siblings = parent?.children ?? this.#roots;
      const key = blockKey(prompt, index);
      const pages = sequence.pagesOf(index);
      const bytes = pages.reduce((sum, page) => sum + sequence.pool.pageBytes(pageFormat(page)), 0);
      const positions =
        sequence.positions && positionsOf(sequence.positions, index * PAGE_TOKENS, (index + 1) * PAGE_TOKENS);
      const block: Block = { parent, key, children: new Map(), pages, positions, snapshot: undefined, bytes };
      for (const page of pages) this.#pages.retain(page);
      siblings.set(key, block);
      this.#bytes += bytes;
      path.push(block);
    }
    for (const [index, block] of path.entries()) {
      const snapshot = block.snapshot === undefined ? sequence.state?.at((index + 1) * PAGE_TOKENS) : undefined;
      if (snapshot === undefined) continue;
      block.snapshot = snapshot.retain();
      block.bytes += snapshot.bytes;
      this.#bytes += snapshot.bytes;
    }
    this.#touch(path);
    while (this.#bytes > this.#most && this.#forgetOldest());
  }

  /** Releases all blocks. */
  free(): void {
    while (this.#forgetOldest());
  }

  /**
   * Tells whether block `index` of the sequence can serve others: it has no holes, and no open pages where they should
   * be closed.
   */
  #fit({ bits }: SharedPrompt, sequence: Sequence, index: number): boolean {
    if (!sequence.whole(index)) return false;
    return (
      bits === 16 ||
      (index < closedBlocks(sequence.length, bits) &&
        sequence.pagesOf(index).every((page) => pageFormat(page) !== sequence.pool.spec.format))
    );
  }

  /** Returns the first blocks of the prompt that are cached, at most `most`. */
  #known(prompt: SharedPrompt, most: number): Block[] {
    const path: Block[] = [];
    while (path.length < most) {
      const block = (path.at(-1)?.children ?? this.#roots).get(blockKey(prompt, path.length));
      if (block === undefined) break;
      path.push(block);
    }
    this.#touch(path);
    return path;
  }

  #touch(path: readonly Block[]): void {
    for (const block of path.toReversed()) {
      this.#recent.delete(block);
      this.#recent.add(block);
    }
  }

  #forgetOldest(): boolean {
    const [oldest] = this.#recent;
    if (oldest === undefined) return false;
    this.#recent.delete(oldest);
    (oldest.parent?.children ?? this.#roots).delete(oldest.key);
    this.#bytes -= oldest.bytes;
    for (const page of oldest.pages) this.#pages.release(page);
    oldest.snapshot?.release();
    return true;
  }
}

/** Returns as many of the blocks as a sequence can continue from. */
function usable(found: readonly Block[], { bits, spans }: SharedPrompt, states: boolean): readonly Block[] {
  for (let count = found.length; ;) {
    let fewer = blocksOutside(spans, asComputed(found, count, bits));
    // A sequence cannot continue after a block whose states were not kept.
    if (states) while (fewer > 0 && found[fewer - 1]?.snapshot === undefined) fewer--;
    if (fewer === count) return found.slice(0, count);
    count = fewer;
  }
}

/** Returns the largest number of the first `most` blocks whose formats are those of a sequence that ends after them. */
function asComputed(blocks: readonly Block[], most: number, bits: KvBits): number {
  if (bits === 16) return most;
  const group = CLOSED_TOKENS / PAGE_TOKENS;
  let count = most - (most % group);
  const wrong = ({ pages }: Block, index: number): boolean =>
    pages.some((page) => pageFormat(page) !== closedFormat(index, count, bits));
  while (blocks.slice(0, count).some(wrong)) count -= group;
  return count;
}

/** Sets the positions of blocks from `from` on, if they or those before them differ from the slot numbers. */
function place(sequence: Sequence, blocks: readonly Block[], from: number): void {
  const added = blocks.slice(from);
  if (sequence.positions === undefined && added.every(({ positions }) => positions === undefined)) return;
  for (const [i, { positions }] of added.entries())
    setPositions(sequence, (from + i) * PAGE_TOKENS, (from + i + 1) * PAGE_TOKENS, positions);
}

/** Returns the largest number of blocks, at most `blocks`, that does not end inside a bidirectional span. */
function blocksOutside(spans: readonly SharedSpan[], blocks: number): number {
  const cutBy = spans.find(
    ({ at, tokens, bidirectional }) => bidirectional && at < blocks * PAGE_TOKENS && at + tokens > blocks * PAGE_TOKENS,
  );
  return cutBy === undefined ? blocks : blocksOutside(spans, Math.floor(cutBy.at / PAGE_TOKENS));
}

/** Returns a key of everything on which a block's content depends, except the blocks before it. */
function blockKey({ ids, spans, contentKey }: SharedPrompt, index: number): string {
  const start = index * PAGE_TOKENS;
  const end = start + PAGE_TOKENS;
  const seen = spans
    .filter(({ at, tokens }) => at < end && at + tokens > start)
    .map(({ at, tokens, contentKey: image }) => [at - start, tokens, image]);
  return JSON.stringify([index === 0 ? contentKey : '', ids.subarray(start, end).join(), seen]);
}
