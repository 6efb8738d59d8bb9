/** JSON from files: bounded in size and depth, with errors that give the place. */
import { FileError } from '../errors.ts';
import type { JsonObject, JsonValue } from './model-file.ts';

/**
 * The deepest nesting that is read. tokenizer.json and configurations stay below 12; code that walks a value may
 * therefore recurse.
 */
const MAX_JSON_DEPTH = 64;

/** `offset` is where `bytes` begin in the file. */
export function parseJsonObject(bytes: Uint8Array, file: string, field: string, offset: number): JsonObject {
  const value = parseJson(bytes, file, field, offset);
  if (!isObject(value)) throw new FileError('malformed', { file, field, offset }, 'a JSON object should be here');
  return value;
}

/** The same for any value. */
export function parseJson(bytes: Uint8Array, file: string, field: string, offset: number): JsonValue {
  const deep = depthFault(bytes);
  if (deep !== undefined)
    throw new FileError(
      'limit',
      { file, field, offset: offset + deep },
      `more than ${MAX_JSON_DEPTH} levels of nesting`,
    );
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FileError('malformed', { file, field, offset }, 'not UTF-8', { cause });
  }
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const at = jsonFault(text);
    // The characters before the fault, as bytes; the decoder dropped a byte order mark.
    const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    const before = mark + new TextEncoder().encode(text.slice(0, at)).length;
    throw new FileError(
      at >= text.length ? 'truncated' : 'malformed',
      { file, field, offset: offset + before },
      at >= text.length ? 'the JSON text ends before it is complete' : 'not JSON',
      { cause },
    );
  }
  return value;
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns where the nesting becomes too deep. Works on bytes: quotes, brackets and backslashes are ASCII. */
function depthFault(bytes: Uint8Array): number | undefined {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) return i;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return undefined;
}

/** JSON's tokens (RFC 8259) except strings, which may be megabytes and are scanned instead. */
const TOKEN = /[[\]{},:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.a-zA-Z])|true|false|null/uy;
const SPACE = /[ \t\n\r]*/uy;

/**
 * Returns the index of the first character that cannot continue a JSON text, or the text's length if it only ends too
 * early. Runs after `JSON.parse` has failed, because engines report the place differently.
 */
function jsonFault(text: string): number {
  const open: ('{' | '[')[] = [];
  /**
   * What may follow: a value, a key, a colon, or a comma or closing bracket; `first` also allows the bracket to close.
   */
  let expect: 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'after' = 'value';
  for (let at = 0; ;) {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    const start = SPACE.lastIndex;
    if (start === text.length) return start;
    const isString = text[start] === '"';
    let mark: string | undefined;
    if (isString) {
      const end = stringEnd(text, start);
      if (end.fault) return end.at;
      at = end.at;
    } else {
      TOKEN.lastIndex = start;
      mark = TOKEN.exec(text)?.[0];
      if (mark === undefined) return isUnfinished(text.slice(start, start + 64)) ? text.length : start;
      at = TOKEN.lastIndex;
    }
    const top = open.at(-1);
    if (expect === 'after') {
      if (mark === ',' && top !== undefined) expect = top === '{' ? 'key' : 'value';
      else if ((mark === '}' && top === '{') || (mark === ']' && top === '[')) open.pop();
      else return start;
    } else if (expect === 'colon') {
      if (mark !== ':') return start;
      expect = 'value';
    } else if (expect === 'key' || expect === 'firstKey') {
      if (isString) expect = 'colon';
      else if (mark === '}' && expect === 'firstKey') {
        open.pop();
        expect = 'after';
      } else return start;
    } else if (mark === '{' || mark === '[') {
      open.push(mark);
      expect = mark === '{' ? 'firstKey' : 'first';
    } else if (mark === ']' && expect === 'first') {
      open.pop();
      expect = 'after';
    } else if (mark !== undefined && '[]{},:'.includes(mark)) return start;
    else expect = 'after';
  }
}

/** Returns where the string that begins at `start` ends, or where it is invalid (the text's end if it is cut off). */
function stringEnd(text: string, start: number): { readonly at: number; readonly fault: boolean } {
  for (let i = start + 1; i < text.length; i++) {
    const character = text[i] ?? '';
    if (character === '"') return { at: i + 1, fault: false };
    if (character < ' ') return { at: i, fault: true };
    if (character !== '\\') continue;
    const escape = text[++i];
    if (escape === undefined) break;
    if (escape === 'u') {
      for (let digits = 0; digits < 4; digits++) {
        const digit = text[++i];
        if (digit === undefined) return { at: text.length, fault: true };
        if (!/[0-9a-fA-F]/.test(digit)) return { at: i, fault: true };
      }
    } else if (!'"\\/bfnrt'.includes(escape)) return { at: i, fault: true };
  }
  return { at: text.length, fault: true };
}

/** Tells whether the last characters could be the beginning of a word or number. */
function isUnfinished(rest: string): boolean {
  return ['true', 'false', 'null'].some((word) => word.startsWith(rest)) || /^-?\d*\.?\d*[eE]?[+-]?$/.test(rest);
}
