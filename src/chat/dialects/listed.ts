/** Families that write a list of JSON objects, or one object, behind a token or at once: Granite 3 and Llama 3. */
import type { Grammar } from '../../constrain/grammar.ts';
import { MessageText } from '../../see/images.ts';
import type { ToolSettings } from '../tools.ts';
import type { Dialect } from './dialect.ts';
import { argumentsOf, choice, sequence, several, text } from './grammar.ts';
import { hermes } from './hermes.ts';
import { jsonCalls, pythonJson } from './json.ts';

/** One object of a tool there is, with the arguments under a name. */
function objects(tools: readonly ToolSettings[], key: string): Grammar {
  return choice(
    tools.map((tool) =>
      sequence(text(`{"name": ${JSON.stringify(tool.name)}, "${key}": `), argumentsOf(tool), text('}')),
    ),
  );
}

export const granite: Dialect = {
  ...hermes,
  name: 'granite',
  known: (rendered) => rendered.includes('<|tool_call|>'),
  openings: [{ text: '<|tool_call|>', read: jsonCalls() }, ...hermes.openings.slice(1)],
  write: (calls) => [
    '<|tool_call|>',
    new MessageText(pythonJson(calls.map(({ name, arguments: given }) => ({ name, arguments: given })))),
  ],
  grammar: (tools) => ({
    begin: '<|tool_call|>',
    body: sequence(text('['), several(objects(tools, 'arguments'), ', '), text(']')),
  }),
};

/** `{"name": …, "parameters": …}`, the whole answer. */
export const llama: Dialect = {
  ...hermes,
  name: 'llama',
  known: (rendered) => /"parameters": (?:dictionary|\{"zqkey": "zqargument")/.test(rendered),
  openings: [{ text: '<|python_tag|>', read: jsonCalls() }, ...hermes.openings.slice(1)],
  write: (calls) => [
    new MessageText(calls.map(({ name, arguments: given }) => pythonJson({ name, parameters: given })).join('; ')),
  ],
  // It begins as other JSON may, too.
  grammar: (tools) => ({ begin: '', body: several(objects(tools, 'parameters'), '; '), quiet: true }),
};
