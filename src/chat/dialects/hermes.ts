/**
 * `<tool_call>{"name": …, "arguments": …}</tool_call>`: Hermes, Qwen 2.5 and 3, SmolLM3, Granite 4; and what models are told that know no tools. Qwen 3.5 and
 * Qwen 3 Coder write tags within the tags: `<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`.
 */
import { MessageText, type Content } from '../../see/images.ts';
import type { ToolCall } from '../messages.ts';
import type { ToolSettings } from '../tools.ts';
import type { Dialect, Heard, HeardCall, Opening, ReadCalls } from './dialect.ts';
import { declaration } from '../templates.ts';
import { argumentsOf, choice, json as jsonText, listed, matching, sequence, text } from './grammar.ts';
import { jsonCalls, pythonJson } from './json.ts';
import { LiteralReader, Malformed, matched } from './literal.ts';

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';
const FUNCTION = /\s*<function=([^>\n]{1,128})>\s*/y;
const PARAMETER = /\s*<parameter=([^>\n]{1,128})>\n?/y;
const PARAMETER_END = '</parameter>';
const FUNCTION_END = /\s*<\/function>\s*/y;
const SPACE = /\s*/y;

const json = jsonCalls(CLOSE);

const read: ReadCalls = (text, tools, ended) => {
  const at = matched(SPACE, text, 0).length;
  const tag = text.slice(at, at + 10);
  if (tag === '<function=') return readTags(text, tools);
  if (!ended && '<function='.startsWith(tag)) return { calls: [], end: undefined };
  return json(text, tools, ended);
};

function readTags(text: string, tools: readonly ToolSettings[]): Heard {
  FUNCTION.lastIndex = 0;
  const begun = FUNCTION.exec(text);
  if (begun === null) {
    if (text.includes('>') || text.length > 140) throw new Malformed('a function has no name');
    return { calls: [], end: undefined };
  }
  const name = begun[1]?.trim() ?? '';
  const schema = tools.find((tool) => tool.name === name)?.inputSchema;
  let at = begun[0].length;
  let members = '';
  const call = (whole: boolean): HeardCall => ({ name, json: `{${members}${whole ? '}' : ''}`, whole });
  for (;;) {
    PARAMETER.lastIndex = at;
    const parameter = PARAMETER.exec(text);
    if (parameter === null) break;
    const start = at + parameter[0].length;
    const end = text.indexOf(PARAMETER_END, start);
    if (end < 0) return { calls: [call(false)], end: undefined };
    const key = parameter[1]?.trim() ?? '';
    const value = text.slice(start, end).replace(/\n$/, '');
    members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${valueJson(value, typeOf(schema, key))}`;
    at = end + PARAMETER_END.length;
  }
  const closed = matched(FUNCTION_END, text, at);
  if (closed !== '') at += closed.length;
  const rest = text.slice(at);
  if (rest.startsWith(CLOSE)) return { calls: [call(true)], end: at + CLOSE.length };
  return { calls: [call(closed !== '')], end: undefined };
}

function typeOf(schema: ToolSettings['inputSchema'], key: string): unknown {
  const properties = schema?.['properties'] as Readonly<Record<string, { readonly type?: unknown }>> | undefined;
  return properties?.[key]?.type;
}

/** Text where the schema says so; otherwise the value that it spells, or text where it spells none. */
function valueJson(text: string, type: unknown): string {
  if (type !== 'string') {
    const reader = new LiteralReader(`${text.trim()} `);
    try {
      if (reader.value() && reader.at >= text.trim().length) return reader.json;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
    }
  }
  return JSON.stringify(text);
}

/** What small models write in place of the tags. */
const OPENINGS: readonly Opening[] = [
  { text: OPEN, read },
  { text: '<tools>', read: jsonCalls('</tools>'), guarded: true },
  { text: '```json', read: jsonCalls('```'), guarded: true },
  { text: '{', read: (text, tools, ended) => shifted(jsonCalls()(`{${text}`, tools, ended)), guarded: true },
];

function shifted({ calls, end }: Heard): Heard {
  return { calls, end: end === undefined ? undefined : end - 1 };
}

function literal(value: unknown): MessageText {
  return new MessageText(pythonJson(value));
}

/** Lists the tools between the words that Hermes and Qwen were trained with. */
function describe(tools: readonly ToolSettings[]): Content {
  return [
    '# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>',
    ...tools.flatMap((tool) => ['\n', literal(declaration(tool))]),
    '\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n' +
      '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
  ];
}

function write(calls: readonly ToolCall[]): Content {
  return calls.flatMap(({ name, arguments: given }, index) => [
    `${index === 0 ? '' : '\n'}${OPEN}\n{"name": `,
    literal(name),
    ', "arguments": ',
    literal(given),
    `}\n${CLOSE}`,
  ]);
}

const grammar: Dialect['grammar'] = (tools, marks) => ({
  begin: OPEN,
  body: choice(
    tools.map((tool) =>
      sequence(
        text(`\n{"name": ${JSON.stringify(tool.name)}, "arguments": `),
        argumentsOf(tool),
        text('}\n'),
        marks(CLOSE),
      ),
    ),
  ),
  separator: '\n',
});

const tagGrammar: Dialect['grammar'] = (tools, marks) => ({
  begin: OPEN,
  body: choice(
    tools.map((tool) =>
      sequence(
        text(`\n<function=${tool.name}>\n`),
        listed(tool, '', (key, schema) =>
          sequence(
            text(`<parameter=${key}>\n`),
            // A text stands as it is, and ends before the next tag.
            schema['type'] === 'string' && schema['enum'] === undefined ? matching('[^<]*') : jsonText(schema),
            text(`\n${PARAMETER_END}\n`),
          ),
        ),
        text('</function>\n'),
        marks(CLOSE),
      ),
    ),
  ),
  separator: '\n',
});

export const hermes: Dialect = {
  name: 'hermes',
  known: (rendered) => rendered.includes(OPEN),
  openings: OPENINGS,
  write,
  result: (content) => ['<tool_response>\n', ...content, '\n</tool_response>'],
  grammar,
  describe,
};

/** Qwen 3.5 and Qwen 3 Coder. */
export const tags: Dialect = {
  ...hermes,
  name: 'tags',
  known: (rendered) => rendered.includes('<function='),
  grammar: tagGrammar,
};
