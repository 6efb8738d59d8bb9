/** Tools as OpenAI's chats offer them, and calls as they tell them. */
import type { AnsweredCall, AnswerPart, ToolChoice, ToolSettings } from '../chat/tools.ts';
import type { Fields } from './fields.ts';

export interface OfferedTools {
  readonly tools?: readonly ToolSettings[];
  readonly toolChoice?: ToolChoice;
}

export function readTools(fields: Fields): OfferedTools {
  const tools = fields.objects('tools')?.map((tool): ToolSettings => {
    const told = tool.text('type') === 'function' ? tool.object('function') : undefined;
    if (told === undefined) throw tool.wrong('type', "'function', with its description beside it");
    const name = told.text('name');
    if (name === undefined) throw told.wrong('name', 'a string');
    const description = told.text('description');
    const parameters = told.object('parameters') && told.value('parameters');
    return {
      name,
      ...(description === undefined ? {} : { description }),
      ...(parameters === undefined ? {} : { inputSchema: parameters as Readonly<Record<string, unknown>> }),
    };
  });
  const toolChoice = readChoice(fields);
  if (tools === undefined || tools.length === 0) {
    if (toolChoice !== undefined && toolChoice !== 'none' && toolChoice !== 'auto')
      throw fields.wrong('tool_choice', "nothing, unless there are 'tools'");
    return {};
  }
  return { tools, ...(toolChoice === undefined ? {} : { toolChoice }) };
}

function readChoice(fields: Fields): ToolChoice | undefined {
  if (typeof fields.value('tool_choice') === 'string')
    return fields.choice('tool_choice', ['auto', 'none', 'required'] as const);
  const named = fields.object('tool_choice');
  if (named === undefined) return undefined;
  const name = named.object('function')?.text('name');
  if (name === undefined) throw named.wrong('function', "an object with 'name'");
  return { name };
}

export function callBody({ id, name, arguments: args }: AnsweredCall): object {
  return { id, type: 'function', function: { name, arguments: JSON.stringify(args) } };
}

/** The calls of one answer as the deltas of a stream, which number them. */
export class CallDeltas {
  readonly #ids: string[] = [];
  /** Whether only the first call is told. */
  readonly #single: boolean;

  constructor(single: boolean) {
    this.#single = single;
  }

  /** Undefined for a part that is told by others. */
  of(part: AnswerPart): object | undefined {
    if (part.type === 'tool-call-start') {
      this.#ids.push(part.id);
      return this.#delta(part.id, { id: part.id, type: 'function', function: { name: part.name, arguments: '' } });
    }
    return part.type === 'tool-call-delta' ? this.#delta(part.id, { function: { arguments: part.delta } }) : undefined;
  }

  #delta(id: string, told: object): object | undefined {
    const index = this.#ids.indexOf(id);
    return this.#single && index > 0 ? undefined : { tool_calls: [{ index, ...told }] };
  }
}
