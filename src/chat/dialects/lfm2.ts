/** `<|tool_call_start|>[name(key="value")]<|tool_call_end|>`: LFM2 and LFM2.5. */
import { MessageText } from '../../see/images.ts';
import type { Dialect } from './dialect.ts';
import { hermes } from './hermes.ts';
import { sequence, several, text } from './grammar.ts';
import { pythonCall, pythonCalls, pythonGrammar } from './python.ts';

const OPEN = '<|tool_call_start|>';
const CLOSE = '<|tool_call_end|>';

export const lfm2: Dialect = {
  ...hermes,
  name: 'lfm2',
  known: (rendered) => /<\|tool_(?:list|call)_start\|>|List of tools: \[/.test(rendered),
  openings: [{ text: OPEN, read: pythonCalls(CLOSE) }],
  write: (calls) => [`${OPEN}[`, new MessageText(calls.map(pythonCall).join(', ')), `]${CLOSE}`],
  grammar: (tools, marks) => ({
    begin: OPEN,
    body: sequence(text('['), several(pythonGrammar(tools), ', '), text(']'), marks(CLOSE)),
  }),
};
