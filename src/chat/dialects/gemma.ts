/**
 * Gemma's three ways. FunctionGemma: `<start_function_call>call:name{key:<escape>value<escape>}<end_function_call>`; Gemma 4 the same with other tokens. Gemma
 * 1 to 3 have no tokens for tools: they are told of them in words, and answer with Python in a block of code named `tool_code`.
 */
import { MessageText, type Content } from '../../see/images.ts';
import type { ToolCall } from '../messages.ts';
import type { Dialect, Heard, HeardCall, ReadCalls } from './dialect.ts';
import { declaration } from '../templates.ts';
import { choice, json, listed, matching, sequence, several, text } from './grammar.ts';
import { hermes } from './hermes.ts';
import { pythonJson } from './json.ts';
import { LiteralReader, Malformed, matched } from './literal.ts';
import { pythonCall, pythonCalls, pythonGrammar } from './python.ts';

const NAME = /\s*call:\s*[\w.-]+/y;
const BETWEEN = /[\s,]*/y;

/** `call:name{…}` up to `close`, with strings between `quote`s. */
function tokenCalls(close: string, quote: string): ReadCalls {
  return (text, _tools, ended): Heard => {
    const calls: HeardCall[] = [];
    for (let at = 0; ;) {
      at += matched(BETWEEN, text, at).length;
      const rest = text.slice(at);
      if (rest.startsWith(close)) return { calls, end: at + close.length };
      if (!ended && (close.startsWith(rest) || 'call:'.startsWith(rest))) return { calls, end: undefined };
      const head = matched(NAME, text, at);
      if (head === '') {
        if (calls.length === 0) throw new Malformed('a call was expected');
        return { calls, end: at };
      }
      const reader = new LiteralReader(text, at + head.length, quote);
      if (reader.next === undefined) return { calls, end: undefined };
      if (reader.next !== '{') throw new Malformed('arguments were expected');
      const whole = reader.value();
      calls.push({ name: head.slice(head.indexOf(':') + 1).trim(), json: reader.json, whole });
      if (!whole) return { calls, end: undefined };
      at = reader.at;
    }
  };
}

function writeTokens(open: string, close: string, quote: string): Dialect['write'] {
  const value = (given: unknown): Content => {
    if (typeof given === 'string') return [quote, new MessageText(given), quote];
    if (Array.isArray(given)) return ['[', ...given.flatMap((one, i) => [i === 0 ? '' : ',', ...value(one)]), ']'];
    return typeof given === 'object' && given !== null ? members(given) : [String(given)];
  };
  const members = (given: object): Content => [
    '{',
    ...Object.entries(given).flatMap(([key, one], i) => [i === 0 ? '' : ',', new MessageText(key), ':', ...value(one)]),
    '}',
  ];
  const call = ({ name, arguments: given }: ToolCall): Content => [
    `${open}call:`,
    new MessageText(name),
    ...members(given ?? {}),
    close,
  ];
  return (calls) => calls.flatMap(call);
}

function withTokens(name: string, [open, close, quote, ends]: readonly [string, string, string, string]): Dialect {
  return {
    ...hermes,
    name,
    known: (rendered) => rendered.includes(open),
    openings: [{ text: open, read: tokenCalls(close, quote) }],
    ends: [ends],
    write: writeTokens(open, close, quote),
    grammar: (tools, marks) => ({
      begin: open,
      body: choice(
        tools.map((tool) =>
          sequence(
            text(`call:${tool.name}{`),
            listed(tool, ',', (key, schema) =>
              sequence(
                text(`${key}:`),
                schema['type'] === 'string' && schema['enum'] === undefined
                  ? sequence(marks(quote), matching('[^<]*'), marks(quote))
                  : json(schema),
              ),
            ),
            text('}'),
            marks(close),
          ),
        ),
      ),
      separator: '',
    }),
  };
}

export const functionGemma = withTokens('function-gemma', [
  '<start_function_call>',
  '<end_function_call>',
  '<escape>',
  '<start_function_response>',
]);

export const gemma4 = withTokens('gemma4', ['<|tool_call>', '<tool_call|>', '<|"|>', '<|tool_response>']);

const BLOCK = '```tool_code\n';
const BLOCK_END = '```';

/** For templates that begin a turn as Gemma's do and take no tools. */
export const gemma: Dialect = {
  name: 'gemma',
  known: (rendered) => rendered.includes('<start_of_turn>'),
  openings: [
    { text: BLOCK, read: pythonCalls(BLOCK_END) },
    { text: '```python\n', read: pythonCalls(BLOCK_END), guarded: true },
    ...hermes.openings.filter(({ guarded }) => guarded),
  ],
  ends: ['```tool_output'],
  write: (calls) => [BLOCK, new MessageText(calls.map(pythonCall).join('\n')), `\n${BLOCK_END}`],
  result: (content) => ['```tool_output\n', ...content, '\n```'],
  grammar: (tools) => ({ begin: BLOCK, body: sequence(several(pythonGrammar(tools), '\n'), text(`\n${BLOCK_END}`)) }),
  describe: (tools) => [
    'You have access to functions. If you decide to invoke any of the function(s), you MUST put it in the format of\n' +
      '```tool_code\nfunc_name(param_name=param_value)\n```\nYou SHOULD NOT include any other text in the response if you call a function.\n',
    new MessageText(pythonJson(tools.map((tool) => declaration(tool)['function']))),
  ],
};
