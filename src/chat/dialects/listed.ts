/** Families that write a list of JSON objects, or one object, behind a token or at once: Granite 3 and Llama 3. */
import { MessageText } from '../../see/images.ts';
import type { Dialect } from './dialect.ts';
import { hermes } from './hermes.ts';
import { jsonCalls, pythonJson } from './json.ts';

export const granite: Dialect = {
  ...hermes,
  name: 'granite',
  known: (rendered) => rendered.includes('<|tool_call|>'),
  openings: [{ text: '<|tool_call|>', read: jsonCalls() }, ...hermes.openings.slice(1)],
  write: (calls) => [
    '<|tool_call|>',
    new MessageText(pythonJson(calls.map(({ name, arguments: given }) => ({ name, arguments: given })))),
  ],
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
};
