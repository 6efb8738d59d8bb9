/** Keeps a tokenizer's tables in WASM memory and encodes normalised text with them. Owns its memory until `free`. */
import { InputError, ModelError } from '../errors.ts';
import type { Wasm } from '../wasm.ts';
import { byteMap } from './alignment.ts';
import type { SplitBehaviour, SplitStage, TokenModel } from './description.ts';
import type { IdList } from './id-list.ts';
import { byBytes, placesOf, type Locate } from './places.ts';
import { FIELDS, FLAGS, KINDS, RECORD_BYTES } from './vocabulary-record.ts';

const BEHAVIOURS: readonly SplitBehaviour[] = [
  'isolated',
  'removed',
  'merged-with-previous',
  'merged-with-next',
  'contiguous',
];
const NONE = 0xffffffff;

/** Entries of 64 bytes each: 1 MiB holds the words of a book. */
const CACHE_ENTRIES = 16384;
/** Text is encoded in chunks of this many UTF-16 units of at most 3 bytes each; a longer piece makes the buffers grow. */
const CHUNK = 32768;
/** Bytes after the text that may be read. */
const PADDING = 16;

function powerOfTwo(atLeast: number): number {
  let n = 16;
  while (n < atLeast) n *= 2;
  return n;
}

export class Encoder {
  readonly #wasm: Wasm;
  readonly #record: number;
  readonly #stages: readonly {
    automaton: number;
    behaviour: number;
    invert: number;
    cuts: boolean;
    split?: (piece: string, first: boolean) => readonly string[];
  }[];
  /** Whether text may be encoded in chunks that end where the first stage cuts it. */
  readonly #chunks: boolean;
  #owned: number[] = [];
  /** Text, two lists of pieces and ids for `#room` bytes of text; one allocation. */
  #buffer = 0;
  #room = 0;
  #scratch = 0;
  /** Memory for the spans of `#spanned` ids, allocated only when offsets are requested. */
  #spans = 0;
  #spanned = 0;
  #utf8 = new TextEncoder();
  /** A buffer for JavaScript engines whose TextEncoder does not write into shared memory. */
  #detour: Uint8Array | undefined;

  constructor(wasm: Wasm, model: TokenModel, stages: readonly SplitStage[]) {
    this.#wasm = wasm;
    try {
      this.#record = this.#own(RECORD_BYTES);
      wasm.bytes(this.#record, RECORD_BYTES).fill(0);
      this.#upload(model);
      this.#stages = stages.map((stage) => {
        if (stage.kind === 'function')
          return { automaton: 0, behaviour: 0, invert: 0, cuts: false, split: stage.split };
        const behaviour = BEHAVIOURS.indexOf(stage.behaviour);
        return {
          automaton: this.#uploadAutomaton(stage),
          behaviour,
          invert: stage.invert ? 1 : 0,
          cuts: behaviour < 2,
        };
      });
      this.#chunks = this.#stages[0]?.cuts === true && this.#stages.every((stage) => stage.split === undefined);
      this.#reserve(CHUNK * 3);
      this.#reserveScratch(4096);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  free(): void {
    for (const pointer of this.#owned) this.#wasm.free(pointer);
    this.#owned = [];
    this.#wasm.free(this.#buffer);
    this.#wasm.free(this.#scratch);
    this.#wasm.free(this.#spans);
    this.#buffer = 0;
    this.#scratch = 0;
    this.#spans = 0;
    this.#spanned = 0;
    this.#room = 0;
  }

  /**
   * Appends the ids of `text`, which begins the whole text when `first`, and their positions in it if `locate` is
   * given.
   */
  encode(text: string, first: boolean, ids: IdList, locate?: Locate): void {
    if (this.#owned.length === 0) throw new InputError('destroyed', 'the tokenizer was freed; open the model again');
    if (this.#stages.some((stage) => stage.split !== undefined)) {
      this.#encodeStrings([text], 0, first, ids, locate && [locate]);
      return;
    }
    if (locate !== undefined) {
      this.#reserve(3 * text.length);
      const length = this.#write(text, this.#buffer);
      this.#encodeBytes(length, true, 0, this.#stages.length, ids, byBytes(text, locate));
      return;
    }
    let held = 0;
    let at = 0;
    let step = this.#chunks ? CHUNK : text.length;
    while (at < text.length || held > 0) {
      let end = Math.min(text.length, at + step);
      // Chunks do not end between the halves of a character.
      if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end++;
      this.#reserve(held + 3 * (end - at), held);
      const length =
        held + this.#write(at === 0 && end === text.length ? text : text.slice(at, end), this.#buffer + held);
      at = end;
      const final = at >= text.length;
      const used = this.#encodeBytes(length, final, 0, this.#stages.length, ids);
      held = length - used;
      if (held > 0) this.#wasm.bytes(this.#buffer, length).copyWithin(0, used);
      // No cut was found: double the chunk, so that the same text is not scanned many times.
      if (used === 0) step *= 2;
      if (final) break;
    }
  }

  /** Pieces as strings, for stages that change them; `first`: the first piece begins the text. */
  #encodeStrings(
    pieces: readonly string[],
    stage: number,
    first: boolean,
    ids: IdList,
    places?: readonly Locate[],
  ): void {
    const next = this.#stages.findIndex((s, i) => i >= stage && s.split !== undefined);
    const split = this.#stages[next]?.split;
    pieces.forEach((piece, i) => {
      const locate = places?.[i];
      if (split === undefined) {
        this.#reserve(3 * piece.length);
        const length = this.#write(piece, this.#buffer);
        const byByte = locate && byBytes(piece, locate);
        this.#encodeBytes(length, true, stage, this.#stages.length, ids, byByte);
        return;
      }
      const cuts = next === stage ? [{ text: piece, start: 0 }] : this.#cut(piece, stage, next);
      const units = locate && byteMap(piece).starts;
      for (const { text, start } of cuts) {
        const begins = first && i === 0 && start === 0;
        const parts = split(text, begins);
        const placed =
          locate &&
          placesOf(
            text,
            parts,
            (part) => split(part, begins).join(''),
            (a, b) => {
              const at = units?.[start] ?? 0;
              return locate(at + a, at + b);
            },
          );
        this.#encodeStrings(parts, next + 1, begins, ids, placed);
      }
    });
  }

  /** The pieces of `text` after the pattern stages `[from, to)`, with the byte where each starts. */
  #cut(text: string, from: number, to: number): { text: string; start: number }[] {
    this.#reserve(3 * text.length);
    const length = this.#write(text, this.#buffer);
    const { pieces, count } = this.#split(length, true, from, to);
    const bounds = this.#wasm.u32(pieces, 2 * count);
    const bytes = this.#wasm.bytes(this.#buffer, length);
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return Array.from({ length: count }, (_, i) => {
      const start = bounds[2 * i] ?? 0;
      return { text: decoder.decode(bytes.slice(start, bounds[2 * i + 1])), start };
    });
  }

  #split(length: number, final: boolean, from: number, to: number): { pieces: number; count: number; used: number } {
    const { exports } = this.#wasm;
    let pieces = this.#buffer + this.#room + PADDING;
    let other = pieces + 8 * this.#room;
    let count = length > 0 ? 1 : 0;
    this.#wasm.u32(pieces, 2).set([0, length]);
    let used = length;
    for (let i = from; i < to; i++) {
      const stage = this.#stages[i];
      if (stage === undefined || stage.automaton === 0) continue;
      count =
        exports.splitPieces(
          stage.automaton,
          this.#buffer,
          pieces,
          count,
          final || i > 0 ? 1 : 0,
          stage.behaviour,
          stage.invert,
          other,
        ) >>> 0;
      if (count === NONE) {
        throw new ModelError(
          'tokenizer',
          "tokenizer: the pretokeniser's expression takes more than linear time on this text; it is stopped so that the page does not hang",
          { stage: i },
        );
      }
      if (i === 0 && length > 0) used = this.#wasm.u32(stage.automaton, 5)[4] ?? 0;
      [pieces, other] = [other, pieces];
    }
    return { pieces, count, used };
  }

  /** Encodes `length` bytes of the buffer and returns how many of them were consumed. `locate` maps byte offsets. */
  #encodeBytes(length: number, final: boolean, from: number, to: number, ids: IdList, locate?: Locate): number {
    const { exports } = this.#wasm;
    const { pieces, count, used } = this.#split(length, final, from, to);
    const output = this.#buffer + this.#room + PADDING + 16 * this.#room;
    if (locate !== undefined) this.#reserveSpans(length + 16);
    this.#set(FIELDS.spans, locate === undefined ? 0 : this.#spans);
    for (let done = 0; done < count;) {
      const at = pieces + 8 * done;
      const did = exports.encodePieces(this.#record, this.#buffer, at, count - done, output) >>> 0;
      const produced = this.#field(FIELDS.produced);
      ids.append(this.#wasm.i32(output, produced));
      if (locate !== undefined) {
        const spans = this.#wasm.u32(this.#spans, 2 * produced);
        for (let i = 0; i < produced; i++) ids.offsets.push(...locate(spans[2 * i] ?? 0, spans[2 * i + 1] ?? 0));
      }
      done += did;
      if (done < count) {
        const [start, end] = this.#wasm.u32(pieces + 8 * done, 2);
        this.#reserveScratch((end ?? 0) - (start ?? 0));
      }
    }
    return used;
  }

  /** UTF-8 of `text` to `pointer`; lone surrogates become U+FFFD. */
  #write(text: string, pointer: number): number {
    const view = this.#wasm.bytes(pointer, 3 * text.length);
    if (!this.#wasm.build.endsWith('-threads')) return this.#utf8.encodeInto(text, view).written;
    if (this.#detour === undefined || this.#detour.length < view.length)
      this.#detour = new Uint8Array(Math.max(view.length, 3 * CHUNK));
    const { written } = this.#utf8.encodeInto(text, this.#detour);
    view.set(this.#detour.subarray(0, written));
    return written;
  }

  #field(index: number): number {
    return this.#wasm.u32(this.#record, RECORD_BYTES / 4)[index] ?? 0;
  }
  #set(index: number, value: number): void {
    this.#wasm.u32(this.#record, RECORD_BYTES / 4)[index] = value;
  }

  #own(size: number): number {
    const pointer = this.#wasm.alloc(size);
    this.#owned.push(pointer);
    return pointer;
  }
  #copy(data: Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array): number {
    const pointer = this.#own(Math.max(8, data.byteLength));
    this.#wasm.bytes(pointer, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return pointer;
  }

  /** Makes the buffer hold `bytes` of text; the first `kept` are preserved. */
  #reserve(bytes: number, kept = 0): void {
    if (bytes <= this.#room) return;
    const room = (Math.max(bytes, this.#room * 1.5) + 15) & ~15;
    const buffer = this.#wasm.alloc(room + PADDING + 16 * room + 4 * room + 64);
    if (kept > 0) this.#wasm.bytes(buffer, kept).set(this.#wasm.bytes(this.#buffer, kept));
    this.#wasm.free(this.#buffer);
    this.#buffer = buffer;
    this.#room = room;
  }

  #reserveSpans(ids: number): void {
    if (ids <= this.#spanned) return;
    this.#wasm.free(this.#spans);
    this.#spans = 0;
    this.#spans = this.#wasm.alloc(8 * ids);
    this.#spanned = ids;
  }

  #reserveScratch(symbols: number): void {
    this.#wasm.free(this.#scratch);
    this.#scratch = 0;
    this.#scratch = this.#wasm.alloc(32 * (symbols + 1) + 64);
    this.#set(FIELDS.scratch, this.#scratch);
    this.#set(FIELDS.scratchSymbols, symbols);
  }

  #uploadAutomaton(stage: Extract<SplitStage, { kind: 'pattern' }>): number {
    const { blocks, classes, transitions, stride } = stage.automaton;
    const pointers = [this.#copy(blocks), this.#copy(classes), this.#copy(transitions), stride, 0];
    const record = this.#own(20);
    this.#wasm.u32(record, 5).set(pointers);
    return record;
  }

  #upload(model: TokenModel): void {
    const { exports } = this.#wasm;
    const { offsets, bytes } = model.entries;
    const count = offsets.length - 1;
    const slots = powerOfTwo(2 * count);
    this.#set(FIELDS.offsets, this.#copy(offsets));
    this.#set(FIELDS.bytes, this.#copy(bytes));
    this.#set(FIELDS.count, count);
    this.#set(FIELDS.tokens, model.tokens);
    this.#set(FIELDS.slots, this.#own(8 * slots));
    this.#set(FIELDS.slotMask, slots - 1);
    this.#set(FIELDS.unknown, model.unknown ?? NONE);
    exports.hashVocabulary(this.#record);
    const cache = this.#own(64 * CACHE_ENTRIES);
    this.#wasm.bytes(cache, 64 * CACHE_ENTRIES).fill(0);
    this.#set(FIELDS.cache, cache);
    this.#set(FIELDS.cacheMask, CACHE_ENTRIES - 1);
    let longest = 0;
    for (let i = 0; i < count; i++) longest = Math.max(longest, (offsets[i + 1] ?? 0) - (offsets[i] ?? 0));
    this.#set(FIELDS.longest, longest);
    this.#set(FIELDS.kind, KINDS.indexOf(model.kind));
    switch (model.kind) {
      case 'bpe':
        this.#uploadMerges(model);
        break;
      case 'unigram':
        this.#uploadScores(model);
        break;
      case 'wordpiece':
        this.#set(FIELDS.wordLimit, model.wordLimit);
        break;
      default:
        model satisfies never;
    }
  }

  #uploadScores(model: Extract<TokenModel, { kind: 'unigram' }>): void {
    this.#set(FIELDS.scores, this.#copy(model.scores));
    this.#set(FIELDS.byteIds, this.#copy(model.byteIds));
    this.#set(FIELDS.flags, model.byteFallback ? FLAGS.byteFallback : 0);
    const [low, high] = new Uint32Array(Float64Array.of(model.unknownScore).buffer);
    this.#set(FIELDS.unknownScore, low ?? 0);
    this.#set(FIELDS.unknownScore + 1, high ?? 0);
  }

  #uploadMerges(model: Extract<TokenModel, { kind: 'bpe' }>): void {
    const { exports } = this.#wasm;
    this.#set(FIELDS.byteIds, this.#copy(model.byteIds));
    let flags = 0;
    for (const name of ['byteLevel', 'byteFallback', 'fuseUnknown', 'ignoreMerges', 'dropUnknown'] as const)
      if (model[name] === true) flags |= FLAGS[name];
    this.#set(FIELDS.flags, flags);
    const { merges } = model;
    const lent: number[] = [];
    const lend = (data: Uint8Array | Uint32Array): number => {
      const pointer = this.#wasm.alloc(Math.max(8, data.byteLength));
      lent.push(pointer);
      this.#wasm.bytes(pointer, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return pointer;
    };
    try {
      const table = (pairs: number): void => {
        const slots = powerOfTwo(1.6 * pairs);
        this.#set(FIELDS.pairs, this.#own(16 * slots));
        this.#set(FIELDS.pairMask, slots - 1);
        exports.clearPairs(this.#record);
      };
      if (merges.kind === 'list') {
        const text = lend(merges.bytes);
        const bounds = lend(merges.bounds);
        const count = (merges.bounds.length - 1) / 2;
        table(count);
        const failed = exports.hashMerges(this.#record, text, bounds, count, merges.last ? 1 : 0) >>> 0;
        merges.check(this.#wasm.u32(bounds, failed));
      } else {
        const ranks = lend(merges.ranks);
        table(exports.hashSplits(this.#record, ranks, 0) >>> 0);
        exports.hashSplits(this.#record, ranks, 1);
      }
    } finally {
      for (const pointer of lent) this.#wasm.free(pointer);
    }
    const characters = this.#own(512);
    const letter = this.#own(1);
    for (let i = 0; i < 128; i++) {
      this.#wasm.bytes(letter, 1)[0] = i;
      const id = exports.findEntry(this.#record, letter, 1) >>> 0;
      this.#wasm.u32(characters, 128)[i] = id;
    }
    this.#set(FIELDS.characterIds, characters);
  }
}
