/** Calls as JSON objects, `{"name": …, "arguments": …}`, one or several. */
import { LiteralReader, Malformed, matched } from './literal.ts';
import type { Heard, HeardCall, ReadCalls } from './dialect.ts';

const ARGUMENTS: ReadonlySet<string> = new Set(['arguments', 'parameters', 'args', 'input']);
/** What stands around and between the objects. Small models close one brace too many. */
const BETWEEN = /[\s,;[\]]*/y;

/** Reads objects up to `close`, or up to what is no call. */
export function jsonCalls(close = ''): ReadCalls {
  return (text, _tools, ended): Heard => {
    const calls: HeardCall[] = [];
    for (let at = 0; ;) {
      at += matched(BETWEEN, text, at).length;
      const rest = text.slice(at);
      if (close !== '' && rest.startsWith(close)) return { calls, end: at + close.length };
      if (!ended && (rest === '' || (close !== '' && close.startsWith(rest)))) return { calls, end: undefined };
      if (!rest.startsWith('{')) return { calls, end: at };
      const call = new CallObject();
      const reader = new LiteralReader(text, at);
      const whole = call.read(reader);
      const heard = call.heard(whole);
      if (heard !== undefined) calls.push(heard);
      if (!whole) return { calls, end: undefined };
      at = reader.at;
    }
  };
}

class CallObject {
  #name: string | undefined;
  #json = '';

  /** Whether the whole object was there. */
  read(reader: LiteralReader): boolean {
    reader.at++;
    // Some write the braces of a Python format string.
    const doubled = reader.next === '{';
    if (doubled) reader.at++;
    for (;;) {
      reader.space();
      if (reader.next === undefined) return false;
      if (reader.next === ',') reader.at++;
      else if (reader.next === '}') break;
      else if (!this.#member(reader)) return false;
    }
    reader.at++;
    if (doubled && reader.next === '}') reader.at++;
    return true;
  }

  #member(reader: LiteralReader): boolean {
    const key = reader.key();
    if (key === undefined) return false;
    reader.space();
    const colon = reader.next;
    if (colon === undefined) return false;
    if (colon !== ':') throw new Malformed('a colon was expected');
    reader.at++;
    reader.space();
    if (key === 'function' && reader.next === '{') return this.read(reader);
    reader.json = '';
    const whole = reader.value();
    if (key === 'name' || key === 'function') {
      if (!whole) return false;
      const name: unknown = JSON.parse(reader.json);
      if (typeof name !== 'string') throw new Malformed('a name is no string');
      this.#name = name;
    } else if (ARGUMENTS.has(key)) this.#arguments(reader.json, whole);
    return whole;
  }

  #arguments(json: string, whole: boolean): void {
    if (json.startsWith('{')) this.#json = json;
    else if (whole) this.#json = asObject(JSON.parse(json));
  }

  heard(whole: boolean): HeardCall | undefined {
    if (this.#name === undefined) {
      if (whole) throw new Malformed('a call has no name');
      return undefined;
    }
    return { name: this.#name, json: whole && this.#json === '' ? '{}' : this.#json, whole };
  }
}

/** The JSON of arguments that are none, or a string with JSON in it. */
function asObject(value: unknown): string {
  if (value === null) return '{}';
  if (typeof value === 'string') {
    const reader = new LiteralReader(`${value} `);
    if (reader.value() && reader.json.startsWith('{')) return reader.json;
  }
  throw new Malformed('arguments are no object');
}

/** As Python's `json.dumps` writes it, which is what models have read. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => `${JSON.stringify(key)}: ${pythonJson(member)}`)
      .join(', ')}}`;
  return JSON.stringify(value) ?? 'null';
}
