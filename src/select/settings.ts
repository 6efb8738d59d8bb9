/**
 * Checks the context options of a session before anything is created for it. What depends on the model's file is
 * checked when its planner is made.
 */
import { InputError } from '../errors.ts';
import { readSelection } from './visual/index.ts';
import type { KvBits, UnequalBits } from '../kv/precision.ts';
import type { ContextOptions, ContextPreset, DecidedContext } from './options.ts';
import { planSettings } from './methods.ts';

const MEMBERS: Readonly<Record<keyof ContextOptions, true>> = {
  preset: true,
  window: true,
  kvBits: true,
  prefill: true,
  decode: true,
  evict: true,
  heads: true,
  memory: true,
  share: true,
  visual: true,
  keep: true,
  overflow: true,
};
const BITS: readonly (KvBits | 'auto')[] = [16, 8, 4, 2, 'staircase', 'auto'];
const UNEQUAL: readonly UnequalBits[] = [
  { keys: 8, values: 4 },
  { keys: 4, values: 2 },
];
const PRESETS: readonly ContextPreset[] = ['auto', 'exact', 'balanced', 'small'];

/** Tells whether nothing of the options is left to be chosen. */
export function isDecided(options: ContextOptions): options is DecidedContext {
  return options.preset === undefined && options.kvBits !== 'auto';
}

/**
 * Returns the options, which may be given by a preset's name. Throws `InputError('argument')` for unknown members and
 * values. `most` is the model's own window.
 */
export function readContext(given: ContextOptions | ContextPreset, most: number): ContextOptions {
  const options = typeof given === 'string' ? { preset: given } : given;
  checkContext(options, most);
  return options;
}

/** Throws `InputError('argument')` for unknown members and values. `most` is the model's own window. */
export function checkContext(options: ContextOptions, most: number): void {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(MEMBERS, name))
      throw new InputError('argument', `context.${name} is unknown; there are ${Object.keys(MEMBERS).join(', ')}`, {
        name,
      });
  }
  const { window, kvBits, share, keep, memory, overflow, preset } = options;
  if (preset !== undefined && !PRESETS.includes(preset))
    throw new InputError('argument', `context: ${preset} is not one of ${PRESETS.join(', ')}`, {
      name: 'context.preset',
    });
  checkNumbers('memory', memory, ['device', 'host']);
  readSelection(options.visual);
  const { prefill, decode, evict, heads } = planSettings(options);
  if (overflow !== undefined && overflow !== 'read' && overflow !== 'move')
    throw new InputError('argument', `context.overflow: ${String(overflow)} is not one of read, move`, {
      name: 'context.overflow',
    });
  if (overflow === 'move' && (prefill.method !== 'dense' || decode.method !== 'dense' || evict || heads))
    throw new InputError(
      'argument',
      "context.overflow: 'move' moves keys that every token saw; leave prefill, decode, evict and heads out, or overflow",
      { name: 'context.overflow' },
    );
  if (window !== undefined && !(Number.isInteger(window) && window >= 1 && window <= most)) {
    throw new InputError('argument', `context.window: ${String(window)} is not a whole number from 1 to ${most}`, {
      name: 'context.window',
      most,
    });
  }
  if (kvBits !== undefined && !BITS.includes(kvBits) && !isUnequal(kvBits) && !isStaircase(kvBits))
    throw new InputError(
      'argument',
      `context.kvBits: ${typeof kvBits === 'object' ? JSON.stringify(kvBits) : String(kvBits)} is not one of ${[...BITS, ...UNEQUAL.map((one) => JSON.stringify(one))].join(', ')}, or { newest, oldest }: two shares of at most 1 together`,
      { name: 'context.kvBits' },
    );
  if (typeof keep === 'object') checkNumbers('keep', keep, ['bytes', 'days']);
  else if (keep !== undefined && typeof keep !== 'boolean')
    throw new InputError('argument', `context.keep: ${String(keep)} is neither true nor false`, {
      name: 'context.keep',
    });
  if (share !== undefined && typeof share !== 'boolean')
    throw new InputError('argument', `context.share: ${String(share)} is neither true nor false`, {
      name: 'context.share',
    });
}

function isUnequal(bits: KvBits | 'auto'): boolean {
  if (typeof bits !== 'object' || bits === null || !('keys' in bits) || Object.keys(bits).length !== 2) return false;
  return UNEQUAL.some(({ keys, values }) => keys === bits.keys && values === bits.values);
}

function isStaircase(bits: KvBits | 'auto'): boolean {
  if (typeof bits !== 'object' || bits === null || !('newest' in bits) || Object.keys(bits).length !== 2) return false;
  const { newest, oldest } = bits;
  return [newest, oldest].every((share) => typeof share === 'number' && share >= 0) && newest + oldest <= 1;
}

function checkNumbers(group: string, given: object = {}, members: readonly string[]): void {
  for (const [member, value] of Object.entries(given)) {
    const name = `context.${group}.${member}`;
    if (!members.includes(member))
      throw new InputError('argument', `${name} is unknown; there are ${members.join(', ')}`, { name });
    if (value !== undefined && typeof value !== 'number')
      throw new InputError('argument', `${name}: ${String(value)} is not a number`, { name });
  }
}
