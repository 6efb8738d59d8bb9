/**
 * A model with a long context for the clock: a document really read at the front, its pages copied behind until the length that is wanted, so that attention
 * meets keys of the model in memory of their own without half an hour of prefill. Copied keys keep the rotation of where they were computed: what is
 * attended to is not what the text says, how long it takes is. The file is long because all that is measured in a reader shares its pages and its steps.
 */
import {
  PAGE_TOKENS,
  type KvPool,
  type Ranges,
  type Sampler,
  type SampleSpec,
  type Tensor,
} from '../../src/backend/backend.ts';
import type { WasmBackend } from '../../src/backend/wasm.ts';
import type { DecidedContext } from '../../src/select/options.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { isPlan, type Plan, type PlannedCall, type Planner } from '../../src/kv/plan.ts';
import { createPlanner } from '../../src/select/index.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import type { LanguageModel } from '../../src/models/model.ts';
import type { Wasm } from '../../src/wasm.ts';
import { documentIds } from './document.ts';

export const CHUNK = 512;
const GREEDY: SampleSpec = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 0,
};

export interface ChunkTime {
  readonly position: number;
  readonly milliseconds: number;
  /** Of it: asking the plan, its operations on the device included. */
  readonly planning: number;
  readonly attention: number;
  /** Keys that a query's list held, averaged over lists and layers; beyond a query's own position they cost nothing. */
  readonly keys: number;
}

export interface StepTimes {
  readonly milliseconds: number;
  readonly operations: readonly (readonly [
    name: string,
    entry: { readonly calls: number; readonly milliseconds: number },
  ])[];
}

export interface GivenTokens {
  /** For each token, in nats. */
  readonly nats: readonly number[];
  /** Whether the token was the likeliest one. */
  readonly likeliest: readonly boolean[];
  /** Kullback-Leibler divergence of the probabilities from those of the first call. */
  readonly divergences: readonly number[];
  /** How often a layer chose keys. */
  readonly choices: number;
}

/** Lists of keys, one for each layer and KV head at most, of steps beside the lists of the step before. */
export interface Repeats {
  readonly lists: number;
  /** Lists that are the same. */
  readonly same: number;
  /** The mean share of a list's keys that were in the one before. */
  readonly shared: number;
  readonly steps: number;
  /** Steps at which all lists are the same. */
  readonly all: number;
}

interface Decoder {
  readonly sequence: Sequence;
  readonly planner: Planner | undefined;
  readonly sampler: Sampler;
  position: number;
}

export class Reader {
  readonly #backend: WasmBackend;
  readonly #wasm: Wasm;
  readonly #model: LanguageModel;
  readonly #pool: KvPool;
  readonly #allocator: PageAllocator;
  readonly #sequence: Sequence;
  readonly #ring: Tensor;
  readonly #ids: Int32Array;
  readonly #length: number;
  readonly #decoders = new Map<string, Decoder>();
  /** Logarithms of the probabilities of `given`'s first call, by token. */
  readonly #dense: Float32Array[] = [];
  /** Whether a sentence ends with a token. */
  ends: (id: number) => boolean = (id) => id % 16 === 0;

