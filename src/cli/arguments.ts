/** Parses the command line: Node's parseArgs, with numbers, choices, and errors that show the usage. */
import { parseArgs } from 'node:util';
import { nearest } from '../face/problem.ts';
import type { ContextPreset } from '../select/options.ts';
import type { DeviceName, LoadSettings } from '../worker/api.ts';

/** A command line that cannot be parsed; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** 's' takes a value; 'b' is a switch. */
export type OptionKinds = Readonly<Record<string, 's' | 'b'>>;

const COMMON = { verbose: 'b', help: 'b' } as const satisfies OptionKinds;
export const MODEL_OPTIONS = {
  model: 's',
  mmproj: 's',
  device: 's',
  threads: 's',
  context: 's',
  build: 's',
} as const satisfies OptionKinds;
export const SAMPLING_OPTIONS = {
  temperature: 's',
  'top-k': 's',
  'top-p': 's',
  'min-p': 's',
  'repetition-penalty': 's',
  'presence-penalty': 's',
  seed: 's',
  'max-tokens': 's',
} as const satisfies OptionKinds;
export const PAINT_OPTIONS = {
  out: 's',
  size: 's',
  seed: 's',
  steps: 's',
  'diffusion-steps': 's',
  guidance: 's',
  temperature: 's',
  count: 's',
  force: 'b',
  json: 'b',
} as const satisfies OptionKinds;
const PRESETS: readonly ContextPreset[] = ['auto', 'exact', 'balanced', 'small'];
/** What a model may be, for those who gave none. */
const MODEL_REMEDY = ': a path, a URL, hf:owner/repo/file.gguf, nano or nano-text; `octavo models` lists some';
/** Options that also have a letter. */
const LETTERS: Readonly<Record<string, string>> = { out: 'o' };

export class Arguments {
  readonly rest: readonly string[];
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(args: readonly string[], kinds: OptionKinds) {
    const all: OptionKinds = { ...COMMON, ...kinds };
    const options = Object.fromEntries(
      Object.entries(all).map(([name, kind]) => {
        const short = LETTERS[name];
        return [
          name,
          { type: kind === 's' ? ('string' as const) : ('boolean' as const), ...(short !== undefined && { short }) },
        ];
      }),
    );
    try {
      const { values, positionals } = parseArgs({
        args: [...joinNegative(args)],
        options,
        allowPositionals: true,
        strict: true,
      });
      this.#values = values;
      this.rest = positionals;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new UsageError(code === UNKNOWN_OPTION ? unknownOption(message, Object.keys(all)) : message);
    }
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) {
      const letter = LETTERS[name];
      throw new UsageError(
        `${letter === undefined ? '' : `-${letter} or `}--${name} is missing${name === 'model' ? MODEL_REMEDY : ''}`,
      );
    }
    return value;
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError(`--${name}: '${text}' is not a number`);
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new UsageError(`--${name}: '${text}' is not one of ${choices.join(', ')}`);
    return found;
  }

  /** Throws when there are more arguments than the command takes. */
  atMost(count: number): void {
    if (this.rest.length > count) throw new UsageError(`unexpected argument '${this.rest[count] ?? ''}'`);
  }

  loading(): LoadSettings {
    return defined({
      mmproj: this.text('mmproj'),
      device: this.choice<DeviceName>('device', ['auto', 'wasm', 'webgpu']),
      threads: this.number('threads'),
      contextWindow: this.#window(),
      build: this.choice('build', ['relaxed-threads', 'simd-threads', 'relaxed', 'simd', 'scalar'] as const),
    });
  }

  /** `--context` as the name of a preset, for commands with sessions. */
  context(): { readonly context?: ContextPreset } {
    const found = PRESETS.find((preset) => preset === this.text('context'));
    return found === undefined ? {} : { context: found };
  }

  /** `--context` as a number of tokens. */
  #window(): number | undefined {
    const text = this.text('context');
    if (text === undefined || this.context().context !== undefined) return undefined;
    if (/^\d+$/.test(text)) return this.number('context');
    throw new UsageError(`--context: '${text}' is neither a number of tokens nor one of ${PRESETS.join(', ')}`);
  }

  painting(): { size?: number; seed?: number; steps?: number; guidance?: number } {
    return defined({
      size: this.number('size'),
      seed: this.number('seed'),
      steps: this.number('steps'),
      diffusionSteps: this.number('diffusion-steps'),
      guidance: this.number('guidance'),
      temperature: this.number('temperature'),
      count: this.number('count'),
    });
  }

  sampling(): { temperature?: number; maxTokens?: number } {
    return defined({
      temperature: this.number('temperature'),
      topK: this.number('top-k'),
      topP: this.number('top-p'),
      minP: this.number('min-p'),
      repetitionPenalty: this.number('repetition-penalty'),
      presencePenalty: this.number('presence-penalty'),
      seed: this.number('seed'),
      maxTokens: this.number('max-tokens'),
    });
  }
}

/** Node's code for an undeclared option. */
const UNKNOWN_OPTION = 'ERR_PARSE_ARGS_UNKNOWN_OPTION';

/**
 * Composes the error for an option that the command does not have, from the message of parseArgs, with the name that
 * was probably meant.
 */
function unknownOption(message: string, names: readonly string[]): string {
  const [, dashes = '--', name = ''] = /'(--?)([^'=]*)/.exec(message) ?? [];
  const near = dashes === '--' ? nearest(name, names) : undefined;
  return `${dashes}${name} is not an option of this command${near === undefined ? '' : `; did you mean --${near}?`}`;
}

/**
 * parseArgs reads `--top-p -1` as two options. The value is joined to its option, so that the error names the value.
 */
function* joinNegative(args: readonly string[]): Generator<string> {
  for (let i = 0; i < args.length; i++) {
    const [arg = '', next = ''] = [args[i], args[i + 1]];
    if (/^--[a-z-]+$/.test(arg) && /^-\d/.test(next)) {
      yield `${arg}=${next}`;
      i++;
    } else yield arg;
  }
}

function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
