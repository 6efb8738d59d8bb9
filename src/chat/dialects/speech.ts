/** Which dialect a template speaks. */
import { declaration, renderChat } from '../templates.ts';
import type { ChatMessage } from '../template.ts';
import type { ToolSettings } from '../tools.ts';
import type { Dialect } from './dialect.ts';
import { functionGemma, gemma, gemma4 } from './gemma.ts';
import { hermes, tags } from './hermes.ts';
import { lfm2 } from './lfm2.ts';
import { granite, llama } from './listed.ts';
import { mistral, mistralIds, mistralNames } from './mistral.ts';

/** How a template writes and reads calls. */
export interface Speech {
  readonly dialect: Dialect;
  /** The variable in which the template takes tools; undefined where it takes none, or writes calls in a way that is unknown here. */
  readonly variable: 'tools' | 'xml_tools' | undefined;
  /** Whether it writes a conversation with tools in which the user has said nothing yet. */
  readonly withoutUser: boolean;
}

/** Those that are told by a token of their own come before those that are told by words. */
const DIALECTS: readonly Dialect[] = [
  gemma4,
  functionGemma,
  lfm2,
  mistralIds,
  mistralNames,
  mistral,
  tags,
  granite,
  hermes,
  llama,
];

const TOOL: ToolSettings = {
  name: 'zqtool',
  description: 'zqdescription',
  inputSchema: { type: 'object', properties: { zqkey: { type: 'string', description: 'zqvalue' } } },
};
const USER = { role: 'user', content: 'zqalpha' };
const CALL = {
  id: 'zqcall000',
  type: 'function',
  function: { name: 'zqtool', arguments: { zqkey: 'zqargument' } },
};
const CALLED = [
  USER,
  { role: 'assistant', content: '', tool_calls: [CALL] },
  { role: 'tool', content: 'zqresult', name: 'zqtool', tool_call_id: 'zqcall000' },
];

let last: { readonly template: string; readonly speech: Speech } | undefined;

/** Found out by rendering small conversations; remembered for the template that was asked about last. */
export function speechOf(template: string): Speech {
  if (last?.template !== template) last = { template, speech: probe(template) };
  return last.speech;
}

function probe(template: string): Speech {
  const rendered = (messages: readonly ChatMessage[], name = 'tools'): string => {
    const tools = [declaration(TOOL)];
    const parts = messages.map((message) => ({ ...message, content: [{ type: 'text', text: message.content }] }));
    for (const given of [messages, parts]) {
      try {
        const text = renderChat(template, given, {
          addGenerationPrompt: false,
          bosToken: '',
          eosToken: '',
          ...(name === 'tools' ? { tools } : { variables: { [name]: tools } }),
        });
        if (given === parts || given.every(({ content }) => text.includes(String(content)))) return text;
      } catch {
        // The template wants something else.
      }
    }
    return '';
  };
  const variable = (['tools', 'xml_tools'] as const).find((name) => rendered([USER], name).includes('zqtool'));
  const shown = variable === undefined ? '' : rendered([USER], variable) + rendered(CALLED, variable);
  const dialect = DIALECTS.find(({ known }) => known(shown));
  if (variable === undefined || dialect === undefined)
    return { dialect: gemma.known(rendered([USER])) ? gemma : hermes, variable: undefined, withoutUser: true };
  const withoutUser = rendered([{ role: 'system', content: 'zqsystem' }], variable).includes('zqtool');
  return { dialect, variable, withoutUser };
}
