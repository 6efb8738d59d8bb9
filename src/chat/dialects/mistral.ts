/** `[TOOL_CALLS][{"name": …, "arguments": …}]` (Nemo), `[TOOL_CALLS]name[ARGS]{…}` (Ministral 3) and `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`. */
import { MessageText } from '../../see/images.ts';
import type { Dialect, ReadCalls } from './dialect.ts';
import { argumentsOf, choice, matching, sequence, several, text } from './grammar.ts';
import { hermes } from './hermes.ts';
import { jsonCalls, pythonJson } from './json.ts';
import { LiteralReader, Malformed, matched } from './literal.ts';

const OPEN = '[TOOL_CALLS]';
const NAME = /\s*[\w.-]+\s*/y;
/** Between the name and the arguments. */
const TOKENS = /(?:\[CALL_ID\][\w-]*\s*)?(?:\[ARGS\])?\s*/y;
/** Anything that the text may go on to become such a token from. */
const LONGEST_TOKENS = 64;

const json = jsonCalls();

const read: ReadCalls = (text, tools, ended) => {
  if (/^\s*(?:$|[[{])/.test(text)) return json(text, tools, ended);
  const name = matched(NAME, text, 0);
  if (name === '') throw new Malformed('a name was expected');
  const tokens = matched(TOKENS, text, name.length);
  const reader = new LiteralReader(text, name.length + tokens.length);
  if (reader.next !== '{') {
    const rest = text.slice(name.length);
    if (rest !== '' && (!rest.startsWith('[') || rest.length > LONGEST_TOKENS))
      throw new Malformed('arguments were expected');
    return { calls: [], end: undefined };
  }
  const whole = reader.value();
  return { calls: [{ name: name.trim(), json: reader.json, whole }], end: whole ? reader.at : undefined };
};

const ids = matching('[A-Za-z0-9]{9}');

export const mistral: Dialect = {
  ...hermes,
  name: 'mistral',
  known: (rendered) => rendered.includes('[AVAILABLE_TOOLS]') || rendered.includes(OPEN),
  openings: [{ text: OPEN, read }],
  write: (calls) => [
    OPEN,
    new MessageText(pythonJson(calls.map(({ name, arguments: given }) => ({ name, arguments: given })))),
  ],
  grammar: (tools) => {
    const one = choice(
      tools.map((tool) =>
        sequence(
          text(`{"name": ${JSON.stringify(tool.name)}, "arguments": `),
          argumentsOf(tool),
          text(', "id": "'),
          ids,
          text('"}'),
        ),
      ),
    );
    return { begin: OPEN, body: sequence(text('['), several(one, ', '), text(']')) };
  },
};

/** With the name behind the token, and the arguments behind another. */
export const mistralNames: Dialect = {
  ...mistral,
  name: 'mistral-names',
  known: (rendered) => rendered.includes('[ARGS]') && !rendered.includes('[CALL_ID]'),
  grammar: (tools, marks) => ({
    begin: OPEN,
    body: choice(tools.map((tool) => sequence(text(tool.name), marks('[ARGS]'), argumentsOf(tool)))),
    separator: '',
  }),
};

/** With an id between the two. */
export const mistralIds: Dialect = {
  ...mistral,
  name: 'mistral-ids',
  known: (rendered) => rendered.includes('[CALL_ID]'),
  grammar: (tools, marks) => ({
    begin: OPEN,
    body: choice(
      tools.map((tool) => sequence(text(tool.name), marks('[CALL_ID]'), ids, marks('[ARGS]'), argumentsOf(tool))),
    ),
    separator: '',
  }),
};
