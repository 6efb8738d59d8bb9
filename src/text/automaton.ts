/**
 * Compiles a pretokeniser's pattern to the tables that `assembly/tokenize/automaton.ts` runs: character classes and a
 * deterministic automaton. The sets come from the JavaScript engine's own \p{...}, so no Unicode tables are shipped;
 * two characters are in one class if no set distinguishes them. A state is the ordered list of the places where the
 * pattern may continue (Thompson's construction with Perl's priorities, as in RE2).
 */
import { ModelError } from '../errors.ts';
import type { CharacterSet, Pattern } from './pattern.ts';

/** What the WASM side reads; `classes` in blocks of 128 code points. */
export interface Automaton {
  readonly blocks: Uint16Array;
  readonly classes: Uint8Array;
  readonly transitions: Uint16Array;
  readonly stride: number;
}

/** Instructions; cl100k's pattern has about 100, jais-2's with its counted repetitions 3,000. */
const MOST_INSTRUCTIONS = 16384;
/** Transitions have 15 bits for the state. */
const MOST_STATES = 8192;
/**
 * The most steps for building the automata of one tokenizer, which bounds hostile expressions to about a second; jais-2
 * takes 250,000.
 */
const MOST_WORK = 16_000_000;
/**
 * The most different sets of characters in all expressions of one tokenizer; each takes some milliseconds to compute;
 * chameleon has 40.
 */
const MOST_SETS = 192;
/** The number of sets whose members are cached. */
const MOST_KNOWN_SETS = 1024;

/** The work that compiling expressions has used. */
interface Spent {
  work: number;
  sets: number;
}

let shared: Spent | undefined;

/** Compiles all expressions of `body` within one budget; otherwise each has its own. */
export function withSharedBudget<T>(body: () => T): T {
  const before = shared;
  shared = { work: 0, sets: 0 };
  try {
    return body();
  } finally {
    shared = before;
  }
}

const BLOCK = 128;
const POINTS = 0x110000;
/** Planes 4 to 13 are unassigned, and planes 15 and 16 private: one character represents each. */
const SAMPLED_END = 0x40000;
const TAGS = 0xe0000;
const TAGS_END = 0xe1000;
const UNASSIGNED = 0x40000;
const PRIVATE = 0xf0000;

let universe: string | undefined;

/** Every code point that may differ from its neighbours, in order, without surrogates. */
function allCharacters(): string {
  if (universe !== undefined) return universe;
  const parts: string[] = [];
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at += 4096)
      parts.push(String.fromCodePoint(...Array.from({ length: Math.min(4096, to - at) }, (_, i) => at + i)));
  };
  add(0, 0xd800);
  add(0xe000, SAMPLED_END);
  add(UNASSIGNED, UNASSIGNED + 1);
  add(TAGS, TAGS_END);
  add(PRIVATE, PRIVATE + 1);
  universe = parts.join('');
  return universe;
}

const ranges = new Map<string, Uint32Array>();

/** The set's code points as `[start, end)` pairs, ascending. */
function members(set: CharacterSet, spent: Spent): Uint32Array {
  if (++spent.sets > MOST_SETS)
    throw new ModelError(
      'tokenizer',
      `tokenizer: the expressions use more than ${MOST_SETS} different sets of characters`,
      { limit: MOST_SETS },
    );
  const key = (set.ignoreCase ? 'i' : '') + set.source;
  const known = ranges.get(key);
  if (known !== undefined) return known;
  if (ranges.size >= MOST_KNOWN_SETS) ranges.clear();
  let expression: RegExp;
  try {
    expression = new RegExp(`${set.source}+`, set.ignoreCase ? 'giu' : 'gu');
  } catch (cause) {
    throw new ModelError(
      'tokenizer',
      `tokenizer: the pretokeniser's class ${set.source.slice(0, 200)} is not valid`,
      { class: set.source.slice(0, 200) },
      { cause },
    );
  }
  const text = allCharacters();
  const found: number[] = [];
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
    const end = expression.lastIndex;
    const low = text.charCodeAt(end - 1);
    found.push(
      text.codePointAt(match.index) ?? 0,
      (text.codePointAt(end - (low >= 0xdc00 && low < 0xe000 ? 2 : 1)) ?? 0) + 1,
    );
  }
  const result = Uint32Array.from(found);
  ranges.set(key, result);
  return result;
}

