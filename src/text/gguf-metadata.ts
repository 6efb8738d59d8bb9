/** Reads typed values from GGUF metadata; errors name the key that is wrong. */
import type { GgufValue } from '../load/model-file.ts';
import { failTokenizer } from './failure.ts';

export type GgufValues = ReadonlyMap<string, GgufValue>;

/** Keys are given without the prefix `tokenizer.ggml.`, except for `text`. */
export function integer(values: GgufValues, key: string): number | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  return typeof value === 'number' && Number.isInteger(value)
    ? value
    : typeof value === 'bigint'
      ? Number(value)
      : undefined;
}

export function flag(values: GgufValues, key: string): boolean | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  return typeof value === 'boolean' ? value : undefined;
}

export function text(values: GgufValues, key: string): string | undefined {
  const value = values.get(key);
  return typeof value === 'string' ? value : undefined;
}

export function strings(values: GgufValues, key: string): readonly string[] | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) return failTokenizer(`tokenizer.ggml.${key} is no list of strings`, { key });
  const list: readonly unknown[] = value;
  if (!list.every((item) => typeof item === 'string'))
    return failTokenizer(`tokenizer.ggml.${key} is no list of strings`, { key });
  return list;
}

export function numbers(values: GgufValues, key: string, count: number): ArrayLike<number> | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  const list: unknown = value;
  if (!ArrayBuffer.isView(list) || list instanceof DataView)
    return failTokenizer(`tokenizer.ggml.${key} is no list of numbers`, { key });
  const typed = value as ArrayLike<number>;
  if (typed.length < count)
    return failTokenizer(`tokenizer.ggml.${key} has ${typed.length} entries for ${count} tokens`, {
      key,
      entries: typed.length,
    });
  return typed;
}