  constructor(
    backend: WasmBackend,
    wasm: Wasm,
    model: LanguageModel,
    length: number,
    ids = documentIds(length + CHUNK),
  ) {
    const { cacheLayers: layers, kvHeads, headDim } = model.config;
    this.#backend = backend;
    this.#wasm = wasm;
    this.#model = model;
    this.#length = length;
    this.#pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
    this.#allocator = new PageAllocator(this.#pool);
    this.#sequence = new Sequence(this.#allocator, length + CHUNK, model.states());
    this.#ring = backend.ids(length + CHUNK + 1);
    this.#ids = ids.subarray(0, length + CHUNK);
    backend.writeIds(this.#ring, 0, this.#ids);
  }

  /** Reads `tokens` tokens densely, in chunks; milliseconds. */
  async read(tokens: number): Promise<number> {
    const begun = performance.now();
    for (let at = 0; at < tokens; at += CHUNK) await this.#forward(at, Math.min(CHUNK, tokens - at), undefined);
    return performance.now() - begun;
  }

  /** Copies the pages of the first `read` tokens behind them until the whole length is there. */
  fill(read: number): void {
    this.#sequence.ensure(this.#length);
    const { table, blocks } = this.#sequence;
    const known = read / PAGE_TOKENS;
    for (let row = 0; row < table.length / blocks; row++) {
      for (let block = known; block < this.#length / PAGE_TOKENS; block++)
        this.#pool.copy(table[row * blocks + (block % known)] ?? 0, table[row * blocks + block] ?? 0);
    }
  }

  /**
   * Fills the pages of the whole length with random keys and values, normally distributed: what is then timed at decode reads as many bytes of memory of
   * its own as behind a text, and no key is like another. Chosen keys lie alone, where those of a text lie side by side, so that reading them is no cheaper.
   */
  randomise(): void {
    this.#sequence.ensure(this.#length);
    const { table, blocks } = this.#sequence;
    const page = new Float32Array(this.#pool.pageBytes() / 4);
    let state = 1;
    const uniform = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 2 ** 32;
    };
    for (let row = 0; row < table.length / blocks; row++) {
      for (let block = 0; block < this.#length / PAGE_TOKENS; block++) {
        // Three uniform numbers have a variance of a quarter.
        for (let i = 0; i < page.length; i++) page[i] = 2 * (uniform() + uniform() + uniform()) - 3;
        this.#pool.write(Int32Array.of(table[row * blocks + block] ?? 0), new Uint8Array(page.buffer));
      }
    }
  }

  /** Greedy steps behind `randomise`, each call continuing the one before of the same name, so that methods can take turns. */
  async steps(name: string, context: DecidedContext, steps: number): Promise<StepTimes> {
    const known = this.#decoders.get(name);
    const decoder = known ?? this.#decoder(context);
    this.#decoders.set(name, decoder);
    const { profile } = this.#backend;
    profile.enabled = true;
    profile.take();
    const begun = performance.now();
    for (let step = 0; step < steps; step++) await this.#step(decoder);
    const milliseconds = performance.now() - begun;
    profile.enabled = false;
    return { milliseconds, operations: [...profile.take()] };
  }

  /**
   * What the model expects of the tokens behind the whole length, which are given to it one by one as if it had written them, beside what it expects where
   * every key is seen. Nothing is read beyond the token before them.
   */
  async given(context: DecidedContext, tokens: number): Promise<GivenTokens> {
    const { vocabulary } = this.#model.config;
    const backend = this.#backend;
    const { profile } = backend;
    const decoder = this.#decoder(context);
    const nats: number[] = [];
    const likeliest: boolean[] = [];
    const divergences: number[] = [];
    const dense = this.#dense;
    profile.enabled = true;
    profile.take();
    try {
      for (let i = 0; i < tokens; i++) {
        const position = this.#length - 1 + i;
        decoder.sequence.ensure(position + 1);
        const hidden = await this.#hidden(decoder.sequence, position, 1, decoder.planner, 'decode', this.#length);
        const scores = backend.keep(backend.scope(() => this.#model.logits(hidden)));
        const logits = (await backend.download(scores)).subarray(0, vocabulary);
        backend.free(scores);
        backend.free(hidden);
        const next = this.#ids[position + 1] ?? 0;
        const highest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
        const shift = highest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
        const expected = logits.map((logit) => logit - shift);
        nats.push(-(expected[next] ?? 0));
        likeliest.push(logits[next] === highest);
        const wanted = (dense[i] ??= expected);
        divergences.push(wanted.reduce((sum, log, id) => sum + Math.exp(log) * (log - (expected[id] ?? 0)), 0));
      }
    } finally {
      profile.enabled = false;
      decoder.sampler.free();
      decoder.planner?.free();
      decoder.sequence.free();
    }
    return { nats, likeliest, divergences, choices: new Map(profile.take()).get('probe')?.calls ?? 0 };
  }

  /**
   * Greedy steps behind the whole length, whose last chunk is read anew with the planner: how often what it lets a layer see of the keys before the last
   * `newest` is what it did at the step before.
   */
  async repeats(context: DecidedContext, steps: number, newest: number): Promise<Repeats> {
    const decoder = this.#decoder(context);
    const { sequence, planner, sampler } = decoder;
    const found = { lists: 0, same: 0, shared: 0, steps: 0, all: 0 };
    let before: readonly number[][] = [];
    try {
      sequence.truncate(this.#length - CHUNK);
      sequence.ensure(this.#length);
      this.#backend.free(await this.#hidden(sequence, this.#length - CHUNK, CHUNK, planner, 'prefill', this.#length));
      for (let step = 0; step < steps; step++) {
        const now: number[][] = [];
        await this.#step(decoder, (ranges) => now.push(...keysBelow(ranges, this.#length - newest)));
        if (step > 0 && now.length === before.length) {
          const shares = now.map((keys, i) => {
            const known = new Set(before[i]);
            return {
              same: keys.length === known.size,
              share: keys.filter((key) => known.has(key)).length / keys.length,
            };
          });
          const same = shares.filter((one) => one.same && one.share === 1).length;
          found.lists += now.length;
          found.same += same;
          found.shared += shares.reduce((sum, { share }) => sum + share, 0);
          found.steps++;
          found.all += Number(same === now.length);
        }
        before = now;
      }
    } finally {
      sampler.free();
      planner?.free();
      sequence.free();
    }
    return { ...found, shared: found.shared / found.lists };
  }

  #decoder(context: DecidedContext): Decoder {
    const sampler = this.#backend.sampler(this.#model.config.vocabulary);
    sampler.reset(new Int32Array(0));
    return { sequence: this.#sequence.fork(), planner: this.#planner(context), sampler, position: this.#length };
  }

  async #step(decoder: Decoder, told?: (ranges: Ranges) => void): Promise<void> {
    const { sequence, planner, sampler, position } = decoder;
    sequence.ensure(position + 1);
    const seen = told && { planning: 0, keys: 0, lists: 0, told };
    const hidden = await this.#hidden(sequence, position, 1, planner, 'decode', this.#length, seen);
    this.#backend.scope(() =>
      this.#backend.sample(this.#model.logits(hidden), sampler, GREEDY, this.#ring, position + 1),
    );
    this.#backend.free(hidden);
    await this.#backend.readIds(this.#ring, position + 1, position + 2);
    decoder.position += 1;
  }

  /** One chunk of queries at `position`, of a prompt that ends at `promptEnd`; a planner first sees the chunk before it, so that it has caught up. */
  async chunk(context: DecidedContext, position: number, promptEnd: number): Promise<ChunkTime> {
    const planner = this.#planner(context);
    try {
      if (planner !== undefined && position > 0) await this.#forward(position - CHUNK, CHUNK, planner, promptEnd);
      const { profile } = this.#backend;
      profile.enabled = true;
      profile.take();
      const seen: Seen = { planning: 0, keys: 0, lists: 0 };
      const begun = performance.now();
      await this.#forward(position, CHUNK, planner, promptEnd, seen);
      const milliseconds = performance.now() - begun;
      const operations = new Map(profile.take());
      profile.enabled = false;
      return {
        position,
        milliseconds,
        planning: seen.planning,
        attention: operations.get('attention')?.milliseconds ?? 0,
        keys: seen.keys / seen.lists,
      };
    } finally {
      planner?.free();
    }
  }

  /** Greedy steps behind the filled context, after its pages were closed to `context.kvBits`; milliseconds a step, and the pages' bytes. */
  async decode(
    context: DecidedContext,
    steps: number,
  ): Promise<{ readonly milliseconds: readonly number[]; readonly bytes: number }> {
    const { kvBits = 16 } = context;
    const decoder = this.#decoder(context);
    const { sequence, planner, sampler } = decoder;
    const milliseconds: number[] = [];
    try {
      // The prompt's last chunk is read anew with the planner, which may drop keys after it.
      sequence.truncate(this.#length - CHUNK);
      sequence.ensure(this.#length);
      this.#backend.free(await this.#hidden(sequence, this.#length - CHUNK, CHUNK, planner, 'prefill', this.#length));
      await planner?.prefilled?.();
      sequence.settle(kvBits);
      const { bytes } = sequence;
      for (let step = 0; step < steps; step++) {
        const begun = performance.now();
        await this.#step(decoder);
        sequence.settle(kvBits);
        milliseconds.push(performance.now() - begun);
      }
      return { milliseconds, bytes };
    } finally {
      sampler.free();
      planner?.free();
      sequence.free();
    }
  }

  #planner(context: DecidedContext): Planner | undefined {
    const { cacheLayers: layers, heads, kvHeads, headDim } = this.#model.config;
    // Which heads stream makes no difference to the clock: every second one.
    const streams = Uint8Array.from({ length: layers * kvHeads }, (_, i) => i % 2);
    const semantic = Float32Array.from({ length: layers * heads }, (_, i) => (i * 7919) % 101);
    return createPlanner(context, {
      wasm: this.#wasm,
      layers,
      heads,
      kvHeads,
      headDim,
      endsSentence: this.ends,
      streaming: { layers, kvHeads, streams },
      semantic,
    });
  }

  async #forward(
    position: number,
    count: number,
    planner: Planner | undefined,
    promptEnd = this.#length,
    seen?: Seen,
  ): Promise<void> {
    this.#sequence.ensure(Math.max(this.#sequence.length, position + count));
    this.#backend.free(await this.#hidden(this.#sequence, position, count, planner, 'prefill', promptEnd, seen));
    await this.#backend.idle();
  }

  async #hidden(
    kv: Sequence,
    position: number,
    count: number,
    planner: Planner | undefined,
    phase: PlannedCall['phase'],
    promptEnd: number,
    seen?: Seen,
  ): Promise<Tensor> {
    const backend = this.#backend;
    const model = this.#model;
    const x = backend.keep(backend.scope(() => model.embed(this.#ring, position, count)));
    const ids = { ring: this.#ring, start: position };
    try {
      const begun = performance.now();
      const asked =
        planner?.plan({
          backend,
          kv,
          position,
          count,
          ...model.attention,
          rope: model.rope,
          ids: this.#ids.subarray(0, position + count),
          phase,
          promptEnd,
        }) ?? denseCausal(count, position + count);
      if (seen !== undefined) seen.planning += performance.now() - begun;
      if (isPlan(asked))
        return await model.forwardPlanned(x, {
          kv,
          position,
          ids,
          plan: seen === undefined ? asked : watched(asked, seen),
        });
      if (seen !== undefined) tally(asked, seen);
      return backend.keep(backend.scope(() => model.forward(x, { kv, position, ids, ranges: asked })));
    } finally {
      backend.free(x);
    }
  }
}

interface Seen {
  planning: number;
  keys: number;
  lists: number;
  readonly told?: (ranges: Ranges) => void;
}

/** The keys below `limit` of each list. */
function keysBelow({ runs, offsets }: Ranges, limit: number): number[][] {
  return Array.from({ length: offsets.length - 1 }, (_, list) => {
    const keys: number[] = [];
    for (let run = offsets[list] ?? 0; run < (offsets[list + 1] ?? 0); run++) {
      for (let key = runs[2 * run] ?? 0; key < Math.min(limit, runs[2 * run + 1] ?? 0); key++) keys.push(key);
    }
    return keys;
  });
}

function watched(plan: Plan, seen: Seen): Plan {
  return {
    ranges: async (layer, q) => {
      const begun = performance.now();
      const ranges = await plan.ranges(layer, q);
      seen.planning += performance.now() - begun;
      tally(ranges, seen);
      seen.told?.(ranges);
      return ranges;
    },
  };
}

function tally({ runs, offsets }: Ranges, seen: Seen): void {
  for (let r = 0; r < runs.length; r += 2) seen.keys += (runs[r + 1] ?? 0) - (runs[r] ?? 0);
  seen.lists += offsets.length - 1;
}
