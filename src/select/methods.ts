/** Checks the methods and their options as a session gives them, by name or with settings, and completes them. */
import { InputError } from '../errors.ts';
import type { ContextOptions, DecodeOptions, EvictOptions, HeadOptions, PrefillOptions } from './options.ts';

export interface PlanSettings {
  readonly prefill: PrefillOptions;
  readonly decode: DecodeOptions;
  readonly evict: EvictOptions | undefined;
  /** Undefined: all heads keep everything. */
  readonly heads: HeadOptions | undefined;
}

/** What a member may hold; `methods`: only with these. */
interface Member {
  readonly kind: 'budget' | 'share' | 'distance' | 'count' | 'atLeastOne' | 'boundaries' | 'scope' | 'boolean';
  readonly methods?: readonly string[];
}

interface Group {
  readonly methods: readonly string[];
  readonly members: Readonly<Record<string, Member>>;
}

const SELECTING = ['dhsa', 'window', 'blocks', 'flex', 'vertical-slash', 'keys', 'tokens'];
const GROUPS = {
  prefill: {
    methods: ['dense', ...SELECTING],
    members: {
      budget: { kind: 'budget', methods: SELECTING },
      sinks: { kind: 'count', methods: SELECTING },
      local: { kind: 'atLeastOne', methods: SELECTING },
      instruction: { kind: 'count', methods: SELECTING },
      gamma: { kind: 'share', methods: ['flex'] },
      tau: { kind: 'distance', methods: ['flex'] },
      minBudget: { kind: 'count', methods: ['flex'] },
      boundaries: { kind: 'boundaries', methods: ['dhsa'] },
      sharedLayer: { kind: 'count', methods: ['dhsa', 'blocks'] },
      decodes: { kind: 'boolean', methods: ['dhsa', 'blocks'] },
    },
  },
  decode: {
    methods: ['dense', 'tokens', 'sentences', 'window', 'retrieve'],
    members: {
      budget: { kind: 'budget', methods: ['tokens', 'sentences', 'window', 'retrieve'] },
      sinks: { kind: 'count', methods: ['tokens', 'sentences', 'window', 'retrieve'] },
      local: { kind: 'atLeastOne', methods: ['tokens', 'sentences', 'retrieve'] },
      similarity: { kind: 'distance', methods: ['tokens'] },
      exact: { kind: 'boolean', methods: ['tokens'] },
      question: { kind: 'atLeastOne', methods: ['retrieve'] },
    },
  },
  evict: {
    methods: ['snapkv', 'compresskv'],
    members: { keep: { kind: 'share' }, window: { kind: 'atLeastOne' }, scope: { kind: 'scope' } },
  },
  heads: {
    methods: ['all', 'model', 'razor', 'mean-query'],
    members: {
      keep: { kind: 'share', methods: ['model', 'razor', 'mean-query'] },
      sinks: { kind: 'count', methods: ['model', 'razor', 'mean-query'] },
      window: { kind: 'atLeastOne', methods: ['model', 'razor', 'mean-query'] },
      windowShare: { kind: 'distance', methods: ['model', 'razor', 'mean-query'] },
    },
  },
} as const satisfies Readonly<Record<string, Group>>;

const BOUNDARIES = ['learned', 'similarity'];
const SCOPES = ['session', 'answer'];

/**
 * Throws `InputError('argument')` for unknown methods, members and values, for members that a method does not read, and
 * for methods that exclude each other.
 */
export function planSettings({
  prefill = 'dense',
  decode = 'dense',
  evict,
  heads = 'all',
}: ContextOptions): PlanSettings {
  const streaming = whole<HeadOptions | { readonly method: 'all' }>('heads', heads);
  const reading = whole<PrefillOptions>('prefill', prefill);
  const writing = whole<DecodeOptions>('decode', decode);
  if (reading.decodes === true && writing.method !== 'dense')
    throw wrong('prefill.decodes', true, `excludes decode '${writing.method}'; leave one of them out`);
  return {
    prefill: reading,
    decode: writing,
    evict: evict === undefined ? undefined : whole<EvictOptions>('evict', evict),
    heads: streaming.method === 'all' ? undefined : streaming,
  };
}

/** A method's name, or an object with it. */
function whole<T extends { readonly method: string }>(name: keyof typeof GROUPS, given: string | T): T {
  const { methods, members }: Group = GROUPS[name];
  if ((typeof given !== 'string' && typeof given !== 'object') || given === null)
    throw wrong(name, given, `is none of ${methods.join(', ')}`);
  const options: Readonly<Record<string, unknown>> = typeof given === 'string' ? { method: given } : { ...given };
  const { method } = options;
  if (typeof method !== 'string' || !methods.includes(method))
    throw wrong(typeof given === 'string' ? name : `${name}.method`, method, `is none of ${methods.join(', ')}`);
  for (const [key, value] of Object.entries(options)) {
    if (key === 'method' || value === undefined) continue;
    const member = Object.hasOwn(members, key) ? members[key] : undefined;
    if (member === undefined)
      throw wrong(`${name}.${key}`, value, `is unknown; there are method, ${Object.keys(members).join(', ')}`);
    if (member.methods !== undefined && !member.methods.includes(method))
      throw wrong(
        `${name}.${key}`,
        value,
        `means nothing to '${method}'; leave it out, or take ${member.methods.join(' or ')}`,
      );
    const problem = problemOf(member.kind, value);
    if (problem !== undefined) throw wrong(`${name}.${key}`, value, problem);
  }
  return options as unknown as T;
}

const MOST = 0x7fffffff;

function problemOf(kind: Member['kind'], value: unknown): string | undefined {
  switch (kind) {
    case 'budget':
      return typeof value === 'number' && value > 0 && (value <= 1 || (Number.isInteger(value) && value <= MOST))
        ? undefined
        : 'should be a share in (0, 1] or a whole number of tokens above 1';
    case 'share':
      return typeof value === 'number' && value > 0 && value <= 1 ? undefined : 'should be a share in (0, 1]';
    case 'distance':
      return typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'should be a number from 0 to 1';
    case 'count':
      return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MOST
        ? undefined
        : 'should be a whole number, at least 0';
    case 'atLeastOne':
      return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST
        ? undefined
        : 'should be a whole number, at least 1';
    case 'boundaries':
      return among(BOUNDARIES, value);
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'should be true or false';
    case 'scope':
      return among(SCOPES, value);
    default:
      return kind satisfies never;
  }
}

function among(known: readonly string[], value: unknown): string | undefined {
  return typeof value === 'string' && known.includes(value) ? undefined : `should be one of ${known.join(', ')}`;
}

function wrong(name: string, value: unknown, problem: string): InputError {
  const shown =
    typeof value === 'string' || typeof value === 'number'
      ? String(value)
      : (JSON.stringify(value) ?? String(value)).slice(0, 80);
  return new InputError('argument', `context.${name}: ${shown} ${problem}`, { name: `context.${name}`, value: shown });
}
