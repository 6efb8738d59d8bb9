/** Calls as Python writes them, `[name(key="value", other=1), …]`. */
import type { Grammar } from '../../constrain/grammar.ts';
import type { ToolCall } from '../messages.ts';
import type { ToolSettings } from '../tools.ts';
import type { Heard, HeardCall, ReadCalls } from './dialect.ts';
import { choice, json, listed, sequence, text } from './grammar.ts';
import { jsonCalls } from './json.ts';
import { LiteralReader, Malformed, matched } from './literal.ts';

const BETWEEN = /[\s,;[\])]*/y;
const NAME = /[A-Za-z_][\w.-]*/y;
const KEY = /[A-Za-z_]\w*(?=\s*=)/y;
const WORD = /\w*/y;

/** Reads calls up to `close`. A list of JSON objects in their place is read, too. */
export function pythonCalls(close: string): ReadCalls {
  const objects = jsonCalls(close);
  return (text, tools, ended): Heard => {
    const calls: HeardCall[] = [];
    for (let at = 0; ;) {
      at += matched(BETWEEN, text, at).length;
      const rest = text.slice(at);
      if (rest.startsWith(close)) return { calls, end: at + close.length };
      if (!ended && close.startsWith(rest)) return { calls, end: undefined };
      if (rest.startsWith('{') && calls.length === 0) return objects(text, tools, ended);
      const name = matched(NAME, text, at);
      if (name === '') {
        if (calls.length === 0) throw new Malformed('a name was expected');
        return { calls, end: at };
      }
      const reader = new LiteralReader(text, at + name.length);
      reader.space();
      if (reader.next === undefined) return { calls, end: undefined };
      if (reader.next !== '(') throw new Malformed('a parenthesis was expected');
      reader.at++;
      // What prints a result is no tool; what it prints may be a call.
      if (name !== 'print' || tools.some((tool) => tool.name === name)) {
        const tool = toolOf(name, tools);
        const whole = readArguments(text, reader, tool);
        calls.push({ name: tool?.name ?? name, json: reader.json, whole });
        if (!whole) return { calls, end: undefined };
      }
      at = reader.at;
    }
  };
}

/** The tool of that name, or of the name behind the last dot: some put a module before it. */
function toolOf(name: string, tools: readonly ToolSettings[]): ToolSettings | undefined {
  const last = name.slice(name.lastIndexOf('.') + 1);
  return tools.find((tool) => tool.name === name) ?? tools.find((tool) => tool.name === last);
}

/** Up to the closing parenthesis. Arguments without a name take the schema's in its order. */
function readArguments(text: string, reader: LiteralReader, tool: ToolSettings | undefined): boolean {
  const { properties } = tool?.inputSchema ?? {};
  const names = typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
  reader.json = '{';
  for (let index = 0; ;) {
    reader.space();
    if (reader.next === undefined) return false;
    if (reader.next === ',') {
      reader.at++;
      continue;
    }
    if (reader.next === ')') break;
    let key = matched(KEY, text, reader.at);
    if (key !== '') {
      reader.at += key.length;
      reader.space();
      reader.at++;
    } else {
      if (reader.at + matched(WORD, text, reader.at).length === text.length) return false;
      key = names[index] ?? '';
      if (key === '') throw new Malformed('an argument has no name');
    }
    reader.json += `${index === 0 ? '' : ','}${JSON.stringify(key)}:`;
    index++;
    if (!reader.value()) return false;
  }
  reader.at++;
  reader.json += '}';
  return true;
}

/** A call of one of the tools, with its arguments by name. */
export function pythonGrammar(tools: readonly ToolSettings[]): Grammar {
  const value = (schema: Readonly<Record<string, unknown>>): Grammar =>
    schema['type'] === 'boolean' ? choice([text('True'), text('False')]) : json(schema);
  return choice(
    tools.map((tool) =>
      sequence(
        text(`${tool.name}(`),
        listed(tool, ', ', (key, schema) => sequence(text(`${key}=`), value(schema))),
        text(')'),
      ),
    ),
  );
}

/** A value as Python writes it. */
export function pythonLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(', ')}]`;
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([key, member]) => `${JSON.stringify(key)}: ${pythonLiteral(member)}`)
      .join(', ')}}`;
  return JSON.stringify(value);
}

export function pythonCall({ name, arguments: given }: ToolCall): string {
  const members = typeof given === 'object' && given !== null ? Object.entries(given) : [];
  return `${name}(${members.map(([key, value]) => `${key}=${pythonLiteral(value)}`).join(', ')})`;
}
