/** Reads typed fields of tokenizer.json; errors name the field that is wrong. */
import type { JsonObject, JsonValue } from '../load/model-file.ts';
import { failTokenizer } from './failure.ts';

/** Sequences within sequences; published files have two. */
const DEEPEST_SEQUENCE = 8;
/** Steps of a sequence; published files have ten. */
const LONGEST_SEQUENCE = 64;

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asArray(value: JsonValue | undefined, field: string): readonly JsonValue[] {
  return Array.isArray(value)
    ? (value as readonly JsonValue[])
    : failTokenizer(`tokenizer.json: ${field} is no list`, { field });
}

export function asObject(value: JsonValue | undefined, field: string): JsonObject {
  return isObject(value) ? value : failTokenizer(`tokenizer.json: ${field} is no object`, { field });
}

export function asString(value: JsonValue | undefined, field: string): string {
  return typeof value === 'string' ? value : failTokenizer(`tokenizer.json: ${field} is no string`, { field });
}

export function asFlag(value: JsonValue | undefined, fallback: boolean): boolean {
  return typeof value === 'boolean' ? value : fallback;
}

/** The steps of a component: those of a Sequence, of sequences in it, or itself; none for null. */
export function steps(value: JsonValue | undefined, list: string, depth = 0): JsonObject[] {
  if (value === null || value === undefined) return [];
  const component = asObject(value, list);
  if (component['type'] !== 'Sequence') return [component];
  if (depth >= DEEPEST_SEQUENCE)
    return failTokenizer(`tokenizer.json: ${list} within one another more than ${DEEPEST_SEQUENCE} deep`);
  const all = asArray(component[list], list).flatMap((item) => steps(item, list, depth + 1));
  return all.length > LONGEST_SEQUENCE
    ? failTokenizer(`tokenizer.json: ${all.length} ${list}, at most ${LONGEST_SEQUENCE} are supported`)
    : all;
}

/** The longest published one has 4 characters; every space of a text may become one. */
const LONGEST_REPLACEMENT = 64;

export function asReplacement(value: JsonValue | undefined, field: string): string {
  const text = asString(value, field);
  return text.length <= LONGEST_REPLACEMENT
    ? text
    : failTokenizer(
        `tokenizer.json: ${field} has ${text.length} characters, at most ${LONGEST_REPLACEMENT} are supported`,
        { field },
      );
}
