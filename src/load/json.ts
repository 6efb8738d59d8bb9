/** JSON from files: bounded in size and depth, and an error says where. */
import { FileError } from '../errors.ts';
import { readBytes, type ByteSource } from './byte-source.ts';
import type { JsonObject, JsonValue } from './model-file.ts';

/** The deepest nesting read. tokenizer.json and configurations stay below 12; whoever walks a value may then recurse. */
const MAX_JSON_DEPTH = 64;

/** A JSON object that makes up a whole file of at most `limit` bytes. */
export async function readJson(source: ByteSource, limit: number, signal?: AbortSignal): Promise<JsonObject> {
  if (source.size > limit) throw new FileError('limit', { file: source.name, field: 'size' }, `${source.size} bytes; at most ${limit} are read`);
  return parseJsonObject(await readBytes(source, 0, source.size, signal), source.name, 'JSON', 0);
}

/** `offset` is where `bytes` begin in the file. */
export function parseJsonObject(bytes: Uint8Array, file: string, field: string, offset: number): JsonObject {
  const deep = depthFault(bytes);
  if (deep !== undefined) throw new FileError('limit', { file, field, offset: offset + deep }, `more than ${MAX_JSON_DEPTH} levels of nesting`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FileError('malformed', { file, field, offset }, 'not UTF-8', { cause });
  }
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    const at = jsonFault(text);
    // Characters before the fault, as bytes; a byte order mark was dropped by the decoder.
    const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    const before = mark + new TextEncoder().encode(text.slice(0, at)).length;
    throw new FileError(at >= text.length ? 'truncated' : 'malformed', { file, field, offset: offset + before }, at >= text.length ? 'the JSON text ends before it is complete' : 'not JSON', { cause });
  }
  if (!isObject(value)) throw new FileError('malformed', { file, field, offset }, 'a JSON object should be here');
  return value;
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where the nesting becomes too deep. Works on bytes: quotes, brackets and backslashes are ASCII. */
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

const TOKEN = /[ \t\n\r]*(?:([[\]{},:])|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.a-zA-Z])|true|false|null)/y;

/**
 * The index of the first character that cannot continue a JSON text; its length where the text only ends too early.
 * Runs after `JSON.parse` has failed, because engines disagree on how they tell the place.
 */
function jsonFault(text: string): number {
  const open: ('{' | '[')[] = [];
  /** What may come: a value, a key, a colon, or a comma and the like. */
  let expect: 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'after' = 'value';
  TOKEN.lastIndex = 0;
  for (;;) {
    const from = TOKEN.lastIndex;
    const start = from + (/^[ \t\n\r]*/.exec(text.slice(from, from + 64))?.[0].length ?? 0);
    if (expect === 'after' && open.length === 0) return start;
    const match = TOKEN.exec(text);
    if (match === null) return unfinished(text, start) ? text.length : start;
    const mark = match[1];
    const top = open[open.length - 1];
    if (expect === 'colon') {
      if (mark !== ':') return start;
      expect = 'value';
    } else if (expect === 'key' || expect === 'firstKey') {
      if (mark === '}' && expect === 'firstKey') {
        open.pop();
        expect = 'after';
      } else if (text[start] === '"') expect = 'colon';
      else return start;
    } else if (expect === 'after') {
      if (mark === ',') expect = top === '{' ? 'key' : 'value';
      else if ((mark === '}' && top === '{') || (mark === ']' && top === '[')) open.pop();
      else return start;
    } else if (mark === '{' || mark === '[') {
      open.push(mark);
      expect = mark === '{' ? 'firstKey' : 'first';
    } else if (mark === ']' && expect === 'first') {
      open.pop();
      expect = 'after';
    } else if (mark === undefined) expect = 'after';
    else return start;
  }
}

/** Whether the rest could be the beginning of a token: nothing, a string without its end, a piece of a word or number. */
function unfinished(text: string, start: number): boolean {
  const rest = text.slice(start, start + 64).trim();
  if (rest === '') return text.slice(start).trim() === '';
  if (rest.startsWith('"')) return /^"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*(?:\\(?:u[0-9a-fA-F]{0,3})?)?$/.test(text.slice(start));
  return ['true', 'false', 'null'].some((word) => word.startsWith(rest)) || /^-?\d*\.?\d*[eE]?[+-]?$/.test(rest);
}
