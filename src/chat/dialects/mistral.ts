/** `[TOOL_CALLS][{"name": …, "arguments": …}]` (Nemo), `[TOOL_CALLS]name[ARGS]{…}` (Ministral 3) and `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`. */
import { MessageText } from '../../see/images.ts';
import type { Dialect, ReadCalls } from './dialect.ts';
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

export const mistral: Dialect = {
  ...hermes,
  name: 'mistral',
  known: (rendered) => rendered.includes('[AVAILABLE_TOOLS]') || rendered.includes(OPEN),
  openings: [{ text: OPEN, read }],
  write: (calls) => [
    OPEN,
    new MessageText(pythonJson(calls.map(({ name, arguments: given }) => ({ name, arguments: given })))),
  ],
};
