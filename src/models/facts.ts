/** Reads a model's configuration from GGUF metadata or config.json: every value typed, bounded, and named in errors. */
import { ModelError } from '../errors.ts';
import { isObject } from '../load/json.ts';
import type { JsonValue, ModelMetadata } from '../load/model-file.ts';

/** One fact's names: `gguf` without the architecture's prefix; dots in `huggingface` go into objects; alternatives in order. */
export interface FactNames {
  readonly gguf: string | readonly string[];
  readonly huggingface: string | readonly string[];
}

export interface Bounds {
  readonly least: number;
  readonly most: number;
  /** Whether the fact may be missing. */
  readonly default?: number | undefined;
}

const TEXT = 'text_config';

export class Facts {
  readonly source: ModelMetadata['kind'];
  readonly #metadata: ModelMetadata;
  readonly #prefix: string;
  /** Where config.json of a composite model has the facts of its language model. */
  readonly #inner: readonly string[];

  constructor(metadata: ModelMetadata, architecture: string) {
    this.source = metadata.kind;
    this.#metadata = metadata;
    this.#prefix = architecture;
    this.#inner = metadata.kind === 'huggingface' && isObject(metadata.config[TEXT]) ? [`${TEXT}.`, ''] : [''];
  }

  /** The value, and the name under which it was found; `undefined` for a missing or null one. */
  find(names: FactNames): { readonly name: string; readonly value: unknown } | undefined {
    for (const name of this.#names(names)) {
      const value = this.#value(name);
      if (value !== undefined && value !== null) return { name, value };
    }
    return undefined;
  }

  number(names: FactNames, bounds: Bounds): number {
    const found = this.find(names);
    if (found === undefined) {
      if (bounds.default !== undefined) return bounds.default;
      throw this.#missing(names);
    }
    const value = typeof found.value === 'bigint' ? Number(found.value) : found.value;
    if (typeof value !== 'number') throw wrong(found.name, found.value, 'should be a number');
    if (!(value >= bounds.least && value <= bounds.most))
      throw wrong(found.name, value, `should be from ${bounds.least} to ${bounds.most}`);
    return value;
  }

  integer(names: FactNames, bounds: Bounds): number {
    const value = this.number(names, bounds);
    if (!Number.isInteger(value)) throw wrong(this.find(names)?.name ?? '', value, 'should be a whole number');
    return value;
  }

  /** A list of numbers, each within `bounds`, with a length within `count`. */
  numbers(names: FactNames, bounds: Bounds, count: Bounds): readonly number[] {
    const found = this.find(names);
    if (found === undefined) throw this.#missing(names);
    const { name, value } = found;
    const list = Array.isArray(value)
      ? (value as readonly unknown[])
      : ArrayBuffer.isView(value) && !(value instanceof DataView)
        ? Array.from(value as unknown as ArrayLike<number>)
        : undefined;
    if (list === undefined) throw wrong(name, value, 'should be a list of numbers');
    if (!(list.length >= count.least && list.length <= count.most))
      throw wrong(name, `${list.length} values`, `should have ${count.least} to ${count.most}`);
    return list.map((entry) => {
      const number = typeof entry === 'bigint' ? Number(entry) : entry;
      if (typeof number !== 'number' || !(number >= bounds.least && number <= bounds.most))
        throw wrong(name, entry, `should hold numbers from ${bounds.least} to ${bounds.most}`);
      return number;
    });
  }

  /** A whole number for each of `layers` layers: a list of them, or one number for all layers. */
  perLayer(names: FactNames, bounds: Bounds, layers: number): readonly number[] {
    const value = this.find(names)?.value;
    if (typeof value !== 'object') {
      const all = this.integer(names, bounds);
      return Array.from({ length: layers }, () => all);
    }
    const list = this.numbers(names, bounds, { least: layers, most: layers });
    const odd = list.find((number) => !Number.isInteger(number));
    if (odd !== undefined) throw wrong(this.find(names)?.name ?? '', odd, 'should hold whole numbers');
    return list;
  }

  /** True or false for each of `layers` layers; undefined when there is no such list. */
  flags(names: FactNames, layers: number): readonly boolean[] | undefined {
    const found = this.find(names);
    if (found === undefined) return undefined;
    const { name, value } = found;
    if (!Array.isArray(value)) throw wrong(name, value, 'should be a list of true and false');
    if (value.length !== layers) throw wrong(name, `${value.length} values`, `should have ${layers}, one a layer`);
    return value.map((entry: unknown) => {
      if (typeof entry !== 'boolean') throw wrong(name, entry, 'should hold true and false only');
      return entry;
    });
  }

  text(names: FactNames, fallback: string): string {
    const found = this.find(names);
    if (found === undefined) return fallback;
    if (typeof found.value !== 'string') throw wrong(found.name, found.value, 'should be a string');
    return found.value;
  }

  flag(names: FactNames, fallback: boolean): boolean {
    const found = this.find(names);
    if (found === undefined) return fallback;
    if (typeof found.value !== 'boolean') throw wrong(found.name, found.value, 'should be true or false');
    return found.value;
  }

  #names({ gguf, huggingface }: FactNames): readonly string[] {
    if (this.source === 'gguf') return [gguf].flat().map((name) => `${this.#prefix}.${name}`);
    return [huggingface].flat().flatMap((name) => this.#inner.map((inner) => inner + name));
  }

  #value(name: string): unknown {
    if (this.#metadata.kind === 'gguf') return this.#metadata.values.get(name);
    let value: JsonValue | undefined = this.#metadata.config;
    for (const part of name.split('.')) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
      value = Object.hasOwn(value, part) ? (value as { readonly [key: string]: JsonValue })[part] : undefined;
    }
    return value;
  }

  #missing(names: FactNames): ModelError {
    const name = this.#names(names).join(' or ');
    const where = this.source === 'gguf' ? 'the GGUF metadata' : 'config.json';
    return new ModelError(
      'config',
      `${where} does not have ${name}; the file may be damaged or made by an old converter`,
      { field: name },
    );
  }
}

/** `problem` says what the value should be. */
export function wrong(field: string, value: unknown, problem: string): ModelError {
  const shown = (
    JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? String(value)
  ).slice(0, 80);
  return new ModelError('config', `${field} is ${shown}; it ${problem}`, { field, value: shown });
}