/** The class of every code point, and for each set which classes are in it. */
function classify(
  sets: readonly CharacterSet[],
  spent: Spent,
): { of: Uint8Array; count: number; in: readonly Uint8Array[] } {
  const of = new Uint8Array(POINTS);
  const inside: boolean[][] = [[]];
  sets.forEach((set, s) => {
    const split = new Map<number, number>();
    const pairs = members(set, spent);
    for (let i = 0; i < pairs.length; i += 2) {
      const end = pairs[i + 1] ?? 0;
      for (let point = pairs[i] ?? 0; point < end;) {
        // A run of one class at a time.
        const old = of[point] ?? 0;
        let to = split.get(old);
        if (to === undefined) {
          to = inside.length;
          if (to > 254)
            throw new ModelError(
              'tokenizer',
              'tokenizer: the pretokeniser uses more than 254 different classes of characters',
              {},
            );
          split.set(old, to);
          inside.push([...(inside[old] ?? []), true]);
        }
        const start = point;
        while (point < end && of[point] === old) point++;
        of.fill(to, start, point);
      }
    }
    for (const row of inside) row[s] ??= false;
  });
  of.fill(of[UNASSIGNED] ?? 0, UNASSIGNED, TAGS);
  of.fill(of[UNASSIGNED] ?? 0, TAGS_END, PRIVATE);
  of.fill(of[PRIVATE] ?? 0, PRIVATE, POINTS);
  return {
    of,
    count: inside.length,
    in: sets.map((_, s) => Uint8Array.from(inside, (row) => (row[s] === true ? 1 : 0))),
  };
}

type Instruction =
  | { readonly op: 'set' | 'look' | 'not'; readonly set: number }
  | { readonly op: 'match' }
  | { op: 'split'; first: number; second: number };

/** Writes the pattern as instructions; each continues at the next one, a split at two. */
function assemble(pattern: Pattern): { program: Instruction[]; sets: CharacterSet[] } {
  const program: Instruction[] = [];
  const sets: CharacterSet[] = [];
  const keys = new Map<string, number>();
  const setOf = (set: CharacterSet): number => {
    const key = (set.ignoreCase ? 'i' : '') + set.source;
    let index = keys.get(key);
    if (index === undefined) {
      index = sets.push(set) - 1;
      keys.set(key, index);
    }
    return index;
  };
  const add = (instruction: Instruction): number => {
    if (program.length >= MOST_INSTRUCTIONS) {
      throw new ModelError(
        'tokenizer',
        `tokenizer: the pretokeniser's expression needs more than ${MOST_INSTRUCTIONS} instructions`,
        { limit: MOST_INSTRUCTIONS },
      );
    }
    return program.push(instruction) - 1;
  };
  const fork = (lazy: boolean): { at: number; enter(target: number): void; leave(target: number): void } => {
    const split = { op: 'split' as const, first: 0, second: 0 };
    const at = add(split);
    return {
      at,
      enter: (target) => {
        if (lazy) split.second = target;
        else split.first = target;
      },
      leave: (target) => {
        if (lazy) split.first = target;
        else split.second = target;
      },
    };
  };
  const emit = (p: Pattern): void => {
    switch (p.kind) {
      case 'set':
        add({ op: 'set', set: setOf(p.set) });
        break;
      case 'look':
        add({ op: p.negative ? 'not' : 'look', set: setOf(p.set) });
        break;
      case 'sequence':
        for (const part of p.parts) emit(part);
        break;
      case 'choice': {
        const ends: ((target: number) => void)[] = [];
        p.parts.forEach((part, i) => {
          if (i === p.parts.length - 1) return emit(part);
          const branch = fork(false);
          branch.enter(program.length);
          emit(part);
          const jump = fork(false);
          ends.push((target) => {
            jump.enter(target);
            jump.leave(target);
          });
          branch.leave(program.length);
        });
        for (const end of ends) end(program.length);
        break;
      }
      case 'repeat': {
        for (let i = 0; i < p.least; i++) emit(p.part);
        if (Number.isFinite(p.most)) {
          const exits: ((target: number) => void)[] = [];
          for (let i = p.least; i < p.most; i++) {
            const branch = fork(p.lazy);
            branch.enter(program.length);
            exits.push(branch.leave);
            emit(p.part);
          }
          for (const exit of exits) exit(program.length);
        } else {
          const loop = fork(p.lazy);
          loop.enter(program.length);
          emit(p.part);
          const back = fork(false);
          back.enter(loop.at);
          back.leave(loop.at);
          loop.leave(program.length);
        }
        break;
      }
      default:
        p satisfies never;
    }
  };
  emit(pattern);
  add({ op: 'match' });
  return { program, sets };
}

export function compileAutomaton(pattern: Pattern): Automaton {
  const { program, sets } = assemble(pattern);
  const spent = shared ?? { work: 0, sets: 0 };
  const classes = classify(sets, spent);
  const stride = classes.count + 1;
  const end = classes.count;
  const table: number[] = [];
  const states = new Map<string, number>();
  const lists: number[][] = [];
  const stateOf = (list: number[]): number => {
    if (list.length === 0) return 0;
    const key = list.join();
    let state = states.get(key);
    if (state === undefined) {
      state = lists.push(list);
      if (state > MOST_STATES) {
        throw new ModelError(
          'tokenizer',
          `tokenizer: the pretokeniser's expression needs more than ${MOST_STATES} states`,
          { limit: MOST_STATES },
        );
      }
      states.set(key, state);
    }
    return state;
  };
  stateOf([0]);
  const seen = new Int32Array(program.length);
  let round = 0;
  const kinds = (set: number, kind: number): boolean => kind !== end && classes.in[set]?.[kind] === 1;
  for (let s = 0; s < lists.length; s++) {
    const list = lists[s] ?? [];
    for (let kind = 0; kind < stride; kind++) {
      round++;
      const next: number[] = [];
      let matched = false;
      const stack = list.slice().reverse();
      while (stack.length > 0 && !matched) {
        const at = stack.pop() ?? 0;
        if (seen[at] === round) continue;
        seen[at] = round;
        if (++spent.work > MOST_WORK)
          throw new ModelError('tokenizer', `tokenizer: the expressions take more than ${MOST_WORK} steps to compile`, {
            limit: MOST_WORK,
          });
        const instruction = program[at];
        if (instruction === undefined) continue;
        switch (instruction.op) {
          case 'match':
            matched = true;
            break;
          case 'split':
            stack.push(instruction.second, instruction.first);
            break;
          case 'look':
            if (kinds(instruction.set, kind)) stack.push(at + 1);
            break;
          case 'not':
            if (!kinds(instruction.set, kind)) stack.push(at + 1);
            break;
          case 'set':
            if (kinds(instruction.set, kind)) next.push(at + 1);
            break;
          default:
            instruction satisfies never;
        }
      }
      table.push(stateOf(next) | (matched ? 0x8000 : 0));
    }
  }
  const blocks = new Uint16Array(POINTS / BLOCK);
  const packed: Uint8Array[] = [];
  const known = new Map<string, number>();
  for (let b = 0; b < blocks.length; b++) {
    const block = classes.of.subarray(b * BLOCK, (b + 1) * BLOCK);
    const before = packed[blocks[b - 1] ?? 0];
    if (before !== undefined && b > 0 && block.every((kind, i) => kind === before[i])) {
      blocks[b] = blocks[b - 1] ?? 0;
      continue;
    }
    const key = String.fromCharCode(...block);
    let index = known.get(key);
    if (index === undefined) {
      index = packed.push(block) - 1;
      known.set(key, index);
    }
    blocks[b] = index;
  }
  const flat = new Uint8Array(packed.length * BLOCK);
  packed.forEach((block, i) => {
    flat.set(block, i * BLOCK);
  });
  const transitions = new Uint16Array((lists.length + 1) * stride);
  transitions.set(table, stride);
  return { blocks, classes: flat, transitions, stride };
}
